; Far jumps, calls and returns: every descriptor type and privilege, and call gates (SDM vol. 2A, "CALL", "JMP", "IRET", "RET",
; Operation; vol. 3A, "Privilege Level Checking When Transferring Program Control Between Code Segments").

; `wrong` is 0 or the vector for a direct far JMP or CALL to a segment with this access byte.
%macro judge_code 3             ; access byte, CPL, RPL
%assign wrong 0
%assign %%dpl ((%1) >> 5) & 3
%if ((%1) & 0x18) != 0x18
 %assign wrong e_GP
%elif (%1) & 4
 %if %%dpl > %2
  %assign wrong e_GP
 %endif
%elif %3 > %2 || %%dpl != %2
 %assign wrong e_GP
%endif
%if wrong == 0 && ((%1) & 0x80) == 0
 %assign wrong e_NP
%endif
%endmacro
; And for a far RET or IRET to it.
%macro judge_return 3
%assign wrong 0
%assign %%dpl ((%1) >> 5) & 3
%if ((%1) & 0x18) != 0x18 || %3 < %2
 %assign wrong e_GP
%elif (%1) & 4
 %if %%dpl > %3
  %assign wrong e_GP
 %endif
%elif %%dpl != %3
 %assign wrong e_GP
%endif
%if wrong == 0 && ((%1) & 0x80) == 0
 %assign wrong e_NP
%endif
%endmacro

%macro code_desc 2              ; selector, access byte: code as the mode has it, or data
%if case_bits == 64
        desc    %1, 0, 0xfffff, 0xa000 | (%2)
%else
        desc    %1, 0, 0xfffff, 0xc000 | (%2)
%endif
%endmacro

%macro far_case 4               ; mode, instruction (jmp, call), access byte, RPL
        hex_of %3
%defstr %%what %2
%defstr %%rpl %4
%strcat %%name "far ", %%what, ", access ", hex_text, ", RPL ", %%rpl
        CASE    %%name, %1
        code_desc T0, %3
        memory  DATA, 8, off(.to) | (T0 | %4) << 32
        CODE
        %2      far dword [DATA]
.next:  nop
.to:    RUN
        judge_code %3, (cs_of_case & 3), %4
%if wrong
        expect  vector, wrong
        expect  error, T0
        stopped_at .code
        is_memory GDT + T0 + 5, 1, %3
%else
        expect  cs, T0 | (cs_of_case & 3)
        is_memory GDT + T0 + 5, 1, (%3) | 1
 %ifidn %2, call
        moves_sp -8
        is_memory STACK - 4, 4, cs_of_case
        is_memory STACK - 8, 4, off(.next)
 %endif
%endif
%endmacro

; Stacks of the levels.
%assign stack_level_0 KDS
%assign stack_level_1 DS1
%assign stack_level_2 DS2
%assign stack_level_3 UDS

%macro ret_case 4               ; mode, instruction (retf, iretd), access byte, RPL
        hex_of %3
%defstr %%what %2
%defstr %%rpl %4
%strcat %%name %%what, ", access ", hex_text, ", RPL ", %%rpl
        CASE    %%name, %1
        code_desc T0, %3
%if case_mode == m_long64
        page_entry 1, EXEC, 0, P_U
        page_entry 1, STACK, 0, P_U
%endif
        memory  STACK, 4, off(.to)
        memory  STACK + 4, 4, T0 | %4
%ifidn %2, iretd
        memory  STACK + 8, 4, 0x8d7
 %assign %%end STACK + 12
 %assign %%with_stack case_bits == 64
%else
 %assign %%end STACK + 8
 %assign %%with_stack 0
%endif
        memory  %%end, 4, STACK + 0x100
        memory  %%end + 4, 4, stack_level_ %+ %4
        CODE
        %2
        nop
.to:    RUN
        judge_return %3, (cs_of_case & 3), %4
%if wrong
        expect  vector, wrong
        expect  error, T0
        stopped_at .code
%else
        expect  cs, T0 | %4
 %ifidn %2, iretd
        becomes 0x8d5, 0x8d5
 %endif
 %if %4 != (cs_of_case & 3)
        expect  rsp, STACK + 0x100
        expect  ss, stack_level_ %+ %4
        expect  ds, 0
        expect  es, 0
        expect  fs, 0
        expect  gs, 0
 %elif %%with_stack
        expect  rsp, STACK + 0x100
 %else
        expect  rsp, %%end
 %endif
%endif
%endmacro

%macro far_cases 1
%assign %%n 0
%rep 32
 %if %%n & 0x10 || (0xe5c5 >> %%n) & 1  ; no gates and no tasks
        far_case %1, jmp, 0x80 | %%n, 0
        far_case %1, jmp, 0x80 | %%n, 3
        far_case %1, jmp, 0xe0 | %%n, 3
        far_case %1, jmp, 0x00 | %%n, 0
        far_case %1, call, 0x80 | %%n, 0
        far_case %1, call, 0xe0 | %%n, 0
        far_case %1, call, 0x60 | %%n, 3
 %endif
        ret_case %1, retf, 0x80 | %%n, 0
        ret_case %1, retf, 0xe0 | %%n, 3
        ret_case %1, retf, 0xa0 | %%n, 3
        ret_case %1, retf, 0x60 | %%n, 3
        ret_case %1, iretd, 0x80 | %%n, 0
        ret_case %1, iretd, 0xe0 | %%n, 3
        ret_case %1, iretd, 0xa0 | %%n, 1
        ret_case %1, iretd, 0x00 | %%n, 0
%assign %%n %%n + 1
%endrep
%endmacro
        far_cases prot32
        far_cases user32
        far_cases long64
        far_cases user64
