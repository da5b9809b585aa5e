; Code that is made and run a few times, then never again: 4 MiB of it, in blocks of four instructions.
%define EXPECT 0x00700000
%include "harness.inc"
BLOCKS equ 0x400000 / 16
kernel:
    xor eax, eax
    mov ebp, 7            ; rounds
.round:
    mov edi, scratch
    mov ecx, BLOCKS
.make:                    ; 05 01000000 add eax,1 / 90 nop / 31 DB xor ebx,ebx / E9 rel32 jmp (to the next block)
    mov dword [edi], 0x00000105
    mov dword [edi + 4], 0xdb319000
    mov dword [edi + 8], 0x000003e9
    mov dword [edi + 12], 0xcccccc00
    add edi, 16
    dec ecx
    jnz .make
    mov byte [edi], 0xc3  ; ret
    mov esi, 4
.run:
    push esi
    call scratch
    pop esi
    dec esi
    jnz .run
    dec ebp
    jnz .round
    ret
end_of_image
