; LAR, LSL, VERR and VERW on every descriptor type (SDM vol. 2A, "LAR", "LSL"; vol. 2B, "VERR/VERW"), and ARPL.

%macro bit_of 2                 ; set, bit: in `hit`
%assign hit ((%1) >> (%2)) & 1
%endmacro

; All four on one descriptor: its access byte, base and limit flags as in `desc`, RPL of the selector.
%macro inspect_case 3           ; mode, access byte, RPL
        hex_of %2
%xdefine %%access hex_text
%defstr %%rpl %3
%strcat %%name "lar lsl verr verw, access ", %%access, ", RPL ", %%rpl
        CASE    %%name, %1
%assign %%type (%2) & 15
%assign %%user (%2) & 0x10
%assign %%dpl ((%2) >> 5) & 3
%if cs_of_case & 3 > %3
 %assign %%level cs_of_case & 3
%else
 %assign %%level %3
%endif
%assign %%reached %%dpl >= %%level
%if %%user && (%%type & 12) == 12       ; conforming code
 %assign %%reached 1
%endif
%if case_mode >= m_long64
 %assign %%for_lar 0x1a04               ; LDT, TSS, busy TSS, call gate
 %assign %%for_lsl 0x0a04
%else
 %assign %%for_lar 0x1a3e               ; the same in 16 bits, and the task gate
 %assign %%for_lsl 0x0a0e
%endif
%if %%user
 %assign %%for_lar 0xffff
 %assign %%for_lsl 0xffff
%endif
%assign %%lar %%reached & (%%for_lar >> %%type) & 1
%assign %%lsl %%reached & (%%for_lsl >> %%type) & 1
%assign %%verr 0
%assign %%verw 0
%if %%user
 %if %%type & 8
  %assign %%verr %%reached & (%%type >> 1) & 1
 %else
  %assign %%verr %%reached
  %assign %%verw %%reached & (%%type >> 1) & 1
 %endif
%endif
        desc    T0, 0x12345678, 0xabcde, 0xd000 | (%2)
        given   ebx, T0 | %3
        CODE
        lar     eax, ebx
        setz    [D(0)]
        lsl     ecx, ebx
        setz    [D(1)]
        lar     dx, bx
        lsl     bp, bx
        verr    bx
        setz    [D(2)]
        verw    bx
        setz    [D(3)]
        stc
        RUN
        is_memory DATA, 4, %%lar | %%lsl << 8 | %%verr << 16 | %%verw << 24
%if case_bits == 64
 %define %%wide 0x11000011
%endif
%if %%lar
        expect  eax, 0x00d00000 | (%2) << 8, 0xfffffffffff0ffff
        expect  edx, ((%2) << 8) | (wide_rest(2) << 32) | 0x33330000
%endif
%if %%lsl
        expect  ecx, 0xabcdefff
        expect  ebp, 0xefff | (wide_rest(5) << 32) | 0x66660000
%endif
        becomes CF | ZF, CF | %%verw * ZF
%endmacro
%define wide_rest(n) ((case_bits == 64) * (0x11000011 + (n) * 0x101000))

%macro inspect_cases 1          ; mode
%assign %%n 0
%rep 32
        inspect_case %1, 0x80 | %%n, 0
        inspect_case %1, 0xe0 | %%n, 0
        inspect_case %1, 0xe0 | %%n, 3
        inspect_case %1, 0x40 | %%n, 2          ; whether it is present does not matter
%assign %%n %%n + 1
%endrep
%endmacro
        inspect_cases prot32
        inspect_cases user32
        inspect_cases long64
        inspect_cases user64
        inspect_cases comp32

; Selectors that name nothing.
%macro no_selector_case 3       ; mode, name, selector
        CASE    %2, %1
        given   ebx, %3
        with    flags, ZF
        CODE
        lar     eax, ebx
        setz    [D(0)]
        lsl     ecx, ebx
        setz    [D(1)]
        verr    bx
        setz    [D(2)]
        verw    bx
        setz    [D(3)]
        RUN
        is_memory DATA, 4, 0
        becomes ZF, 0
%endmacro
%macro no_selector_cases 1
        no_selector_case %1, "lar and others on a null selector", 0
        no_selector_case %1, "lar and others on null with RPL 3", 3
        no_selector_case %1, "lar and others beyond the GDT", GDT_SIZE
        no_selector_case %1, "lar and others without LDT", T0 | 4
%endmacro
        no_selector_cases prot16
        no_selector_cases prot32
        no_selector_cases user32
        no_selector_cases long64
        no_selector_cases user64

        CASE    "lar and others in the LDT", prot32
        given   ldtr, SEL_LDT
        desc    0x7c, 0, 0xfffff, A_DATA32, LDT
        given   ebx, 0x7c
        CODE
        lar     eax, ebx
        lsl     ecx, ebx
        verw    bx
        RUN
        expect  eax, 0x00c09300, 0xfff0ffff
        expect  ecx, 0xffffffff
        becomes ZF, ZF

        CASE    "lar and others beyond the LDT", prot32
        given   ldtr, SEL_LDT
        given   ebx, 0x84
        with    flags, ZF
        CODE
        lar     eax, ebx
        lsl     ecx, ebx
        RUN
        becomes ZF, 0

        CASE    "lar and lsl of a 16-byte descriptor cut off by the GDT's limit", long64
        desc    GDT_SIZE - 8, 0, 0x67, 0x0089
        given   ebx, GDT_SIZE - 8
        with    flags, ZF
        CODE
        lar     eax, ebx
        setz    [D(0)]
        lsl     ecx, ebx
        RUN
        becomes ZF, 0

%macro unknown_8086 2           ; mode, instruction
%defstr %%text %2
%strcat %%name %%text, " outside of protected mode"
        CASE    %%name, %1
        given   ebx, KDS
        CODE
        %2
        nop
        RUN
        trap    UD
%endmacro
%macro unknown_cases 1
        unknown_8086 %1, {lar eax, ebx}
        unknown_8086 %1, {lsl eax, ebx}
        unknown_8086 %1, {verr bx}
        unknown_8086 %1, {verw bx}
        unknown_8086 %1, {arpl ax, bx}
        unknown_8086 %1, {lldt bx}
        unknown_8086 %1, {ltr bx}
        unknown_8086 %1, {sldt [0]}
        unknown_8086 %1, {str ax}
%endmacro
        unknown_cases real16
        unknown_cases vm86

; ARPL raises a selector's RPL to another's (SDM vol. 2A, "ARPL").
%macro arpl_case 3              ; mode, destination, source
        hex_of %2
%xdefine %%to hex_text
        hex_of %3
%strcat %%name "arpl ", %%to, " by ", hex_text
        CASE    %%name, %1
        given   eax, 0xabcd0000 | %2
        given   ecx, %3
        memory  DATA + 2, 4, 0xabcd0000 | %2
        with    flags, CF | OF
        CODE
        arpl    [D(2)], cx
        arpl    ax, cx
        RUN
%if ((%2) & 3) < ((%3) & 3)
        expect  eax, 0xabcd0000 | ((%2) & 0xfffc) | ((%3) & 3)
        is_memory DATA + 2, 4, 0xabcd0000 | ((%2) & 0xfffc) | ((%3) & 3)
        becomes ZF, ZF
%else
        becomes ZF, 0
        is_memory DATA + 2, 4, 0xabcd0000 | (%2)
%endif
%endmacro
%macro arpl_cases 1
        arpl_case %1, 0x1230, 0x1233
        arpl_case %1, 0x1231, 0xfff2
        arpl_case %1, 0x1232, 0x0001
        arpl_case %1, 0x1233, 0xffff
%endmacro
        arpl_cases prot16
        arpl_cases user16
        arpl_cases prot32
        arpl_cases user32
        arpl_cases comp32

        CASE    "arpl that changes nothing in read-only memory", prot32
        desc    T0, 0, 0xfffff, 0xc091
        given   ds, T0
        memory  DATA, 2, 0x13
        given   ecx, 1
        with    flags, ZF
        CODE
        arpl    [DATA], cx
        RUN
        becomes ZF, 0                   ; nothing is written, and nothing is refused: Golden Cove
        CASE    "arpl that changes read-only memory", prot32
        desc    T0, 0, 0xfffff, 0xc091
        given   ds, T0
        memory  DATA, 2, 0x10
        given   ecx, 1
        CODE
        arpl    [DATA], cx
        RUN
        fault   GP
