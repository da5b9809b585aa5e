; A bytecode interpreter: every step an indirect jump.
%define EXPECT 0x546fc2bd
%include "harness.inc"
kernel:
    mov ecx, 50000000
    xor eax, eax
    mov edx, 1
next:
    dec ecx
    js done
    mov ebx, edx
    shr ebx, 5
    and ebx, 3
    jmp [table + ebx * 4]
op0: add eax, edx
     imul edx, edx, 1103515245
     inc edx
     jmp next
op1: xor eax, edx
     lea edx, [edx + edx * 4 + 3]
     jmp next
op2: rol eax, 3
     add edx, 0x9e3779b9
     jmp next
op3: sub eax, edx
     xor edx, 0x5a5a5a5a
     imul edx, edx, 69069
     jmp next
done: ret
align 4
table: dd op0, op1, op2, op3
end_of_image
