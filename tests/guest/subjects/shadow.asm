; When a pending interrupt is taken: not before the instruction behind an STI that sets IF or a load of SS has ended, and at once after
; whatever else sets IF (SDM vol. 2B, "STI", "POP", "POPF/POPFD/POPFQ"; vol. 3A, "Masking Exceptions and Interrupts When Switching Stacks").

; The timer's interrupt waits from the beginning.
%macro shadow_cases 1
        CASE    "interrupt waits while IF is clear", %1
        pending_irq
        CODE
        nop
        nop
        RUN
        CASE    "interrupt is there at the first instruction", %1
        pending_irq
        with    flags, IF
        CODE
        nop
        RUN
        expect  vector, e_IRQ
        stopped_at .code
        CASE    "sti", %1
        pending_irq
        CODE
        sti
        nop
.taken: nop
        RUN
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .taken
        CASE    "sti, then cli", %1
        pending_irq
        CODE
        sti
        cli
        nop
        RUN
        CASE    "sti, then sti", %1
        pending_irq
        CODE
        sti
        sti
.taken: nop
        RUN
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .taken
        CASE    "sti, then a jump", %1
        pending_irq
        CODE
        sti
        jmp     short .taken
        nop
.taken: nop
        RUN
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .taken
        CASE    "sti, then an instruction that faults", %1
        pending_irq
        CODE
        sti
.bad:   ud2
        RUN
        becomes IF, IF
        stopped_at .bad
        CASE    "sti, then popf that clears IF", %1
        pending_irq
        memory  STACK, 8, 2
        CODE
        sti
        popf
        nop
        RUN
        ignore  rsp
        CASE    "popf that sets IF", %1
        pending_irq
        memory  STACK, 8, 2 | IF
        CODE
        popf
.taken: nop
        RUN
        ignore  rsp
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .taken
        CASE    "popf with IF, then cli", %1
        pending_irq
        memory  STACK, 8, 2 | IF
        CODE
        popf
.taken: cli
        nop
        RUN
        ignore  rsp
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .taken
        CASE    "iret that sets IF", %1
        pending_irq
        frame_for_iret IF
        CODE
        iret_of_case
        nop
.to:    nop
        RUN
        ignore  rsp
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .to
        CASE    "sti, then iret with IF", %1
        pending_irq
        frame_for_iret IF
        CODE
        sti
        iret_of_case
        nop
.to:    nop
        RUN
        ignore  rsp
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .to
        CASE    "interrupt before the first iteration of rep stosb", %1
        pending_irq
        given   rcx, 5
        given   rdi, D(0x100)
        memory  STACK, 8, 2 | IF
        CODE
        popf
.taken: rep stosb
        RUN
        ignore  rsp
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .taken
        CASE    "sti, then rep stosb", %1
        pending_irq
        given   rcx, 5
        given   rdi, D(0x100)
        CODE
        sti
.rep:   rep stosb
.next:  nop
        RUN
        expect  vector, e_IRQ
        becomes IF, IF
        ignore  rcx, rdi, rip                   ; after one iteration or more
        CASE    "single step comes before an interrupt", %1
        pending_irq
        with    flags, TF
        CODE
        sti
.b:     nop
        RUN
        trap    DB, .b
        expect  dr6, DR6(BS)
        becomes IF, IF
%endmacro
        shadow_cases real16
        shadow_cases prot16
        shadow_cases prot32
        shadow_cases long64

; In ring 0, and where HLT would wait for ever.
%macro shadow_ring0_cases 1
        CASE    "sti, then hlt", %1
        pending_irq
        CODE
        sti
        hlt
.taken: nop
        RUN
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .taken
        CASE    "hlt with an interrupt waiting", %1
        pending_irq
        memory  STACK, 8, 2 | IF
        CODE
        popf
.taken: hlt
        RUN
        ignore  rsp
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .taken
        CASE    "unmasking the interrupt at its controller", %1
        pending_irq
        given   rax, 0xff
        CODE
        out     0x21, al                        ; masked
        sti
        nop
        nop
        mov     al, 0xfe
        out     0x21, al
        nop
        nop
        nop
        RUN
        ignore  rax, rip
        expect  vector, e_IRQ
        becomes IF, IF
%endmacro
        shadow_ring0_cases real16
        shadow_ring0_cases prot32
        shadow_ring0_cases long64

%macro sti_user_case 1
        CASE    "sti at IOPL 3", %1
        pending_irq
        with    flags, IOPL3
        CODE
        sti
        nop
.taken: nop
        RUN
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .taken
        CASE    "popf at IOPL 3", %1
        pending_irq
        with    flags, IOPL3
        memory  STACK, 8, 2 | IF
        CODE
        popf
.taken: nop
        RUN
        ignore  rsp
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .taken
        CASE    "popf at IOPL 0 does not let an interrupt in", %1
        pending_irq
%if case_mode == m_vm86
        with    flags, IOPL3
        memory  STACK, 8, 2
%else
        memory  STACK, 8, 2 | IF
%endif
        CODE
        popf
        nop
        RUN
        ignore  rsp
%endmacro
        sti_user_case user16
        sti_user_case user32
        sti_user_case user64
        sti_user_case comp32
        sti_user_case vm86
        CASE    "sti that sets VIF does not let an interrupt in", vm86, need_vme
        with    cr4, CR4_VME
        pending_irq
        CODE
        sti
        nop
        RUN
        becomes VIF, VIF

; A load of SS behind an STI holds the interrupt off as well (only the first of the two must), so that the stack pointer's load is safe.
%macro ss_shadow_cases 1
        CASE    "sti, then a load of ss", %1
        pending_irq
        given   rax, ss_of_case
        CODE
        sti
        mov     ss, ax
.b:     nop
.c:     nop
        RUN
        expect  vector, e_IRQ
        becomes IF, IF
        ignore  rip                             ; .b or .c
%endmacro
        ss_shadow_cases real16
        ss_shadow_cases prot32
        ss_shadow_cases long64

; Handlers of trap gates run with IF as it is.
        CASE    "sti, then int n through a trap gate", prot32
        pending_irq
        int_gate 0x50, KCS32, off(.handler), 0xef
        CODE
        sti
        int     0x50
        nop
.handler:
        nop
        RUN
        ignore  rsp
        expect  vector, e_IRQ
        becomes IF, IF
        stopped_at .handler
        CASE    "sti, then int n through an interrupt gate", prot32
        pending_irq
        int_gate 0x50, KCS32, off(.handler), 0xee
        CODE
        sti
        int     0x50
        nop
.handler:
        nop
        RUN
        ignore  rsp
        CASE    "interrupt at a breakpoint", prot32, need_robust     ; the interrupt comes first; on its return the breakpoint would
        pending_irq
        given   dr0, here(.taken)
        with    dr7, on_execute(0)
        memory  STACK, 4, 2 | IF
        CODE
        popfd
.taken: nop
        RUN
        moves_sp 4
        becomes IF, IF
        expect  vector, e_IRQ
        stopped_at .taken
