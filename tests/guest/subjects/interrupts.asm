; Interrupt delivery in protected and 64-bit mode: gates, privilege, stacks, error codes, double faults (SDM vol. 2A, "INT n/INTO/INT3/
; INT1", Operation; vol. 3A, "Interrupt and Exception Handling").

VECTOR          equ     0x50
ERROR           equ     VECTOR * 8 + 2          ; an entry of the IDT as error code
; Of an event that the program has not asked for: an exception or INT1.
%define EXT(code) ((code) | 1)

; ---- every type of gate: INT 50h at this level
%macro type_case 2              ; mode, access byte
        hex_of %2
%strcat %%name "int n through a gate with access ", hex_text
        CASE    %%name, %1
        int_gate VECTOR, cs_of_kernel, off(.handler), %2
        with    flags, IF | CF
        CODE
        int     VECTOR
.next:  nop
.handler:
        RUN
%assign %%type (%2) & 0x1f
%if case_bits == 64
 %assign %%known (%%type & 0x1e) == 0x0e
%else
 %assign %%known (%%type & 0x16) == 6
%endif
%if %%known == 0 || (((%2) >> 5) & 3) < (cs_of_case & 3)
        fault   GP, ERROR
%elif ((%2) & 0x80) == 0
        fault   NP, ERROR
%else
        expect  cs, cs_of_kernel
 %if %%type & 1
        becomes IF, IF
 %else
        becomes IF, 0
 %endif
        interrupt_frame .next, 2 | IF | CF
%endif
%endmacro
; Where a frame has been pushed: SS and SP, if the level changed, then flags, CS, IP.
%macro interrupt_frame 2        ; return label, flags
%if case_bits == 64
 %if cs_of_case & 3
  %assign %%top STACK_RING0
        expect  ss, 0
 %else
  %assign %%top STACK
 %endif
        expect  rsp, %%top - 40
        is_memory %%top - 8, 8, ss_of_case
        is_memory %%top - 16, 8, STACK
        is_memory %%top - 24, 8, %2
        is_memory %%top - 32, 8, cs_of_case
        is_memory %%top - 40, 8, off(%1)
%else
 %if cs_of_case & 3
  %assign %%top STACK_RING0 - 8
        expect  ss, KDS
        is_memory STACK_RING0 - 4, 4, ss_of_case
        is_memory STACK_RING0 - 8, 4, STACK
 %else
  %assign %%top STACK
 %endif
        expect  esp, %%top - 12
        is_memory %%top - 4, 4, %2
        is_memory %%top - 8, 4, cs_of_case
        is_memory %%top - 12, 4, off(%1)
%endif
%endmacro
%macro type_cases 1
%if b_%1 == 64
 %assign cs_of_kernel KCS64
%else
 %assign cs_of_kernel KCS32
%endif
%assign %%n 0
%rep 32
 %if %%n != 5 && (%%n & 0x1e) != 6 || b_%1 == 64       ; task gates and 16-bit gates have cases of their own
        type_case %1, 0xe0 | %%n
        type_case %1, 0x80 | %%n
        type_case %1, 0x60 | %%n
 %endif
%assign %%n %%n + 1
%endrep
%endmacro
        type_cases prot32
        type_cases user32
        type_cases long64
        type_cases user64

; ---- flags at the handler
%macro flags_at_handler 3       ; mode, access byte, flags
        hex_of %3
%xdefine %%flags hex_text
        hex_of %2
%strcat %%name "flags at a handler, access ", hex_text, ", flags ", %%flags
        CASE    %%name, %1
%if case_bits == 64
        int_gate VECTOR, KCS64, off(.handler), %2
%else
        int_gate VECTOR, KCS32, off(.handler), %2
%endif
        with    flags, %3
        CODE
        int     VECTOR
.next:  nop
.handler:
        pushf
        pop     ax_of_case
        RUN
%if case_bits == 64
        expect  cs, KCS64
%else
        expect  cs, KCS32
%endif
%if (%2) & 1
 %assign %%clear TF | NT | RF
%else
 %assign %%clear TF | NT | RF | IF
%endif
        expect  rax, ((%3) | 2) & ~%%clear
        becomes %%clear & ~RF, 0
        ignore  ss, rsp
%endmacro
%define ax_of_case word_register
%macro flags_at_handlers 1
%if b_%1 == 64
 %define word_register rax
%else
 %define word_register eax
%endif
        flags_at_handler %1, 0xee, 0
        flags_at_handler %1, 0xee, IF | NT | DF | IOPL3 | AC | ID | 0x8d5
        flags_at_handler %1, 0xef, IF | NT | DF | IOPL3 | AC | ID | 0x8d5
        flags_at_handler %1, 0xef, 0
%endmacro
        flags_at_handlers prot32
        flags_at_handlers user32
        flags_at_handlers user64
        flags_at_handlers long64

; ---- RF in the pushed flags: set by faults, clear after traps and software interrupts
%macro pushed_rf 5              ; mode, name, {instruction}, vector, RF in the image
        CASE    %2, %1
        memory  DATA, 2, GDT_SIZE
        CODE
        %3
.after: nop
        RUN
        expect  vector, e_%4
        becomes RF, %5
        ignore  rip, error
%endmacro
%macro pushed_rfs 1
        pushed_rf %1, "RF pushed by a fault", ud2, UD, RF
%if m_%1 != m_vm86                      ; there every selector is good
        pushed_rf %1, "RF pushed by a fault with error code", {mov ds, [D(0)]}, GP, RF
%endif
        pushed_rf %1, "RF pushed by int3", int3, BP, 0
        pushed_rf %1, "RF pushed by int1", {db 0xf1}, DB, 0
%endmacro
        pushed_rfs prot32
        pushed_rfs user32
        pushed_rfs vm86
        pushed_rfs long64
        pushed_rfs user64
        pushed_rfs comp32
        CASE    "int1 does not touch DR6", prot32
        CODE
        db      0xf1
.next:  nop
        RUN
        trap    DB, .next

; ---- handlers that cannot be entered
%macro handler_case 5           ; mode, name, selector, access byte of T0, {vector, error code}
        CASE    %2, %1
        int_gate VECTOR, %3, off(.done), 0xee
%if case_bits == 64
        desc    T0, 0, 0xfffff, 0xa000 | (%4)
%else
        desc    T0, 0, 0xfffff, 0xc000 | (%4)
%endif
%if case_mode == m_vm86
        with    flags, IOPL3
%endif
        CODE
        int     VECTOR
        nop
        RUN
        fault   %5
%endmacro
%macro handler_cases 1
        handler_case %1, "handler null", 3, 0x9b, {GP, 0}
        handler_case %1, "handler beyond the GDT", GDT_SIZE, 0x9b, {GP, GDT_SIZE}
        handler_case %1, "handler in an LDT that is not there", 4, 0x9b, {GP, 4}
        handler_case %1, "handler in data", T0, 0x93, {GP, T0}
        handler_case %1, "handler in a system segment", T0, 0x8b, {GP, T0}
        handler_case %1, "handler not present", T0, 0x1b, {NP, T0}
%endmacro
        handler_cases prot32
        handler_cases user32
        handler_cases long64
        handler_cases user64
        handler_cases vm86
        handler_case prot32, "handler of a less privileged level", T0, 0xfb, {GP, T0}
        handler_case prot32, "handler in a less privileged conforming segment", T0, 0xff, {GP, T0}
        handler_case vm86, "handler of ring 1 in virtual-8086 mode", T0, 0xbb, {GP, T0}
        handler_case vm86, "conforming handler of ring 0 in virtual-8086 mode", T0, 0x9f, {GP, T0}
        handler_case user64, "handler in 32-bit code", KCS32, 0x9b, {GP, KCS32}
        handler_case user64, "handler without L", UCS32, 0x9b, {GP, UCS32 & 0xfffc}

        CASE    "handler in a conforming segment", user32
        int_gate VECTOR, T0, off(.handler), 0xee
        desc    T0, 0, 0xfffff, 0xc09f
        CODE
        int     VECTOR
.next:  nop
.handler:
        RUN
        expect  cs, T0 | 3
        moves_sp -12
        is_memory STACK - 12, 4, off(.next)
        CASE    "handler of ring 1", user32
        int_gate VECTOR, CS1, off(.handler), 0xee
        CODE
        int     VECTOR
.next:  nop
.handler:
        RUN
        expect  cs, CS1
        expect  ss, DS1
        expect  esp, STACK_RING1 - 20
        CASE    "handler beyond the code segment's limit", user32
        int_gate VECTOR, T0, 0x1000, 0xee
        desc    T0, 0, 0xfff, 0x409b
        CODE
        int     VECTOR
        RUN
        fault   GP
        CASE    "handler at an address that is not canonical", user64
        int_gate VECTOR, KCS64, 0, 0xee
        memory  IDT64 + VECTOR * 16 + 8, 4, 0x00008000
        CODE
        int     VECTOR
        RUN
        fault   GP

; ---- 16-bit gates
%macro gate16_case 3            ; mode, name, access byte
        CASE    %2, %1
        int_gate VECTOR, T0, exec_offset + .handler - .code, %3
        desc    T0, EXEC, 0xffff, 0x409b
        with    flags, IF | AC
        CODE
        int     VECTOR
.next:  nop
.handler:
        RUN
        expect  cs, T0
%if (%3) & 1
%else
        becomes IF, 0
%endif
%if cs_of_case & 3
 %assign %%top STACK_RING0 - 4
        expect  ss, KDS
        is_memory STACK_RING0 - 2, 2, UDS
        is_memory STACK_RING0 - 4, 2, STACK & 0xffff
%else
 %assign %%top STACK
%endif
        expect  esp, %%top - 6
        is_memory %%top - 2, 2, 2 | IF
        is_memory %%top - 4, 2, cs_of_case
        is_memory %%top - 6, 2, off(.next) & 0xffff
%endmacro
        gate16_case prot32, "16-bit interrupt gate", 0xe6
        gate16_case prot32, "16-bit trap gate", 0xe7
        gate16_case user32, "16-bit interrupt gate", 0xe6
        gate16_case user32, "16-bit trap gate", 0xe7

; ---- virtual-8086 mode pushes the data segments, and clears them
        CASE    "interrupt from virtual-8086 mode", vm86
        int_gate VECTOR, KCS32, EXEC + exec_offset + .handler - .code, 0xee
        with    flags, IOPL3 | IF
        given   es, 0x1111
        given   ds, 0x2222
        given   fs, 0x3333
        given   gs, 0x4444
        CODE
        int     VECTOR
.next:  nop
.handler:
        RUN
        becomes VM | IF, 0
        expect  cs, KCS32
        expect  ss, KDS
        expect  es, 0
        expect  ds, 0
        expect  fs, 0
        expect  gs, 0
        expect  esp, STACK_RING0 - 36
        is_memory STACK_RING0 - 4, 2, 0x4444
        is_memory STACK_RING0 - 8, 2, 0x3333
        is_memory STACK_RING0 - 12, 2, 0x2222
        is_memory STACK_RING0 - 16, 2, 0x1111
        is_memory STACK_RING0 - 20, 2, DATA >> 4
        is_memory STACK_RING0 - 24, 4, STACK - DATA
        is_memory STACK_RING0 - 28, 4, 2 | VM | IF | IOPL3
        is_memory STACK_RING0 - 32, 2, EXEC >> 4
        is_memory STACK_RING0 - 36, 4, exec_offset + .next - .code
        CASE    "iret to virtual-8086 mode", prot32
        memory  STACK, 8, (exec_offset + .to - .code) | (EXEC >> 4) << 32
        memory  STACK + 8, 8, (2 | VM | CF | ID) | (STACK - DATA) << 32
        memory  STACK + 16, 8, (DATA >> 4) | 0x1111 << 32
        memory  STACK + 24, 8, 0x2222 | 0x3333 << 32
        memory  STACK + 32, 4, 0x4444
        CODE
        iretd
        nop
.to:    RUN
        becomes VM | CF | ID, VM | CF | ID
        expect  cs, EXEC >> 4
        expect  ss, DATA >> 4
        expect  esp, STACK - DATA
        expect  es, 0x1111
        expect  ds, 0x2222
        expect  fs, 0x3333
        expect  gs, 0x4444
        CASE    "iret from ring 3 does not enter virtual-8086 mode", user32
        memory  STACK, 8, off(.to) | UCS32 << 32
        memory  STACK + 8, 4, 2 | VM
        CODE
        iretd
        nop
.to:    RUN
        moves_sp 12
        CASE    "iret to virtual-8086 mode beyond 64 KiB", prot32
        memory  STACK, 8, 0x10000 | (EXEC >> 4) << 32
        memory  STACK + 8, 8, (2 | VM) | (STACK - DATA) << 32
        CODE
        iretd
        RUN
        fault   GP

; ---- stacks of inner levels
%macro stack_of_handler 4       ; name, SS1, access byte of T1, {vector, error code}
        CASE    %1, user32
        int_gate VECTOR, CS1, off(.done), 0xee
        memory  TSS_MAIN + 16, 2, %2
        desc    T1, 0, 0xfffff, 0xc000 | (%3)
        CODE
        int     VECTOR
        nop
        RUN
        fault   %4
%endmacro
        stack_of_handler "handler's stack null", 1, 0xb2, {TS, 0}
        stack_of_handler "handler's stack beyond the GDT", GDT_SIZE | 1, 0xb2, {TS, GDT_SIZE}
        stack_of_handler "handler's stack with another RPL", T1, 0xb2, {TS, T1}
        stack_of_handler "handler's stack with another DPL", T1 | 1, 0x92, {TS, T1}
        stack_of_handler "handler's stack read only", T1 | 1, 0xb0, {TS, T1}
        stack_of_handler "handler's stack not present", T1 | 1, 0x32, {SS, T1}
        CASE    "handler's stack too small", user32
        int_gate VECTOR, CS1, off(.done), 0xee
        memory  TSS_MAIN + 12, 4, 16
        memory  TSS_MAIN + 16, 2, T1 | 1
        desc    T1, DATA, 0xfff, 0x40b2
        CODE
        int     VECTOR
        nop
        RUN
        fault   SS, T1
        CASE    "handler's stack beyond the TSS", user32
        int_gate VECTOR, CS1, off(.done), 0xee
        desc    T3, TSS_MAIN, 0x10, 0x0089
        given   tr, T3
        CODE
        int     VECTOR
        nop
        RUN
        fault   TS, T3

; ---- 64-bit stacks: aligned, from the TSS, from the IST
        CASE    "stack is aligned before the frame", long64
        given   rsp, STACK - 3
        int_gate VECTOR, KCS64, off(.handler), 0xee
        CODE
        int     VECTOR
.next:  nop
.handler:
        RUN
        expect  rsp, STACK - 16 - 40
        is_memory STACK - 16 - 16, 8, STACK - 3
        CASE    "stack of the TSS is aligned", user64
        memory  TSS_64 + 4, 8, STACK_RING0 - 7
        int_gate VECTOR, KCS64, off(.handler), 0xee
        CODE
        int     VECTOR
.next:  nop
.handler:
        RUN
        expect  cs, KCS64
        expect  ss, 0
        expect  rsp, STACK_RING0 - 16 - 40
        CASE    "interrupt stack table without change of level", long64
        int_gate VECTOR, KCS64, off(.handler), 0xee, 7
        memory  TSS_64 + 36 + 6 * 8, 8, SCRATCH + 0x1000
        CODE
        int     VECTOR
.next:  nop
.handler:
        RUN
        expect  rsp, SCRATCH + 0x1000 - 40
        expect  ss, KDS
        is_memory SCRATCH + 0x1000 - 8, 8, KDS
        is_memory SCRATCH + 0x1000 - 16, 8, STACK
        CASE    "interrupt stack table beyond the TSS", long64
        int_gate VECTOR, KCS64, off(.handler), 0xee, 7
        desc    T2, TSS_64, 0x5a, 0x0089
        given   tr, T2
        CODE
        int     VECTOR
        nop
.handler:
        RUN
        fault   TS, T2
        CASE    "interrupt stack that is not canonical", long64
        int_gate VECTOR, KCS64, off(.handler), 0xee, 7
        memory  TSS_64 + 36 + 6 * 8, 8, 0x0000900000000000
        CODE
        int     VECTOR
        nop
.handler:
        RUN
        fault   SS
        CASE    "interrupt from compatibility mode", comp32
        int_gate VECTOR, KCS64, off(.handler), 0xee
        CODE
        int     VECTOR
.next:  nop
.handler:
        RUN
        expect  cs, KCS64
        expect  ss, 0
        expect  rsp, STACK_RING0 - 40
        is_memory STACK_RING0 - 8, 8, UDS
        is_memory STACK_RING0 - 16, 8, STACK
        is_memory STACK_RING0 - 32, 8, UCS32
        is_memory STACK_RING0 - 40, 8, off(.next)

; ---- the table's limit
%macro idt_limit_case 4         ; mode, name, limit, {vector, error code}
        CASE    %2, %1
        memory  DATA, 2, %3
%if case_bits == 64
        memory  DATA + 2, 8, IDT64
%else
        memory  DATA + 2, 4, IDT32
%endif
        CODE
        lidt    [DATA]
.int:   int     VECTOR
.next:  RUN
%ifidn %4, allowed
        expect  vector, VECTOR
        stopped_at .next
%else
        fault   GP, ERROR, .int
%endif
%endmacro
        idt_limit_case prot32, "vector beyond the IDT", VECTOR * 8, refused
        idt_limit_case prot32, "last byte of a vector beyond the IDT", VECTOR * 8 + 6, refused
        idt_limit_case prot32, "last vector of the IDT", VECTOR * 8 + 7, allowed
        idt_limit_case long64, "last byte of a vector beyond the IDT", VECTOR * 16 + 14, refused
        idt_limit_case long64, "last vector of the IDT", VECTOR * 16 + 15, allowed

; ---- exceptions whose delivery faults: EXT is set
        CASE    "exception through a gate that is not present", prot32
        int_gate e_UD, KCS32, 0, 0x6e
        CODE
        nop
.bad:   ud2
        RUN
        fault   NP, EXT(e_UD * 8 + 2), .bad
        CASE    "exception through a gate that is none", user32
        int_gate e_UD, KCS32, 0, 0xe0
        CODE
.bad:   ud2
        RUN
        fault   GP, EXT(e_UD * 8 + 2), .bad
        CASE    "exceptions do not look at the gate's DPL", user32
        int_gate e_UD, KCS32, off(.handler), 0x8e
        CODE
.bad:   ud2
.handler:
        inc     eax
        int     VECTOR
.next:  RUN
        ignore  flags, ss, rsp
        expect  eax, 0x11111112
        expect  cs, KCS32
        expect  vector, VECTOR
        stopped_at .next
        CASE    "int3 looks at the gate's DPL", user32
        int_gate e_BP, KCS32, 0, 0x8e
        CODE
        int3
        RUN
        fault   GP, e_BP * 8 + 2
        CASE    "into looks at the gate's DPL", user32
        int_gate e_OF, KCS32, 0, 0x8e
        with    flags, OF
        CODE
        into
        RUN
        fault   GP, e_OF * 8 + 2
        CASE    "int1 does not look at the gate's DPL", user32
        int_gate e_DB, KCS32, off(.handler), 0x8e
        CODE
        db      0xf1
.handler:
        int     VECTOR
.next:  RUN
        ignore  flags, ss, rsp
        expect  cs, KCS32
        expect  vector, VECTOR
        stopped_at .next
        CASE    "int1 through a gate that is not present", user32
        int_gate e_DB, KCS32, 0, 0x6e
        CODE
        db      0xf1
        RUN
        fault   NP, EXT(e_DB * 8 + 2)
        CASE    "int3 through a gate that is not present", user32
        int_gate e_BP, KCS32, 0, 0x6e
        CODE
        int3
        RUN
        fault   NP, e_BP * 8 + 2
        CASE    "exception whose handler is null", user32
        int_gate e_UD, 0, 0, 0xee
        CODE
        nop
.bad:   ud2
        RUN
        fault   GP, EXT(0), .bad
        CASE    "exception whose handler is not present", user32
        int_gate e_UD, T0, 0, 0xee
        desc    T0, 0, 0xfffff, 0xc01b
        CODE
        nop
.bad:   ud2
        RUN
        fault   NP, EXT(T0), .bad
        CASE    "exception whose handler's stack is not present", user32
        int_gate e_UD, CS1, 0, 0xee
        memory  TSS_MAIN + 16, 2, T1 | 1
        desc    T1, 0, 0xfffff, 0xc032
        CODE
        nop
.bad:   ud2
        RUN
        fault   SS, EXT(T1), .bad
        CASE    "exception through a gate that is not present", user64
        int_gate e_UD, KCS64, 0, 0x6e
        CODE
        nop
.bad:   ud2
        RUN
        fault   NP, EXT(e_UD * 8 + 2), .bad

; ---- double faults
%macro double_fault_case 5      ; mode, name, first vector, second vector, {instruction}
        CASE    %2, %1
        int_gate e_%3, 0, 0, 0x00       ; no gate: #GP
        given   eax, GDT_SIZE
%ifidn %4, none
        int_gate e_GP, 0, 0, 0x00
%endif
        CODE
        nop
.bad:   %5
        RUN
        expect  error, 0
        expect  vector, e_DF
        stopped_at .bad
%endmacro
        double_fault_case prot32, "#GP while delivering #GP", GP, none, {mov ds, eax}
        double_fault_case user32, "#GP while delivering #GP", GP, none, hlt
        double_fault_case user64, "#GP while delivering #GP", GP, none, hlt
        double_fault_case user32, "#GP while delivering #DE", DE, one, {div dword [D(0x20)]}
        double_fault_case user64, "#GP while delivering #DE", DE, one, {div dword [D(0x20)]}
        CASE    "#GP while delivering #PF", user32
        paging  pg32
        int_gate e_PF, 0, 0, 0
        page_entry 1, SCRATCH, P_P, 0
        CODE
        nop
.bad:   mov     eax, [SCRATCH]
        RUN
        fault   DF, 0, .bad
        expect  cr2, SCRATCH
        CASE    "#PF while delivering #PF", user32
        paging  pg32
        int_gate e_PF, CS1, 0, 0xee
        page_entry 1, STACK_RING1 - 1, P_P, 0
        page_entry 1, SCRATCH, P_P, 0
        CODE
        nop
.bad:   mov     eax, [SCRATCH]
        RUN
        fault   DF, 0, .bad
        expect  cr2, STACK_RING1 - 4
        CASE    "#PF while delivering #GP comes after it", user32
        paging  pg32
        int_gate e_GP, CS1, 0, 0xee
        page_entry 1, STACK_RING1 - 1, P_P, 0
        CODE
        nop
.bad:   hlt
        RUN
        page_fault STACK_RING1 - 4, 2, .bad
        CASE    "#GP while delivering #UD comes after it", user32
        int_gate e_UD, T0, 0, 0xee
        desc    T0, 0, 0xfffff, 0xc093
        CODE
        nop
.bad:   ud2
        RUN
        fault   GP, EXT(T0), .bad
        CASE    "push to a stack that cannot be used in ring 0", prot32
        desc    T0, DATA, 0xfff, 0x4093
        given   eax, T0
        CODE
        mov     ss, eax
        mov     esp, 2
.bad:   push    eax
        RUN
        fault   DF, 0, .bad
        expect  ss, T0
        expect  esp, 2
        CASE    "push to a page that is not there in ring 0", prot32
        paging  pg32
        page_entry 1, SCRATCH, P_P, 0
        CODE
        mov     esp, SCRATCH + 8
        nop
.bad:   push    eax
        push    eax
.third: push    eax
        RUN
        fault   DF, 0, .bad
        expect  cr2, SCRATCH + 4
        expect  esp, SCRATCH + 8
