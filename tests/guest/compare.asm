; Expectations, and the line about a case that does not meet them.
        section .text
        bits    32

%macro field_names 1-*
%rep %0
        db      %1, 0
%rotate 1
%endrep
%endmacro
names:  field_names "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", \
                "rip", "flags", "es", "cs", "ss", "ds", "fs", "gs", "cr0", "cr2", "cr3", "cr4", "efer", \
                "dr0", "dr1", "dr2", "dr3", "dr6", "dr7", "vector", "error", "tr", "ldtr"
        align   4
reported: dd    0               ; this case has deviated

do_expect:
        movzx   ebx, byte [esi]
        xor     ecx, ecx
.half:  mov     edx, [esi + 1 + ecx]            ; mask
        mov     eax, [esi + 9 + ecx]
        and     eax, edx
        not     edx
        and     edx, [GOT + ebx * 8 + ecx]
        or      eax, edx
        mov     [GIVEN + ebx * 8 + ecx], eax
        xor     ecx, 4
        jnz     .half
        add     esi, 17
        jmp     run_cases

do_any:
        lodsb
        movzx   ebx, al
        mov     eax, [GOT + ebx * 8]
        mov     edx, [GOT + ebx * 8 + 4]
        mov     [GIVEN + ebx * 8], eax
        mov     [GIVEN + ebx * 8 + 4], edx
        jmp     run_cases

do_at:
        movzx   eax, word [esi]
        add     esi, 2
        add     eax, [code_at]
        mov     given_(rip), eax
        jmp     run_cases

do_flags:
        mov     eax, [esi]
        not     eax
        and     given_(flags), eax
        mov     eax, [esi + 4]
        or      given_(flags), eax
        add     esi, 8
        jmp     run_cases

do_is_memory:
        movzx   ecx, byte [esi]
        mov     edi, [esi + 1]
        add     esi, 5
        push    esi
        repe    cmpsb
        pop     esi
        je      .same
        mov     edi, [esi - 4]
        call    begin_item
        put     "["
        mov     eax, edi
        xor     edx, edx
        call    put_hex
        put     "]"
        mov     cl, [esi - 5]
        mov     eax, [edi]
        mov     edx, [edi + 4]
        call    cut_value
        push    edx
        push    eax
        mov     eax, [esi]
        mov     edx, [esi + 4]
        call    cut_value
        mov     ecx, edx
        mov     ebx, eax
        pop     eax
        pop     edx
        call    put_pair
.same:  add     esi, 8
        jmp     run_cases

; EDX:EAX to its lower CL bytes (1, 2, 4 or 8)
cut_value:
        cmp     cl, 8
        je      .end
        xor     edx, edx
        cmp     cl, 2
        ja      .end
        movzx   eax, ax
        je      .end
        movzx   eax, al
.end:   ret

do_is_entry:
        movzx   ecx, byte [esi]
        mov     ebx, [esi + 1]
        call    find_entry
        mov     eax, [edi]
        mov     edx, [edi + 4]
        jnc     .wide
        xor     edx, edx
.wide:  and     eax, [esi + 5]
        and     edx, [esi + 9]
        mov     ebx, [esi + 13]
        mov     ecx, [esi + 17]
        cmp     eax, ebx
        jne     .other
        cmp     edx, ecx
        je      .same
.other: call    begin_item
        put     "entry"
        call    put_pair
.same:  add     esi, 21
        jmp     run_cases

do_traced:
        movzx   ecx, byte [esi]
        inc     esi
        cmp     ecx, [stops]
        jne     .differs
        xor     ebx, ebx
.next:  cmp     ebx, ecx
        je      .end
        movzx   eax, word [esi + ebx * 2]
        add     eax, [code_at]
        cmp     eax, [TRACE + ebx * 8]
        jne     .differs
        inc     ebx
        jmp     .next
.differs:
        call    begin_item
        put     "stops got"
        xor     ebx, ebx
.got:   cmp     ebx, [stops]
        jae     .expected
        put     " "
        mov     eax, [TRACE + ebx * 8]
        xor     edx, edx
        sub     eax, [code_at]
        jae     .put
        add     eax, [code_at]
.put:   call    put_hex
        inc     ebx
        jmp     .got
.expected:
        put     " expected"
        xor     ebx, ebx
.want:  cmp     ebx, ecx
        jae     .end
        put     " "
        movzx   eax, word [esi + ebx * 2]
        xor     edx, edx
        call    put_hex
        inc     ebx
        jmp     .want
.end:   lea     esi, [esi + ecx * 2]
        jmp     run_cases

; Before something that deviates is named: the case, once.
begin_item:
        push    esi
        push    eax
        cmp     dword [reported], 0
        jne     .more
        mov     dword [reported], 1
        inc     dword [deviations]
        mov     esi, [case_name]
        call    put_text
        put     " ["
        mov     esi, [case_mode]
        mov     esi, [esi + mode_row.name]
        call    put_text
        put     "]: "
        jmp     .end
.more:  put     ", "
.end:   pop     eax
        pop     esi
        ret

put_pair:                       ; EDX:EAX and what it should be, ECX:EBX
        put     " got "
        call    put_hex
        put     " expected "
        push    eax
        push    edx
        mov     eax, ebx
        mov     edx, ecx
        call    put_hex
        pop     edx
        pop     eax
        ret

; Compares every field, and ends the line if there is one.
finish_case:
        cmp     dword [case_name], 0
        je      .none
        push    esi
        mov     edi, [case_mode]
        xor     ebp, ebp                ; the field
        mov     esi, names
.field: cmp     ebp, f_r8
        jb      .compare
        cmp     ebp, f_r15
        ja      .compare
        cmp     byte [edi + mode_row.wide], 0
        je      .same
.compare:
        mov     eax, [GOT + ebp * 8]
        mov     edx, [GOT + ebp * 8 + 4]
        mov     ebx, [GIVEN + ebp * 8]
        mov     ecx, [GIVEN + ebp * 8 + 4]
        cmp     byte [edi + mode_row.wide], 0
        jne     .wide
        xor     edx, edx
        xor     ecx, ecx
.wide:  cmp     eax, ebx
        jne     .other
        cmp     edx, ecx
        je      .same
.other: call    begin_item
        push    esi
        call    put_text
        pop     esi
        call    put_pair
.same:  push    eax
.skip:  lodsb
        test    al, al
        jnz     .skip
        pop     eax
        inc     ebp
        cmp     ebp, FIELDS
        jb      .field
        cmp     dword [reported], 0
        je      .end
        call    put_line
.end:   mov     dword [reported], 0
        mov     dword [case_name], 0
        pop     esi
.none:  ret
