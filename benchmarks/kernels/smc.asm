; An immediate inside a hot loop is changed every 16 iterations.
%define EXPECT 0x24798f00
%include "harness.inc"
kernel:
    xor eax, eax
    mov ecx, 300000
.outer:
    mov [.patch + 1], cl
    mov edx, 16
.inner:
.patch:
    add eax, strict dword 0
    dec edx
    jnz .inner
    dec ecx
    jnz .outer
    ret
end_of_image
