; SYSCALL, SYSRET, SYSENTER and SYSEXIT (SDM vol. 2B, Operation of each): where they go, what they refuse, what they do to TF and IF.

MSR_SYSENTER_CS equ     0x174
MSR_SYSENTER_ESP equ    0x175
MSR_SYSENTER_EIP equ    0x176
MSR_STAR        equ     0xc0000081
MSR_LSTAR       equ     0xc0000082
MSR_CSTAR       equ     0xc0000083
MSR_FMASK       equ     0xc0000084

; In 64-bit mode: code and stack of ring 0, stack and code of ring 3. The instructions do not look at the descriptors, but IRETs will.
FAST_CS equ     T0
FAST_SS equ     T1
%macro fast_segments 0
        desc    T0, 0, 0xfffff, A_CODE64
        desc    T1, 0, 0xfffff, A_DATA32
        desc    T2, 0, 0xfffff, A_DATA32 | dpl(3)
        desc    T3, 0, 0xfffff, A_CODE64 | dpl(3)
        page_entry 1, EXEC, 0, P_U      ; for what SYSRET and SYSEXIT go to
%endmacro

; STAR's selectors: SYSCALL's in bits 32 to 47, SYSRET's in 48 to 63 (its 64-bit code is 16 further).
%define star(call, ret) ((call) << 32 | (ret) << 48)

%macro SYSCALL_CASE 2-3 0       ; name, mode, features
        CASE    %1, %2, need_syscall | (%3)
        fast_segments
        with    efer, EFER_SCE
        msr     MSR_STAR, star(FAST_CS, T1 | 3)
        msr     MSR_LSTAR, here(.target)
        msr     MSR_CSTAR, here(.target)
        msr     MSR_FMASK, IF | TF | DF
%endmacro
%macro syscall_cases 1
        SYSCALL_CASE "syscall", %1
        with    flags, DF | CF | AC | ID
        CODE
        syscall
.next:  nop
.target:
        RUN
        expect  rcx, off(.next)
        expect  r11, DF | CF | AC | ID | 2
        becomes DF, 0
        expect  cs, FAST_CS
        expect  ss, FAST_SS
        SYSCALL_CASE "syscall leaves RSP alone and masks nothing by itself", %1
        msr     MSR_FMASK, 0
        given   rsp, 0x123456789abcdef1         ; not looked at
        with    flags, DF | CF
        CODE
        syscall
.next:  nop
.target:
        RUN
        expect  rcx, off(.next)
        expect  r11, DF | CF | 2
        expect  cs, FAST_CS
        expect  ss, FAST_SS
        SYSCALL_CASE "syscall without EFER.SCE", %1
        expect_no_sce
        CODE
        syscall
.target:
        RUN
        trap    UD
        SYSCALL_CASE "syscall clears the RPL", %1
        msr     MSR_STAR, star(FAST_CS | 3, 0)
        CODE
        syscall
.next:  nop
.target:
        RUN
        expect  rcx, off(.next)
        expect  r11, 2
        expect  cs, FAST_CS
        expect  ss, FAST_SS
        SYSCALL_CASE "syscall to a selector beyond the GDT", %1
        msr     MSR_STAR, star(0xff00, 0)
        CODE
        syscall
.next:  nop
.target:
        RUN
        expect  rcx, off(.next)
        expect  r11, 2
        expect  cs, 0xff00
        expect  ss, 0xff08
        ignore  rip
        SYSCALL_CASE "syscall under TF that is masked", %1
        tracing
        with    flags, TF
        CODE
        syscall
.next:  nop
.target:
        nop
        RUN
        expect  rcx, off(.next)
        expect  r11, TF | 2
        becomes TF, 0
        expect  cs, FAST_CS
        expect  ss, FAST_SS
        traced                                  ; no step at the target
        SYSCALL_CASE "syscall under TF that is not masked", %1
        msr     MSR_FMASK, IF
        tracing
        with    flags, TF
        CODE
        syscall
.next:  nop
.target:
        nop
        RUN
        expect  rcx, off(.next)
        expect  r11, TF | 2
        expect  cs, FAST_CS
        expect  ss, FAST_SS
        traced  .target, .done
        SYSCALL_CASE "syscall to a breakpoint", %1, need_robust
        given   dr0, here(.target)
        with    dr7, on_execute(0)
        tracing
        CODE
        syscall
.next:  nop
.target:
        nop
        RUN
        expect  rcx, off(.next)
        expect  r11, 2
        expect  cs, FAST_CS
        expect  ss, FAST_SS
        traced  .target
        SYSCALL_CASE "syscall with an interrupt waiting", %1
        pending_irq
        with    flags, IOPL3
        CODE
        sti
        syscall
.next:  nop
.target:
        nop
        RUN
        expect  rcx, off(.next)
        expect  r11, 2 | IF | IOPL3
        expect  cs, FAST_CS
        expect  ss, FAST_SS
        SYSCALL_CASE "syscall with an interrupt waiting and IF not masked", %1
        pending_irq
        msr     MSR_FMASK, 0
        with    flags, IOPL3
        CODE
        sti
        syscall
.next:  nop
.target:
        nop
        RUN
        expect  rcx, off(.next)
        expect  r11, 2 | IF | IOPL3
        becomes IF, IF
        expect  cs, FAST_CS
        expect  ss, FAST_SS
        expect  vector, e_IRQ
        stopped_at .target
%endmacro
%macro expect_no_sce 0
        given   efer, EFER_LME | EFER_LMA
%endmacro
        syscall_cases user64
        syscall_cases long64

; Intel's processors know SYSCALL in 64-bit mode only.
%macro no_syscall_case 1
        SYSCALL_CASE "syscall outside of 64-bit mode", %1, need_robust
        msr     MSR_STAR, star(FAST_CS, T1 | 3) | here(.target)         ; where AMD's would go
        CODE
        syscall
        nop
.target:
        RUN
        trap    UD
        SYSCALL_CASE "sysret outside of 64-bit mode", %1
        given   rcx, off(.target)
        CODE
        sysret
        nop
.target:
        RUN
        trap    UD
%endmacro
        no_syscall_case real16
        no_syscall_case prot16
        no_syscall_case prot32
        no_syscall_case user32
        no_syscall_case vm86
        no_syscall_case comp32
        no_syscall_case comp16

%macro sysret_flags_case 4      ; name, R11, flags that come of it, before
        SYSCALL_CASE %1, long64
        given   rcx, off(.target)
        given   r11, %2
        with    flags, %4
        CODE
        o64 sysret
        nop
.target:
        RUN
        becomes 0x3fffff & ~RF, %3
        expect  cs, T3 | 3
        expect  ss, T2 | 3
%endmacro
        sysret_flags_case "sysret", 2, 2, 0
        sysret_flags_case "sysret with every flag", 0x00243ed7, 0x00243ed7, 0
        sysret_flags_case "sysret sets bit 1", 0, 2, CF | DF
        sysret_flags_case "sysret cannot set VM", VM | 2, 2, 0
        sysret_flags_case "sysret ignores reserved flags", 0xffc0802a | 2, 2, 0
        sysret_flags_case "sysret sets NT, VIF and VIP", NT | VIF | VIP | 2, NT | VIF | VIP | 2, 0

        SYSCALL_CASE "sysret to compatibility mode", long64
        given   rcx, 0x1234567800000000 | off(.target)
        given   r11, 2 | CF
        CODE
        sysret
        nop
.target:
        RUN
        becomes CF, CF
        expect  cs, T1 | 3
        expect  ss, T2 | 3
        SYSCALL_CASE "sysret in ring 3", user64
        given   rcx, off(.target)
        CODE
        o64 sysret
        nop
.target:
        RUN
        fault   GP
        SYSCALL_CASE "sysret without EFER.SCE", long64
        expect_no_sce
        given   rcx, off(.target)
        CODE
        o64 sysret
        nop
.target:
        RUN
        trap    UD
        SYSCALL_CASE "sysret without EFER.SCE in ring 3", user64
        expect_no_sce
        CODE
        o64 sysret
.target:
        RUN
        trap    UD
        SYSCALL_CASE "sysret to an address that is not canonical", long64
        given   rcx, 0x0000800000000000
        given   r11, 2
        CODE
        o64 sysret
        nop
.target:
        RUN
        fault   GP                              ; still in ring 0
        SYSCALL_CASE "sysret that sets TF traps at once", long64
        given   rcx, off(.target)
        given   r11, 2 | TF
        tracing
        CODE
        o64 sysret
        nop
.target:
        nop
.b:     nop
        RUN
        becomes TF, TF
        expect  cs, T3 | 3
        expect  ss, T2 | 3
        ignore  ds, es, fs, gs                  ; cleared by the handler's IRET
        traced  .target, .b, .done
        SYSCALL_CASE "sysret that clears TF does not trap", long64
        with    flags, TF
        given   rcx, off(.target)
        given   r11, 2
        tracing
        CODE
        o64 sysret
        nop
.target:
        nop
        RUN
        becomes TF, 0
        expect  cs, T3 | 3
        expect  ss, T2 | 3
        traced
        SYSCALL_CASE "sysret cannot set RF", long64, need_robust
        given   rcx, off(.target)
        given   r11, 2 | RF
        given   dr0, here(.target)
        with    dr7, on_execute(0)
        tracing
        CODE
        o64 sysret
        nop
.target:
        nop
        RUN
        expect  cs, T3 | 3
        expect  ss, T2 | 3
        ignore  ds, es, fs, gs
        traced  .target
        SYSCALL_CASE "sysret with an interrupt waiting", long64
        pending_irq
        given   rcx, off(.target)
        given   r11, 2 | IF
        CODE
        o64 sysret
        nop
.target:
        nop
        RUN
        becomes IF, IF
        expect  cs, T3 | 3
        expect  ss, T2 | 3
        expect  vector, e_IRQ
        stopped_at .target

; ---- SYSENTER and SYSEXIT
%macro SYSENTER_CASE 2
        CASE    %1, %2, need_sep
        fast_segments
%if case_mode >= m_long64
        msr     MSR_SYSENTER_CS, FAST_CS
%else
        msr     MSR_SYSENTER_CS, KCS32
%endif
        msr     MSR_SYSENTER_EIP, here(.target)
        msr     MSR_SYSENTER_ESP, STACK_RING0 - 64
%endmacro
%macro entered 0
%if case_mode >= m_long64
        expect  cs, FAST_CS
        expect  ss, FAST_SS
%else
        expect  cs, KCS32
        expect  ss, KDS
%endif
        expect  rsp, STACK_RING0 - 64
%endmacro
%macro sysenter_cases 1
        SYSENTER_CASE "sysenter", %1
        with    flags, IF | CF | DF | ID
        CODE
        sysenter
        nop
.target:
        RUN
        becomes IF | VM, 0
        entered
        SYSENTER_CASE "sysenter clears the RPL", %1
%if case_mode >= m_long64
        msr     MSR_SYSENTER_CS, FAST_CS | 3
%else
        msr     MSR_SYSENTER_CS, KCS32 | 3
%endif
        CODE
        sysenter
        nop
.target:
        RUN
        becomes VM, 0
        entered
        SYSENTER_CASE "sysenter without a code segment", %1
        msr     MSR_SYSENTER_CS, 3
        CODE
        sysenter
        nop
.target:
        RUN
        fault   GP
        SYSENTER_CASE "sysenter keeps TF", %1
        tracing
        with    flags, TF
        CODE
        sysenter
        nop
.target:
        nop
        RUN
        becomes VM, 0
        entered
        traced  .target, .done
        SYSENTER_CASE "sysenter with an interrupt waiting", %1
        pending_irq
        with    flags, IOPL3
        CODE
        sti
        sysenter
        nop
.target:
        nop
        RUN
        becomes VM, 0
        entered
%endmacro
        sysenter_cases prot32
        sysenter_cases user32
        sysenter_cases user16
        sysenter_cases prot16
        sysenter_cases long64
        sysenter_cases user64
        sysenter_cases comp32
        SYSENTER_CASE "sysenter in real mode", real16
        CODE
        sysenter
        nop
.target:
        RUN
        fault   GP
        SYSENTER_CASE "sysenter from virtual-8086 mode", vm86
        with    flags, CF
        CODE
        sysenter
        nop
.target:
        RUN
        becomes VM, 0
        entered
        SYSENTER_CASE "sysexit in real mode", real16
        CODE
        sysexit
.target:
        RUN
        fault   GP
%macro sysexit_refused 1
        SYSENTER_CASE "sysexit in ring 3", %1
        CODE
        sysexit
.target:
        RUN
        fault   GP
%endmacro
        sysexit_refused user16
        sysexit_refused user32
        sysexit_refused user64
        sysexit_refused comp32
        sysexit_refused vm86
        SYSENTER_CASE "sysexit", prot32
        given   edx, off(.target)
        given   ecx, STACK - 32
        with    flags, IF | CF | ID
        CODE
        sysexit
        nop
.target:
        RUN
        expect  cs, UCS32
        expect  ss, UDS
        expect  esp, STACK - 32
        SYSENTER_CASE "sysexit without a code segment", prot32
        msr     MSR_SYSENTER_CS, 0
        CODE
        sysexit
.target:
        RUN
        fault   GP
        SYSENTER_CASE "sysexit under TF", prot32
        tracing
        with    flags, TF
        given   edx, off(.target)
        given   ecx, STACK - 32
        CODE
        sysexit
        nop
.target:
        nop
        RUN
        expect  cs, UCS32
        expect  ss, UDS
        expect  esp, STACK - 32
        ignore  ds, es, fs, gs                  ; cleared by the handler's IRET
        traced  .target, .done
        SYSENTER_CASE "sysexit to 64-bit code", long64
        msr     MSR_SYSENTER_CS, KDS
        given   rdx, off(.target)
        given   rcx, 0xffff900000000000
        CODE
        o64 sysexit
        nop
.target:
        RUN
        expect  cs, UCS64
        expect  ss, UCS64 + 8
        expect  rsp, 0xffff900000000000
        SYSENTER_CASE "sysexit to compatibility mode", long64
        msr     MSR_SYSENTER_CS, KCS32
        given   rdx, 0x1234567800000000 | off(.target)
        given   rcx, 0x1234567800000000 | (STACK - 32)
        CODE
        sysexit
        nop
.target:
        RUN
        expect  cs, UCS32
        expect  ss, UDS
        expect  rsp, STACK - 32
%macro sysexit_canonical 2
        SYSENTER_CASE %1, long64
        msr     MSR_SYSENTER_CS, KDS
        given   rdx, off(.target)
        given   rcx, STACK
        given   %2, 0x0000800000000000
        CODE
        o64 sysexit
        nop
.target:
        RUN
        fault   GP
%endmacro
        sysexit_canonical "sysexit to an address that is not canonical", rdx
        sysexit_canonical "sysexit to a stack that is not canonical", rcx
