; The same bytes in every mode and at every privilege: POPF, PUSHF and IRET change or show the flags that the manual's table for the
; mode says (SDM vol. 2B, "POPF/POPFD/POPFQ", "PUSHF/PUSHFD/PUSHFQ"; vol. 2A, "IRET/IRETD/IRETQ"; vol. 3B, "Virtual-8086 Mode
; Extensions" for VME).

%assign ARITHMETIC 0x8d5

; The table's column for this case: what the image may change (`may`), whether IF stands for VIF, whether the instruction is refused.
%macro find_column 3            ; size, IOPL, CR4
%assign refused 0
%assign virtual 0
%assign may ARITHMETIC | TF | DF | NT
%if %1 > 2
%assign may may | AC | ID
%endif
%if case_mode == m_vm86
 %if %2 == 3
  %assign may may | IF
 %elif (%3) != 0 && %1 == 2
  %assign virtual 1
 %else
  %assign refused 1
 %endif
%elif case_mode == m_real16 || case_mode == m_prot16 || case_mode == m_prot32 || case_mode == m_long64
 %assign may may | IF | IOPL3
%elif %2 == 3
 %assign may may | IF
%endif
%if case_mode == m_real16       ; AC cannot be seen from there
 %assign may may & ~AC
%endif
%endmacro

%macro begin_flags_case 7       ; instruction, mode, size, IOPL, CR4, flags before, image
%defstr %%mnemonic %1
%defstr %%size %3
%defstr %%iopl %4
%if (%5) & CR4_VME
 %define %%vme " VME"
%elif (%5) & CR4_PVI
 %define %%vme " PVI"
%else
 %define %%vme ""
%endif
        hex_of %6
%xdefine %%before hex_text
        hex_of %7
%xdefine %%image hex_text
%strcat %%name %%mnemonic, " ", %%size, " bytes, IOPL ", %%iopl, %%vme, ", flags ", %%before, ", image ", %%image
%if (%5) || ((%6) | (%7)) & (VIF | VIP)
        CASE    %%name, %2, need_vme
%else
        CASE    %%name, %2
%endif
        with    flags, ((%4) << 12) | (%6)
        with    cr4, %5
        find_column %3, %4, %5
%endmacro

%macro expect_image 2           ; image, flags before
%if refused || (virtual && (((%1) & TF) || (((%1) & IF) && ((%2) & VIP))))
        fault   GP
%elif virtual
        becomes may | VIF, ((%1) & may) | ((%1) & IF) * (VIF / IF)
%else
        becomes may, (%1) & may
%endif
%endmacro

%macro popf_case 6              ; mode, size, IOPL, CR4, flags before, image
        begin_flags_case popf, %1, %2, %3, %4, %5, %6
        memory  STACK, %2, %6
        CODE
%if %2 == 2
        popfw
%elif %2 == 4
        popfd
%else
        popfq
%endif
        RUN
%if refused == 0
        moves_sp %2
%endif
        expect_image %6, %5
%if refused || (virtual && (((%6) & TF) || (((%6) & IF) && ((%5) & VIP))))
        moves_sp 0
%endif
%endmacro

%macro iret_case 6
        begin_flags_case iret, %1, %2, %3, %4, %5, %6
%if %2 == 2 && case_bits == 32  ; a segment in which IP is enough
        desc    T0, EXEC, 0xffff, A_CODE32 & 0x7fff | dpl(cs_of_case & 3)
        memory  STACK, 2, exec_offset + .to - .code
        memory  STACK + 2, 2, T0 | (cs_of_case & 3)
%else
        memory  STACK, %2, off(.to)
        memory  STACK + %2, %2, cs_of_case
%endif
        memory  STACK + 2 * %2, %2, %6
%if case_bits == 64
        memory  STACK + 3 * %2, %2, STACK + 64
        memory  STACK + 4 * %2, %2, ss_of_case
%endif
        CODE
%if %2 == 2
        iretw
%elif %2 == 4
        iretd
%else
        iretq
%endif
        nop
.to:    RUN
%if %2 == 2 && case_bits == 32
        expect  cs, T0 | (cs_of_case & 3)
%endif
%if case_bits == 64
        expect  rsp, STACK + 64
%else
        moves_sp 3 * %2
%endif
%if (case_mode == m_prot32 || case_mode == m_prot16 || case_mode == m_long64) && %2 > 2
 %assign may may | VIF | VIP
%endif
        expect_image %6, %5
%if refused || (virtual && (((%6) & TF) || (((%6) & IF) && ((%5) & VIP))))
        moves_sp 0
%endif
%endmacro

%macro pushf_case 5             ; mode, size, IOPL, CR4, flags
        begin_flags_case pushf, %1, %2, %3, %4, %5, 0
        CODE
%if %2 == 2
        pushfw
%elif %2 == 4
        pushfd
%else
        pushfq
%endif
        RUN
%if refused
        fault   GP
%else
        moves_sp -%2
%assign %%value 2 | ((%3) << 12) | (%5)
%if virtual
 %assign %%value (%%value & ~IF) | IOPL3 | ((%5) & VIF) / (VIF / IF)
%endif
%if %2 == 2
 %assign %%value %%value & 0xffff
%endif
        is_memory STACK - %2, %2, %%value
%endif
%endmacro

; A row: mode, IOPL, CR4, flags before. Every image goes through it, with every size.
%macro flags_rows 4
%if b_%1 == 64
 %define %%wide 8
%else
 %define %%wide 4
%endif
        pushf_case %1, 2, %2, %3, %4
        pushf_case %1, %%wide, %2, %3, %4
%assign %%small 0x0000
%rep 6
        popf_case %1, 2, %2, %3, %4, %%small
        popf_case %1, %%wide, %2, %3, %4, %%small
        popf_case %1, %%wide, %2, %3, %4, %%small | 0x3f0000
        iret_case %1, %%wide, %2, %3, %4 & ~NT, %%small
        iret_case %1, %%wide, %2, %3, %4 & ~NT, %%small | RF | AC | ID
        iret_case %1, %%wide, %2, %3, %4 & ~NT, %%small | RF | VIF | ID
        iret_case %1, %%wide, %2, %3, %4 & ~NT, %%small | AC | VIP
 %if %%wide == 4
        iret_case %1, 2, %2, %3, %4 & ~NT, %%small
 %else
        iret_case %1, 4, %2, %3, %4 & ~NT, %%small | AC
 %endif
%if %%small == 0x0000
 %assign %%small 0x7fd7
%elif %%small == 0x7fd7
 %assign %%small 0x0200
%elif %%small == 0x0200
 %assign %%small 0x3002
%elif %%small == 0x3002
 %assign %%small 0x0146
%else
 %assign %%small 0x4c93
%endif
%endrep
%endmacro

%assign SOME    ID | AC | NT | DF | IF | 0x8d5
        flags_rows real16, 0, 0, 0
        flags_rows real16, 3, 0, IF | DF | 0x8d5
        flags_rows prot16, 0, 0, 0
        flags_rows prot16, 3, 0, SOME
        flags_rows prot32, 0, 0, 0
        flags_rows prot32, 2, 0, SOME
        flags_rows long64, 0, 0, 0
        flags_rows long64, 3, 0, SOME
        flags_rows user16, 0, 0, 0
        flags_rows user16, 2, 0, SOME
        flags_rows user16, 3, 0, 0
        flags_rows user32, 0, 0, 0
        flags_rows user32, 0, 0, SOME
        flags_rows user32, 2, CR4_PVI, SOME
        flags_rows user32, 0, CR4_PVI, VIF
        flags_rows user32, 3, 0, 0
        flags_rows user32, 3, 0, SOME
        flags_rows user64, 0, 0, 0
        flags_rows user64, 1, 0, SOME
        flags_rows user64, 3, 0, SOME
        flags_rows comp32, 0, 0, SOME
        flags_rows comp16, 3, 0, 0
        flags_rows vm86, 0, 0, 0
        flags_rows vm86, 2, 0, SOME
        flags_rows vm86, 3, 0, 0
        flags_rows vm86, 3, 0, SOME
        flags_rows vm86, 3, CR4_VME, SOME
        flags_rows vm86, 0, CR4_VME, 0
        flags_rows vm86, 0, CR4_VME, SOME | VIF
        flags_rows vm86, 2, CR4_VME, VIP
