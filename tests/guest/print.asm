; Text on the first serial port. Everything keeps all registers but those named.
        section .text
        bits    32

serial_setup:
        mov     dx, 0x3fb
        mov     al, 0x83                ; divisor latch, eight bits
        out     dx, al
        mov     dx, 0x3f8
        mov     al, 1
        out     dx, al
        inc     edx
        xor     al, al
        out     dx, al
        mov     dx, 0x3fb
        mov     al, 3
        out     dx, al
        ret

put_char:                               ; AL
        push    edx
        push    eax
        mov     edx, 0x3fd
.wait:  in      al, dx
        test    al, 0x20
        jz      .wait
        pop     eax
        mov     edx, 0x3f8
        out     dx, al
        pop     edx
        ret

put_text:                               ; ESI; moves it behind the final zero
        push    eax
.next:  lodsb
        test    al, al
        jz      .end
        call    put_char
        jmp     .next
.end:   pop     eax
        ret

%macro put 1                            ; a literal; keeps ESI
        push    esi
        mov     esi, %%text
        call    put_text
        pop     esi
        jmp     %%over
%%text: db      %1, 0
%%over:
%endmacro

put_hex:                                ; EDX:EAX without leading zeros
        pushad
        mov     ecx, 16
        xor     bl, bl                  ; a digit has been printed
.next:  shld    esi, edx, 4
        shld    edx, eax, 4
        shl     eax, 4
        push    eax
        mov     eax, esi
        and     al, 15
        or      bl, al
        cmp     ecx, 1
        je      .digit
        test    bl, bl
        jz      .skip
.digit: add     al, '0'
        cmp     al, '9'
        jbe     .put
        add     al, 'a' - '9' - 1
.put:   call    put_char
.skip:  pop     eax
        loop    .next
        popad
        ret

put_decimal:                            ; EAX
        pushad
        mov     ebx, 10
        xor     ecx, ecx
.divide:
        xor     edx, edx
        div     ebx
        push    edx
        inc     ecx
        test    eax, eax
        jnz     .divide
.next:  pop     eax
        add     al, '0'
        call    put_char
        loop    .next
        popad
        ret

put_line:
        push    eax
        mov     al, 10
        call    put_char
        pop     eax
        ret
