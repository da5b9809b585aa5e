; Instructions are 15 bytes at most; a longer one is #GP(0) (SDM vol. 3A, "Interrupt 13—General Protection Exception"). What cannot be
; fetched within the first 15 is reported instead.

%macro length_case 5            ; mode, name, how many prefixes, {instruction}, 1 if short enough
        CASE    %2, %1
        given   rbx, D(0x100)
        CODE
        nop
.long:  times   %3 db 0x3e
        %4
        nop
        RUN
%if %5
        ignore  rax, flags
%else
        fault   GP, 0, .long
%endif
%endmacro
%macro length_cases 1
        length_case %1, "nop of 15 bytes", 14, nop, 1
        length_case %1, "nop of 16 bytes", 15, nop, 0
        length_case %1, "nop of 40 bytes", 39, nop, 0
        length_case %1, "undefined instruction of 16 bytes", 14, ud2, 0
        length_case %1, "add of 15 bytes", 13, {add al, 1}, 1
        length_case %1, "add of 16 bytes", 14, {add al, 1}, 0
        length_case %1, "instruction whose immediate is too long", 11, {mov dword [0x1234], 0x12345678}, 0
        length_case %1, "unknown opcode behind too many prefixes", 14, {db 0x0f, 0xff}, 0
%if b_%1 == 64
        length_case %1, "prefixes and REX, 15 bytes", 13, {db 0x48, 0x90}, 1
        length_case %1, "prefixes and REX, 16 bytes", 14, {db 0x48, 0x90}, 0
%else
        length_case %1, "every kind of prefix, 15 bytes", 9, {db 0x66, 0x67, 0x26, 0xf3, 0x64, 0x90}, 1
        length_case %1, "every kind of prefix, 16 bytes", 10, {db 0x66, 0x67, 0x26, 0xf3, 0x64, 0x90}, 0
%endif
%endmacro
        length_cases real16
        length_cases vm86
        length_cases prot16
        length_cases prot32
        length_cases user32
        length_cases long64
        length_cases user64
        length_cases comp16
        length_cases comp32

; At the end of a page and of a segment.
%define PAGE_END (EXEC + 0x1000)
%macro fetch_case 5-6 0         ; name, bytes before the page's end, prefixes, vector, error code, where
        CASE    %1, user32
        paging  pg32
        page_entry 1, PAGE_END, P_P, 0
        fill    PAGE_END - 0x20, 0x20, 0x3e
        given   eax, PAGE_END - (%2)
%if %3 < %2
        memory  PAGE_END - (%2) + %3, 1, 0x90
        memory  PAGE_END - (%2) + %3 + 1, 2, 0x0b0f
%endif
        CODE
        jmp     eax
        RUN
        expect  vector, e_%4
        expect  error, %5
        expect  rip, PAGE_END - (%2) + %6
%ifidn %4, PF
        expect  cr2, PAGE_END
%endif
%endmacro
        fetch_case "15 bytes of prefixes to the page's end", 15, 15, GP, 0
        fetch_case "16 bytes of prefixes to the page's end", 16, 16, GP, 0
        fetch_case "14 bytes of prefixes to the page's end", 14, 14, PF, E_U
        fetch_case "one prefix to the page's end", 1, 1, PF, E_U
        fetch_case "instruction ends before the page's end", 5, 2, UD, 0, 3

%macro limit_case 4             ; name, bytes to the limit, prefixes that there are, 1 if the instruction is whole
        CASE    %1, prot32
        desc    T0, EXEC, 0x1ff, 0x409b
        given   eax, 0x200 - (%2)
        fill    EXEC + 0x1e0, 0x20, 0x3e
%if %3 < %2
        memory  EXEC + 0x200 - (%2) + %3, 1, 0x90
%endif
        CODE
        push    T0
        push    eax
        retf
        RUN
        expect  vector, e_GP
        expect  error, 0
        expect  cs, T0
%if %4
        expect  rip, EXEC + 0x200
%else
        expect  rip, EXEC + 0x200 - (%2)
%endif
%endmacro
        limit_case "prefixes up to the segment's limit", 4, 4, 0
        limit_case "15 prefixes up to the segment's limit", 15, 15, 0
        limit_case "20 prefixes up to the segment's limit", 20, 20, 0
        limit_case "an instruction up to the segment's limit", 4, 3, 1
