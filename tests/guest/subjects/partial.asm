; Instructions with many accesses of which a later one faults: registers, the stack pointer first of all, are as before, and CR2 is the
; first address that could not be had (SDM vol. 3A, "Interrupt 14—Page-Fault Exception"). What has been stored may stay; where the
; processor checks all before it stores, nothing is.

PARTIAL_PAGE    equ     DATA + 0x3000           ; not there
PARTIAL_STACK   equ     DATA + 0x4000           ; stacks begin in the page above it

%macro PARTIAL 2-3 0            ; mode, name, features
        CASE    %2, %1, %3
%if case_mode < m_long64
        paging  pg32
%endif
        page_entry 1, PARTIAL_PAGE, P_P, 0
%assign user 0
%if case_mode == m_vm86 || (cs_of_case & 3)
 %assign user E_U
%endif
%endmacro

%macro partial_cases 1
; ---- pushes downwards: the page below the stack's is not there
        PARTIAL %1, "pusha into a page that is not there"
        given   rsp, D(0x4000) + 8
        CODE
        pushaw
        RUN
        page_fault PARTIAL_STACK - 2, user | E_W
        PARTIAL %1, "pushad into a page that is not there"
        given   rsp, D(0x4000) + 8
        CODE
        pushad
        RUN
        page_fault PARTIAL_STACK - 4, user | E_W
        PARTIAL %1, "pushad over a page's end"
        given   rsp, D(0x4000) + 6
        CODE
        pushad
        RUN
        page_fault PARTIAL_STACK - 2, user | E_W
        PARTIAL %1, "popad out of a page that is not there"
        given   rsp, D(0x3000) - 16
        CODE
        popad
        RUN
        page_fault PARTIAL_PAGE, user
        PARTIAL %1, "popa out of a page that is not there"
        given   rsp, D(0x3000) - 2
        CODE
        popaw
        RUN
        page_fault PARTIAL_PAGE, user
        PARTIAL %1, "les from two pages"
        given   rbx, D(0x3000) - 2
        memory  PARTIAL_PAGE - 2, 2, 0x1234
        CODE
 %if b_%1 == 16
        les     di, [bx]
 %else
        les     edi, [ebx - 2]
 %endif
        RUN
        page_fault PARTIAL_PAGE, user
        PARTIAL %1, "bound with limits in two pages"
        given   rdi, 1
        given   rbx, D(0x3000) - 2
        CODE
 %if b_%1 == 16
        bound   di, [bx]
 %else
        bound   edi, [ebx - 2]
 %endif
        RUN
        page_fault PARTIAL_PAGE, user
%endmacro
        partial_cases user32
        partial_cases vm86

%macro partial_cases_everywhere 1
%if b_%1 == 64
 %define %%bx rbx
 %assign %%size 8
%elif b_%1 == 32
 %define %%bx ebx
 %assign %%size 4
%else
 %define %%bx bx
 %assign %%size 2
%endif
        PARTIAL %1, "enter of level 0 into a page that is not there"
        given   rsp, D(0x4000)
        CODE
        enter   8, 0
        RUN
        page_fault PARTIAL_STACK - %%size, user | E_W
        PARTIAL %1, "enter of level 0 whose frame is on the page, but not what it reserves"
        given   rsp, D(0x4000) + %%size
        CODE
        enter   0x20, 0
        RUN
        page_fault PARTIAL_STACK - 0x20, user | E_W
        PARTIAL %1, "enter of level 3 into a page that is not there"
        given   rsp, D(0x4000) + 2 * %%size
        given   rbp, D(0x6000)
        CODE
        enter   8, 3
        RUN
        page_fault PARTIAL_STACK - %%size, user | E_W
        PARTIAL %1, "enter of level 3 from a frame that is not there"
        given   rsp, D(0x6000)
        given   rbp, D(0x4000) + %%size
        CODE
        enter   8, 3
        RUN
        page_fault PARTIAL_STACK - %%size, user
        PARTIAL %1, "leave from a frame that is not there"
        given   rbp, D(0x3000)
        CODE
        leave
        RUN
        page_fault PARTIAL_PAGE, user
        PARTIAL %1, "leave over a page's end"
        given   rbp, D(0x3000) - 1
        CODE
        leave
        RUN
        page_fault PARTIAL_PAGE, user
        PARTIAL %1, "call with a stack that is not there"
        given   rsp, D(0x4000)
        CODE
        call    .done
        RUN
        page_fault PARTIAL_STACK - %%size, user | E_W
        PARTIAL %1, "call through memory that is not there"
        given   rbx, D(0x3000) - 1
        CODE
        call    [%%bx]
        RUN
        page_fault PARTIAL_PAGE, user
        PARTIAL %1, "call over a page's end"
        given   rsp, D(0x4000) + 1
        CODE
        call    .done
        RUN
        page_fault PARTIAL_STACK + 1 - %%size, user | E_W
        PARTIAL %1, "push of memory to a stack that is not there"
        given   rsp, D(0x4000)
        given   rbx, D(0x100)
        CODE
 %if b_%1 == 64
        push    qword [rbx]
 %elif b_%1 == 32
        push    dword [ebx]
 %else
        push    word [bx]
 %endif
        RUN
        page_fault PARTIAL_STACK - %%size, user | E_W
        PARTIAL %1, "pop to memory that is not there"
        given   rbx, D(0x3000)
        CODE
 %if b_%1 == 64
        pop     qword [rbx]
 %elif b_%1 == 32
        pop     dword [ebx]
 %else
        pop     word [bx]
 %endif
        RUN
        page_fault PARTIAL_PAGE, user | E_W
        PARTIAL %1, "ret from a stack that is not there"
        given   rsp, D(0x3000)
        CODE
        ret
        RUN
        page_fault PARTIAL_PAGE, user
        PARTIAL %1, "far return whose selector is on a page that is not there"
        given   rsp, D(0x3000) - %%size
        CODE
 %if b_%1 == 64
        o64 retf
 %else
        retf
 %endif
        RUN
        page_fault PARTIAL_PAGE, user
        PARTIAL %1, "fxsave of which the end is on a page that is not there", need_sse
        given   rbx, D(0x3000) - 0x100
        fill    PARTIAL_PAGE - 0x100, 0x100, 0x55
        CODE
        fxsave  [%%bx]
        RUN
        page_fault PARTIAL_PAGE, user | E_W
        PARTIAL %1, "fxrstor of which the end is on a page that is not there", need_sse
        given   rbx, D(0x3000) - 0x100
        fill    PARTIAL_PAGE - 0x100, 0x100, 0
        CODE
        fxrstor [%%bx]
        RUN
        page_fault PARTIAL_PAGE, user
        PARTIAL %1, "fnsave of which the end is on a page that is not there"
        given   rbx, D(0x3000) - 0x20
        CODE
        fnsave  [%%bx]
        RUN
        page_fault PARTIAL_PAGE, user | E_W
        ignore  cr2                     ; the first byte there, or the last that is wanted
        PARTIAL %1, "frstor of which the end is on a page that is not there"
        given   rbx, D(0x3000) - 0x20
        CODE
        frstor  [%%bx]
        RUN
        page_fault PARTIAL_PAGE, user
        ignore  cr2                     ; the first byte there, or the last that is wanted
        PARTIAL %1, "fldenv of which the end is on a page that is not there"
        given   rbx, D(0x3000) - 8
        CODE
        fldenv  [%%bx]
        RUN
        page_fault PARTIAL_PAGE, user
        ignore  cr2                     ; the first byte there, or the last that is wanted
        PARTIAL %1, "fstp tbyte over a page's end"
        given   rbx, D(0x3000) - 8
        fill    PARTIAL_PAGE - 8, 8, 0x55
        CODE
        fld1
        fstp    tword [%%bx]
        RUN
        page_fault PARTIAL_PAGE, user | E_W, .code + 2
        PARTIAL %1, "fbstp over a page's end"
        given   rbx, D(0x3000) - 8
        CODE
        fld1
        fbstp   [%%bx]
        RUN
        page_fault PARTIAL_PAGE, user | E_W, .code + 2
        PARTIAL %1, "cmpxchg8b over a page's end", need_cx8
        given   rbx, D(0x3000) - 4
        given   rax, 0
        given   rdx, 0
        CODE
        cmpxchg8b [%%bx]
        RUN
        page_fault PARTIAL_PAGE, user | E_W
        is_memory PARTIAL_PAGE - 4, 4, 0
        PARTIAL %1, "rep movsb that begins in a page and ends in one that is not there"
        given   rsi, D(0x100)
        given   rdi, D(0x3000) - 3
        given   rcx, 10
        CODE
        rep movsb
        RUN
        page_fault PARTIAL_PAGE, user | E_W
        expect  rcx, 7
        expect  rsi, D(0x103)
        expect  rdi, D(0x3000)
%endmacro
        partial_cases_everywhere comp32
        partial_cases_everywhere user32
        partial_cases_everywhere vm86
        partial_cases_everywhere user64
        partial_cases_everywhere long64

; ---- transfers
        PARTIAL user32, "far call with a stack over a page's end"
        given   esp, PARTIAL_STACK + 4
        call_gate T1, UCS32, off(.done), 0xec
        CODE
        call    UCS32:EXEC + 0x100 + .done - .code
        RUN
        page_fault PARTIAL_STACK - 4, E_U | E_W
        PARTIAL user32, "call through a gate to an inner stack that is not there"
        call_gate T1, CS1, off(.done), 0xec
        memory  TSS_MAIN + 12, 4, PARTIAL_STACK + 8
        CODE
        call    T1 | 3:0
        RUN
        page_fault PARTIAL_STACK - 4, E_W
        PARTIAL user32, "call through a gate whose parameters are not there"
        call_gate T1, CS1, off(.done), 0xec, 4
        given   esp, PARTIAL_PAGE - 8
        CODE
        call    T1 | 3:0
        RUN
        fault   PF
        ignore  cr2, error                      ; the first parameter there or the last; by which right is nowhere said
        PARTIAL user32, "far return to an outer level whose stack pointer is not there"
        given   cs, CS2
        given   ss, DS2
        given   ds, DS2
        given   es, DS2
        given   fs, DS2
        given   gs, DS2
        given   esp, PARTIAL_PAGE - 8
        memory  PARTIAL_PAGE - 8, 8, off(.done) | UCS32 << 32
        CODE
        retf
        RUN
        page_fault PARTIAL_PAGE, 0
        PARTIAL user64, "iret whose frame ends on a page that is not there"
        given   rsp, PARTIAL_PAGE - 24
        memory  PARTIAL_PAGE - 24, 8, off(.done)
        memory  PARTIAL_PAGE - 16, 8, UCS64
        memory  PARTIAL_PAGE - 8, 8, 2
        CODE
        iretq
        RUN
        page_fault PARTIAL_PAGE, E_U
        PARTIAL user32, "int n to a handler whose stack ends in a page that is not there"
        int_gate 0x50, CS1, off(.done), 0xee
        memory  TSS_MAIN + 12, 4, PARTIAL_STACK + 8
        CODE
        int     0x50
        RUN
        page_fault PARTIAL_STACK - 4, E_W
        PARTIAL user32, "sgdt over a page's end"
        given   ebx, PARTIAL_PAGE - 4
        CODE
        sgdt    [ebx]
        RUN
        page_fault PARTIAL_PAGE, E_U | E_W
        PARTIAL prot32, "lgdt over a page's end"
        given   ebx, PARTIAL_PAGE - 4
        CODE
        lgdt    [ebx]
        RUN
        page_fault PARTIAL_PAGE, 0
