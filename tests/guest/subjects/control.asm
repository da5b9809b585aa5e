; What control, debug and model-specific registers refuse (SDM vol. 2B, "MOV—Move to/from Control Registers", "MOV—Move to/from Debug
; Registers", "LMSW", "WRMSR", "RDMSR"; vol. 3A, "Control Registers"; vol. 4 for each MSR), and who may use them.

; A value is written; the register keeps what it had when that is refused. Who accepts it may not come back.
%macro refused_case 4-5 0       ; mode, name, register, value, features
        CASE    %2, %1, (%5) | need_robust
%if case_bits == 64
 %define %%a rax
%else
 %define %%a eax
%endif
        given   rax, %4
        CODE
        nop
.bad:   mov     %3, %%a
        nop
        RUN
        fault   GP, 0, .bad
%endmacro
%macro written_case 5-6 0       ; mode, name, register, value, value afterwards, features
        CASE    %2, %1, %6
%if case_bits == 64
 %define %%a rax
%else
 %define %%a eax
%endif
        given   rax, %4
        CODE
        mov     %3, %%a
        nop
        RUN
        expect  %3, %5
%endmacro

%macro cr0_cases 1
%if b_%1 == 64
 %assign %%cr0 CR0_BASE | CR0_PG
 %assign %%cr4 CR4_PAE
%elifidn %1, real16
 %assign %%cr0 CR0_BASE & ~CR0_PE
 %assign %%cr4 0
%else
 %assign %%cr0 CR0_BASE
 %assign %%cr4 0
%endif
        refused_case %1, "CR0: NW without CD", cr0, %%cr0 | 0x20000000
        refused_case %1, "CR0: PG without PE", cr0, (%%cr0 | CR0_PG) & ~CR0_PE
        written_case %1, "CR0: ET cannot be cleared", cr0, %%cr0 & ~0x10, %%cr0
        written_case %1, "CR0: reserved bits are ignored", cr0, %%cr0 | 0x1ffaffc0, %%cr0
        written_case %1, "CR0: WP, AM, MP, TS, CD", cr0, %%cr0 | CR0_WP | CR0_AM | CR0_MP | CR0_TS | 0x40000000, %%cr0 | CR0_WP | CR0_AM | CR0_MP | CR0_TS | 0x40000000
        refused_case %1, "CR4: reserved bit 15", cr4, %%cr4 | 0x8000, need_cr4
        refused_case %1, "CR4: reserved bit 31", cr4, %%cr4 | 0x80000000, need_cr4
        refused_case %1, "CR4: reserved bit 26", cr4, %%cr4 | 0x04000000, need_cr4
        written_case %1, "CR4: bits that are there", cr4, %%cr4 | CR4_VME | CR4_TSD | CR4_DE, %%cr4 | CR4_VME | CR4_TSD | CR4_DE, need_vme | need_tsc | need_de
        written_case %1, "CR2", cr2, 0xdeadbeef, 0xdeadbeef
        written_case %1, "CR3: lower bits are kept or ignored", cr3, (PML4 * (b_%1 == 64)) | 0x18, (PML4 * (b_%1 == 64)) | 0x18
        written_case %1, "DR6: reserved bits", dr6, 0xffff1fff, 0xffff0fff
        written_case %1, "DR6: cleared", dr6, 0, 0xffff0ff0
        written_case %1, "DR7: reserved bits", dr7, 0x0000dc00, 0x400
        written_case %1, "DR3", dr3, 0x12345678, 0x12345678
%endmacro
        cr0_cases real16
        cr0_cases prot16
        cr0_cases prot32
        cr0_cases long64

        refused_case long64, "CR0: bit 32", cr0, (CR0_BASE | CR0_PG) | 1 << 32
        refused_case long64, "CR0: paging off in 64-bit code", cr0, CR0_BASE
        refused_case long64, "CR3: beyond the physical addresses", cr3, 1 << 52
        refused_case long64, "CR3: bit 63 without PCIDE", cr3, PML4 | 1 << 63
        refused_case long64, "CR4: PAE off in long mode", cr4, 0
        refused_case long64, "CR4: bit 32", cr4, CR4_PAE | 1 << 32
        refused_case long64, "CR8: above 15", cr8, 16
        refused_case long64, "DR6: bit 32", dr6, 0xffff0ff0 | 1 << 32
        refused_case long64, "DR7: bit 32", dr7, 0x400 | 1 << 32
        written_case long64, "DR0: any address", dr0, 0x8000123456789abc, 0x8000123456789abc
        written_case long64, "CR2: 64 bits", cr2, 0x8000123456789abc, 0x8000123456789abc
        refused_case prot32, "CR4: PCIDE outside of long mode", cr4, CR4_PCIDE, need_pcid
        written_case long64, "CR4: PCIDE", cr4, CR4_PAE | CR4_PCIDE, CR4_PAE | CR4_PCIDE, need_pcid
        CASE    "CR4: PCIDE with a PCID in CR3", long64, need_pcid | need_robust
        given   rax, CR4_PAE | CR4_PCIDE
        CODE
        mov     rcx, cr3
        or      rcx, 8
        mov     cr3, rcx
.bad:   mov     cr4, rax
        nop
        RUN
        expect  rcx, PML4 | 8
        expect  cr3, PML4 | 8
        ignore  flags
        fault   GP, 0, .bad
        CASE    "EFER: LME while paging is on", long64
        given   rcx, 0xc0000080
        given   rax, 0
        given   rdx, 0
        CODE
        wrmsr
        RUN
        fault   GP
        CASE    "CR0: paging on with LME, without PAE", prot32, need_lm | need_robust
        with    efer, EFER_LME
        given   eax, CR0_BASE | CR0_PG
        CODE
        nop
.bad:   mov     cr0, eax
        nop
        RUN
        fault   GP, 0, .bad
        CASE    "CR0: paging on with LME in a code segment with L", prot32, need_lm | need_robust
        with    efer, EFER_LME
        with    cr4, CR4_PAE
        desc    T0, 0, 0xfffff, 0xe09b
        given   cs, T0
        given   eax, CR0_BASE | CR0_PG
        CODE
        nop
.bad:   mov     cr0, eax
        nop
        RUN
        fault   GP, 0, .bad
        CASE    "CR3: reserved bits of PAE's page-directory pointers", prot32, need_pae | need_robust
        paging  pae
        given   eax, SCRATCH
        memory  SCRATCH, 8, PD_PAE | 3          ; bit 1 is reserved
        CODE
        nop
.bad:   mov     cr3, eax
        nop
        RUN
        fault   GP, 0, .bad
        CASE    "CR3: absent page-directory pointers are not looked at", prot32, need_pae
        paging  pae
        given   eax, SCRATCH
        memory  SCRATCH, 8, PD_PAE | 1
        memory  SCRATCH + 8, 8, 0xfffe
        CODE
        mov     cr3, eax
        nop
        RUN
        expect  cr3, SCRATCH
        CASE    "CR4: setting PAE loads the page-directory pointers", prot32, need_pae | need_robust
        paging  pg32
        given   eax, CR4_PAE
        given   ecx, SCRATCH
        fill    SCRATCH, 0x1000, 0
        memory  SCRATCH, 4, PT32 + 7            ; as a page directory of 32-bit paging good, as pointers not
        CODE
        mov     cr3, ecx
.bad:   mov     cr4, eax
        nop
        RUN
        expect  cr3, SCRATCH
        fault   GP, 0, .bad

; ---- registers that do not exist
%macro no_register_case 3       ; mode, name, {bytes}
        CASE    %2, %1
        CODE
        nop
.bad:   db      %3
        nop
        RUN
        trap    UD, .bad
%endmacro
%macro no_register_cases 1
        no_register_case %1, "mov from CR1", {0x0f, 0x20, 0xc8}
        no_register_case %1, "mov to CR1", {0x0f, 0x22, 0xc8}
        no_register_case %1, "mov from CR5", {0x0f, 0x20, 0xe8}
        no_register_case %1, "mov to CR7", {0x0f, 0x22, 0xf8}
        no_register_case %1, "lock mov to CR0", {0xf0, 0x0f, 0x22, 0xc0}
%endmacro
        no_register_cases real16
        no_register_cases prot32
        no_register_cases long64
        no_register_cases user32
        no_register_case long64, "mov from CR9", {0x44, 0x0f, 0x20, 0xc8}
        no_register_case long64, "mov from DR8", {0x44, 0x0f, 0x21, 0xc0}
        CASE    "mod is ignored by mov to and from control registers", prot32
        CODE
        db      0x0f, 0x20, 0x10                ; mod 0, no address: mov eax, cr2
        nop
        RUN
        expect  eax, 0x0badadd0
        CASE    "DR4 and DR5 are DR6 and DR7", prot32
        CODE
        db      0x0f, 0x21, 0xe0                ; mov eax, dr4
        db      0x0f, 0x21, 0xe9                ; mov ecx, dr5
        RUN
        expect  eax, 0xffff0ff0
        expect  ecx, 0x400
        CASE    "DR4 with debugging extensions", prot32, need_de
        with    cr4, CR4_DE
        CODE
        db      0x0f, 0x21, 0xe0
        nop
        RUN
        trap    UD
        CASE    "DR5 with debugging extensions", long64, need_de
        with    cr4, CR4_DE
        CODE
        db      0x0f, 0x23, 0xe8
        nop
        RUN
        trap    UD

; ---- machine status word
        CASE    "lmsw cannot clear PE", prot32
        given   eax, 0xfff0 | CR0_TS
        CODE
        lmsw    ax
        nop
        RUN
        expect  cr0, CR0_BASE | CR0_TS
        CASE    "smsw to a register and to memory", prot32
        with    cr0, CR0_WP | CR0_AM
        CODE
        smsw    eax
        smsw    cx
        smsw    [DATA]
        RUN
        expect  eax, CR0_BASE | CR0_WP | CR0_AM
        expect  ecx, 0x22220000 | CR0_BASE
        is_memory DATA, 4, CR0_BASE
        CASE    "smsw in ring 3", user32
        CODE
        smsw    ax
        RUN
        expect  eax, 0x11110000 | CR0_BASE
        CASE    "clts", prot32
        with    cr0, CR0_TS
        CODE
        clts
        nop
        RUN
        expect  cr0, CR0_BASE

; ---- privilege: ring 3 and virtual-8086 mode get #GP(0), whatever the operand
%macro privileged_case 2-3 0    ; mode, {instruction}, features
%defstr %%text %2
%strcat %%name %%text, " in ring 3"
        CASE    %%name, %1, %3
        given   rcx, 0x1b
        CODE
        nop
.bad:   %2
        nop
        RUN
        fault   GP, 0, .bad
%endmacro
%macro privileged_cases 1
        privileged_case %1, {mov eax, cr0}
        privileged_case %1, {mov cr0, eax}
        privileged_case %1, {mov eax, cr2}
        privileged_case %1, {mov cr3, eax}
        privileged_case %1, {mov eax, cr4}, need_cr4
        privileged_case %1, {mov eax, dr0}
        privileged_case %1, {mov dr7, eax}
        privileged_case %1, clts
        privileged_case %1, {lmsw ax}
        privileged_case %1, hlt
        privileged_case %1, invd
        privileged_case %1, wbinvd
        privileged_case %1, {invlpg [D(0)]}
        privileged_case %1, {lgdt [D(0)]}
        privileged_case %1, {lidt [D(0)]}
        privileged_case %1, rdmsr, need_msr
        privileged_case %1, wrmsr, need_msr
        privileged_case %1, rdpmc, need_mmx
%endmacro
%macro privileged_cases64 1
        privileged_case %1, {mov rax, cr0}
        privileged_case %1, {mov cr0, rax}
        privileged_case %1, {mov cr3, rax}
        privileged_case %1, {mov rax, cr8}
        privileged_case %1, {mov cr8, rax}
        privileged_case %1, {mov rax, dr0}
        privileged_case %1, {mov dr7, rax}
        privileged_case %1, clts
        privileged_case %1, {lmsw ax}
        privileged_case %1, hlt
        privileged_case %1, wbinvd
        privileged_case %1, {invlpg [D(0)]}
        privileged_case %1, {lgdt [D(0)]}
        privileged_case %1, {lidt [D(0)]}
        privileged_case %1, {lldt ax}
        privileged_case %1, {ltr ax}
        privileged_case %1, rdmsr
        privileged_case %1, wrmsr
        privileged_case %1, swapgs
%endmacro
        privileged_cases user16
        privileged_cases user32
        privileged_cases vm86
        privileged_cases comp32
        privileged_cases64 user64
        privileged_case user32, {lldt ax}
        privileged_case user32, {ltr ax}

; Privilege comes before the operand in memory.
        CASE    "lgdt in ring 3 from a page that is not there", user32
        paging  pg32
        page_entry 1, SCRATCH, P_P, 0
        CODE
        lgdt    [SCRATCH]
        RUN
        fault   GP
        CASE    "lmsw in ring 3 from a page that is not there", user32
        paging  pg32
        page_entry 1, SCRATCH, P_P, 0
        CODE
        lmsw    [SCRATCH]
        RUN
        fault   GP
        CASE    "mov to CR0 of a bad value in ring 3", user32
        given   eax, 0x20000000
        CODE
        mov     cr0, eax
        RUN
        fault   GP

; ---- CR4 reserves instructions
%macro reserved_case 5-6 0      ; mode, name, CR4, {instruction}, features, 1 if allowed
        CASE    %2, %1, %5
        with    cr4, %3
        CODE
        %4
        RUN
%if %6
        ignore  rax, rdx, rcx
%else
        fault   GP
%endif
%endmacro
        reserved_case user32, "rdtsc in ring 3", 0, rdtsc, need_tsc, 1
        reserved_case user32, "rdtsc in ring 3, TSD", CR4_TSD, rdtsc, need_tsc
        reserved_case prot32, "rdtsc in ring 0, TSD", CR4_TSD, rdtsc, need_tsc, 1
        reserved_case real16, "rdtsc in real mode, TSD", CR4_TSD, rdtsc, need_tsc, 1
        reserved_case vm86, "rdtsc in virtual-8086 mode, TSD", CR4_TSD, rdtsc, need_tsc
        reserved_case user64, "rdtscp in ring 3, TSD", CR4_TSD, rdtscp, need_rdtscp
        reserved_case user32, "sgdt in ring 3, UMIP", CR4_UMIP, {sgdt [DATA]}, need_umip
        reserved_case user32, "sidt in ring 3, UMIP", CR4_UMIP, {sidt [DATA]}, need_umip
        reserved_case user32, "sldt in ring 3, UMIP", CR4_UMIP, {sldt ax}, need_umip
        reserved_case user32, "str in ring 3, UMIP", CR4_UMIP, {str ax}, need_umip
        reserved_case user32, "smsw in ring 3, UMIP", CR4_UMIP, {smsw ax}, need_umip
        reserved_case vm86, "sgdt in virtual-8086 mode, UMIP", CR4_UMIP, {sgdt [0]}, need_umip
        reserved_case user64, "sidt in ring 3, UMIP", CR4_UMIP, {sidt [DATA]}, need_umip
        reserved_case prot32, "smsw in ring 0, UMIP", CR4_UMIP, {smsw ax}, need_umip, 1
        reserved_case user32, "smsw in ring 3", 0, {smsw ax}, need_umip, 1

; ---- model-specific registers
%macro msr_case 4-5 0           ; name, number, value, 1 if allowed, features
        CASE    %1, long64, %5
        given   rcx, %2
        given   rax, (%3) & 0xffffffff
        given   rdx, (%3) >> 32 & 0xffffffff
        CODE
        wrmsr
        RUN
%if %4
 %ifidn %2, 0xc0000080
        expect  efer, %3
 %endif
%else
        fault   GP
%endif
%endmacro
        msr_case "MSR that does not exist", 0xdeadbeef, 0, 0
        msr_case "EFER: reserved bit 1", 0xc0000080, EFER_LME | EFER_LMA | 2, 0
        msr_case "EFER: reserved bit 9", 0xc0000080, EFER_LME | EFER_LMA | 0x200, 0
        msr_case "EFER: reserved bit 32", 0xc0000080, EFER_LME | EFER_LMA | 1 << 32, 0
        msr_case "EFER: LME off in long mode", 0xc0000080, 0, 0
        msr_case "EFER: LMA is not written", 0xc0000080, EFER_LME, 1
        expect  efer, EFER_LME | EFER_LMA
        msr_case "EFER: SCE and NXE", 0xc0000080, EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE, 1, need_nx | need_syscall
        msr_case "STAR: anything", MSR_STAR, 0xfedcba9876543210, 1
        msr_case "LSTAR: canonical", MSR_LSTAR, 0xffff800000000000, 1
        msr_case "LSTAR: not canonical", MSR_LSTAR, 0x0000800000000000, 0
        msr_case "CSTAR: not canonical", MSR_CSTAR, 0xffff7fffffffffff, 0
        msr_case "FMASK: bit 32", MSR_FMASK, 1 << 32, 0
        msr_case "FS base: not canonical", 0xc0000100, 0x0000800000000000, 0
        msr_case "GS base: not canonical", 0xc0000101, 0x8000000000000000, 0
        msr_case "kernel GS base: not canonical", 0xc0000102, 0x0001000000000000, 0
        msr_case "kernel GS base: canonical", 0xc0000102, 0xffff800000000000, 1
        msr_case "TSC_AUX: bit 32", 0xc0000103, 1 << 32, 0, need_rdtscp
        msr_case "SYSENTER_ESP: not canonical", MSR_SYSENTER_ESP, 0x0000800000000000, 0, need_sep
        msr_case "SYSENTER_EIP: not canonical", MSR_SYSENTER_EIP, 0x0000800000000000, 0, need_sep
        msr_case "PAT: reserved type", 0x277, 0x0007040600070402, 0
        msr_case "PAT: upper bits of a field", 0x277, 0x0007040600070486, 0
        msr_case "PAT", 0x277, 0x0007040600070406, 1
        msr_case "MTRR default type: reserved", 0x2ff, 0xc02, 0
        msr_case "MTRR default type: reserved bit", 0x2ff, 0x1c06, 0
        msr_case "MTRR range: reserved type", 0x200, 0x2, 0
        msr_case "MTRR capabilities are read only", 0xfe, 0, 0
        msr_case "APIC base: reserved bit", 0x1b, 0xfee00901, 0
        CASE    "reading an MSR that does not exist", long64
        given   rcx, 0xdeadbeef
        CODE
        rdmsr
        RUN
        fault   GP
        CASE    "rdmsr clears the upper halves", long64
        given   rcx, 0xffffffffc0000080
        CODE
        rdmsr
        RUN
        expect  rax, EFER_LME | EFER_LMA
        expect  rdx, 0
        CASE    "segment bases by MSR", long64
        given   rcx, 0xc0000100
        given   rax, DATA - 0x1000
        given   rdx, 0
        memory  DATA + 8, 4, 0x55667788
        CODE
        wrmsr
        mov     ebx, [fs:0x1008]
        RUN
        expect  rbx, 0x55667788

; ---- XSETBV
%macro xsetbv_case 5            ; mode, name, ECX, value, {vector}
        CASE    %2, %1, need_xsave
        with    cr4, CR4_OSXSAVE
        given   rcx, %3
        given   rax, %4
        given   rdx, 0
        CODE
        xsetbv
        RUN
%ifidn %5, allowed
%else
        fault   %5
%endif
%endmacro
        xsetbv_case prot32, "xsetbv: x87 only", 0, 1, allowed
        xsetbv_case prot32, "xsetbv: SSE", 0, 3, allowed
        xsetbv_case prot32, "xsetbv: without x87", 0, 2, GP
        xsetbv_case prot32, "xsetbv: AVX without SSE", 0, 5, GP
        xsetbv_case prot32, "xsetbv: reserved bit", 0, 0x40000003, GP
        xsetbv_case prot32, "xsetbv: another register", 1, 3, GP
        xsetbv_case user32, "xsetbv in ring 3", 0, 3, GP
        xsetbv_case real16, "xsetbv in real mode", 0, 3, allowed
        CASE    "xsetbv without OSXSAVE", prot32, need_xsave
        CODE
        xsetbv
        nop
        RUN
        trap    UD
        CASE    "xgetbv without OSXSAVE in ring 3", user64, need_xsave
        CODE
        xgetbv
        nop
        RUN
        trap    UD
        CASE    "xgetbv of another register", user32, need_xsave
        with    cr4, CR4_OSXSAVE
        given   ecx, 0x1234
        CODE
        xgetbv
        RUN
        fault   GP
