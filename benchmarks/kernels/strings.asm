; REP MOVSD and REP STOSD over 4 MiB.
%define EXPECT 200
%include "harness.inc"
kernel:
    mov ebp, 200
.again:
    mov edi, scratch
    mov eax, ebp
    mov ecx, 0x400000 / 4
    rep stosd
    mov esi, scratch
    mov edi, scratch + 0x400000
    mov ecx, 0x400000 / 4
    rep movsd
    dec ebp
    jnz .again
    mov eax, [scratch + 0x7ffffc]
    add eax, 199
    ret
end_of_image
