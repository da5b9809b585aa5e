; Interprets cases: ESI walks through the record.
        section .text
        bits    32

        align   4
case_next: dd   0
case_name: dd   0               ; 0: no case is open
case_mode: dd   0               ; its row in `modes`
code_at: dd     0               ; where its code has been put
code_done: dd   0               ; and where that ends
tracing_on: dd  0
stops: dd       0               ; how many entries of TRACE
in_case: dd     0               ; the code under test is running
irq_raised: dd  0
resume_esp: dd  0

operations:
        dd      do_end, do_case, do_need, do_given, do_memory, do_entry, do_gate, do_code, do_run, do_expect, do_at, do_flags, do_any
        dd      do_is_memory, do_is_entry, do_trace, do_traced, do_irq, do_paging, do_fill, do_with, do_call, do_start, do_msr

; Modes: how to enter them, and what a case begins with.
struc mode_row
.enter: resd    1
.name:  resd    1
.sp:    resd    1
.flags: resd    1
.cr0:   resd    1
.cr3:   resd    1
.cr4:   resd    1
.efer:  resd    1
.cs:    resw    1
.ss:    resw    1
.ds:    resw    1
.tr:    resw    1
.ring:  resb    1
.wide:  resb    1               ; general registers have 64 bits
.real:  resb    1
.sp16:  resb    1               ; only SP is the case's own: IRET to a 16-bit stack leaves the rest of ESP as it was
endstruc
%macro mode 9                   ; name, enter, SP, flags, CR0, CR3, CR4, EFER, ring
%deftok %%m %1
        dd      %2, %%name, %3, %4, %5, %6, %7, %8
        dw      c_ %+ %%m, s_ %+ %%m, s_ %+ %%m
%if %8
        dw      SEL_TSS64
%else
        dw      SEL_TSS
%endif
        db      %9, mode_wide, mode_real, mode_sp16
        section .cases
%%name: db      %1, 0
        section .text
%endmacro
        align   4
modes:
%define mode_wide 0
%define mode_real 1
%define mode_sp16 0
        mode    "real16", enter_real, STACK - DATA, 2, CR0_BASE & ~CR0_PE, 0, 0, 0, 0
%define mode_real 0
        mode    "prot16", enter_protected, STACK - DATA, 2, CR0_BASE, 0, 0, 0, 0
%define mode_sp16 1
        mode    "user16", enter_protected, STACK - DATA, 2, CR0_BASE, 0, 0, 0, 3
%define mode_sp16 0
        mode    "vm86", enter_protected, STACK - DATA, VM | 2, CR0_BASE, 0, 0, 0, 3
        mode    "prot32", enter_protected, STACK, 2, CR0_BASE, 0, 0, 0, 0
        mode    "user32", enter_protected, STACK, 2, CR0_BASE, 0, 0, 0, 3
%define mode_wide 1
        mode    "long64", enter_long, STACK, 2, CR0_BASE | CR0_PG, PML4, CR4_PAE, EFER_LME | EFER_LMA, 0
        mode    "user64", enter_long, STACK, 2, CR0_BASE | CR0_PG, PML4, CR4_PAE, EFER_LME | EFER_LMA, 3
%define mode_wide 0
        mode    "comp32", enter_long, STACK, 2, CR0_BASE | CR0_PG, PML4, CR4_PAE, EFER_LME | EFER_LMA, 3
%define mode_sp16 1
        mode    "comp16", enter_long, STACK - DATA, 2, CR0_BASE | CR0_PG, PML4, CR4_PAE, EFER_LME | EFER_LMA, 3
%define mode_sp16 0

run_cases:
        movzx   eax, byte [esi]
        inc     esi
        jmp     [operations + eax * 4]

do_end: jmp     finish_case

do_case:
        call    finish_case
        movzx   eax, byte [esi]
        imul    eax, eax, mode_row_size
        add     eax, modes
        mov     [case_mode], eax
        mov     ebx, eax
        mov     eax, [esi + 1]
        mov     [case_next], eax
        add     esi, 5
        mov     [case_name], esi
.name:  lodsb
        test    al, al
        jnz     .name
        cmp     byte [esi], op_need     ; before any work is done for it
        je      run_cases
        call    begin_case
        jmp     run_cases

do_need:
        lodsd
        mov     edx, [features]
        and     edx, eax
        cmp     edx, eax
        je      .has
        mov     esi, [case_next]
        mov     dword [case_name], 0
        jmp     run_cases
.has:   call    begin_case
        jmp     run_cases

; A case's state before, as far as it does not say otherwise.
begin_case:
        inc     dword [checks]
%ifdef VERBOSE                          ; to find the case that does not end
        push    esi
        mov     esi, [case_name]
        call    put_text
        call    put_line
        pop     esi
%endif
        fninit
        call    renew_tables
        mov     ebx, [case_mode]
        mov     al, [ebx + mode_row.ring]
        call    renew_pages
        xor     eax, eax
        mov     [tracing_on], eax
        mov     [stops], eax
        mov     edi, GIVEN
        mov     ecx, 2 * (FIELDS + 1)
        rep     stosd
        mov     edi, GOT
        mov     ecx, 2 * (FIELDS + 1)
        rep     stosd
        mov     edi, GIVEN
        mov     eax, 0x11111111         ; every general register has another value
        xor     edx, edx
        cmp     [ebx + mode_row.wide], dl
        je      .next
        mov     edx, 0x11000011
.next:  stosd
        mov     [edi], edx
        add     edi, 4
        add     eax, 0x11111111
        test    edx, edx
        jz      .same
        add     edx, 0x00101000
.same:  cmp     edi, GIVEN + 8 * 16
        jb      .next
        mov     eax, [ebx + mode_row.sp]
        mov     given_(rsp), eax
        mov     dword [GIVEN + 8 * f_rsp + 4], 0
        mov     eax, [ebx + mode_row.flags]
        mov     given_(flags), eax
        mov     eax, [ebx + mode_row.cr0]
        mov     given_(cr0), eax
        mov     eax, [ebx + mode_row.cr3]
        mov     given_(cr3), eax
        mov     eax, [ebx + mode_row.cr4]
        mov     given_(cr4), eax
        mov     eax, [ebx + mode_row.efer]
        mov     given_(efer), eax
        mov     given_(cr2), 0x0badadd0
        mov     given_(dr6), 0xffff0ff0
        mov     given_(dr7), 0x400
        movzx   eax, word [ebx + mode_row.cs]
        mov     given_(cs), eax
        movzx   eax, word [ebx + mode_row.ss]
        mov     given_(ss), eax
        movzx   eax, word [ebx + mode_row.ds]
        mov     given_(ds), eax
        mov     given_(es), eax
        mov     given_(fs), eax
        mov     given_(gs), eax
        movzx   eax, word [ebx + mode_row.tr]
        mov     given_(tr), eax
        ret

do_given:
        movzx   ebx, byte [esi]
        mov     eax, [esi + 1]
        mov     edx, [esi + 5]
        add     esi, 9
        mov     [GIVEN + ebx * 8], eax
        mov     [GIVEN + ebx * 8 + 4], edx
        jmp     run_cases

do_with:
        movzx   ebx, byte [esi]
        mov     eax, [esi + 1]
        mov     edx, [esi + 5]
        add     esi, 9
        or      [GIVEN + ebx * 8], eax
        or      [GIVEN + ebx * 8 + 4], edx
        jmp     run_cases

do_memory:
        movzx   ecx, byte [esi]
        mov     edi, [esi + 1]
        add     esi, 5
        lea     eax, [esi + 8]
        rep     movsb
        mov     esi, eax
        jmp     run_cases

do_fill:
        mov     al, [esi]
        mov     edi, [esi + 1]
        mov     ecx, [esi + 5]
        add     esi, 9
        rep     stosb
        jmp     run_cases

do_entry:
        movzx   ecx, byte [esi]
        mov     ebx, [esi + 1]
        call    find_entry
        jc      .narrow
        mov     eax, [esi + 9]
        mov     edx, [esi + 17]
        not     eax
        and     [edi + 4], eax
        or      [edi + 4], edx
.narrow:
        mov     eax, [esi + 5]
        mov     edx, [esi + 13]
        not     eax
        and     [edi], eax
        or      [edi], edx
        add     esi, 21
        jmp     run_cases

do_gate:
        movzx   ebx, byte [esi]
        mov     cx, [esi + 1]
        xchg    cl, ch                  ; CH type and rights, CL IST
        movzx   edx, word [esi + 3]
        shl     edx, 16
        mov     eax, [esi + 5]
        mov     dx, ax                  ; EDX low dword
        mov     ax, cx                  ; EAX high dword
        add     esi, 9
        test    given_(efer), EFER_LME
        jnz     .long
        mov     [IDT32 + ebx * 8], edx
        mov     [IDT32 + ebx * 8 + 4], eax
        jmp     run_cases
.long:  shl     ebx, 4
        mov     [IDT64 + ebx], edx
        mov     [IDT64 + ebx + 4], eax
        jmp     run_cases

do_code:
        lodsd
        mov     [code_at], eax
        mov     given_(rip), eax
        mov     edi, eax
        movzx   ecx, word [esi]
        add     esi, 2
        add     eax, ecx
        sub     eax, 2
        mov     [code_done], eax
        rep     movsb
        jmp     run_cases

do_start:
        movzx   eax, word [esi]
        add     esi, 2
        add     eax, [code_at]
        mov     given_(rip), eax
        jmp     run_cases

do_trace:
        mov     dword [tracing_on], 1
        jmp     run_cases

do_irq:
        mov     dword [irq_raised], 1
        call    raise_irq
        jmp     run_cases

do_call:
        lodsd
        call    eax
        jmp     run_cases

do_msr: mov     ecx, [esi]
        mov     eax, [esi + 4]
        mov     edx, [esi + 8]
        add     esi, 12
        wrmsr
        jmp     run_cases

do_paging:
        lodsb
        or      given_(cr0), CR0_PG
        mov     edx, PD32
        cmp     al, paging_pg32
        je      .format
        mov     edx, PDPT_PAE
        or      given_(cr4), CR4_PAE
.format:
        mov     given_(cr3), edx
        mov     [TSS_MAIN + 28], edx
        mov     [TSS_DF + 28], edx
        mov     [TSS_TEST + 28], edx
        jmp     run_cases

; From here on GIVEN holds what is expected.
do_run:
        push    esi
        mov     ebx, [case_mode]
        mov     dword [in_case], 1
        call    [ebx + mode_row.enter]
        mov     dword [in_case], 0
        mov     given_(vector), e_UD
        mov     eax, [code_done]
        mov     given_(rip), eax
        mov     ebx, [case_mode]
        mov     edx, RF                 ; a case that wants to know says so
        cmp     byte [ebx + mode_row.real], 0
        je      .keep
        mov     edx, RF | AC            ; real mode's interrupts clear AC before we can look
.keep:  mov     eax, got_(flags)
        and     eax, edx
        not     edx
        and     given_(flags), edx
        or      given_(flags), eax
        cmp     byte [ebx + mode_row.sp16], 0
        je      .irq
        mov     ax, [GOT + 8 * f_rsp + 2]
        mov     [GIVEN + 8 * f_rsp + 2], ax
.irq:   cmp     dword [irq_raised], 0
        je      .quiet
        call    quiet_irq
        mov     dword [irq_raised], 0
.quiet: pop     esi
        jmp     run_cases

; Every entrance comes back here, in 32-bit protected mode without paging, when the code under test has stopped and GOT is complete.
leave_case:
        lgdt    [gdt_pointer]
        lidt    [idt32_pointer]
        mov     eax, KDS
        mov     ds, eax
        mov     es, eax
        mov     fs, eax
        mov     gs, eax
        mov     ss, eax
        mov     esp, [resume_esp]
        xor     eax, eax
        lldt    ax
        mov     dr7, eax
        push    dword 2                 ; NT, so that IRET is one
        popfd
        push    dword 2                 ; the rest: POPFD leaves VIF and VIP
        push    cs
        push    .flags
        iretd
.flags: ret

; An exception while no case runs is a mistake of ours.
stray:
        mov     esp, STACK_RUNNER
        put     "exception outside of a case: vector "
        mov     eax, got_(vector)
        xor     edx, edx
        call    put_hex
        put     " rip "
        mov     eax, got_(rip)
        call    put_hex
        call    put_line
        inc     dword [deviations]
        jmp     finish
