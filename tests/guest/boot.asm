; A boot sector that loads the guest program from the disk behind it, for emulators that have no Multiboot loader.
;       nasm -f bin -DSECTORS=... -o boot.bin boot.asm
%ifndef SECTORS
%define SECTORS 0
%endif
LOAD    equ     0x200000
BUFFER  equ     0x8000
        org     0x7c00
        bits    16
        jmp     0:start
start:  cli
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        mov     [drive], dl
        mov     ax, 0x2401              ; A20 on
        int     0x15
        mov     bp, SECTORS
.next:  mov     si, packet
        mov     ah, 0x42
        mov     dl, [drive]
        int     0x13
        jc      .fail
        mov     si, copy
        mov     cx, 256                 ; words
        mov     ah, 0x87                ; to memory above 1 MiB
        int     0x15
        jc      .fail
        add     word [copy.to], 512
        adc     byte [copy.to + 2], 0
        inc     dword [packet.sector]
        dec     bp
        jnz     .next
        cli
        lgdt    [gdt_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     8:.protected
.fail:  hlt
        jmp     .fail
        bits    32
.protected:
        mov     eax, 0x10
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     edi, LOAD               ; the Multiboot header's last field is the entry point
        mov     eax, 0x2badb002
        jmp     [edi + 28]

drive:  db      0
        align   4
packet: dw      16, 1
        dw      BUFFER, 0
.sector:
        dq      1
copy:   times 16 db 0
        dw      0xffff, BUFFER
        db      0, 0x93, 0, 0
        dw      0xffff
.to:    dw      LOAD & 0xffff
        db      LOAD >> 16, 0x93, 0, LOAD >> 24
        times 16 db 0
gdt:    dq      0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
        dw      23
        dd      gdt
        times   510 - ($ - $$) db 0
        dw      0xaa55
