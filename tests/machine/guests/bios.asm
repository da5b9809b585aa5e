; A 64 KiB BIOS for tests. The build chooses what it does with -DTEST_name.
bits 16
org 0
%macro CMOS_OFF 0
        mov     al, 0xff
        out     0x21, al
        out     0xa1, al
%endmacro

start:  cli
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7000

%ifdef TEST_exit                        ; says hello and ends with a value
        mov     si, text
.next:  mov     al, [cs:si]
        inc     si
        test    al, al
        jz      .done
        out     0xe9, al
        jmp     .next
.done:  mov     al, 0x21
        out     0xf4, al
        hlt
text:   db      'hello', 0
%endif

%ifdef TEST_halt
        hlt
        jmp     $
%endif

%ifdef TEST_triple
        lidt    [cs:empty]
        int3
empty:  dw      0
        dd      0
%endif

%ifdef TEST_reboot                      ; counts its starts in RAM; the third one ends it
        inc     word [0x500]
        cmp     word [0x500], 3
        je      .done
        mov     al, 2
        mov     dx, 0xcf9
        out     dx, al
        mov     al, 6
        out     dx, al
        jmp     $
.done:  mov     al, 7
        out     0xf4, al
        hlt
%endif

%ifdef TEST_off                         ; through the power management function, as ACPI does
        mov     dx, 0xcf8
        mov     eax, 0x80000b40
        out     dx, eax
        mov     dx, 0xcfc
        mov     eax, 0x601
        out     dx, eax
        mov     dx, 0xcf8
        mov     eax, 0x80000b80
        out     dx, eax
        mov     dx, 0xcfc
        mov     al, 1
        out     dx, al
        mov     dx, 0x604
        mov     ax, 0x2000
        out     dx, ax
        hlt
%endif

%ifdef TEST_busy                        ; arithmetic for ever
        mov     eax, 1
        mov     edi, 0x1000
.loop:  imul    eax, eax, 1664525
        add     eax, 1013904223
        mov     [edi], eax
        add     edi, 4
        and     edi, 0xffff
        or      edi, 0x1000
        jmp     .loop
%endif

%ifdef TEST_ticks                       ; 1000 timer interrupts a second; the main program sleeps between them
        CMOS_OFF
        mov     ecx, 0x1b               ; no local APIC: its LINT0 is masked after reset
        mov     eax, 0xfee00100
        xor     edx, edx
        wrmsr
        mov     word [8 * 4], tick
        mov     [8 * 4 + 2], cs
        mov     al, 0x11
        out     0x20, al
        mov     al, 8
        out     0x21, al
        mov     al, 4
        out     0x21, al
        mov     al, 1
        out     0x21, al
        mov     al, 0xfe
        out     0x21, al
        mov     al, 0x34
        out     0x43, al
        mov     al, 1193 & 0xff
        out     0x40, al
        mov     al, 1193 >> 8
        out     0x40, al
        mov     dword [0x500], 0
.wait:  sti
        hlt
        jmp     .wait
tick:   inc     dword [0x500]
        push    ax
        mov     al, 0x20
        out     0x20, al
        pop     ax
        iret
%endif

%ifdef TEST_echo                        ; sends back what the serial port receives, plus one
        CMOS_OFF
        mov     dx, 0x3fb
        mov     al, 3
        out     dx, al
.loop:  mov     dx, 0x3fd
        in      al, dx
        test    al, 1
        jz      .loop
        mov     dx, 0x3f8
        in      al, dx
        inc     al
        out     dx, al
        jmp     .loop
%endif

%ifdef TEST_last                        ; says something on the serial port and resets
        mov     dx, 0x3fb
        mov     al, 3
        out     dx, al
        mov     si, words
.next:  mov     dx, 0x3fd
        in      al, dx
        test    al, 0x40                ; everything has been sent
        jz      .next
        mov     al, [cs:si]
        inc     si
        mov     dx, 0x3f8
        out     dx, al
        cmp     si, words.end
        jne     .next
        mov     dx, 0xcf9
        mov     al, 6
        out     dx, al
        hlt
words:  db      'last words', 10, 0     ; the reset may swallow the last one
.end:
%endif

%ifdef TEST_moved                       ; the same; then fills a page that lies elsewhere now
%define TEST_gone
%endif
%ifdef TEST_gone                        ; the same, but the page walk cannot be repeated without a machine around: a port would never be ready
%define TEST_stale
%endif
%ifdef TEST_stale                       ; paging; uses a page whose accessed bit it has cleared without voiding the translation
        mov     dword [0x2000], 0x3007
        mov     eax, 7
        mov     di, 0x3000
        mov     cx, 1024
.fill:  mov     [di], eax
        add     di, 4
        add     eax, 0x1000
        loop    .fill
        mov     eax, 0x2000
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80000001
        mov     cr0, eax
        jmp     short $ + 2
        mov     al, 0x55
        xchg    al, [0x8000]
%ifdef TEST_gone
.wait:  in      al, 0x64
        test    al, 1
        jnz     .wait
%endif
%ifdef TEST_moved
        mov     dword [0x3000 + 8 * 4], 0xa067
        mov     di, 0x8000
        mov     cx, 100
        rep     stosb
%else
        and     dword [0x3000 + 8 * 4], ~0x20
%endif
.loop:  mov     al, [0x8000]
        inc     dword [0x9000]
        jmp     .loop
%endif

%ifdef TEST_disk                        ; writes a sector of the first disk, then reads it again and again
%macro SECTOR5 1
        mov     dx, 0x1f7
%%free: in      al, dx
        test    al, 0x80
        jnz     %%free
        dec     dx
        mov     al, 0xe0
        out     dx, al
        mov     dx, 0x1f2
        mov     al, 1
        out     dx, al
        inc     dx
        mov     al, 5
        out     dx, al
        inc     dx
        mov     al, 0
        out     dx, al
        inc     dx
        out     dx, al
        mov     dx, 0x1f7
        mov     al, %1
        out     dx, al
%%wait: in      al, dx
        and     al, 0x88
        cmp     al, 8
        jne     %%wait
        mov     dx, 0x1f0
        mov     cx, 256
%endmacro
        mov     dx, 0xcf8               ; the IDE function answers, and so do its legacy ports
        mov     eax, 0x80000904
        out     dx, eax
        mov     dx, 0xcfc
        mov     ax, 1
        out     dx, ax
        mov     dx, 0xcf8
        mov     eax, 0x80000940
        out     dx, eax
        mov     dx, 0xcfc
        mov     ax, 0x8000
        out     dx, ax
        SECTOR5 0x30
        mov     si, text
        cs rep outsw
        mov     dx, 0x1f7
.busy:  in      al, dx
        test    al, 0x80
        jnz     .busy
.again: SECTOR5 0x20
        mov     di, 0x600
        rep insw
        inc     dword [0x500]
        jmp     .again
text:   times 64 db 'written '
%endif

        times   0xfff0 - ($ - $$) db 0x90
        jmp     0xf000:start
        times   0x10000 - ($ - $$) db 0
