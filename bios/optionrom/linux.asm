; Boots a Linux kernel whose parts the host has laid out in fw_cfg: loads setup code, command line, initrd and kernel
; to the addresses given there and enters the setup code ("The Linux/x86 Boot Protocol", "Running the Kernel").
%include "common.inc"

        ROM_HEADER 'Linux kernel from the command line'

boot:
        cld
        call    enable_a20
        mov     ax, FW_SETUP_ADDR
        mov     bx, FW_SETUP_SIZE
        mov     cx, FW_SETUP_DATA
        call    fw_load
        mov     ax, FW_CMDLINE_ADDR
        mov     bx, FW_CMDLINE_SIZE
        mov     cx, FW_CMDLINE_DATA
        call    fw_load
        mov     ax, FW_INITRD_ADDR
        mov     bx, FW_INITRD_SIZE
        mov     cx, FW_INITRD_DATA
        call    fw_load
        mov     ax, FW_KERNEL_ADDR
        mov     bx, FW_KERNEL_SIZE
        mov     cx, FW_KERNEL_DATA
        call    fw_load

        ; The stack goes 16 bytes below the command line, in the segment of the setup code.
        mov     eax, FW_SETUP_ADDR
        call    fw_number
        mov     esi, eax
        mov     eax, FW_CMDLINE_ADDR
        call    fw_number
        sub     eax, esi
        sub     eax, 16
        shr     esi, 4

        cli
        mov     ss, si
        mov     esp, eax
        mov     ds, si
        mov     es, si
        mov     fs, si
        mov     gs, si
        add     si, 0x20                ; the setup code's entry is 512 bytes in
        push    si
        push    word 0
        xor     eax, eax
        xor     ebx, ebx
        xor     ecx, ecx
        xor     edx, edx
        xor     edi, edi
        xor     ebp, ebp
        retf

        SHARED_CODE
