; A Multiboot 1 kernel in flat form that says on the first serial port what the boot loader told it, then ends the
; machine through isa-debug-exit (port 0xf4).   nasm -f bin -o multiboot_report multiboot_report.asm
; -DVIDEO asks for 800x600x32.
bits 32
org 0x100000
%ifdef VIDEO
FLAGS   equ 0x10007
%else
FLAGS   equ 0x10003
%endif

header: dd      0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
        dd      header, header, file_end, bss_end, entry
        dd      0, 800, 600, 32

entry:  mov     esp, stack_top
        mov     ebp, eax
        mov     edx, 0x3fb
        mov     al, 3                   ; eight data bits
        out     dx, al
        mov     esi, text_magic
        mov     eax, ebp
        call    report
        mov     esi, text_flags
        mov     eax, [ebx]
        call    report
        mov     esi, text_lower
        mov     eax, [ebx + 4]
        call    report
        mov     esi, text_upper
        mov     eax, [ebx + 8]
        call    report
        mov     esi, text_bss
        mov     eax, [bss_start]
        call    report
        mov     esi, [ebx + 16]
        call    puts
        call    newline
        mov     esi, [ebx + 64]
        call    puts
        call    newline
        mov     ecx, [ebx + 20]
        mov     edi, [ebx + 24]
.module:
        jecxz   .modules_done
        push    ecx
        mov     esi, text_module
        mov     eax, [edi + 4]
        sub     eax, [edi]
        call    report
        mov     esi, [edi + 8]
        call    puts
        call    newline
        mov     eax, [edi]
        mov     eax, [eax]
        mov     esi, text_bytes
        call    report
        pop     ecx
        add     edi, 16
        dec     ecx
        jmp     .module
.modules_done:
        mov     edi, [ebx + 48]
        mov     ecx, [ebx + 44]
        add     ecx, edi
.map:   cmp     edi, ecx
        jae     .map_done
        mov     esi, text_map
        mov     eax, [edi + 4]
        call    report
        mov     esi, text_length
        mov     eax, [edi + 12]
        call    report
        mov     esi, text_type
        mov     eax, [edi + 20]
        call    report
        add     edi, [edi]
        add     edi, 4
        jmp     .map
.map_done:
        mov     esi, text_video
        mov     eax, [ebx + 88]
        call    report
        mov     esi, text_size
        mov     eax, [ebx + 104]
        shl     eax, 16
        or      eax, [ebx + 100]
        call    report
        mov     esi, text_kind
        movzx   eax, word [ebx + 108]
        call    report
        mov     esi, text_end
        call    puts
        mov     al, 0x10
        mov     edx, 0xf4
        out     dx, al
.halt:  cli
        hlt
        jmp     .halt

; esi: a text, eax: a number
report: push    eax
        call    puts
        pop     eax
        push    ecx
        mov     ecx, 8
.digit: rol     eax, 4
        push    eax
        and     al, 15
        add     al, '0'
        cmp     al, '9'
        jbe     .put
        add     al, 'a' - '9' - 1
.put:   call    putc
        pop     eax
        loop    .digit
        pop     ecx
newline:
        mov     al, 10
putc:   push    eax
        push    edx
        mov     ah, al
        mov     edx, 0x3fd
.wait:  in      al, dx
        test    al, 0x20
        jz      .wait
        mov     al, ah
        mov     edx, 0x3f8
        out     dx, al
        pop     edx
        pop     eax
        ret
puts:   lodsb
        test    al, al
        jz      .done
        call    putc
        jmp     puts
.done:  ret

text_magic:  db 'magic ', 0
text_flags:  db 'flags ', 0
text_lower:  db 'lower ', 0
text_upper:  db 'upper ', 0
text_bss:    db 'bss ', 0
text_module: db 'module of ', 0
text_bytes:  db 'starts with ', 0
text_map:    db 'map ', 0
text_length: db ' + ', 0
text_type:   db ' type ', 0
text_video:  db 'frame buffer ', 0
text_size:   db 'size ', 0
text_kind:   db 'depth and type ', 0
text_end:    db 'END OF REPORT', 10, 0
file_end:
absolute $
bss_start:   resd 64
             resb 4096
stack_top:
bss_end:
