; Breakpoints by DR0 to DR7 on every kind of instruction (SDM vol. 3B, "Debug Registers", "Debug Exceptions"): those on instructions are
; faults before it, those on data and ports traps behind it.

; DR7 for breakpoint n: enabled by Ln, kind (0 execute, 1 write, 2 port, 3 access), length (0: 1, 1: 2, 2: 8, 3: 4 bytes).
%define ENABLE(n, kind, length) (1 << 2 * (n) | (kind) << (16 + 4 * (n)) | (length) << (18 + 4 * (n)))
%define on_execute(n)   ENABLE(n, 0, 0)
%define on_write(n, l)  ENABLE(n, 1, l)
%define on_access(n, l) ENABLE(n, 3, l)
LEN1    equ     0
LEN2    equ     1
LEN8    equ     2
LEN4    equ     3

; ---- instructions: a fault before the second one, with RF in the pushed flags; the handler's IRET brings RF back, and the code goes on.
%macro execute_case 2-3 0       ; mode, {instruction}, features
%defstr %%text %2
%strcat %%name "breakpoint at ", %%text
        CASE    %%name, %1, %3 | need_robust
        tracing
        given   dr1, here(.b)
        with    dr7, on_execute(1)
        given   rbx, D(0x100)
        given   rcx, 3
        given   rsi, D(0x200)
        given   rdi, D(0x300)
        given   rax, ss_of_case
        CODE
        nop
.b:     %2
.next:  nop
        RUN
        ignore  rax, rcx, rdx, rbx, rsp, rsi, rdi, rbp, flags
        traced  .b
        stop_dr6 0, 2
%endmacro
%macro execute_cases 1
%if b_%1 == 64
 %define %%bx rbx
%elif b_%1 == 32
 %define %%bx ebx
%else
 %define %%bx bx
%endif
        execute_case %1, nop
        execute_case %1, {add [%%bx], ax}
        execute_case %1, {lock inc word [%%bx]}
        execute_case %1, {push ax}
        execute_case %1, {rep stosb}            ; not again before the second iteration
        execute_case %1, {repe cmpsb}
        execute_case %1, {call .next}
        execute_case %1, {jmp short .next}
        execute_case %1, {jz .done}
        execute_case %1, {mov ss, ax}
        execute_case %1, {fld dword [%%bx]}
        execute_case %1, cpuid, need_cpuid
        CASE    "breakpoint at the first instruction", %1, need_robust
        tracing
        given   dr0, here(.code)
        with    dr7, on_execute(0)
        CODE
        nop
        RUN
        traced  .code
        stop_dr6 0, 1
        CASE    "breakpoint at a jump's target", %1, need_robust
        tracing
        given   dr0, here(.to)
        with    dr7, on_execute(0)
        CODE
        jmp     short .to
        nop
.to:    nop
        RUN
        traced  .to
        CASE    "breakpoint with the global enable", %1, need_robust
        tracing
        given   dr3, here(.b)
        with    dr7, 0x80
        CODE
        nop
.b:     nop
        RUN
        traced  .b
        stop_dr6 0, 8
        CASE    "breakpoint that is not enabled", %1
        tracing
        given   dr0, here(.b)
        CODE
        nop
.b:     nop
        RUN
        traced
        CASE    "breakpoint inside of an instruction", %1, need_robust
        tracing
        given   dr0, here(.b) + 1
        with    dr7, on_execute(0)
        CODE
        nop
.b:     add     ax, 0
        RUN
        ignore  flags
        traced
        CASE    "breakpoint at a prefix", %1, need_robust
        tracing
        given   dr0, here(.b)
        given   dr1, here(.b) + 1
        with    dr7, on_execute(0) | on_execute(1)
        CODE
        nop
.b:     db      0x3e
        nop
        RUN
        traced  .b
        stop_dr6 0, 1
        CASE    "two breakpoints at one instruction", %1, need_robust
        tracing
        given   dr0, here(.b)
        given   dr2, here(.b)
        with    dr7, on_execute(0) | on_execute(2)
        CODE
        nop
.b:     nop
        RUN
        traced  .b
        stop_dr6 0, 5
        CASE    "breakpoint in a loop", %1, need_robust
        tracing
        given   rcx, 3
        given   dr0, here(.b)
        with    dr7, on_execute(0)
        CODE
.b:     loop    .b
        RUN
        expect  rcx, 0
        traced  .b, .b, .b
        CASE    "breakpoint comes before the instruction's fault", %1, need_robust
        tracing
        given   dr0, here(.b)
        with    dr7, on_execute(0)
        CODE
        nop
.b:     ud2
        RUN
        stopped_at .b
        traced  .b
        CASE    "breakpoint and single step", %1, need_robust
        tracing
        with    flags, TF
        given   dr0, here(.b)
        with    dr7, on_execute(0)
        CODE
        nop
.b:     nop
.c:     nop
        RUN
        traced  .b, .b, .c, .done
        stop_dr6 0, BS
        stop_dr6 1, 1
        stop_dr6 2, BS
        CASE    "breakpoint at rep stosb and single step", %1, need_robust
        tracing
        with    flags, TF
        given   rcx, 3
        given   rdi, D(0x100)
        given   dr0, here(.b)
        with    dr7, on_execute(0)
        CODE
        nop
.b:     rep stosb
.c:     nop
        RUN
        expect  rcx, 0
        expect  rdi, D(0x103)
        traced  .b, .b, .b, .b, .c, .done       ; RF is set in the flags pushed between two iterations
        stop_dr6 0, BS
        stop_dr6 1, 1
        stop_dr6 2, BS

; A load of SS hides a breakpoint at the next instruction for good (SDM vol. 3A, "Masking Exceptions and Interrupts When Switching Stacks").
        CASE    "breakpoint behind mov ss", %1, need_robust
        tracing
        given   rax, ss_of_case
        given   dr0, here(.b)
        given   dr1, here(.c)
        with    dr7, on_execute(0) | on_execute(1)
        CODE
        mov     ss, ax
.b:     nop
.c:     nop
        RUN
        traced  .c
        stop_dr6 0, 2
%endmacro
        execute_cases prot16
        execute_cases prot32
        execute_cases user32
        execute_cases long64
        execute_cases user64
        execute_cases vm86
        execute_cases comp32

; In real mode the handler's IRET cannot bring RF back, so it is the first stop that counts.
%macro execute_real_case 2
        CASE    %1, real16, need_robust
        given   rax, ss_of_case
        given   rbx, 0x100
        given   dr0, here(.b)
        with    dr7, on_execute(0)
        CODE
        nop
.b:     %2
        nop
        RUN
        trap    DB, .b
        expect  dr6, DR6(1)
%endmacro
        execute_real_case "breakpoint at nop", nop
        execute_real_case "breakpoint at rep stosb", {rep stosb}
        execute_real_case "breakpoint at int n", {int 0x50}
        execute_real_case "breakpoint at mov ss", {mov ss, ax}
        execute_real_case "breakpoint at ud2", ud2

; ---- RF
        CASE    "RF pushed by an instruction breakpoint", prot32, need_robust
        given   dr0, here(.code)
        with    dr7, on_execute(0)
        CODE
        nop
        RUN
        trap    DB
        becomes RF, RF
        expect  dr6, DR6(1)
        CASE    "RF is not pushed by a single step", prot32
        with    flags, TF
        CODE
        nop
.b:     nop
        RUN
        trap    DB, .b
        becomes RF, 0
        expect  dr6, DR6(BS)
        CASE    "RF is pushed by a single step between two iterations", prot32
        with    flags, TF
        given   rcx, 3
        given   rdi, D(0)
        CODE
        rep stosb
        RUN
        trap    DB
        becomes RF, RF
        expect  rcx, 2
        expect  rdi, D(1)
        expect  dr6, DR6(BS)
%macro iret_rf_case 2           ; name, flags
        CASE    %1, prot32, need_robust
        tracing
        given   dr0, here(.to)
        with    dr7, on_execute(0)
        memory  STACK, 8, off(.to) | KCS32 << 32
        memory  STACK + 8, 4, 2 | (%2)
        CODE
        iretd
        nop
.to:    nop
        RUN
        ignore  rsp
%if (%2) & RF
        traced
%else
        traced  .to
%endif
%endmacro
        iret_rf_case "iret with RF to a breakpoint", RF
        iret_rf_case "iret without RF to a breakpoint", 0
        CASE    "16-bit iret does not set RF", prot16, need_robust
        given   dr0, here(.to)
        with    dr7, on_execute(0)
        memory  STACK, 8, off(.to) | KCS16 << 16 | 2 << 32
        CODE
        iretw
        nop
.to:    nop
        RUN
        moves_sp 6
        trap    DB, .to
        expect  dr6, DR6(1)
        CASE    "RF lasts for one instruction", prot32, need_robust
        tracing
        with    flags, RF
        given   dr0, here(.code)
        given   dr1, here(.b)
        with    dr7, on_execute(0) | on_execute(1)
        CODE
        nop
.b:     nop
        RUN
        traced  .b
        CASE    "popf does not set RF", prot32, need_robust
        tracing
        memory  STACK, 4, 2 | RF
        given   dr0, here(.b)
        with    dr7, on_execute(0)
        CODE
        popfd
.b:     nop
        RUN
        moves_sp 4
        traced  .b

; ---- breakpoints at handlers
        CASE    "breakpoint at a handler", user32, need_robust
        int_gate 0x50, KCS32, off(.handler), 0xee
        given   dr0, here(.handler)
        with    dr7, on_execute(0)
        tracing
        CODE
        int     0x50
        nop
.handler:
        nop
        RUN
        traced  .handler
        ignore  cs, ss, rsp
        CASE    "breakpoint at code that is not there", prot32, need_robust
        paging  pg32
        page_entry 1, SCRATCH, P_P, 0
        given   dr0, SCRATCH
        with    dr7, on_execute(0)
        CODE
        mov     eax, SCRATCH
        jmp     eax
        RUN
        ignore  eax
        expect  vector, e_DB
        expect  rip, SCRATCH
        expect  dr6, DR6(1)

; ---- data: a trap behind the instruction
%macro data_case 5-6 0          ; mode, name, DR7, {instruction}, 1 if it stops, features
        CASE    %2, %1, %6
        tracing
        given   dr0, DATA + 0x100
        with    dr7, %3
        given   rbx, D(0x100)
        given   rcx, 1
        given   rsi, D(0x100)
        given   rdi, D(0x100)
        given   rax, 0x10203
        CODE
.a:     %4
.b:     nop
        RUN
        ignore  rax, rcx, rdx, rsp, rsi, rdi, rbp, flags
%if %5
        traced  .b
        stop_dr6 0, 1
%else
        traced
%endif
%endmacro
%macro data_cases 1
%if b_%1 == 64
 %define %%bx rbx
 %define %%si rsi
%elif b_%1 == 32
 %define %%bx ebx
 %define %%si esi
%else
 %define %%bx bx
 %define %%si si
%endif
        data_case %1, "store to a write breakpoint", on_write(0, LEN1), {mov [%%bx], al}, 1
        data_case %1, "load from a write breakpoint", on_write(0, LEN1), {mov al, [%%bx]}, 0
        data_case %1, "load from an access breakpoint", on_access(0, LEN1), {mov al, [%%bx]}, 1
        data_case %1, "store to an access breakpoint", on_access(0, LEN1), {mov [%%bx], al}, 1
        data_case %1, "store before a breakpoint", on_write(0, LEN1), {mov [%%bx - 1], al}, 0
        data_case %1, "store behind a breakpoint", on_write(0, LEN1), {mov [%%bx + 1], al}, 0
        data_case %1, "store over a breakpoint", on_write(0, LEN1), {mov [%%bx - 3], eax}, 1
        data_case %1, "store to the last byte of a word", on_write(0, LEN2), {mov [%%bx + 1], al}, 1
        data_case %1, "store to the last byte of a dword", on_write(0, LEN4), {mov [%%bx + 3], al}, 1
        data_case %1, "store behind a dword", on_write(0, LEN4), {mov [%%bx + 4], al}, 0
        data_case %1, "store of the same value", on_write(0, LEN4), {mov byte [%%bx], 0}, 1
        data_case %1, "add to memory", on_write(0, LEN2), {add [%%bx], ax}, 1
        data_case %1, "locked add to memory", on_write(0, LEN2), {lock add [%%bx], ax}, 1
        data_case %1, "compare with memory, write breakpoint", on_write(0, LEN2), {cmp [%%bx], ax}, 0
        data_case %1, "compare with memory, access breakpoint", on_access(0, LEN2), {cmp [%%bx], ax}, 1
        data_case %1, "exchange with memory", on_write(0, LEN2), {xchg [%%bx], ax}, 1
        data_case %1, "cmpxchg that does not match", on_write(0, LEN2), {cmpxchg [%%bx], dx}, 1
        data_case %1, "bts in memory", on_write(0, LEN2), {bts word [%%bx], 3}, 1
        data_case %1, "setcc to memory", on_write(0, LEN1), {setz [%%bx]}, 1
        data_case %1, "push of memory", on_access(0, LEN2), {push word [%%bx]}, 1
        data_case %1, "pop to memory", on_write(0, LEN2), {pop word [%%bx]}, 1
        data_case %1, "stosb to a breakpoint", on_write(0, LEN1), stosb, 1
        data_case %1, "lodsb from a breakpoint", on_access(0, LEN1), lodsb, 1
        data_case %1, "movsb from a breakpoint", on_access(0, LEN1), movsb, 1
        data_case %1, "scasb at a breakpoint", on_access(0, LEN1), scasb, 1
        data_case %1, "cmpsb at a breakpoint", on_access(0, LEN1), cmpsb, 1
        data_case %1, "fst to a breakpoint", on_write(0, LEN4), {fnstcw [%%bx]}, 1
        data_case %1, "fld of a breakpoint", on_access(0, LEN4), {fld dword [%%bx]}, 1
        data_case %1, "fstp tbyte over a breakpoint", on_write(0, LEN4), {fbstp [%%bx - 8]}, 1
        data_case %1, "fnsave over a breakpoint", on_write(0, LEN4), {fnsave [%%bx - 64]}, 1
        data_case %1, "lea of a breakpoint", on_access(0, LEN1), {lea ax, [%%bx]}, 0
        data_case %1, "instruction breakpoint on data", on_execute(0), {mov [%%bx], al}, 0
        CASE    "low bits of a dword breakpoint's address do not count", %1
        tracing
        given   dr0, DATA + 0x103
        with    dr7, on_write(0, LEN4)
        given   rbx, D(0x100)
        CODE
        mov     [%%bx], al
.b:     nop
        RUN
        traced  .b
        CASE    "two data breakpoints", %1
        tracing
        given   dr0, DATA + 0x100
        given   dr3, DATA + 0x102
        with    dr7, on_write(0, LEN2) | on_access(3, LEN1)
        given   rbx, D(0x100)
        CODE
        mov     [%%bx], eax
.b:     nop
        RUN
        traced  .b
        stop_dr6 0, 9
        CASE    "data breakpoint and single step", %1
        tracing
        with    flags, TF
        given   dr0, DATA + 0x100
        with    dr7, on_write(0, LEN1)
        given   rbx, D(0x100)
        CODE
        mov     [%%bx], al
.b:     nop
        RUN
        traced  .b, .done
        stop_dr6 0, BS | 1
        stop_dr6 1, BS
        CASE    "rep stosb over a breakpoint", %1
        tracing
        given   dr0, DATA + 0x102
        with    dr7, on_write(0, LEN1)
        given   rcx, 5
        given   rdi, D(0x100)
        CODE
.a:     rep stosb
.b:     nop
        RUN
        expect  rcx, 0
        expect  rdi, D(0x105)
        traced  .a
        stop_dr6 0, 1
        CASE    "rep stosb whose last byte is a breakpoint", %1
        tracing
        given   dr0, DATA + 0x102
        with    dr7, on_write(0, LEN1)
        given   rcx, 3
        given   rdi, D(0x100)
        CODE
        rep stosb
.b:     nop
        RUN
        expect  rcx, 0
        expect  rdi, D(0x103)
        traced  .b
; The stack, below what the way into the case has used of it.
%if b_%1 == 64
 %define %%sp rsp
%elif b_%1 == 32
 %define %%sp esp
%else
 %define %%sp sp
%endif
        CASE    "push to a breakpoint", %1
        tracing
        given   dr0, STACK - 0x42
        with    dr7, on_write(0, LEN1)
        CODE
        sub     %%sp, 0x40
        push    ax
.b:     nop
        RUN
        ignore  flags
        moves_sp -0x42
        traced  .b
        CASE    "call whose return address is a breakpoint", %1
        tracing
        given   dr0, STACK - 0x42
        with    dr7, on_write(0, LEN1)
        CODE
        sub     %%sp, 0x40
        call    .b
.b:     nop
        RUN
        ignore  rsp, flags
        traced  .b
        CASE    "enter at a breakpoint", %1
        tracing
        given   dr0, STACK - 0x42
        with    dr7, on_write(0, LEN1)
        CODE
        sub     %%sp, 0x40
        enter   8, 0
.b:     nop
        RUN
        ignore  rsp, rbp, flags
        traced  .b
%if m_%1 != m_real16 && m_%1 != m_prot16 && m_%1 != m_prot32   ; there the trap's own frame would lie over it
        CASE    "pop of a breakpoint", %1
        tracing
        given   dr0, STACK
        with    dr7, on_access(0, LEN1)
        CODE
        pop     ax
.b:     nop
        RUN
        ignore  rax
        moves_sp 2
        traced  .b
        CASE    "ret by a breakpoint", %1
        tracing
        given   dr0, STACK
        with    dr7, on_access(0, LEN1)
        memory  STACK, 8, off(.b)
        CODE
        ret
        nop
.b:     nop
        RUN
        ignore  rsp
        traced  .b
%endif
        CASE    "fault behind a data breakpoint's access", %1
        tracing
        given   dr0, DATA + 0x100
        with    dr7, on_access(0, LEN4)
        given   rbx, D(0x100)
        CODE
.a:     div     byte [%%bx]             ; by zero
        RUN
        trap    DE
        ignore  flags
        traced
%endmacro
        data_cases real16
        data_cases prot16
        data_cases prot32
        data_cases user32
        data_cases vm86
        data_cases long64
        data_cases user64
        data_cases comp32

        CASE    "pusha over a breakpoint", prot32
        tracing
        given   dr0, STACK - 0x50
        with    dr7, on_write(0, LEN4)
        CODE
        sub     esp, 0x40
        pusha
.b:     nop
        RUN
        ignore  flags
        moves_sp -0x60
        traced  .b
        CASE    "eight byte breakpoint", long64
        tracing
        given   dr0, DATA + 0x100
        with    dr7, on_write(0, LEN8)
        given   rbx, DATA + 0x100
        CODE
        mov     [rbx + 7], al
.b:     mov     [rbx + 8], al
        RUN
        traced  .b
        CASE    "fxsave over a breakpoint", prot32, need_sse
        tracing
        given   dr0, DATA + 0x1a0
        with    dr7, on_write(0, LEN4)
        CODE
        fxsave  [DATA + 0x100]
.b:     nop
        RUN
        traced  .b

; Loads of SS hold a data breakpoint's trap off, but do not lose it.
%macro data_shadow_cases 1
        CASE    "mov ss from a breakpoint", %1
        tracing
        given   dr0, DATA + 0x100
        with    dr7, on_access(0, LEN2)
        memory  DATA + 0x100, 2, ss_of_case
        CODE
        mov     ss, [D(0x100)]
.b:     nop
.c:     nop
        RUN
        traced  .c
        stop_dr6 0, 1
%endmacro
        data_shadow_cases real16
        data_shadow_cases prot32
        data_shadow_cases user32
        data_shadow_cases vm86
        data_shadow_cases user64
        CASE    "pop ss from a breakpoint", user32
        tracing
        given   dr0, STACK
        with    dr7, on_access(0, LEN2)
        memory  STACK, 4, UDS
        CODE
        pop     ss
        nop
.c:     nop
        RUN
        moves_sp 4
        traced  .c
        CASE    "mov ss from a breakpoint, then int n", user32
        tracing
        int_gate 0x50, KCS32, off(.handler), 0xee
        given   dr0, DATA + 0x100
        with    dr7, on_access(0, LEN2)
        memory  DATA + 0x100, 2, UDS
        CODE
        mov     ss, [DATA + 0x100]
        int     0x50
        nop
.handler:
        nop
        RUN
        traced  .handler                        ; in ring 0
        stop_dr6 0, 1
        ignore  cs, ss, rsp

        CASE    "mov ss from a breakpoint, then an instruction that faults", user32
        tracing
        int_gate e_UD, KCS32, off(.handler), 0xee
        given   dr0, DATA + 0x100
        with    dr7, on_access(0, LEN2)
        memory  DATA + 0x100, 2, UDS
        CODE
        mov     ss, [DATA + 0x100]
        ud2
        nop
.handler:
        int     0x51
.end:   RUN
        expect  vector, 0x51
        stopped_at .end
        traced  .handler
        stop_dr6 0, 1
        ignore  cs, ss, rsp

; ---- ports
%macro port_case 4-5 CR4_DE     ; mode, name, {instruction}, 1 if it stops, CR4
        CASE    %2, %1, need_de
        with    cr4, %5
        tracing
        given   dr1, 0x80
        with    dr7, ENABLE(1, 2, LEN1)
        given   rdx, 0x80
        given   rcx, 2
        given   rdi, D(0x100)
        given   rsi, D(0x100)
        CODE
.a:     %3
.b:     nop
        RUN
        ignore  rax, rcx, rsi, rdi
%if %4
        traced  .b
        stop_dr6 0, 2
%else
        traced
%endif
%endmacro
%macro port_cases 1
        port_case %1, "in from a breakpoint", {in al, dx}, 1
        port_case %1, "in from a breakpoint by an immediate", {in al, 0x80}, 1
        port_case %1, "in from another port", {in al, 0x84}, 0
        port_case %1, "out to a breakpoint", {out 0x80, al}, 1
        port_case %1, "insb from a breakpoint", insb, 1
        port_case %1, "outsb to a breakpoint", outsb, 1
        CASE    "rep insb from a breakpoint", %1, need_de
        with    cr4, CR4_DE
        tracing
        given   dr1, 0x80
        with    dr7, ENABLE(1, 2, LEN1)
        given   rdx, 0x80
        given   rcx, 2
        given   rdi, D(0x100)
        CODE
.a:     rep insb
.b:     nop
        RUN
        expect  rcx, 0
        expect  rdi, D(0x102)
        traced  .a, .b
%endmacro
        port_cases real16
        port_cases prot32
        port_cases long64

; ---- general detect
        CASE    "general detect", prot32
        with    dr7, 0x2000
        CODE
        nop
.b:     mov     eax, dr0
        nop
        RUN
        trap    DB, .b
        expect  dr6, DR6(0x2000)
        expect  dr7, 0x400
        CASE    "general detect on a write", long64
        with    dr7, 0x2000
        CODE
        nop
.b:     mov     dr3, rax
        nop
        RUN
        trap    DB, .b
        expect  dr6, DR6(0x2000)
        expect  dr7, 0x400
