; CLI, STI and INT n: who owns the interrupt flag (SDM vol. 2, "CLI", "STI", "INT n/INTO/INT3/INT1"; vol. 3B, "Interrupt and Exception
; Handling in Virtual-8086 Mode", "Protected-Mode Virtual Interrupts").

%macro if_case 4                ; mode, IOPL, CR4, flags before
%defstr %%iopl %2
%if (%3) & CR4_VME
 %define %%ext " VME"
 %assign %%needs need_vme
%elif (%3) & CR4_PVI
 %define %%ext " PVI"
 %assign %%needs need_vme
%else
 %define %%ext ""
 %assign %%needs 0
%endif
%if (%4) & (VIF | VIP)
 %assign %%needs need_vme
%endif
%defstr %%flags %4
%strcat %%name ", IOPL ", %%iopl, %%ext, ", flags ", %%flags
%strcat %%cli "cli", %%name
%strcat %%sti "sti", %%name
        CASE    %%cli, %1, %%needs
        set_owner %2, %3
        with    flags, ((%2) << 12) | (%4)
        with    cr4, %3
        CODE
        cli
        RUN
%if owner == 0
        fault   GP
%else
        becomes owner, 0
%endif
        CASE    %%sti, %1, %%needs
        with    flags, ((%2) << 12) | (%4)
        with    cr4, %3
        CODE
        sti
        RUN
%if owner == 0 || (owner == VIF && ((%4) & VIP))
        fault   GP
%else
        becomes owner, owner
%endif
%endmacro

; `owner`: the flag that CLI and STI change, or 0 if they may not.
%macro set_owner 2              ; IOPL, CR4
%assign owner IF
%if case_mode == m_vm86 && %1 < 3
 %assign owner ((%2) & CR4_VME) / CR4_VME * VIF
%elif (case_mode == m_user16 || case_mode == m_user32 || case_mode == m_user64 || case_mode == m_comp32) && %1 < 3
 %assign owner ((%2) & CR4_PVI) / CR4_PVI * VIF
%endif
%endmacro

%macro if_cases 4
        if_case %1, %2, %3, %4
        if_case %1, %2, %3, %4 | IF
        if_case %1, %2, %3, %4 | VIF
        if_case %1, %2, %3, %4 | VIP
%endmacro
        if_case real16, 0, 0, 0
        if_case real16, 0, 0, IF
        if_cases prot16, 0, 0, 0
        if_cases prot32, 0, 0, 0
        if_cases long64, 0, 0, 0
        if_cases user16, 0, 0, 0
        if_cases user16, 3, 0, 0
        if_cases user16, 2, CR4_PVI, 0
        if_cases user32, 0, 0, 0
        if_cases user32, 2, 0, 0
        if_cases user32, 3, 0, 0
        if_cases user32, 0, CR4_PVI, 0
        if_cases user32, 3, CR4_PVI, 0
        if_cases user32, 0, CR4_VME, 0
        if_cases user64, 0, 0, 0
        if_cases user64, 1, CR4_PVI, 0
        if_cases user64, 3, CR4_PVI, 0
        if_cases vm86, 0, 0, 0
        if_cases vm86, 2, CR4_PVI, 0
        if_cases vm86, 3, 0, 0
        if_cases vm86, 0, CR4_VME, 0
        if_cases vm86, 3, CR4_VME, 0

; INT n in virtual-8086 mode, methods 1 to 6: through the interrupt table, to a monitor, or to the program's own handler. Vector 0x81.
%macro int_case 4               ; IOPL, CR4, bit in the redirection bitmap, flags before
%defstr %%iopl %1
%defstr %%bit %3
%defstr %%flags %4
%if %2
 %define %%ext " VME"
%else
 %define %%ext ""
%endif
%strcat %%name "int n, IOPL ", %%iopl, %%ext, ", redirection bit ", %%bit, ", flags ", %%flags
        CASE    %%name, vm86, %2 * need_vme
        with    flags, ((%1) << 12) | (%4)
        with    cr4, %2
        memory  TSS_REDIRECT + 0x81 / 8, 1, (%3) << (0x81 & 7)
        memory  0x81 * 4, 4, (EXEC << 12) + off(.handler)
        CODE
        int     0x81
.next:  nop
.handler:
        RUN
%if %2 != 0 && %3 == 0
        moves_sp -6
 %if %1 == 3
        becomes IF | TF, 0
        is_memory STACK - 2, 2, (2 | IOPL3 | (%4)) & 0xffff
 %else
        becomes VIF | TF, 0
        is_memory STACK - 2, 2, ((2 | IOPL3 | (%4)) & 0xffff & ~IF) | ((%4) & VIF) / (VIF / IF)
 %endif
        is_memory STACK - 4, 2, EXEC >> 4
        is_memory STACK - 6, 2, off(.next)
%elif %1 == 3
        expect  vector, 0x81
        stopped_at .next
%else
        fault   GP
%endif
%endmacro
%macro int_cases 3
        int_case %1, %2, %3, 0
        int_case %1, %2, %3, IF | DF | 0x8d5
        int_case %1, %2, %3, VIF | NT
        int_case %1, %2, %3, VIP | IF | AC
%endmacro
        int_cases 0, 0, 0
        int_cases 2, 0, 1
        int_cases 3, 0, 0
        int_cases 3, CR4_VME, 1
        int_cases 0, CR4_VME, 1
        int_cases 0, CR4_VME, 0
        int_cases 2, CR4_VME, 0
        int_cases 3, CR4_VME, 0

; INT3 and INTO look at neither IOPL nor the bitmap.
%macro breakpoint_cases 2       ; IOPL, CR4
        CASE    "int3 in virtual-8086 mode", vm86, %2 * need_vme
        with    flags, (%1) << 12
        with    cr4, %2
        CODE
        int3
.next:  RUN
        trap    BP, .next
        CASE    "into in virtual-8086 mode", vm86, %2 * need_vme
        with    flags, ((%1) << 12) | OF
        with    cr4, %2
        CODE
        into
.next:  RUN
        trap    OF, .next
%endmacro
        breakpoint_cases 0, 0
        breakpoint_cases 3, 0
        breakpoint_cases 0, CR4_VME
