; Which of two faults an instruction reports (SDM vol. 3A, "Priority Among Concurrent Events", and the Operation of each instruction).

NOT_THERE       equ     SCRATCH                 ; a page that is not there

%macro PRIORITY 2-3 0           ; mode, name, features
        CASE    %2, %1, %3
%if case_mode < m_long64 && case_mode != m_real16
        paging  pg32
%endif
%if case_mode != m_real16
        page_entry 1, NOT_THERE, P_P, 0
%endif
%assign user 0
%if case_mode == m_vm86 || (cs_of_case & 3)
 %assign user E_U
%endif
%endmacro

; ---- #UD, #NM, #MF before what the operand in memory gives
%macro unit_cases 1
        PRIORITY %1, "fld from a page that is not there, TS set"
        with    cr0, CR0_TS
        CODE
        fld     dword [NOT_THERE]
        RUN
        trap    NM
        PRIORITY %1, "fld from a page that is not there, EM set"
        with    cr0, CR0_EM
        CODE
        fld     dword [NOT_THERE]
        RUN
        trap    NM
        PRIORITY %1, "fld from a page that is not there"
        CODE
        fld     dword [NOT_THERE]
        RUN
        page_fault NOT_THERE, user
        PRIORITY %1, "wait, TS without MP"
        with    cr0, CR0_TS
        CODE
        wait
        RUN
        PRIORITY %1, "wait, TS and MP"
        with    cr0, CR0_TS | CR0_MP
        CODE
        wait
        RUN
        trap    NM
        PRIORITY %1, "wait, EM and MP"
        with    cr0, CR0_EM | CR0_MP
        CODE
        wait
        RUN
        PRIORITY %1, "mmx from a page that is not there, EM set", need_mmx
        with    cr0, CR0_EM | CR0_TS
        CODE
        movq    mm0, [NOT_THERE]
        RUN
        trap    UD
        PRIORITY %1, "mmx from a page that is not there, TS set", need_mmx
        with    cr0, CR0_TS
        CODE
        movq    mm0, [NOT_THERE]
        RUN
        trap    NM
        PRIORITY %1, "sse from a page that is not there, no OSFXSR", need_sse
        with    cr0, CR0_TS
        CODE
        movaps  xmm0, [NOT_THERE + 4]
        RUN
        trap    UD
        PRIORITY %1, "sse from a page that is not there, EM set", need_sse
        with    cr0, CR0_TS | CR0_EM
        with    cr4, CR4_OSFXSR
        CODE
        movaps  xmm0, [NOT_THERE + 4]
        RUN
        trap    UD
        PRIORITY %1, "sse from a page that is not there, TS set", need_sse
        with    cr0, CR0_TS
        with    cr4, CR4_OSFXSR
        CODE
        movaps  xmm0, [NOT_THERE + 4]
        RUN
        trap    NM
        PRIORITY %1, "sse, misaligned on a page that is not there", need_sse
        with    cr4, CR4_OSFXSR
        CODE
        movaps  xmm0, [NOT_THERE + 4]
        RUN
        fault   GP
        PRIORITY %1, "fxsave, misaligned on a page that is not there, TS set", need_sse
        with    cr0, CR0_TS
        CODE
        fxsave  [NOT_THERE + 4]
        RUN
        trap    NM
        PRIORITY %1, "fxsave, misaligned on a page that is not there", need_sse
        CODE
        fxsave  [NOT_THERE + 4]
        RUN
        fault   GP
        PRIORITY %1, "pending x87 error before the operand's page fault"
        given   rcx, D(0x100)
        memory  DATA + 0x100, 2, 0x037b         ; division by zero is not masked
        CODE
        fldcw   [DATA + 0x100]
        fld1
        fldz
        fdivp   st1, st0
.bad:   fld     dword [NOT_THERE]
        RUN
        trap    MF, .bad
        PRIORITY %1, "pending x87 error behind TS"
        memory  DATA + 0x100, 2, 0x037b
        CODE
        fldcw   [DATA + 0x100]
        fld1
        fldz
        fdivp   st1, st0
.bad:   fld     dword [DATA]
        RUN
        trap    MF, .bad
        PRIORITY %1, "fnstsw does not wait for a pending x87 error"
        memory  DATA + 0x100, 2, 0x037b
        CODE
        fldcw   [DATA + 0x100]
        fld1
        fldz
        fdivp   st1, st0
        fnstsw  ax
        fnclex
        RUN
        expect  rax, 0x84, 0x84
; ---- arithmetic
        PRIORITY %1, "div by memory that is not there"
        CODE
        div     byte [NOT_THERE]
        RUN
        page_fault NOT_THERE, user
        ignore  flags
        PRIORITY %1, "undefined opcode with an operand that is not there"
        CODE
        db      0x0f, 0xb9                      ; UD1
        db      0x05 - (b_%1 == 64)
 %if b_%1 == 64
        db      0x25
 %endif
        dd      NOT_THERE
        RUN
        trap    UD
        PRIORITY %1, "mov to memory that is not there from a segment register"
        CODE
        mov     [NOT_THERE], cs
        RUN
        page_fault NOT_THERE, user | E_W
        PRIORITY %1, "movs: what is read comes first"
        given   rsi, NOT_THERE
        given   rdi, NOT_THERE + 0x100
        CODE
        movsb
        RUN
        page_fault NOT_THERE, user
        PRIORITY %1, "pop to memory: the stack comes first"
        given   rsp, NOT_THERE
        CODE
 %if b_%1 == 64
        pop     qword [NOT_THERE + 0x100]
 %else
        pop     dword [NOT_THERE + 0x100]
 %endif
        RUN
        page_fault NOT_THERE, user
        PRIORITY %1, "push of memory: the operand comes first"
        given   rsp, NOT_THERE + 0x200
        CODE
 %if b_%1 == 64
        push    qword [NOT_THERE + 0x100]
 %else
        push    dword [NOT_THERE + 0x100]
 %endif
        RUN
        page_fault NOT_THERE + 0x100, user
        PRIORITY %1, "call through memory: the operand comes before the stack"
        given   rsp, NOT_THERE + 0x200
        CODE
        call    [NOT_THERE + 0x100]
        RUN
        page_fault NOT_THERE + 0x100, user
        PRIORITY %1, "single step behind an instruction that faults"
        with    flags, TF
        CODE
        mov     eax, [NOT_THERE]
        RUN
        page_fault NOT_THERE, user
        PRIORITY %1, "code breakpoint before the instruction's page fault", need_robust
        given   dr0, here(.code)
        with    dr7, on_execute(0)
        CODE
        mov     eax, [NOT_THERE]
        RUN
        trap    DB
        expect  dr6, DR6(1)
        PRIORITY %1, "single step and code breakpoint at the next instruction", need_robust
        with    flags, TF
        given   dr0, here(.b)
        with    dr7, on_execute(0)
        CODE
        nop
.b:     nop
        RUN
        trap    DB, .b
        expect  dr6, DR6(BS), ~1                ; a processor may report both at once
%endmacro
        unit_cases user32
        unit_cases user64

; ---- segments: presence and rights in the descriptor's order, limit before the page
        PRIORITY user32, "beyond the limit, on a page that is not there"
        desc    T0, NOT_THERE, 0xff, 0x40f3
        given   fs, T0 | 3
        CODE
        mov     eax, [fs:0x100]
        RUN
        fault   GP
        PRIORITY user32, "inside of the limit, on a page that is not there"
        desc    T0, NOT_THERE, 0xff, 0x40f3
        given   fs, T0 | 3
        CODE
        mov     eax, [fs:0x10]
        RUN
        page_fault NOT_THERE + 0x10, E_U
        PRIORITY user32, "write to read-only data beyond its limit"
        desc    T0, NOT_THERE, 0xff, 0x40f1
        given   fs, T0 | 3
        CODE
        mov     [fs:0x10], eax
        RUN
        fault   GP
        PRIORITY user32, "mov ds of a selector that is neither right nor present"
        desc    T0, 0, 0xfffff, 0xc013
        given   eax, T0 | 3
        CODE
        mov     ds, eax
        RUN
        fault   GP, T0
        PRIORITY user32, "mov ds of a selector whose descriptor is on a page that is not there"
        given   ldtr, SEL_LDT
        desc    SEL_LDT, NOT_THERE, 0xff, 0x0082
        given   eax, 0xf
        CODE
        mov     ds, eax
        RUN
        page_fault NOT_THERE + 8, 0
        PRIORITY user32, "mov ds of a selector in memory that is not there"
        CODE
        mov     ds, [NOT_THERE]
        RUN
        page_fault NOT_THERE, E_U
        PRIORITY user32, "mov cs is undefined before its operand is looked at"
        CODE
        db      0x8e, 0x0d
        dd      NOT_THERE
        RUN
        trap    UD
        PRIORITY user32, "lldt in ring 3 with an operand that is not there"
        CODE
        lldt    [NOT_THERE]
        RUN
        fault   GP
        PRIORITY vm86, "lldt in virtual-8086 mode is undefined"
        CODE
        lldt    [0]
        RUN
        trap    UD
        PRIORITY user32, "far jump through memory that is not there"
        CODE
        jmp     far [NOT_THERE]
        RUN
        page_fault NOT_THERE, E_U
        PRIORITY user32, "jmp far by a register is undefined"
        CODE
        db      0xff, 0xe8
        RUN
        trap    UD
        PRIORITY user32, "call to a null selector with a stack that is not there"
        given   esp, NOT_THERE + 0x100
        CODE
        db      0x9a
        dd      0
        dw      3
        RUN
        fault   GP
        PRIORITY user32, "bound outside of its limits, behind the page fault"
        CODE
        bound   eax, [NOT_THERE]
        RUN
        page_fault NOT_THERE, E_U
        PRIORITY user32, "cmpxchg8b of a register"
        CODE
        db      0x0f, 0xc7, 0xc8
        RUN
        trap    UD

; ---- fetching
        PRIORITY user32, "page fault of the second byte before anything the first says"
        memory  NOT_THERE - 1, 1, 0x0f
        page_entry 1, NOT_THERE - 1, 0, P_U
        given   eax, NOT_THERE - 1
        CODE
        jmp     eax
        RUN
        expect  vector, e_PF
        expect  error, E_U
        expect  cr2, NOT_THERE
        expect  rip, NOT_THERE - 1
        PRIORITY user32, "privileged instruction before the next page"
        memory  NOT_THERE - 1, 1, 0xf4          ; HLT
        page_entry 1, NOT_THERE - 1, 0, P_U
        given   eax, NOT_THERE - 1
        CODE
        jmp     eax
        RUN
        expect  vector, e_GP
        expect  error, 0
        expect  rip, NOT_THERE - 1
        PRIORITY user32, "jump behind the limit comes before the page"
        desc    T0, NOT_THERE - 0x1000, 0xfff, 0x40fb
        given   eax, T0 | 3
        memory  DATA + 0x40, 6, 0x1000 | (T0 | 3) << 32
        CODE
        jmp     far [DATA + 0x40]
        RUN
        fault   GP
        PRIORITY user32, "a limit that ends with the page"
        desc    T0, EXEC, 0xffff, 0x40fb
        given   cs, T0 | 3
        CODE
        bits    32
        jmp     near .code + 0x10000
        RUN
        fault   GP
