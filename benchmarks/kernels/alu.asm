; Dependent additions, shifts and exclusive-ors in registers.
%define EXPECT 0x67ab4937
%include "harness.inc"
kernel:
    mov ecx, 100000000
    mov eax, 1
    mov edx, 0x9e3779b9
.loop:
    add eax, edx
    mov ebx, eax
    shr ebx, 7
    xor eax, ebx
    lea edx, [edx + ebx * 2 + 1]
    dec ecx
    jnz .loop
    ret
end_of_image
