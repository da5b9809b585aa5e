; Accesses that lie in two pages, of which the second cannot be had: nothing has happened, and CR2 is the first address there (SDM
; vol. 3A, "Page-Fault Exceptions").

LAST    equ     DATA + 0x2ffe           ; two bytes before the end of a page
SECOND  equ     DATA + 0x3000           ; the page behind it

%macro crossing 3               ; mode, format, name
        PAGED   %1, %2, %3
        page_entry 1, SECOND, P_P, 0
        fill    LAST - 0x100, 0x102, 0xcc
%endmacro
; The register that holds the address.
%macro set_pointer 0
%if case_bits == 16
 %define pointer di
%elif case_bits == 32
 %define pointer edi
%else
 %define pointer rdi
%endif
%endmacro

%macro crossing_cases 2
        crossing %1, %2, "dword read over a page's end"
        set_pointer
        given   rdi, D(0x2ffe)
        CODE
        mov     eax, [pointer]
        RUN
        page_fault SECOND, user
        crossing %1, %2, "dword written over a page's end"
        given   rdi, D(0x2ffe)
        CODE
        mov     [pointer], eax
        RUN
        page_fault SECOND, user | E_W
        is_memory LAST, 2, 0xcccc
        crossing %1, %2, "dword added over a page's end"
        given   rdi, D(0x2ffe)
        CODE
        add     [pointer], eax
        RUN
        page_fault SECOND, user | E_W
        is_memory LAST, 2, 0xcccc
        crossing %1, %2, "dword exchanged over a page's end"
        given   rdi, D(0x2ffe)
        CODE
        xchg    [pointer], eax
        RUN
        page_fault SECOND, user | E_W
        is_memory LAST, 2, 0xcccc
        crossing %1, %2, "dword written over the end of a writable page"
        given   rdi, D(0x2ffe)
        with    cr0, CR0_WP
        page_entry 1, SECOND, P_W, P_P
        CODE
        mov     [pointer], eax
        RUN
        page_fault SECOND, user | E_W | E_P
        is_memory LAST, 2, 0xcccc
        crossing %1, %2, "both pages not present"
        given   rdi, D(0x2ffe)
        page_entry 1, LAST, P_P, 0
        CODE
        mov     [pointer], eax
        RUN
        page_fault LAST, user | E_W

; Repeated string instructions stop at the element that faults, with what has been done in the registers.
        crossing %1, %2, "rep stosb into a page that is not there"
        given   rdi, D(0x2ffe)
        given   rcx, 5
        CODE
        rep stosb
        RUN
        page_fault SECOND, user | E_W
        expect  rdi, D(0x3000)
        expect  rcx, 3
        is_memory LAST, 2, 0x1111
        crossing %1, %2, "rep stosd over a page's end"
        given   rdi, D(0x2ffa)
        given   rcx, 5
        CODE
        rep stosd
        RUN
        page_fault SECOND, user | E_W
        expect  rdi, D(0x2ffe)
        expect  rcx, 4
        is_memory LAST - 4, 4, 0x11111111
        is_memory LAST, 2, 0xcccc
        crossing %1, %2, "rep movsb from a page that is not there"
        given   rsi, D(0x2ffe)
        given   rdi, D(0x100)
        given   rcx, 0x10
        CODE
        rep movsb
        RUN
        page_fault SECOND, user
        expect  rsi, D(0x3000)
        expect  rdi, D(0x102)
        expect  rcx, 0xe
        is_memory DATA + 0x100, 4, 0xcccc
        crossing %1, %2, "rep movsw downwards into a page that is not there"
        page_entry 1, SECOND, 0, P_P
        page_entry 1, LAST, P_P, 0
        with    flags, DF
        given   rsi, D(0x500)
        given   rdi, D(0x3002)
        given   rcx, 0x10
        fill    DATA + 0x4f0, 0x20, 0x77
        CODE
        rep movsw
        RUN
        page_fault LAST, user | E_W
        expect  rsi, D(0x4fc)
        expect  rdi, D(0x2ffe)
        expect  rcx, 0xe
        is_memory SECOND, 4, 0x77777777
        crossing %1, %2, "repe cmpsb into a page that is not there"
        given   rsi, D(0x2ffe)
        given   rdi, D(0x100)
        given   rcx, 0x10
        fill    DATA + 0x100, 0x10, 0xcc
        CODE
        repe cmpsb
        RUN
        page_fault SECOND, user
        expect  rsi, D(0x3000)
        expect  rdi, D(0x102)
        expect  rcx, 0xe
        ignore  flags
        crossing %1, %2, "repne scasw over a page's end"
        given   rdi, D(0x2ffb)
        given   rcx, 0x10
        CODE
        repne scasw
        RUN
        page_fault SECOND, user
        expect  rdi, D(0x2fff)
        expect  rcx, 0xe
        ignore  flags
        crossing %1, %2, "rep lodsb from a page that is not there"
        given   rsi, D(0x2ffe)
        given   rcx, 4
        CODE
        rep lodsb
        RUN
        page_fault SECOND, user
        expect  rsi, D(0x3000)
        expect  rcx, 2
        ignore  rax

%endmacro
        crossing_cases prot32, pg32
        crossing_cases user32, pae
        crossing_cases vm86, pg32
        crossing_cases user64, pg64
        crossing_cases long64, pg64
        crossing_cases comp16, pg64
