; A stream through 8 MiB: read, add, write back.
%define EXPECT 0x00a00000
%include "harness.inc"
kernel:
    mov ebp, 20
.again:
    mov esi, scratch
    mov ecx, 0x800000 / 4
.loop:
    mov eax, [esi]
    add eax, 1
    mov [esi], eax
    add esi, 4
    dec ecx
    jnz .loop
    dec ebp
    jnz .again
    mov esi, scratch      ; every word is 20 now
    mov ecx, 0x200000 / 4
    xor eax, eax
.sum:
    add eax, [esi]
    add esi, 4
    dec ecx
    jnz .sum
    ret
end_of_image
