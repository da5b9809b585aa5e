; Task switches (SDM vol. 3A, "Task Management": "Task Switching", "Task Linking", table "Exception Conditions Checked During a Task
; Switch").

CR0_AFTER       equ     CR0_BASE | CR0_TS

; How to get to a task: mode, name, jmp or call; the second task runs the code at .to in the case's place.
%macro task_case 3
        CASE    %2, %1
%define task_transfer %3
        memory  DATA, 8, SEL_TSS_TEST << 32
        desc    SEL_TSS_TEST, TSS_TEST, 0x67, 0x0089 | dpl(cs_of_case & 3)
        memory  TSS_TEST + 40, 8, 0xc1c1c1c1a0a0a0a0    ; EAX, ECX
        memory  TSS_TEST + 48, 8, 0xb3b3b3b3d2d2d2d2    ; EDX, EBX
        memory  TSS_TEST + 60, 8, 0x0505050504040404    ; EBP, ESI
        memory  TSS_TEST + 68, 4, 0x06060606            ; EDI
%endmacro
%macro task_code 0
        CODE
        task_transfer far dword [DATA]
.next:  nop
.to:    RUN
%endmacro
; The second task runs: its registers, as task_case has set them.
%macro in_second_task 0
        expect  eax, 0xa0a0a0a0
        expect  ecx, 0xc1c1c1c1
        expect  edx, 0xd2d2d2d2
        expect  ebx, 0xb3b3b3b3
        expect  esp, STACK
        expect  ebp, 0x04040404
        expect  esi, 0x05050505
        expect  edi, 0x06060606
        expect  es, KDS
        expect  cs, KCS32
        expect  ss, KDS
        expect  ds, KDS
        expect  fs, KDS
        expect  gs, KDS
        expect  tr, SEL_TSS_TEST
        expect  cr0, CR0_AFTER
%endmacro

        task_case prot32, "jump to a TSS", jmp
        memory  TSS_TEST + 32, 4, off(.to)
        memory  TSS_TEST, 4, 0xcccccccc
        with    flags, CF | OF
        task_code
        in_second_task
        becomes CF | OF, 0
        is_memory TSS_TEST, 4, 0xcccccccc               ; no link
        is_memory GDT + SEL_TSS + 5, 1, 0x89            ; no longer busy
        is_memory GDT + SEL_TSS_TEST + 5, 1, 0x8b
        is_memory TSS_MAIN + 32, 4, off(.next)
        is_memory TSS_MAIN + 36, 4, 2 | CF | OF
        is_memory TSS_MAIN + 40, 8, 0x2222222211111111
        is_memory TSS_MAIN + 48, 8, 0x4444444433333333
        is_memory TSS_MAIN + 56, 8, 0x66666666 << 32 | STACK
        is_memory TSS_MAIN + 64, 8, 0x8888888877777777
        is_memory TSS_MAIN + 72, 2, KDS
        is_memory TSS_MAIN + 76, 2, KCS32
        is_memory TSS_MAIN + 80, 2, KDS

        task_case prot32, "call of a TSS", call
        memory  TSS_TEST + 32, 4, off(.to)
        memory  TSS_TEST, 4, 0xcccccccc
        task_code
        in_second_task
        becomes NT, NT
        is_memory TSS_TEST, 2, SEL_TSS
        is_memory GDT + SEL_TSS + 5, 1, 0x8b            ; still busy
        is_memory GDT + SEL_TSS_TEST + 5, 1, 0x8b
        is_memory TSS_MAIN + 36, 4, 2

        task_case prot32, "jump through a task gate", jmp
        memory  TSS_TEST + 32, 4, off(.to)
        memory  DATA + 4, 4, SEL_TASK_GATE
        task_code
        in_second_task
        is_memory GDT + SEL_TSS + 5, 1, 0x89
        task_case user32, "call through a task gate from ring 3", call
        memory  TSS_TEST + 32, 4, off(.to)
        memory  DATA + 4, 4, SEL_TASK_GATE
        task_code
        in_second_task
        becomes NT, NT
        is_memory TSS_TEST, 2, SEL_TSS
        is_memory TSS_MAIN + 76, 2, UCS32
        task_case user32, "jump to a TSS from ring 3", jmp
        memory  TSS_TEST + 32, 4, off(.to)
        task_code
        in_second_task

        task_case user32, "interrupt through a task gate", call
        memory  TSS_TEST + 32, 4, off(.to)
        int_gate 0x50, SEL_TSS_TEST, 0, 0xe5
        CODE
        int     0x50
.next:  nop
.to:    RUN
        in_second_task
        becomes NT, NT
        is_memory TSS_MAIN + 32, 4, off(.next)
        is_memory TSS_TEST, 2, SEL_TSS

        task_case user32, "exception with error code through a task gate", call
        memory  TSS_TEST + 32, 4, off(.to)
        int_gate e_GP, SEL_TSS_TEST, 0, 0xe5
        CODE
        hlt
.next:  pop     eax
.to:    pop     ecx
        RUN
        in_second_task
        becomes NT, NT
        expect  ecx, 0
        is_memory TSS_MAIN + 32, 4, off(.code)
        is_memory TSS_MAIN + 36, 4, 2 | RF

        task_case vm86, "interrupt through a task gate from virtual-8086 mode", call
        memory  TSS_TEST + 32, 4, EXEC + exec_offset + .to - .code
        int_gate 0x50, SEL_TSS_TEST, 0, 0xe5
        with    flags, IOPL3
        CODE
        int     0x50
.next:  nop
.to:    RUN
        in_second_task
        becomes NT | VM | IOPL3, NT
        is_memory TSS_MAIN + 36, 4, 2 | VM | IOPL3
        is_memory TSS_MAIN + 76, 2, EXEC >> 4

; IRET goes back.
        task_case prot32, "iret to the task that called", call
        memory  TSS_TEST + 32, 4, off(.to)
        CODE
        call    far dword [DATA]
.back:  str     [DATA + 0x100]
        ud2
.to:    inc     eax
        iretd
.after: RUN
        stopped_at .back + 7
        expect  cr0, CR0_AFTER
        is_memory DATA + 0x100, 2, SEL_TSS
        is_memory GDT + SEL_TSS + 5, 1, 0x8b
        is_memory GDT + SEL_TSS_TEST + 5, 1, 0x89
        is_memory TSS_TEST + 32, 4, off(.after)
        is_memory TSS_TEST + 36, 4, 2 | 0x80            ; NT is gone there; SF, PF
        is_memory TSS_TEST + 40, 4, 0xa0a0a0a1
        becomes 0, 0

        task_case prot32, "a second call begins where the task left", call
        memory  TSS_TEST + 32, 4, off(.to)
        CODE
        call    far dword [DATA]
        call    far dword [DATA]
        ud2
.to:    iretd
        inc     edx
        RUN
        in_second_task
        expect  edx, 0xd2d2d2d3
        ignore  flags

; A task in virtual-8086 mode.
        task_case prot32, "jump to a virtual-8086 task", jmp
        memory  TSS_TEST + 32, 4, exec_offset + .to - .code
        memory  TSS_TEST + 36, 4, VM | 2
        memory  TSS_TEST + 56, 4, STACK - DATA
        memory  TSS_TEST + 72, 2, 0x1111
        memory  TSS_TEST + 76, 2, EXEC >> 4
        memory  TSS_TEST + 80, 2, DATA >> 4
        memory  TSS_TEST + 84, 2, 0x2222
        memory  TSS_TEST + 88, 2, 0x3333
        memory  TSS_TEST + 92, 2, 0x4444
        task_code
        in_second_task
        expect  esp, STACK - DATA
        expect  cs, EXEC >> 4
        expect  ss, DATA >> 4
        expect  es, 0x1111
        expect  ds, 0x2222
        expect  fs, 0x3333
        expect  gs, 0x4444
        becomes VM, VM

; A task in ring 3 with a LDT and page tables of its own.
        task_case prot32, "jump to a user task with its own LDT", jmp
        memory  TSS_TEST + 32, 4, off(.to)
        memory  TSS_TEST + 96, 2, SEL_LDT
        memory  TSS_TEST + 76, 2, 7
        memory  TSS_TEST + 80, 2, 0x0f
        memory  TSS_TEST + 72, 2, UDS
        memory  TSS_TEST + 84, 2, 0x0f
        memory  TSS_TEST + 88, 2, 0
        memory  TSS_TEST + 92, 2, 0
        desc    7, 0, 0xfffff, 0xc0fa, LDT
        desc    0x0f, 0, 0xfffff, 0xc0f2, LDT
        task_code
        in_second_task
        expect  ldtr, SEL_LDT
        expect  cs, 7
        expect  ss, 0x0f
        expect  es, UDS
        expect  ds, 0x0f
        expect  fs, 0
        expect  gs, 0
        is_memory LDT + 5, 1, 0xfb
        is_memory LDT + 8 + 5, 1, 0xf3

        task_case prot32, "jump to a task with its own page tables", jmp
        paging  pg32
        memory  TSS_TEST + 32, 4, off(.to)
        memory  TSS_TEST + 28, 4, SCRATCH
        memory  SCRATCH, 4, PT32 + 7
        task_code
        in_second_task
        expect  cr0, CR0_AFTER | CR0_PG
        expect  cr3, SCRATCH
        task_case prot32, "CR3 is not loaded while there is no paging", jmp
        memory  TSS_TEST + 32, 4, off(.to)
        memory  TSS_TEST + 28, 4, 0x12345000
        task_code
        in_second_task

; The debug trap of the new task (T in the TSS), and local breakpoints.
        task_case prot32, "T bit of the TSS", jmp
        memory  TSS_TEST + 32, 4, off(.to)
        memory  TSS_TEST + 100, 2, 1
        task_code
        in_second_task
        trap    DB, .to
        expect  dr6, 0xffff8ff0
        task_case prot32, "local breakpoints end", jmp
        memory  TSS_TEST + 32, 4, off(.to)
        given   dr0, SCRATCH
        given   dr7, 0x00010703                         ; L0, G0, LE, GE, write of a byte
        task_code
        in_second_task
        expect  dr7, 0x00010602

; To and from a 16-bit TSS.
%macro task16_case 3
        CASE    %2, %1
%define task_transfer %3
        memory  DATA, 8, SEL_TSS_TEST16 << 32
        desc    T0, EXEC, 0xffff, 0x009b
        memory  TSS_TEST16 + 14, 2, exec_offset + .to - .code
        memory  TSS_TEST16 + 16, 2, 0x0c97              ; FLAGS
        memory  TSS_TEST16 + 18, 8, 0x0403030302020101  ; AX CX DX BX
        memory  TSS_TEST16 + 26, 8, 0x070706060505f000
        memory  TSS_TEST16 + 34, 8, T0 << 16 | KDS16 << 32 | KDS << 48
%endmacro
        task16_case prot32, "jump to a 16-bit TSS", jmp
        task_code
        expect  eax, 0x0101, 0xffff
        expect  ecx, 0x0202, 0xffff
        expect  edx, 0x0303, 0xffff
        expect  ebx, 0x0403, 0xffff
        expect  esp, 0xf000, 0xffff
        expect  ebp, 0x0505, 0xffff
        expect  esi, 0x0606, 0xffff
        expect  edi, 0x0707, 0xffff
        expect  es, 0
        expect  cs, T0
        expect  ss, KDS16
        expect  ds, KDS
        expect  fs, 0
        expect  gs, 0
        expect  tr, SEL_TSS_TEST16
        expect  cr0, CR0_AFTER
        becomes 0xffff, 0x0c97
        is_memory TSS_MAIN + 32, 4, off(.next)
        CASE    "jump from a 16-bit TSS to a 32-bit one", prot32
        given   tr, SEL_TSS_TEST16
        memory  DATA, 8, SEL_TSS_TEST << 32
        memory  TSS_TEST + 32, 4, off(.to)
        memory  TSS_TEST16 + 42, 2, 0x7777
        CODE
        jmp     far dword [DATA]
.next:  nop
.to:    RUN
        expect  eax, 0
        expect  ecx, 0
        expect  edx, 0
        expect  ebx, 0
        expect  ebp, 0
        expect  esi, 0
        expect  edi, 0
        expect  tr, SEL_TSS_TEST
        expect  cr0, CR0_AFTER
        is_memory TSS_TEST16 + 14, 2, off(.next) & 0xffff
        is_memory TSS_TEST16 + 16, 2, 2
        is_memory TSS_TEST16 + 18, 8, 0x4444333322221111
        is_memory TSS_TEST16 + 26, 8, 0x8888777766660000 | STACK & 0xffff
        is_memory TSS_TEST16 + 34, 8, KDS | KCS32 << 16 | KDS << 32 | KDS << 48
        is_memory TSS_TEST16 + 42, 2, 0x7777            ; LDT selector: not saved
        is_memory GDT + SEL_TSS_TEST16 + 5, 1, 0x81

; ---- refused before the switch
%macro refused_task 6           ; mode, name, jmp or call, TSS access byte, limit, RPL
        task_case %1, %2, %3
        desc    SEL_TSS_TEST, TSS_TEST, %5, %4
        memory  DATA + 4, 2, SEL_TSS_TEST | %6
        task_code
%endmacro
%macro refused_tasks 1
        refused_task prot32, "busy TSS", %1, 0x8b, 0x67, 0
        fault   GP, SEL_TSS_TEST
        refused_task prot32, "TSS not present", %1, 0x09, 0x67, 0
        fault   NP, SEL_TSS_TEST
        refused_task user32, "TSS of a more privileged level", %1, 0x89, 0x67, 0
        fault   GP, SEL_TSS_TEST
        refused_task prot32, "TSS below the RPL", %1, 0x89, 0x67, 1
        fault   GP, SEL_TSS_TEST
        refused_task prot32, "TSS too short", %1, 0x89, 0x66, 0
        fault   TS, SEL_TSS_TEST
        refused_task prot32, "16-bit TSS too short", %1, 0x81, 0x2a, 0
        fault   TS, SEL_TSS_TEST
        refused_task user32, "busy TSS of a more privileged level", %1, 0x8b, 0x67, 0
        fault   GP, SEL_TSS_TEST
%endmacro
        refused_tasks jmp
        refused_tasks call

; ---- page faults before the switch
%macro faulting_task 2          ; name, address of the page
        task_case prot32, %1, jmp
        paging  pg32
        with    cr0, CR0_WP
        memory  TSS_TEST + 28, 4, PD32
        memory  TSS_TEST + 32, 4, off(.to)
%endmacro
        faulting_task "new TSS in a page that is not there", SCRATCH
        desc    SEL_TSS_TEST, SCRATCH, 0x67, 0x0089
        page_entry 1, SCRATCH, P_P, 0
        task_code
        expect  vector, e_PF
        stopped_at .code
        expect  cr2, SCRATCH, ~0xfff
        expect  error, 0, ~2            ; whether it is read or locked first is not said
        faulting_task "second half of the new TSS in a page that is not there", SCRATCH
        desc    SEL_TSS_TEST, SCRATCH + 0xfb0, 0x67, 0x0089
        page_entry 1, SCRATCH + 0x1000, P_P, 0
        task_code
        expect  vector, e_PF
        stopped_at .code
        expect  cr2, SCRATCH + 0x1000, ~0xfff
        expect  error, 0, ~2

; ---- faults in the new task: it is the one that is interrupted, before its first instruction
%macro bad_task 2-3 0xf2        ; name, offset in the TSS, access byte of T0, whose selector stands there with RPL 3
        task_case prot32, %1, jmp
        desc    T0, 0, 0xfffff, 0xc000 | (%3)
        memory  TSS_TEST + 32, 4, off(.to)
        memory  TSS_TEST + 76, 2, UCS32
        memory  TSS_TEST + 80, 2, UDS
        memory  TSS_TEST + 72, 2, UDS
        memory  TSS_TEST + 84, 2, UDS
        memory  TSS_TEST + 88, 2, UDS
        memory  TSS_TEST + 92, 2, UDS
%endmacro
%macro bad_task_fault 2         ; vector, error code
        task_code
        in_second_task
        expect  cs, UCS32
        ignore  es, ss, ds, fs, gs, ldtr        ; what is loaded already is not said
        fault   %1, %2, .to
%endmacro
%macro bad_selector 5           ; name, offset in the TSS, access byte of T0, selector, {vector, error code}
        bad_task %1, %2, %3
        memory  TSS_TEST + %2, 2, %4
        bad_task_fault %5
%endmacro
%assign tss_es 72
%assign tss_cs 76
%assign tss_ss 80
%assign tss_ds 84
%assign tss_gs 92
%assign tss_ldt 96
        bad_selector "new LDT beyond the GDT", tss_ldt, 0xf2, GDT_SIZE, {TS, GDT_SIZE}
        bad_selector "new LDT is none", tss_ldt, 0xf2, T0, {TS, T0}
        bad_selector "new LDT in an LDT", tss_ldt, 0xf2, 0x0c, {TS, 0x0c}
        bad_selector "new LDT not present", tss_ldt, 0x02, T0, {TS, T0}
        bad_selector "new SS null", tss_ss, 0xf2, 3, {TS, 0}
        bad_selector "new SS beyond the GDT", tss_ss, 0xf2, GDT_SIZE | 3, {TS, GDT_SIZE}
        bad_selector "new SS read only", tss_ss, 0xf0, T0 | 3, {TS, T0}
        bad_selector "new SS of another level", tss_ss, 0x92, T0 | 3, {TS, T0}
        bad_selector "new SS with another RPL", tss_ss, 0xf2, T0, {TS, T0}
        bad_selector "new SS not present", tss_ss, 0x72, T0 | 3, {SS, T0}
        bad_selector "new DS beyond the GDT", tss_ds, 0xf2, GDT_SIZE | 3, {TS, GDT_SIZE}
        bad_selector "new DS is execute-only code", tss_ds, 0xf8, T0 | 3, {TS, T0}
        bad_selector "new DS of a more privileged level", tss_ds, 0x92, T0 | 3, {TS, T0}
        bad_selector "new ES not present", tss_es, 0x72, T0 | 3, {NP, T0}
        bad_selector "new GS is a gate", tss_gs, 0xe5, T0 | 3, {TS, T0}

%macro bad_code 4               ; name, access byte of T0, selector, {vector, error code}
        bad_task %1, tss_cs, %2
        memory  TSS_TEST + tss_cs, 2, %3
        task_code
        in_second_task
        expect  cs, %3
        ignore  es, ss, ds, fs, gs
        expect  ldtr, 0
        fault   %4, .to
%endmacro
        bad_code "new CS is data", 0xf2, T0 | 3, {TS, T0}
        bad_code "new CS of another level", 0x9a, T0 | 3, {TS, T0}
        bad_code "new CS not present", 0x7a, T0 | 3, {NP, T0}
        bad_code "new conforming CS below its DPL", 0xfe, T0 | 2, {TS, T0}
        bad_code "new CS is a task gate", 0xe5, T0 | 3, {TS, T0}

        bad_task "new EIP beyond the limit", tss_cs
        desc    T0, 0, 0xfff, 0x40fa
        memory  TSS_TEST + tss_cs, 2, T0 | 3
        task_code
        in_second_task
        expect  cs, T0 | 3
        expect  es, UDS
        expect  ss, UDS
        expect  ds, UDS
        expect  fs, UDS
        expect  gs, UDS
        fault   GP, 0, .to

; ---- task gates that lead nowhere
%macro bad_task_gate 4          ; name, access byte, TSS selector, {vector, error code}
        task_case user32, %1, call
        memory  GDT + SEL_TASK_GATE, 8, (%2) << 40 | (%3) << 16
        memory  DATA + 4, 2, SEL_TASK_GATE | 3
        task_code
        fault   %4
        task_case user32, %1, jmp
        memory  GDT + SEL_TASK_GATE, 8, (%2) << 40 | (%3) << 16
        memory  DATA + 4, 2, SEL_TASK_GATE | 3
        task_code
        fault   %4
%endmacro
        bad_task_gate "task gate of a more privileged level", 0x85, SEL_TSS_TEST, {GP, SEL_TASK_GATE}
        bad_task_gate "task gate not present", 0x65, SEL_TSS_TEST, {NP, SEL_TASK_GATE}
        bad_task_gate "task gate to null", 0xe5, 0, {GP, 0}
        bad_task_gate "task gate to the LDT", 0xe5, 0x0c, {GP, 0x0c}
        bad_task_gate "task gate beyond the GDT", 0xe5, GDT_SIZE, {GP, GDT_SIZE}
        bad_task_gate "task gate to a code segment", 0xe5, UCS32, {GP, UCS32 & 0xfffc}
        bad_task_gate "task gate to the task that runs", 0xe5, SEL_TSS, {GP, SEL_TSS}

; ---- IRET with NT set
%macro bad_link 3               ; name, link, {vector, error code}
        CASE    %1, prot32
        with    flags, NT
        memory  TSS_MAIN, 2, %2
        CODE
        iretd
        RUN
        fault   %3
%endmacro
        bad_link "link to null", 0, {TS, 0}
        bad_link "link to the LDT", 0x0c, {TS, 0x0c}
        bad_link "link beyond the GDT", GDT_SIZE, {TS, GDT_SIZE}
        bad_link "link to a task that is not busy", SEL_TSS_TEST, {TS, SEL_TSS_TEST}
        bad_link "link to data", KDS, {TS, KDS}
