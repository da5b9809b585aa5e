; Loading segment registers: every descriptor type, privilege, presence, and the error codes (SDM vol. 2B, "MOV", Operation; vol. 3A,
; "Protection", "Privilege Level Checking When Accessing Data Segments").

; Expected of loading T0 | RPL: in `wrong` 0 or a vector, with T0 as error code.
%macro judge_data 3             ; access byte, CPL, RPL
%assign wrong 0
%assign %%type (%1) & 15
%assign %%dpl ((%1) >> 5) & 3
%if ((%1) & 0x10) == 0 || (%%type & 10) == 8
 %assign wrong e_GP
%elif (%%type & 12) != 12 && (%%dpl < %2 || %%dpl < %3)
 %assign wrong e_GP
%elif ((%1) & 0x80) == 0
 %assign wrong e_NP
%endif
%endmacro
%macro judge_stack 3
%assign wrong 0
%if %3 != %2 || ((%1) & 0x1a) != 0x12 || (((%1) >> 5) & 3) != %2
 %assign wrong e_GP
%elif ((%1) & 0x80) == 0
 %assign wrong e_SS
%endif
%endmacro

%macro load_case 4              ; mode, register, access byte, RPL
        hex_of %3
%defstr %%register %2
%defstr %%rpl %4
%strcat %%name "mov to ", %%register, ", access ", hex_text, ", RPL ", %%rpl
        CASE    %%name, %1
        desc    T0, 0, 0xfffff * (((%3) & 0x1c) != 0x14), 0xc000 | (%3)         ; all that is above 4 KiB, where it expands down
        given   eax, T0 | %4
        CODE
        mov     %2, eax
        RUN
%ifidn %2, ss
        judge_stack %3, (cs_of_case & 3), %4
%else
        judge_data %3, (cs_of_case & 3), %4
%endif
%if wrong
        expect  vector, wrong
        expect  error, T0
        stopped_at .code
        is_memory GDT + T0 + 5, 1, %3
%else
        expect  %2, T0 | %4
        is_memory GDT + T0 + 5, 1, (%3) | 1
%endif
%endmacro
%macro load_cases 2             ; mode, register
%assign %%n 0
%rep 32
        load_case %1, %2, 0x80 | %%n, 0
        load_case %1, %2, 0xe0 | %%n, 0
        load_case %1, %2, 0xe0 | %%n, 3
        load_case %1, %2, 0x60 | %%n, 3
        load_case %1, %2, 0x00 | %%n, 0
%assign %%n %%n + 1
%endrep
%endmacro
        load_cases prot32, ds
        load_cases user32, es
        load_cases long64, fs
        load_cases user64, ds
        load_cases comp32, gs
        load_cases prot32, ss
        load_cases user32, ss
        load_cases long64, ss
        load_cases user64, ss

%macro selector_case 6          ; mode, name, register, selector, vector (0: none), error code
        CASE    %2, %1
        given   ecx, %4
        CODE
        mov     %3, ecx
        RUN
%if %5
        expect  vector, %5
        expect  error, %6
        stopped_at .code
%else
        expect  %3, %4
%endif
%endmacro
%macro selector_cases 1
        selector_case %1, "null in ds", ds, 0, 0, 0
        selector_case %1, "null with RPL in es", es, 3, 0, 0
        selector_case %1, "fs from beyond the GDT", fs, GDT_SIZE, e_GP, GDT_SIZE
        selector_case %1, "gs from beyond the GDT with RPL", gs, GDT_SIZE + 3, e_GP, GDT_SIZE
        selector_case %1, "ds from an LDT that is not there", ds, 0x0f, e_GP, 0x0c
        selector_case %1, "ss from beyond the GDT", ss, GDT_SIZE + 3, e_GP, GDT_SIZE
%endmacro
        selector_cases prot32
        selector_cases user32
        selector_cases long64
        selector_cases user64
        selector_cases comp32
        selector_case prot32, "null in ss", ss, 0, e_GP, 0
        selector_case user32, "null in ss", ss, 3, e_GP, 0
        selector_case comp32, "null in ss", ss, 3, e_GP, 0
        selector_case long64, "null in ss", ss, 0, 0, 0
        selector_case long64, "null with RPL 3 in ss", ss, 3, e_GP, 0
        selector_case user64, "null in ss", ss, 3, e_GP, 0
        selector_case user64, "null with RPL 0 in ss", ss, 0, e_GP, 0

; The LDT.
        CASE    "ds from the LDT", user32
        given   ldtr, SEL_LDT
        desc    0x0f, 0, 0xfffff, A_DATA32 | dpl(3), LDT
        given   ecx, 0x0f
        CODE
        mov     ds, ecx
        RUN
        expect  ds, 0x0f
        CASE    "ds from beyond the LDT", user32
        given   ldtr, SEL_LDT
        given   ecx, LDT_SIZE + 7
        CODE
        mov     ds, ecx
        RUN
        fault   GP, LDT_SIZE + 4
        CASE    "ds from beyond the LDT", user64
        given   ldtr, SEL_LDT64
        given   ecx, LDT_SIZE + 7
        CODE
        mov     ds, ecx
        RUN
        fault   GP, LDT_SIZE + 4
        CASE    "selector 0 of the LDT is not null", prot32
        given   ldtr, SEL_LDT
        given   ecx, 4
        CODE
        mov     ds, ecx
        RUN
        fault   GP, 4

; LDS and its relatives, and POP.
        CASE    "lds", prot32
        memory  DATA, 8, KDS << 32 | 0x87654321
        CODE
        lds     eax, [DATA]
        RUN
        expect  eax, 0x87654321
        CASE    "les of a segment that is not present", prot32
        desc    T0, 0, 0xfffff, 0xc013
        memory  DATA, 8, T0 << 32 | 0x87654321
        CODE
        les     eax, [DATA]
        RUN
        fault   NP, T0
        CASE    "lss of a null selector", prot32
        memory  DATA, 8, 0x87654321
        CODE
        lss     esp, [DATA]
        RUN
        fault   GP
        CASE    "lss", long64
        memory  DATA, 8, KDS << 32 | 0x87654321
        CODE
        lss     eax, [DATA]
        RUN
        expect  eax, 0x87654321
        CASE    "lfs of null", user64
        memory  DATA, 8, 0x87654321
        CODE
        lfs     ecx, [DATA]
        RUN
        expect  ecx, 0x87654321
        expect  fs, 0
        CASE    "pop of a bad selector leaves the stack pointer", prot32
        memory  STACK, 4, GDT_SIZE
        CODE
        pop     ds
        RUN
        fault   GP, GDT_SIZE
        CASE    "pop ss of a stack that is not present", prot32
        desc    T0, 0, 0xfffff, 0xc013
        memory  STACK, 4, T0
        CODE
        pop     ss
        RUN
        fault   SS, T0
        CASE    "pop fs with a 16-bit operand", prot32
        memory  STACK, 4, 0x55550000 | KDS
        CODE
        o16 pop fs
        RUN
        moves_sp 2
        CASE    "push of a segment register", prot32
        memory  STACK - 4, 4, 0xdeadbeef
        CODE
        push    es
        RUN
        moves_sp -4
        is_memory STACK - 4, 2, KDS
        CASE    "mov to cs", prot32
        CODE
        db      0x8e, 0xc8
        RUN
        trap    UD
        CASE    "mov to segment register 6", prot32
        CODE
        db      0x8e, 0xf0
        RUN
        trap    UD
        CASE    "mov from segment register 7", long64
        CODE
        db      0x8c, 0xf8
        RUN
        trap    UD

; The accessed bit is a supervisor's write, whoever loads (SDM vol. 3A, "Access Rights": implicit supervisor-mode accesses).
%macro ldt_page 3-4 0           ; mode, LDT selector, name, features
%if case_bits_of_%1 == 64
        PAGED   %1, pg64, %3, %4
%else
        PAGED   %1, pg32, %3, %4
%endif
        given   ldtr, %2
        desc    %2, SCRATCH, 0xfff, 0x0082
        desc    7, 0, 0xfffff, 0xc0f2, SCRATCH
        given   ecx, 7
%endmacro
%define case_bits_of_user32 32
%define case_bits_of_user64 64
%define case_bits_of_prot32 32
%macro ldt_cases 2
        ldt_page %1, %2, "descriptor in a supervisor page"
        page_entry 1, SCRATCH, P_U, 0
        CODE
        mov     ds, ecx
        RUN
        expect  ds, 7
        is_memory SCRATCH + 5, 1, 0xf3
        is_entry 1, SCRATCH, P_A | P_D, P_A | P_D
        ldt_page %1, %2, "descriptor in a page that is not there"
        page_entry 1, SCRATCH, P_P, 0
        CODE
        mov     ds, ecx
        RUN
        page_fault SCRATCH, 0
        ldt_page %1, %2, "descriptor to be marked in a read only page, WP"
        page_entry 1, SCRATCH, P_W, 0
        with    cr0, CR0_WP
        CODE
        mov     ds, ecx
        RUN
        expect  vector, e_PF
        expect  error, E_P | E_W
        stopped_at .code
        expect  cr2, SCRATCH, ~7
        ldt_page %1, %2, "descriptor marked already in a read only page, WP"
        page_entry 1, SCRATCH, P_W, 0
        with    cr0, CR0_WP
        memory  SCRATCH + 5, 1, 0xf3
        CODE
        mov     ds, ecx
        RUN
        expect  ds, 7
        ldt_page %1, %2, "descriptor to be marked in a read only page"
        page_entry 1, SCRATCH, P_W, 0
        CODE
        mov     ds, ecx
        RUN
        expect  ds, 7
        is_memory SCRATCH + 5, 1, 0xf3
        ldt_page %1, %2, "descriptor in a user page, SMAP, AC", need_smap
        with    cr4, CR4_SMAP
        with    flags, AC
        page_entry 1, SCRATCH, 0, P_U
        CODE
        mov     ds, ecx
        RUN
        page_fault SCRATCH, E_P
%endmacro
        ldt_cases user32, SEL_LDT
        ldt_cases user64, SEL_LDT64
        ldt_cases prot32, SEL_LDT

; LLDT and LTR.
%macro table_case 6             ; instruction, name, access byte, selector to load, vector or 0, error code
        CASE    %2, prot32
        desc    T0, LDT, 0x67, %3
        given   ecx, %4
        CODE
        %1      cx
        RUN
%if %5
        expect  vector, %5
        expect  error, %6
        stopped_at .code
%elifidn %1, ltr
        expect  tr, %4
        is_memory GDT + T0 + 5, 1, (%3) | 2
%else
        expect  ldtr, %4
%endif
%endmacro
        table_case lldt, "lldt", 0x82, T0, 0, 0
        table_case lldt, "lldt with RPL 3", 0xe2, T0 | 3, 0, 0
        table_case lldt, "lldt of null", 0x82, 0, 0, 0
        table_case lldt, "lldt of null with RPL", 0x82, 2, 0, 0
        table_case lldt, "lldt of a selector in the LDT", 0x82, 0x0c, e_GP, 0x0c
        table_case lldt, "lldt of a TSS", 0x89, T0, e_GP, T0
        table_case lldt, "lldt of a data segment", 0x92, T0, e_GP, T0
        table_case lldt, "lldt of an LDT that is not present", 0x02, T0, e_NP, T0
        table_case lldt, "lldt of a TSS that is not present", 0x09, T0, e_GP, T0
        table_case lldt, "lldt from beyond the GDT", 0x82, GDT_SIZE | 1, e_GP, GDT_SIZE
        table_case ltr, "ltr", 0x89, T0, 0, 0
        table_case ltr, "ltr of a 16-bit TSS", 0x81, T0, 0, 0
        table_case ltr, "ltr of a busy TSS", 0x8b, T0, e_GP, T0
        table_case ltr, "ltr of null", 0x89, 0, e_GP, 0
        table_case ltr, "ltr of null with RPL", 0x89, 3, e_GP, 0
        table_case ltr, "ltr of an LDT", 0x82, T0, e_GP, T0
        table_case ltr, "ltr of a TSS that is not present", 0x09, T0, e_NP, T0
        table_case ltr, "ltr of a selector in the LDT", 0x89, 0x0c, e_GP, 0x0c
        table_case ltr, "ltr from beyond the GDT", 0x89, GDT_SIZE, e_GP, GDT_SIZE

        CASE    "ltr of a 16-bit TSS", long64
        desc    T0, TSS_64, 0x67, 0x81
        given   ecx, T0
        CODE
        ltr     cx
        RUN
        fault   GP, T0
        CASE    "ltr", long64
        desc    T0, TSS_64, 0x67, 0x89
        given   ecx, T0
        CODE
        ltr     cx
        RUN
        expect  tr, T0
        is_memory GDT + T0 + 5, 1, 0x8b
        CASE    "ltr with a type in the upper half", long64
        desc    T0, TSS_64, 0x67, 0x89
        memory  GDT + T0 + 8, 8, 0x1f << 40
        given   ecx, T0
        CODE
        ltr     cx
        RUN
        fault   GP, T0
        CASE    "ltr with a base that is not canonical", long64
        desc    T0, TSS_64, 0x67, 0x89
        memory  GDT + T0 + 8, 4, 0x00008000
        desc    T2, TSS_64, 0x67, 0x89
        given   ecx, T0
        given   edx, T2
        CODE
        ltr     cx
        ltr     dx                      ; an exception must have a stack, where the first was accepted
        RUN
        fault   GP, T0
        CASE    "lldt with a base that is not canonical", long64
        desc    T0, LDT, 0x67, 0x82
        memory  GDT + T0 + 8, 4, 0xffff0000
        given   ecx, T0
        CODE
        lldt    cx
        RUN
        fault   GP, T0
        CASE    "lldt of a descriptor cut off by the GDT's limit", long64
        desc    GDT_SIZE - 8, LDT, 0x67, 0x82
        given   ecx, GDT_SIZE - 8
        CODE
        lldt    cx
        RUN
        fault   GP, GDT_SIZE - 8
        CASE    "lldt of null", long64
        given   ldtr, SEL_LDT64
        given   ecx, 1
        CODE
        lldt    cx
        RUN
        expect  ldtr, 1
%macro not_in_user_mode 2
%defstr %%name %2
        CASE    %%name, %1
        given   ecx, KDS
        CODE
        %2
        nop
        RUN
        fault   GP
%endmacro
        not_in_user_mode user32, {lldt cx}
        not_in_user_mode user32, {ltr cx}
        not_in_user_mode user64, {lldt cx}
        not_in_user_mode user64, {ltr cx}
        not_in_user_mode user32, {lldt [0]}
        not_in_user_mode user64, {ltr [abs 0]}
