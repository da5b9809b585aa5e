; LOCK is for read-modify-write instructions with a destination in memory; with anything else it is #UD, before every other fault
; (SDM vol. 2A, "LOCK").

%macro lock_case 4-5 0          ; mode, name, {instruction without its prefix}, 1 if legal, features
%strcat %%name "lock ", %2
        CASE    %%name, %1, %5
        given   rbx, D(0x100)
        given   rcx, 3
        CODE
        nop
.bad:   db      0xf0
        %3
        nop
        RUN
%if %4
        ignore  rax, rcx, rdx, flags
%else
        trap    UD, .bad
%endif
%endmacro

%macro lock_cases 1
%if b_%1 == 64
 %define %%bx rbx
%elif b_%1 == 32
 %define %%bx ebx
%else
 %define %%bx bx
%endif
        lock_case %1, "add [m], r", {add [%%bx], ax}, 1
        lock_case %1, "or [m], imm", {or byte [%%bx], 1}, 1
        lock_case %1, "adc [m], imm", {adc word [%%bx], 1}, 1
        lock_case %1, "sbb [m], r", {sbb [%%bx], al}, 1
        lock_case %1, "and [m], r", {and [%%bx], eax}, 1
        lock_case %1, "sub [m], r", {sub [%%bx], ax}, 1
        lock_case %1, "xor [m], imm", {xor dword [%%bx], 0x12345}, 1
        lock_case %1, "not [m]", {not byte [%%bx]}, 1
        lock_case %1, "neg [m]", {neg word [%%bx]}, 1
        lock_case %1, "inc [m]", {inc dword [%%bx]}, 1
        lock_case %1, "dec [m]", {dec byte [%%bx]}, 1
        lock_case %1, "xchg [m], r", {xchg [%%bx], ax}, 1
        lock_case %1, "xadd [m], r", {xadd [%%bx], ax}, 1
        lock_case %1, "cmpxchg [m], r", {cmpxchg [%%bx], cx}, 1
        lock_case %1, "cmpxchg8b [m]", {cmpxchg8b [%%bx]}, 1, need_cx8
        lock_case %1, "bts [m], r", {bts [%%bx], cx}, 1
        lock_case %1, "btr [m], imm", {btr word [%%bx], 3}, 1
        lock_case %1, "btc [m], imm", {btc word [%%bx], 3}, 1
        lock_case %1, "add r, r", {add ax, cx}, 0
        lock_case %1, "add r, [m]", {add ax, [%%bx]}, 0
        lock_case %1, "add al, imm", {add al, 1}, 0
        lock_case %1, "cmp [m], r", {cmp [%%bx], ax}, 0
        lock_case %1, "cmp [m], imm", {cmp byte [%%bx], 1}, 0
        lock_case %1, "test [m], r", {test [%%bx], ax}, 0
        lock_case %1, "test [m], imm", {test byte [%%bx], 1}, 0
        lock_case %1, "mul [m]", {mul byte [%%bx]}, 0
        lock_case %1, "div [m]", {div byte [%%bx]}, 0
        lock_case %1, "inc r", {db 0xff, 0xc0}, 0
        lock_case %1, "neg r", {neg ax}, 0
        lock_case %1, "not r", {not al}, 0
        lock_case %1, "xchg r, r", {db 0x87, 0xc1}, 0
        lock_case %1, "nop", nop, 0
        lock_case %1, "pause", {db 0xf3, 0x90}, 0
        lock_case %1, "xadd r, r", {xadd cx, ax}, 0
        lock_case %1, "cmpxchg r, r", {cmpxchg dx, cx}, 0
        lock_case %1, "bts r, imm", {bts ax, 3}, 0, need_robust
        lock_case %1, "bt [m], r", {bt [%%bx], cx}, 0
        lock_case %1, "bt [m], imm", {bt word [%%bx], 3}, 0
        lock_case %1, "mov [m], r", {mov [%%bx], ax}, 0
        lock_case %1, "mov r, [m]", {mov ax, [%%bx]}, 0
        lock_case %1, "mov r, imm", {mov al, 1}, 0
        lock_case %1, "movzx r, [m]", {movzx eax, byte [%%bx]}, 0
        lock_case %1, "lea", {lea ax, [%%bx]}, 0
        lock_case %1, "shl [m]", {shl word [%%bx], 1}, 0
        lock_case %1, "rcr [m], imm", {rcr word [%%bx], 3}, 0
        lock_case %1, "shld [m]", {shld [%%bx], ax, 3}, 0
        lock_case %1, "push [m]", {push word [%%bx]}, 0
        lock_case %1, "pop [m]", {pop word [%%bx]}, 0
        lock_case %1, "pushf", pushf, 0
        lock_case %1, "movsb", movsb, 0
        lock_case %1, "rep stosb", {rep stosb}, 0
        lock_case %1, "jmp", {jmp short .done}, 0
        lock_case %1, "jz", {jz .done}, 0
        lock_case %1, "call", {call .done}, 0
        lock_case %1, "call [m]", {call [%%bx]}, 0
        lock_case %1, "ret", ret, 0
        lock_case %1, "iret", {db 0xcf}, 0
        lock_case %1, "int n", {int 0x50}, 0
        lock_case %1, "int3", int3, 0
        lock_case %1, "hlt", hlt, 0, need_robust
        lock_case %1, "cli", cli, 0
        lock_case %1, "cpuid", cpuid, 0
        lock_case %1, "mov r, cr0", {db 0x0f, 0x20, 0xc0}, 0
        lock_case %1, "mov r, dr0", {db 0x0f, 0x21, 0xc0}, 0
        lock_case %1, "lgdt", {lgdt [%%bx]}, 0, need_robust
        lock_case %1, "invlpg", {invlpg [%%bx]}, 0
        lock_case %1, "in", {in al, 0x80}, 0
        lock_case %1, "sete [m]", {sete [%%bx]}, 0
        lock_case %1, "bsf", {bsf ax, [%%bx]}, 0
        lock_case %1, "imul r, [m]", {imul ax, [%%bx]}, 0
        lock_case %1, "fld [m]", {fld dword [%%bx]}, 0
        lock_case %1, "fnop", fnop, 0
        lock_case %1, "wait", {db 0x9b}, 0
        lock_case %1, "movaps", {movaps xmm0, xmm1}, 0
        lock_case %1, "cmovz r, [m]", {cmovz ax, [%%bx]}, 0
        lock_case %1, "ud2", ud2, 0
        lock_case %1, "xlatb", xlatb, 0
        lock_case %1, "enter", {enter 8, 0}, 0
        lock_case %1, "cwd", cwd, 0
%endmacro
        lock_cases real16
        lock_cases vm86
        lock_cases prot32
        lock_cases user32
        lock_cases user64
        lock_cases long64
        lock_cases comp16
        lock_case prot32, "aaa", aaa, 0
        lock_case prot32, "pusha", pusha, 0
        lock_case prot32, "bound", {bound eax, [ebx]}, 0
        lock_case prot32, "arpl", {arpl [ebx], ax}, 0
        lock_case prot32, "les", {les eax, [ebx]}, 0
        lock_case prot32, "group 1 by opcode 82h", {db 0x82, 0x03, 0x01}, 1
        lock_case prot32, "cmp by opcode 82h", {db 0x82, 0x3b, 0x01}, 0
        lock_case long64, "cmpxchg16b", {cmpxchg16b [rbx]}, 1, need_cx16
        lock_case long64, "add [m], r64", {add [rbx], rax}, 1
        lock_case long64, "syscall", syscall, 0
        lock_case long64, "swapgs", swapgs, 0

        CASE    "lock cmp in a page that is not there", user32
        paging  pg32
        page_entry 1, SCRATCH, P_P, 0
        CODE
        db      0xf0
        cmp     [SCRATCH], eax
        RUN
        trap    UD
        CASE    "lock add to a page that is not there", user32
        paging  pg32
        page_entry 1, SCRATCH, P_P, 0
        CODE
        lock add [SCRATCH], eax
        RUN
        page_fault SCRATCH, E_W | E_U
        CASE    "lock behind other prefixes", prot32
        CODE
        db      0x66, 0xf0, 0x67                ; lock add [bx + si], ax
        db      0x01, 0x00
        RUN
        ignore  flags
        CASE    "two lock prefixes", prot32
        CODE
        db      0xf0, 0xf0
        inc     dword [DATA]
        RUN
        is_memory DATA, 4, 1
        becomes 0x8d5, 0
        CASE    "lock xchg over a page's end", user32
        paging  pg32
        page_entry 1, DATA + 0x3000, P_P, 0
        CODE
        lock xchg [DATA + 0x2ffe], eax
        RUN
        page_fault DATA + 0x3000, E_W | E_U
