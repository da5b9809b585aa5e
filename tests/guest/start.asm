; The beginning and the end.
        section .text
        bits    32

entry:
        mov     esp, STACK_RUNNER
        mov     dword [resume_esp], STACK_RUNNER
        call    serial_setup
        call    pic_setup
        call    find_features
        call    tables_once
        mov     esi, cases
        call    run_cases
        mov     esi, text_first
        mov     eax, [checks]
        call    put_decimal
        call    put_text
        mov     eax, [deviations]
        call    put_decimal
        mov     esi, text_last
        call    put_text
        xor     eax, eax
        cmp     [deviations], eax
        setne   al
; Ends the machine with AL as result.
finish:
        mov     dx, 0x3fd
.drain: in      al, dx
        test    al, 0x40                ; the transmitter is empty
        jz      .drain
        mov     eax, [deviations]
        neg     eax
        sbb     al, al
        and     al, 1
        out     0xf4, al
        mov     dx, 0x8900
        mov     esi, text_shutdown
        mov     ecx, text_shutdown_end - text_shutdown
        rep     outsb
        lidt    [no_table]
        int3

no_table: dw    0
        dd      0
text_first: db  " checks, ", 0
text_last: db   " deviations", 10, 0
text_shutdown: db "Shutdown"
text_shutdown_end:
        align   4
checks: dd      0
deviations: dd  0

; Both interrupt controllers with everything masked; the timer's interrupt is vector e_IRQ.
pic_setup:
        mov     al, 0x11
        out     0x20, al
        out     0xa0, al
        mov     al, e_IRQ
        out     0x21, al
        mov     al, 0x70
        out     0xa1, al
        mov     al, 4
        out     0x21, al
        mov     al, 2
        out     0xa1, al
        mov     al, 1
        out     0x21, al
        out     0xa1, al
        mov     al, 0xff
        out     0x21, al
        out     0xa1, al
        ret

; Lets the timer run out once and waits until its interrupt is pending, with interrupts off.
raise_irq:
        mov     al, 0xfe
        out     0x21, al
        mov     al, 0x30                ; counter 0, mode 0: OUT rises when the count is over
        out     0x43, al
        mov     al, 16
        out     0x40, al
        xor     al, al
        out     0x40, al
        mov     al, 0x0a                ; reads of port 0x20 give the request register
        out     0x20, al
.wait:  in      al, 0x20
        test    al, 1
        jz      .wait
        ret

; Lets the timer run out much later, for cases in which something has to end a HLT.
late_irq:
        mov     al, 0xfe
        out     0x21, al
        mov     al, 0x30
        out     0x43, al
        mov     al, 0xff
        out     0x40, al
        out     0x40, al
        mov     dword [irq_raised], 1
        ret

; Forgets a pending interrupt of the timer, or ends one in service.
quiet_irq:
        mov     al, 0x30                ; OUT falls
        out     0x43, al
        mov     al, 0xff
        out     0x40, al
        out     0x40, al
        mov     al, 0x20
        out     0x20, al
        mov     al, 0xff
        out     0x21, al
        ret
