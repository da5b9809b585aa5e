; Single steps through every kind of instruction (SDM vol. 3B, "Single-Step Exception Condition"; vol. 3A, "Masking Exceptions and
; Interrupts When Switching Stacks"): where the trap comes, and what DR6 says.

BS      equ     0x4000
%define DR6(bits) (0xffff0ff0 | (bits))
%macro stop_dr6 2               ; number of the stop, causes
        is_memory TRACE + 8 * (%1) + 4, 4, DR6(%2)
%endmacro

; An instruction that goes on to the next one, which is .b.
%macro step_case 2-3 0          ; mode, {instruction}, features
%defstr %%text %2
%strcat %%name "step over ", %%text
        CASE    %%name, %1, %3
        with    flags, TF
        tracing
        given   rbx, D(0x100)
        given   rbp, D(0x400)
        given   rcx, 1
        given   rsi, D(0x200)
        given   rdi, D(0x300)
        memory  DATA + 0x100, 8, 0x0000000100000001
        memory  DATA + 0x108, 4, 0x7fffffff
        CODE
.a:     %2
.b:     nop
.c:     nop
        RUN
        ignore  rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, cr2, flags
        traced  .b, .c, .done
        stop_dr6 0, BS
        stop_dr6 1, BS
        stop_dr6 2, BS
%endmacro

; A jump from .a to .to.
%macro step_jump_case 3         ; mode, name, {instruction}
%strcat %%name "step over ", %2
        CASE    %%name, %1
        with    flags, TF | ZF
        tracing
        given   rcx, 2
        memory  STACK, 8, off(.to)
        memory  DATA + 0x40, 8, off(.to)
        given   rbx, D(0x40)
        given   rdx, off(.to)
        CODE
.a:     %3
        nop
.to:    nop
        RUN
        ignore  rcx, rsp
        traced  .to, .done
        stop_dr6 0, BS
%endmacro

%macro steps_everywhere 1
%if b_%1 == 64
 %define %%bx rbx
 %define %%dx rdx
%elif b_%1 == 32
 %define %%bx ebx
 %define %%dx edx
%else
 %define %%bx bx
 %define %%dx dx
%endif
        step_case %1, {add ax, 1}
        step_case %1, {add [%%bx], ax}
        step_case %1, {lock inc word [%%bx]}
        step_case %1, {push ax}
        step_case %1, {pop ax}
        step_case %1, {enter 8, 0}
        step_case %1, {enter 8, 2}
        step_case %1, stosb
        step_case %1, movsw
        step_case %1, {rep stosb}               ; once
        step_case %1, {repne scasb}
        step_case %1, {mul word [%%bx]}
        step_case %1, cpuid, need_cpuid
        step_case %1, {fld dword [%%bx]}
        step_case %1, {fbld [%%bx]}
        step_case %1, {fnsave [%%bx]}
        step_case %1, {mov ax, ds}
        step_case %1, {call .b}
        step_case %1, {xchg ax, [%%bx]}
        step_jump_case %1, "jmp", {jmp .to}
        step_jump_case %1, "a jump taken", {jz .to}
        step_jump_case %1, "loop", {loop .to}
        step_jump_case %1, "an indirect jump", {jmp %%dx}
        step_jump_case %1, "a jump through memory", {jmp [%%bx]}
        step_jump_case %1, "call", {call .to}
        step_jump_case %1, "ret", ret

; Every iteration of a repeated string instruction is a step.
        CASE    "step through rep stosb", %1
        with    flags, TF
        tracing
        given   rcx, 3
        given   rdi, D(0x100)
        CODE
.a:     rep stosb
.b:     nop
        RUN
        expect  rcx, 0
        expect  rdi, D(0x103)
        traced  .a, .a, .b, .done
        stop_dr6 0, BS
        CASE    "step through rep movsw", %1
        with    flags, TF
        tracing
        given   rcx, 2
        given   rsi, D(0x100)
        given   rdi, D(0x200)
        CODE
.a:     rep movsw
.b:     nop
        RUN
        expect  rcx, 0
        expect  rsi, D(0x104)
        expect  rdi, D(0x204)
        traced  .a, .b, .done
        CASE    "step through repe cmpsb", %1
        with    flags, TF
        tracing
        given   rcx, 5
        given   rsi, D(0x100)
        given   rdi, D(0x200)
        memory  DATA + 0x102, 1, 1
        CODE
.a:     repe cmpsb
.b:     nop
        RUN
        expect  rcx, 2
        expect  rsi, D(0x103)
        expect  rdi, D(0x203)
        traced  .a, .a, .b, .done
        ignore  flags
        CASE    "step over rep movsb that has nothing to do", %1
        with    flags, TF
        tracing
        given   rcx, 0
        CODE
.a:     rep movsb
.b:     nop
        RUN
        traced  .b, .done

; What clears TF by being an interrupt makes no trap, and one that faults neither.
        CASE    "step over an instruction that faults", %1
        with    flags, TF
        tracing
        CODE
        nop
.b:     ud2
        RUN
        stopped_at .b
        traced  .b
        CASE    "int1 while stepping", %1
        tracing
        CODE
        db      0xf1
.b:     nop
        RUN
        traced  .b
        stop_dr6 0, 0
%endmacro
        steps_everywhere real16
        steps_everywhere prot16
        steps_everywhere prot32
        steps_everywhere user32
        steps_everywhere comp32
        steps_everywhere vm86
        steps_everywhere long64
        steps_everywhere user64

; POPF is still under the old flag, and its own begins behind the next instruction.
%macro step_popf_cases 1
        CASE    "popf that clears TF", %1
        with    flags, TF
        tracing
        memory  STACK, 8, 2
        CODE
        popf
.b:     nop
        nop
        RUN
        becomes TF, 0
        ignore  rsp
        traced  .b
        CASE    "popf that sets TF", %1
        tracing
        memory  STACK, 8, 2 | TF
        CODE
        popf
.b:     nop
.c:     nop
        RUN
        becomes TF, TF
        ignore  rsp
        traced  .c, .done
%endmacro
        step_popf_cases real16
        step_popf_cases prot16
        step_popf_cases user16
        step_popf_cases prot32
        step_popf_cases user32
        step_popf_cases long64
        step_popf_cases user64
        step_popf_cases comp32

; Loads of segment registers.
%macro step_loads 2             ; mode, selector
        CASE    "step over a load of DS", %1
        with    flags, TF
        tracing
        given   rax, %2
        CODE
        mov     ds, ax
.b:     mov     ds, ax
        RUN
        traced  .b, .done

; Loads of SS hold off the trap; LSS does not.
        CASE    "step over mov ss", %1
        with    flags, TF
        tracing
        given   rax, ss_of_case
        CODE
        mov     ss, ax
        nop
.c:     nop
        RUN
        traced  .c, .done
        stop_dr6 0, BS
        CASE    "mov ss before an instruction that clears TF", %1
%if m_%1 == m_vm86
        with    flags, TF | IOPL3
%else
        with    flags, TF
%endif
        tracing
        memory  STACK, 8, 2
        given   rax, ss_of_case
        CODE
        mov     ss, ax
        popf
.c:     nop
        RUN
        becomes TF, 0
        ignore  rsp
        traced  .c                      ; that of POPF
        CASE    "mov ss before an instruction that faults", %1
        with    flags, TF
        tracing
        given   rax, ss_of_case
        CODE
        mov     ss, ax
.bad:   ud2
        RUN
        stopped_at .bad
        traced
%endmacro
        step_loads prot32, KDS
        step_loads user32, UDS
        step_loads prot16, KDS16
        step_loads user16, UDS16
        step_loads vm86, DATA >> 4
        step_loads real16, DATA >> 4
        step_loads long64, KDS
        step_loads user64, UDS
        step_loads comp32, UDS

%macro step_stack_loads 1
        CASE    "step over pop ss", %1
        with    flags, TF
        tracing
        memory  STACK, 4, ss_of_case
        CODE
        pop     ss
        nop
.c:     nop
        RUN
        ignore  rsp
        traced  .c, .done
        CASE    "step over lss", %1
        with    flags, TF
        tracing
%if case_bits == 16
        memory  DATA + 0x40, 4, ((STACK - DATA) & 0xffff) | ss_of_case << 16
%else
        memory  DATA + 0x40, 8, STACK | ss_of_case << 32
%endif
        CODE
%if case_bits == 16
        lss     sp, [D(0x40)]
%else
        lss     esp, [D(0x40)]
%endif
.b:     nop
.c:     nop
        RUN
        traced  .b, .c, .done
%endmacro
        step_stack_loads real16
        step_stack_loads prot16
        step_stack_loads prot32
        step_stack_loads user32
        step_stack_loads vm86
        step_stack_loads comp32

; Software interrupts clear TF before the handler's first instruction; the trap never comes.
%macro step_int_case 4          ; mode, name, {instruction}, vector
        CASE    %2, %1
        with    flags, TF | OF
        tracing
%if b_%1 == 64
        int_gate %4, KCS64, off(.handler), 0xee
%else
        int_gate %4, KCS32, off(.handler), 0xee
%endif
        CODE
        %3
.next:  nop
.handler:
        nop
        RUN
        becomes TF, 0
        traced
        ignore  rsp, ss, cs
%endmacro
        step_int_case prot32, "step over int n", {int 0x50}, 0x50
        step_int_case prot32, "step over int3", int3, e_BP
        step_int_case prot32, "step over into", into, e_OF
        step_int_case user32, "step over int n", {int 0x50}, 0x50
        step_int_case user32, "step over int3", int3, e_BP
        step_int_case user32, "step over into", into, e_OF
        step_int_case long64, "step over int n", {int 0x50}, 0x50
        step_int_case user64, "step over int n", {int 0x50}, 0x50
        step_int_case user64, "step over int3", int3, e_BP
        step_case prot32, into                  ; without OF
        CASE    "mov ss, then int n", prot32
        with    flags, TF
        tracing
        int_gate 0x50, KCS32, off(.handler), 0xee
        given   rax, KDS
        CODE
        mov     ss, ax
        int     0x50
        nop
.handler:
        nop
        RUN
        becomes TF, 0
        traced                                  ; suppressed for good
        ignore  rsp
        CASE    "step over int n in real mode", real16
        with    flags, TF
        tracing
        memory  IVT + 4 * 0x50, 4, (EXEC << 12) + off(.handler)
        CODE
        int     0x50
        nop
.handler:
        nop
        RUN
        becomes TF, 0
        moves_sp -6
        traced
        CASE    "step over int n to virtual-8086 mode's own handler", vm86, need_vme
        with    flags, TF
        with    cr4, CR4_VME
        tracing
        memory  0x50 * 4, 4, (EXEC << 12) + off(.handler)
        CODE
        int     0x50
        nop
.handler:
        nop
        RUN
        becomes TF | VIF, 0
        moves_sp -6
        traced

; IRET, like POPF: its own trap under the old flag, the new flag's behind the next instruction.
%macro step_iret_cases 1
        CASE    "iret that sets TF", %1
        tracing
        frame_for_iret TF
        CODE
        iret_of_case
        nop
.to:    nop
.next:  nop
        RUN
        becomes TF, TF
        ignore  rsp
        traced  .next, .done
        CASE    "iret that clears TF", %1
        with    flags, TF
        tracing
        frame_for_iret 0
        CODE
        iret_of_case
        nop
.to:    nop
        RUN
        becomes TF, 0
        ignore  rsp
        traced  .to
        CASE    "iret with TF before and after", %1
        with    flags, TF
        tracing
        frame_for_iret TF
        CODE
        iret_of_case
        nop
.to:    nop
        RUN
        ignore  rsp
        traced  .to, .done
%endmacro
; IRET's operands on the stack: to .to with these flags.
%macro frame_for_iret 1
%if case_bits == 16
        memory  STACK, 8, (off(.to) & 0xffff) | cs_of_case << 16 | ((%1) | 2) << 32
%elif case_bits == 32
        memory  STACK, 8, off(.to) | cs_of_case << 32
        memory  STACK + 8, 4, (%1) | 2
%else
        memory  STACK, 8, off(.to)
        memory  STACK + 8, 8, cs_of_case
        memory  STACK + 16, 8, (%1) | 2
        memory  STACK + 24, 8, STACK
        memory  STACK + 32, 8, ss_of_case
%endif
%endmacro
%macro iret_of_case 0
%if case_bits == 16
        iretw
%elif case_bits == 32
        iretd
%else
        iretq
%endif
%endmacro
        step_iret_cases real16
        step_iret_cases prot16
        step_iret_cases user16
        step_iret_cases prot32
        step_iret_cases user32
        step_iret_cases long64
        step_iret_cases user64
        step_iret_cases comp32

; Far transfers and system instructions.
        CASE    "step over far jump, call and return", prot32
        with    flags, TF
        tracing
        CODE
        jmp     KCS32:EXEC + 0x100 + .b - .code
.b:     call    KCS32:EXEC + 0x100 + .to - .code
.back:  nop
        jmp     short .done
.to:    retf
        RUN
        traced  .b, .to, .back, .back + 1, .done
        CASE    "step over a call gate and its return", user32
        with    flags, TF
        tracing
        call_gate T1, KCS32, off(.to), 0xec
        CODE
        call    T1 | 3:0
.back:  nop
        jmp     short .done
.to:    retf
        RUN
        traced  .to, .back, .back + 1, .done
        CASE    "step over hlt", prot32
        before  late_irq
        with    flags, TF | IF
        tracing
        CODE
        hlt
.b:     nop
        RUN
        traced  .b, .done
        CASE    "step over hlt", long64
        before  late_irq
        with    flags, TF | IF
        tracing
        CODE
        hlt
.b:     nop
        RUN
        traced  .b, .done
        step_case prot32, {mov eax, cr0}
        step_case prot32, {mov cr2, eax}
        step_case prot32, {lgdt [gdt_pointer]}
        step_case prot32, {in al, 0x80}
        step_case prot32, cli
        step_case prot32, clts
        step_case long64, {mov rax, cr3}
        step_case long64, {in al, 0x80}
        step_case long64, cli
        step_case long64, swapgs
        step_case long64, {rep movsq}
        step_case user64, {add [rbx], rax}
        step_case user64, {enter 8, 2}
        step_case user64, {rep stosq}
        step_case user64, {push qword [rbx]}
        step_case user64, {call .b}
        step_jump_case user64, "an indirect jump", {jmp rdx}
        step_jump_case user64, "ret", ret
        step_jump_case user64, "a jump taken", {jz .to}
