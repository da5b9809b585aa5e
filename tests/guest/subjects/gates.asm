; Call gates, and the stacks of inner levels (SDM vol. 2A, "CALL", Operation; vol. 3A, "Call Gates", "Stack Switching").

%macro gate_case 3-4 0          ; mode, name, jmp or call, features
        CASE    %2, %1, %4
%define gate_transfer %3
        memory  DATA, 8, T0 << 32
%endmacro
%macro gate_code 0
        CODE
%if case_bits == 16
        gate_transfer far word [0]
%else
        gate_transfer far dword [DATA]
%endif
.next:  nop
.to:    RUN
%endmacro
; Beginning of the frame that a call to an inner level pushes: where the stack was, element size
%macro inner_frame 2
        is_memory %1 - %2, %2, ss_of_case
        is_memory %1 - 2 * %2, %2, sp_at
%endmacro

; ---- to an inner level
        gate_case user32, "call gate to ring 0", call
        call_gate T0, KCS32, off(.to), 0xec
        gate_code
        expect  cs, KCS32
        expect  ss, KDS
        expect  esp, STACK_RING0 - 16
        inner_frame STACK_RING0, 4
        is_memory STACK_RING0 - 12, 4, UCS32
        is_memory STACK_RING0 - 16, 4, off(.next)

        gate_case user32, "call gate to ring 0 with parameters", call
        call_gate T0, KCS32, off(.to), 0xec, 3
        memory  STACK, 8, 0x2222222211111111
        memory  STACK + 8, 4, 0x33333333
        gate_code
        expect  cs, KCS32
        expect  ss, KDS
        expect  esp, STACK_RING0 - 28
        inner_frame STACK_RING0, 4
        is_memory STACK_RING0 - 12, 4, 0x33333333
        is_memory STACK_RING0 - 20, 8, 0x2222222211111111
        is_memory STACK_RING0 - 24, 4, UCS32

        gate_case user32, "call gate to ring 0 with 31 parameters", call
        call_gate T0, KCS32, off(.to), 0xec, 31
        memory  STACK + 30 * 4, 4, 0x33333333
        gate_code
        expect  cs, KCS32
        expect  ss, KDS
        expect  esp, STACK_RING0 - 16 - 31 * 4
        is_memory STACK_RING0 - 12, 4, 0x33333333

        gate_case user32, "16-bit call gate to ring 0 with parameters", call
        call_gate T0, T1, off(.to) - EXEC, 0xe4, 2
        desc    T1, EXEC, 0xffff, 0x409b
        memory  STACK, 4, 0x22221111
        gate_code
        expect  cs, T1
        expect  ss, KDS
        expect  esp, STACK_RING0 - 12
        is_memory STACK_RING0 - 2, 2, UDS
        is_memory STACK_RING0 - 4, 2, STACK & 0xffff
        is_memory STACK_RING0 - 8, 4, 0x22221111
        is_memory STACK_RING0 - 10, 2, UCS32
        is_memory STACK_RING0 - 12, 2, off(.next) & 0xffff

        gate_case user32, "call gate to ring 1", call
        call_gate T0, CS1, off(.to), 0xec
        gate_code
        expect  cs, CS1
        expect  ss, DS1
        expect  esp, STACK_RING1 - 16
        gate_case user32, "call gate to ring 2, RPL of the target counts for nothing", call
        call_gate T0, CS2 | 3, off(.to), 0xec
        gate_code
        expect  cs, CS2
        expect  ss, DS2
        expect  esp, STACK_RING2 - 16
        gate_case user16, "call gate from 16-bit code", call
        call_gate T0, KCS32, EXEC + exec_offset + .to - .code, 0xec
        memory  DATA, 4, T0 << 16
        gate_code
        expect  cs, KCS32
        expect  ss, KDS
        expect  esp, STACK_RING0 - 16
        is_memory STACK_RING0 - 4, 4, UDS16
        is_memory STACK_RING0 - 12, 4, UCS16
        is_memory STACK_RING0 - 16, 4, exec_offset + .next - .code
        gate_case user32, "call gate with a 16-bit TSS", call
        call_gate T0, KCS32, off(.to), 0xec
        given   tr, SEL_TSS_TEST16
        memory  TSS_TEST16 + 2, 4, KDS16 << 16 | 0xf800
        gate_code
        expect  cs, KCS32
        expect  ss, KDS16
        expect  esp, 0xf800 - 16, 0xffff        ; the rest is not said
        expect  tr, SEL_TSS_TEST16

; ---- to the same level
%macro same_level 5             ; mode, name, jmp or call, target, gate's access byte
        gate_case %1, %2, %3
        call_gate T0, %4, off(.to), %5
        gate_code
        expect  cs, ((%4) & 0xfffc) | (cs_of_case & 3)
%ifidn %3, call
        moves_sp -8
        is_memory STACK - 4, 4, cs_of_case
        is_memory STACK - 8, 4, off(.next)
%endif
%endmacro
        same_level prot32, "call gate to the same level", call, KCS32, 0x8c
        same_level prot32, "jump through a call gate", jmp, KCS32, 0x8c
        same_level user32, "call gate to the same level", call, UCS32, 0xec
        same_level user32, "jump through a call gate", jmp, UCS32, 0xec
%macro conforming_case 1
        gate_case user32, "call gate to a conforming segment", %1
        call_gate T0, T1, off(.to), 0xec
        desc    T1, 0, 0xfffff, 0xc09f
        gate_code
        expect  cs, T1 | 3
%ifidn %1, call
        moves_sp -8
%endif
%endmacro
        conforming_case jmp
        conforming_case call

; ---- refused: mode, name, jmp or call, then what is wrong, vector, error code
%macro refused_gate 7-8         ; mode, name, instruction, gate's access byte, RPL of the call, target, its access byte, [limit]
        gate_case %1, %2, %3
        call_gate T0, %6, off(.to), %4
        memory  DATA + 4, 2, T0 | %5
%if %7
 %if %0 == 8
        desc    T1, 0, %8, 0x4000 | (%7)
 %else
        desc    T1, 0, 0xfffff, 0xc000 | (%7)
 %endif
%endif
        gate_code
%endmacro
%macro refusals 1
        refused_gate user32, "gate of a more privileged level", %1, 0xac, 3, KCS32, 0
        fault   GP, T0
        refused_gate user32, "gate of level 2", %1, 0xcc, 0, UCS32, 0
        fault   GP, T0
        refused_gate prot32, "gate below the RPL", %1, 0xcc, 3, KCS32, 0
        fault   GP, T0
        refused_gate user32, "gate not present", %1, 0x6c, 3, UCS32, 0
        fault   NP, T0
        refused_gate user32, "gate not present and too privileged", %1, 0x0c, 3, UCS32, 0
        fault   GP, T0
        refused_gate user32, "gate to null", %1, 0xec, 3, 3, 0
        fault   GP, 0
        refused_gate user32, "gate to beyond the GDT", %1, 0xec, 3, GDT_SIZE | 3, 0
        fault   GP, GDT_SIZE
        refused_gate user32, "gate to an LDT that is not there", %1, 0xec, 3, 0x0c, 0
        fault   GP, 0x0c
        refused_gate user32, "gate to data", %1, 0xec, 3, T1, 0xf3
        fault   GP, T1
        refused_gate user32, "gate to a gate", %1, 0xec, 3, T0 | 1, 0
        fault   GP, T0
        refused_gate prot32, "gate to a less privileged level", %1, 0x8c, 0, UCS32, 0
        fault   GP, UCS32 & 0xfffc
        refused_gate prot32, "gate to a less privileged conforming level", %1, 0x8c, 0, T1, 0xff
        fault   GP, T1
        refused_gate user32, "gate to code that is not present", %1, 0xec, 3, T1, 0x7b
        fault   NP, T1
        refused_gate user32, "gate to an offset beyond the limit", %1, 0xec, 3, T1, 0xfb, 0xfff
        fault   GP, 0
%endmacro
        refusals jmp
        refusals call
        refused_gate user32, "jump to a more privileged level", jmp, 0xec, 3, KCS32, 0
        fault   GP, KCS32
        refused_gate user32, "call to more privileged code that is not present", call, 0xec, 3, T1, 0x1b
        fault   NP, T1
        refused_gate user32, "call to an offset beyond the inner limit", call, 0xec, 3, T1, 0x9b, 0xfff
        fault   GP, 0

; ---- the inner stack
%macro inner_stack 2-3 KCS32    ; name, SS0, target
        gate_case user32, %1, call
        call_gate T0, %3, off(.to), 0xec
        memory  TSS_MAIN + 8, 4, KDS            ; the exception needs one that is right
%endmacro
; The level is 2, so that the exception still has a stack.
%macro bad_stack 5              ; name, selector, access byte, vector, error code
        gate_case user32, %1, call
        call_gate T0, CS2, off(.to), 0xec
        memory  TSS_MAIN + 24, 2, %2
        desc    T1, 0, 0xfffff, 0xc000 | (%3)
        gate_code
        fault   %4, %5
        is_memory GDT + T1 + 5, 1, %3
%endmacro
        bad_stack "inner stack null", 0, 0xd2, TS, 0
        bad_stack "inner stack null with RPL", 2, 0xd2, TS, 0
        bad_stack "inner stack beyond the GDT", GDT_SIZE | 2, 0xd2, TS, GDT_SIZE
        bad_stack "inner stack with another RPL", T1 | 3, 0xd2, TS, T1
        bad_stack "inner stack with another DPL", T1 | 2, 0xf2, TS, T1
        bad_stack "inner stack read only", T1 | 2, 0xd0, TS, T1
        bad_stack "inner stack is code", T1 | 2, 0xda, TS, T1
        bad_stack "inner stack is a system segment", T1 | 2, 0xc2, TS, T1
        bad_stack "inner stack not present", T1 | 2, 0x52, SS, T1
        gate_case user32, "inner stack too small", call
        call_gate T0, CS2, off(.to), 0xec
        memory  TSS_MAIN + 20, 4, 12
        memory  TSS_MAIN + 24, 2, T1 | 2
        desc    T1, DATA, 0xfff, 0x40d2
        gate_code
        fault   SS, T1
        gate_case user32, "inner stack too small for the parameters", call
        call_gate T0, CS2, off(.to), 0xec, 4
        memory  TSS_MAIN + 20, 4, 28
        memory  TSS_MAIN + 24, 2, T1 | 2
        desc    T1, DATA, 0xfff, 0x40d2
        gate_code
        fault   SS, T1
        gate_case user32, "inner stack just large enough", call
        call_gate T0, CS2, off(.to), 0xec, 4
        memory  TSS_MAIN + 20, 4, 32
        memory  TSS_MAIN + 24, 2, T1 | 2
        desc    T1, DATA, 0xfff, 0x40d2
        gate_code
        expect  cs, CS2
        expect  ss, T1 | 2
        expect  esp, 0
        is_memory GDT + T1 + 5, 1, 0xd3
        gate_case user32, "inner stack beyond the TSS", call
        call_gate T0, CS2, off(.to), 0xec
        desc    T3, TSS_MAIN, 0x18, 0x0089
        given   tr, T3
        gate_code
        fault   TS, T3
        gate_case user32, "inner stack in a page that is not there", call
        call_gate T0, CS2, off(.to), 0xec
        paging  pg32
        page_entry 1, STACK_RING2 - 1, P_P, 0
        gate_code
        page_fault STACK_RING2 - 4, 2
        gate_case user32, "inner stack in a page that is not there after the first element", call
        call_gate T0, CS2, off(.to), 0xec
        paging  pg32
        memory  TSS_MAIN + 20, 4, SCRATCH + 0x1004
        page_entry 1, SCRATCH, P_P, 0
        gate_code
        page_fault SCRATCH + 0xffc, 2
        expect  esp, STACK
        gate_case user32, "parameters in a page that is not there", call
        call_gate T0, CS2, off(.to), 0xec, 2
        paging  pg32
        page_entry 1, SCRATCH, P_P, 0
        given   esp, SCRATCH + 4
        gate_code
        page_fault SCRATCH + 8, 4 | 0
        ignore  cr2                     ; which of the two is read first is not said

; ---- returns
        CASE    "far return releases parameters on both stacks", prot32
        memory  STACK, 8, off(.to) | UCS32 << 32
        memory  STACK + 8, 8, 0x2222222211111111
        memory  STACK + 16, 8, (STACK + 0x100) | UDS << 32
        CODE
        retf    8
        nop
.to:    RUN
        expect  cs, UCS32
        expect  ss, UDS
        expect  esp, STACK + 0x108
        expect  ds, 0
        expect  es, 0
        expect  fs, 0
        expect  gs, 0
        CASE    "far return to the same level releases", user32
        memory  STACK, 8, off(.to) | UCS32 << 32
        CODE
        retf    0x10
        nop
.to:    RUN
        moves_sp 0x18
        CASE    "far return keeps segments that the outer level may use", prot32
        desc    T0, 0, 0xfffff, 0xc09f
        given   es, UDS
        given   fs, T0                  ; conforming
        given   gs, UCS32
        memory  STACK, 8, off(.to) | UCS32 << 32
        memory  STACK + 8, 8, (STACK + 0x100) | UDS << 32
        CODE
        retf
        nop
.to:    RUN
        expect  cs, UCS32
        expect  ss, UDS
        expect  esp, STACK + 0x100
        expect  ds, 0
        CASE    "iret keeps segments that the outer level may use", prot32
        given   ds, UDS
        given   gs, DS2
        memory  STACK, 8, off(.to) | UCS32 << 32
        memory  STACK + 8, 8, 2 | (STACK + 0x100) << 32
        memory  STACK + 16, 4, UDS
        CODE
        iretd
        nop
.to:    RUN
        expect  cs, UCS32
        expect  ss, UDS
        expect  esp, STACK + 0x100
        expect  es, 0
        expect  fs, 0
        expect  gs, 0
; Null selectors lose their RPL on the way out: Golden Cove does that, and SegScope (2024) found it on all processors it tried.
%macro null_return 2            ; instruction, bytes
        CASE    "return to an outer level clears the RPL of null selectors", prot32
        given   es, 1
        given   ds, 3
        given   fs, 0
        given   gs, 2
        memory  STACK, 8, off(.to) | UCS32 << 32
        memory  STACK + 8, 4, 2
        memory  STACK + %2, 8, (STACK + 0x100) | UDS << 32
        CODE
        %1
        nop
.to:    RUN
        expect  cs, UCS32
        expect  ss, UDS
        expect  esp, STACK + 0x100
        expect  ds, 0
        expect  es, 0
        expect  gs, 0
%endmacro
        null_return retf, 8
        null_return iretd, 12
        CASE    "return to the same level keeps the RPL of null selectors", prot32
        given   es, 1
        given   fs, 2
        memory  STACK, 8, off(.to) | KCS32 << 32
        memory  STACK + 8, 4, 2
        CODE
        iretd
        nop
.to:    RUN
        moves_sp 12
%macro bad_return_stack 4       ; name, selector, access byte, vector and error code
        CASE    %1, prot32
        desc    T1, 0, 0xfffff, 0xc000 | (%3)
        memory  STACK, 8, off(.to) | UCS32 << 32
        memory  STACK + 8, 8, (STACK + 0x100) | (%2) << 32
        CODE
        retf
        nop
.to:    RUN
        fault   %4
%endmacro
        bad_return_stack "return to a null stack", 3, 0xf2, {GP, 0}
        bad_return_stack "return to a stack beyond the GDT", GDT_SIZE | 3, 0xf2, {GP, GDT_SIZE}
        bad_return_stack "return to a stack with another RPL", T1 | 2, 0xf2, {GP, T1}
        bad_return_stack "return to a stack with another DPL", T1 | 3, 0xd2, {GP, T1}
        bad_return_stack "return to a read only stack", T1 | 3, 0xf0, {GP, T1}
        bad_return_stack "return to a stack that is not present", T1 | 3, 0x72, {SS, T1}
        CASE    "return to null", user32
        memory  STACK, 8, off(.to) | 3 << 32
        CODE
        retf
.to:    RUN
        fault   GP
        CASE    "return to beyond the GDT", user32
        memory  STACK, 8, off(.to) | (GDT_SIZE | 3) << 32
        CODE
        retf
.to:    RUN
        fault   GP, GDT_SIZE
        CASE    "return to an offset beyond the limit", user32
        desc    T0, 0, 0xfff, 0x40fb
        memory  STACK, 8, 0x1000 | (T0 | 3) << 32
        CODE
        retf
.to:    RUN
        fault   GP

; ---- 64-bit gates
%macro gate64 4                 ; target, offset, access byte, upper half's third dword
        call_gate T0, %1, %2, %3
        memory  GDT + T0 + 8, 8, %4
%endmacro
        gate_case user64, "call gate to ring 0", call
        gate64  KCS64, off(.to), 0xec, 0
        gate_code
        expect  cs, KCS64
        expect  ss, 0
        expect  rsp, STACK_RING0 - 32
        inner_frame STACK_RING0, 8
        is_memory STACK_RING0 - 24, 8, UCS64
        is_memory STACK_RING0 - 32, 8, off(.next)
        gate_case comp32, "call gate to ring 0", call
        gate64  KCS64, off(.to), 0xec, 0
        gate_code
        expect  cs, KCS64
        expect  ss, 0
        expect  rsp, STACK_RING0 - 32
        inner_frame STACK_RING0, 8
        is_memory STACK_RING0 - 24, 8, UCS32
        gate_case user64, "call gate to the same level", call
        gate64  UCS64, off(.to), 0xec, 0
        gate_code
        expect  cs, UCS64
        moves_sp -16
        is_memory STACK - 8, 8, UCS64
        is_memory STACK - 16, 8, off(.next)
        gate_case long64, "jump through a call gate", jmp
        gate64  KCS64, off(.to), 0x8c, 0
        gate_code
        gate_case user64, "gate to 32-bit code", call
        gate64  KCS32, off(.to), 0xec, 0
        gate_code
        fault   GP, KCS32
        gate_case user64, "gate to code with L and D", call
        gate64  T2, off(.to), 0xec, 0
        desc    T2, 0, 0xfffff, 0xe09b
        gate_code
        fault   GP, T2
        gate_case user64, "gate with a type in its upper half", call
        gate64  KCS64, off(.to), 0xec, 0x8 << 40
        gate_code
        fault   GP, T0
        gate_case user64, "gate to an offset that is not canonical", call
        gate64  KCS64, off(.to), 0xec, 0x8000
        gate_code
        fault   GP, 0
        gate_case user64, "16-bit gate", call
        gate64  KCS64, off(.to), 0xe4, 0
        gate_code
        fault   GP, T0
        gate_case user64, "gate cut off by the GDT's limit", call
        call_gate GDT_SIZE - 8, KCS64, off(.to), 0xec
        memory  DATA + 4, 2, GDT_SIZE - 8
        gate_code
        fault   GP, GDT_SIZE - 8
        gate_case user64, "inner stack that is not canonical", call
        gate64  T2, off(.to), 0xec, 0
        desc    T2, 0, 0xfffff, 0xa0db
        memory  TSS_64 + 20, 8, 0x0000800000000010
        gate_code
        fault   SS, 0
%macro no_tasks_in_long 3       ; name, access byte of the descriptor, instruction
        gate_case user64, %1, %3
        desc    T0, TSS_TEST, 0x67, %2
        gate_code
        fault   GP, T0
%endmacro
        no_tasks_in_long "jump to a TSS", 0xe9, jmp
        no_tasks_in_long "call of a TSS", 0xe9, call
        no_tasks_in_long "jump to a task gate", 0xe5, jmp
        no_tasks_in_long "call of a busy TSS", 0xeb, call
        CASE    "direct far call to compatibility mode", user64
        memory  DATA, 8, off(.to) | UCS32 << 32
        CODE
        call    far dword [DATA]
.next:  nop
.to:    RUN
        expect  cs, UCS32
        moves_sp -8
        is_memory STACK - 8, 8, off(.next) | UCS64 << 32
        CASE    "direct far jump to 64-bit code", comp32
        memory  DATA, 8, off(.to) | UCS64 << 32
        CODE
        jmp     far dword [DATA]
.next:  nop
.to:    RUN
        expect  cs, UCS64
        CASE    "far jump with a 64-bit offset", user64
        memory  DATA, 8, off(.to)
        memory  DATA + 8, 2, UCS64
        CODE
        jmp     far qword [DATA]
.next:  nop
.to:    RUN
        CASE    "far jump to an offset that is not canonical", user64
        memory  DATA, 8, 0x0000800000000000
        memory  DATA + 8, 2, UCS64
        CODE
        jmp     far qword [DATA]
        RUN
        fault   GP
        CASE    "far return to an address that is not canonical", user64
        memory  STACK, 8, 0x0000800000000000
        memory  STACK + 8, 2, UCS64
        CODE
        o64 retf
        RUN
        fault   GP
        CASE    "iretq to an address that is not canonical", long64
        memory  STACK, 8, 0x0000800000000000
        memory  STACK + 8, 2, KCS64
        memory  STACK + 16, 2, 2
        memory  STACK + 24, 8, STACK
        memory  STACK + 32, 2, KDS
        CODE
        iretq
        RUN
        fault   GP
        CASE    "iretq with a null stack", long64
        memory  STACK, 8, off(.to)
        memory  STACK + 8, 2, KCS64
        memory  STACK + 16, 2, 2
        memory  STACK + 24, 8, STACK
        CODE
        iretq
        nop
.to:    RUN
        expect  ss, 0
        CASE    "iretq to ring 3 with a null stack", long64
        memory  STACK, 8, off(.to)
        memory  STACK + 8, 2, UCS64
        memory  STACK + 16, 2, 2
        memory  STACK + 24, 8, STACK
        memory  STACK + 32, 2, 3
        CODE
        iretq
        nop
.to:    RUN
        fault   GP
        CASE    "iretq to ring 2 with a null stack", long64
        desc    T0, 0, 0xfffff, 0xa0db
        memory  STACK, 8, off(.to)
        memory  STACK + 8, 2, T0 | 2
        memory  STACK + 16, 2, 2
        memory  STACK + 24, 8, STACK
        memory  STACK + 32, 2, 2
        CODE
        iretq
        nop
.to:    RUN
        expect  cs, T0 | 2
        expect  ss, 2
        expect  ds, 0
        expect  es, 0
        expect  fs, 0
        expect  gs, 0
        CASE    "iretq to compatibility mode with a null stack", long64
        memory  STACK, 8, off(.to)
        memory  STACK + 8, 2, CS2
        memory  STACK + 16, 2, 2
        memory  STACK + 24, 8, STACK
        memory  STACK + 32, 2, 2
        CODE
        iretq
        nop
.to:    RUN
        fault   GP
        CASE    "nested task in long mode", long64
        with    flags, NT
        CODE
        iretq
        RUN
        fault   GP
