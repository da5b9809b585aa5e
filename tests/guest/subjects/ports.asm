; Who may use which port: IOPL, and the I/O permission bitmap of the task (SDM vol. 1, "Protected-Mode I/O"; vol. 2A, "IN").
; Ports 80h to 87h, latches without effect.

PORT    equ     0x80
; A port's access: 1, 2 or 4 bytes, by DX.
%macro PORTS 4                  ; mode, name, IOPL, 1 if allowed
        CASE    %2, %1
        with    flags, (%3) << 12
        given   rdx, PORT
        given   rdi, D(0x100)
        given   rsi, D(0x100)
        given   rcx, 1
%assign port_allowed %4
%endmacro
%macro END_PORTS 1               ; {instruction}
        CODE
        nop
.port:  %1
        nop
        RUN
%if port_allowed
        ignore  rax, rcx, rsi, rdi
%else
        fault   GP, 0, .port
%endif
%endmacro
%macro port_access 5
        PORTS   %1, %2, %4, %5
        END_PORTS {%3}
%endmacro

; With a bitmap: the bits (1: refused) from port 80h on.
%macro bitmap_case 6            ; mode, name, {instruction}, bits, IOPL, 1 if allowed
        PORTS   %1, %2, %5, %6
%if case_mode < m_long64
        memory  TSS_IOMAP + PORT / 8, 2, %4
%else
        desc    T2, TSS_64, TSS_LIMIT, 0x0089
        given   tr, T2
        memory  TSS_64 + 0x66, 2, TSS_IOMAP - TSS_MAIN
        fill    TSS_64 + TSS_IOMAP - TSS_MAIN, 0x81, 0xff
        memory  TSS_64 + (TSS_IOMAP - TSS_MAIN) + PORT / 8, 2, %4
%endif
        END_PORTS {%3}
%endmacro

%macro bitmap_cases 1
        bitmap_case %1, "port of a clear bit", {in al, dx}, 0xfffe, 0, 1
        bitmap_case %1, "port of a set bit", {in al, dx}, 0x0001, 0, 0
        bitmap_case %1, "port of a clear bit by an immediate", {in al, PORT}, 0xfffe, 0, 1
        bitmap_case %1, "port of a set bit by an immediate", {out PORT, al}, 0x0001, 0, 0
        bitmap_case %1, "word port of two clear bits", {in ax, dx}, 0xfffc, 0, 1
        bitmap_case %1, "word port whose second bit is set", {in ax, dx}, 0x0002, 0, 0
        bitmap_case %1, "dword port of four clear bits", {out dx, eax}, 0xfff0, 0, 1
        bitmap_case %1, "dword port whose last bit is set", {in eax, dx}, 0x0008, 0, 0
        bitmap_case %1, "word port over the end of a byte of the bitmap", {in ax, PORT + 7}, 0xfe7f, 0, 1
        bitmap_case %1, "word port whose second bit is in the next byte", {in ax, PORT + 7}, 0x0100, 0, 0
        bitmap_case %1, "dword port over the end of a byte", {in eax, PORT + 5}, 0x0080, 0, 0
        bitmap_case %1, "outsb to a set bit", outsb, 0x0001, 0, 0
        bitmap_case %1, "outsb to a clear bit", outsb, 0xfffe, 0, 1
        bitmap_case %1, "insb from a set bit", insb, 0x0001, 0, 0
        bitmap_case %1, "rep insw from a clear bit", {rep insw}, 0xfffc, 0, 1
%endmacro
        bitmap_cases user16
        bitmap_cases user32
        bitmap_cases user64
        bitmap_cases comp32
        bitmap_cases vm86
        bitmap_case user32, "IOPL 3 does not look at the bitmap", {in al, dx}, 0xffff, 3, 1
        bitmap_case user64, "IOPL 3 does not look at the bitmap", {out dx, al}, 0xffff, 3, 1
        bitmap_case user32, "IOPL 2 in ring 3", {in al, dx}, 0xffff, 2, 0
        bitmap_case vm86, "virtual-8086 mode looks at the bitmap whatever IOPL", {in al, dx}, 0xffff, 3, 0
        bitmap_case vm86, "virtual-8086 mode with IOPL 3 and a clear bit", {in al, dx}, 0xfffe, 3, 1
        port_access real16, "in in real mode", {in al, dx}, 0, 1
        port_access prot32, "in in ring 0", {in eax, dx}, 0, 1
        port_access long64, "outsb in ring 0", outsb, 0, 1

; The level against IOPL, in rings between.
%macro ring_case 3              ; IOPL, ring's selector pair, 1 if allowed
%defstr %%iopl %1
%strcat %%name "in in ring ", %2, ", IOPL ", %%iopl
        PORTS   user32, %%name, %1, %3
 %if %2 == '1'
        given   cs, CS1
        given   ss, DS1
        given   ds, DS1
        given   es, DS1
        given   fs, DS1
        given   gs, DS1
 %else
        given   cs, CS2
        given   ss, DS2
        given   ds, DS2
        given   es, DS2
        given   fs, DS2
        given   gs, DS2
 %endif
        END_PORTS {in al, dx}
%endmacro
        ring_case 0, '1', 0
        ring_case 1, '1', 1
        ring_case 1, '2', 0
        ring_case 2, '2', 1

; The bitmap's place.
%macro map_base_case 5          ; name, base, limit, {instruction}, 1 if allowed
        PORTS   user32, %1, 0, %5
        fill    TSS_IOMAP, 0x80, 0
        memory  TSS_MAIN + 0x66, 2, %2
        desc    T2, TSS_MAIN, %3, 0x0089
        given   tr, T2
        END_PORTS {%4}
%endmacro
%define MAP (TSS_IOMAP - TSS_MAIN)
        map_base_case "bitmap at the TSS's limit", MAP, MAP, {in al, dx}, 0
        map_base_case "bitmap ends before the port", MAP, MAP + PORT / 8 - 1, {in al, dx}, 0
        map_base_case "bitmap ends with the port's byte", MAP, MAP + PORT / 8, {in al, dx}, 0
        map_base_case "bitmap ends with the byte behind the port's", MAP, MAP + PORT / 8 + 1, {in al, dx}, 1
        map_base_case "no bitmap", 0xffff, TSS_LIMIT, {in al, dx}, 0
        map_base_case "bitmap inside of the TSS's other fields", 0x58, TSS_LIMIT, {in al, dx}, 1
        PORTS   user32, "a 16-bit TSS has no bitmap", 0, 0
        given   tr, SEL_TSS_TEST16
        memory  TSS_TEST16 + 2, 4, 0x9000 | KDS << 16   ; its stack of ring 0
        END_PORTS {in al, dx}
        PORTS   user32, "a port beyond the bitmap", 0, 0
        fill    TSS_IOMAP, 0x80, 0
        given   rdx, 0x400
        END_PORTS {in al, dx}

; The right to the port comes before the operand in memory.
        CASE    "outsb to a refused port from a page that is not there", user32
        paging  pg32
        page_entry 1, SCRATCH, P_P, 0
        given   esi, SCRATCH
        given   edx, PORT
        CODE
        outsb
        RUN
        fault   GP
        CASE    "insb from a refused port to a page that is not there", user32
        paging  pg32
        page_entry 1, SCRATCH, P_P, 0
        given   edi, SCRATCH
        given   edx, PORT
        CODE
        insb
        RUN
        fault   GP
        CASE    "insb to a page that is not there", prot32
        paging  pg32
        page_entry 1, SCRATCH, P_P, 0
        given   edi, SCRATCH
        given   edx, PORT
        CODE
        insb
        RUN
        page_fault SCRATCH, E_W
        CASE    "the bitmap is on a page that is not there", user32
        paging  pg32
        desc    T2, SCRATCH, 0x1fff, 0x0089
        given   tr, T2
        memory  SCRATCH + 4, 8, STACK_RING0 | KDS << 32
        memory  SCRATCH + 0x66, 2, 0xff0
        page_entry 1, SCRATCH + 0x1000, P_P, 0
        given   edx, PORT
        CODE
        in      al, dx
        RUN
        page_fault SCRATCH + 0x1000, 0          ; the processor's own access
