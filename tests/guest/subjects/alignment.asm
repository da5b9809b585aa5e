; Alignment checking: CR0.AM, EFLAGS.AC and level 3 (SDM vol. 3A, "Interrupt 17—Alignment Check Exception", with its table of alignment
; requirements by data type).

%macro align_case 5-6 0         ; mode, name, offset, {instruction}, 1 if allowed, features
        CASE    %2, %1, %6
        with    cr0, CR0_AM
        with    flags, AC
        given   rbx, D(%3)
        given   rsi, D(%3)
        given   rdi, D(%3)
        given   rcx, 1
        CODE
        nop
.bad:   %4
        nop
        RUN
%if %5
        ignore  rax, rcx, rdx, rsi, rdi, rsp, rbp, flags, es, fs, gs, ds
%else
        fault   AC, 0, .bad
%endif
%endmacro
; A data type at an address that fits and at one that does not.
%macro align_pair 4-5 0         ; mode, name, {instruction}, alignment, features
%strcat %%name %2, ", misaligned"
        align_case %1, %2, 0x100 + (%4), {%3}, 1, %5
        align_case %1, %%name, 0x100 + (%4) / 2, {%3}, 0, %5
%endmacro

%macro align_cases 1
%if b_%1 == 64
 %define %%bx rbx
%elif b_%1 == 32
 %define %%bx ebx
%else
 %define %%bx bx
%endif
        align_case %1, "byte at any address", 0x101, {mov al, [%%bx]}, 1
        align_pair %1, "word read", {mov ax, [%%bx]}, 2
        align_pair %1, "word written", {mov [%%bx], ax}, 2
        align_pair %1, "word added", {add [%%bx], ax}, 2
        align_pair %1, "dword read", {mov eax, [%%bx]}, 4
        align_pair %1, "dword written", {mov [%%bx], eax}, 4
        align_pair %1, "dword exchanged", {xchg [%%bx], eax}, 4
        align_pair %1, "dword, locked", {lock inc dword [%%bx]}, 4
        align_pair %1, "dword pushed", {push word [%%bx]}, 2
        align_pair %1, "movsd", movsd, 4
        align_pair %1, "lodsw", lodsw, 2
        align_pair %1, "rep stosw", {rep stosw}, 2
        align_pair %1, "cmpsw", cmpsw, 2
        align_pair %1, "bit test with an immediate", {bt dword [%%bx], 3}, 4
        align_pair %1, "bit string", {bts [%%bx], cx}, 2
        align_pair %1, "fld dword", {fld dword [%%bx]}, 4
        align_pair %1, "fld qword", {fld qword [%%bx]}, 8
        align_pair %1, "fld tbyte", {fld tword [%%bx]}, 8
        align_pair %1, "fstp tbyte", {fstp tword [%%bx]}, 8
        align_pair %1, "fild word", {fild word [%%bx]}, 2
        align_pair %1, "fistp qword", {fistp qword [%%bx]}, 8
        align_pair %1, "fldcw", {fldcw [%%bx]}, 2
        align_pair %1, "fnstenv", {fnstenv [%%bx]}, 2 + 2 * (b_%1 != 16)
        align_pair %1, "fnsave", {fnsave [%%bx]}, 2 + 2 * (b_%1 != 16)
        align_pair %1, "mmx", {movq mm0, [%%bx]}, 8, need_mmx
        align_pair %1, "selector", {mov ax, [%%bx]}, 2
        align_pair %1, "cmpxchg8b", {cmpxchg8b [%%bx]}, 8, need_cx8
        align_case %1, "movsb", 0x101, movsb, 1
; The stack.
        CASE    "push to a misaligned stack", %1
        with    cr0, CR0_AM
        with    flags, AC
        given   rsp, sp_at - 1
        CODE
        push    ax
        RUN
        fault   AC
        CASE    "pop from a misaligned stack", %1
        with    cr0, CR0_AM
        with    flags, AC
        given   rsp, sp_at - 3
        CODE
        pop     ax
        RUN
        fault   AC
        CASE    "call with a misaligned stack", %1
        with    cr0, CR0_AM
        with    flags, AC
        given   rsp, sp_at - 1
        CODE
        call    .done
        RUN
        fault   AC
        CASE    "return with a misaligned stack", %1
        with    cr0, CR0_AM
        with    flags, AC
        given   rsp, sp_at - 1
        CODE
        ret
        RUN
        fault   AC
        CASE    "pushf to a misaligned stack", %1
        with    cr0, CR0_AM
        with    flags, AC | IOPL3
        given   rsp, sp_at - 1
        CODE
        pushf
        RUN
        fault   AC
        CASE    "enter with a misaligned stack", %1
        with    cr0, CR0_AM
        with    flags, AC
        given   rsp, sp_at - 1
        CODE
        enter   8, 0
        RUN
        fault   AC
        CASE    "enter of level 2 with a misaligned stack", %1
        with    cr0, CR0_AM
        with    flags, AC
        given   rsp, sp_at - 1
        given   rbp, sp_at - 1
        CODE
        enter   8, 2
        RUN
        fault   AC
        CASE    "leave with a misaligned frame", %1
        with    cr0, CR0_AM
        with    flags, AC
        given   rbp, sp_at - 33
        CODE
        leave
        RUN
        fault   AC
        CASE    "iret with a misaligned stack", %1
        with    cr0, CR0_AM
        with    flags, AC | IOPL3
        given   rsp, sp_at - 33
        CODE
        iret_of_case
        RUN
        fault   AC
; Neither AC nor AM alone, and not for instructions fetched.
        CASE    "misaligned without AC", %1
        with    cr0, CR0_AM
        given   rbx, D(0x101)
        CODE
        mov     eax, [%%bx]
        RUN
        ignore  rax
        CASE    "misaligned without AM", %1
        with    flags, AC
        given   rbx, D(0x101)
        CODE
        mov     eax, [%%bx]
        RUN
        ignore  rax
        CASE    "popf that sets AC", %1
        with    cr0, CR0_AM
        with    flags, IOPL3
        memory  STACK, 8, 2 | AC | IOPL3
        given   rbx, D(0x101)
        CODE
%if b_%1 == 16
        popfd
%else
        popf
%endif
.bad:   mov     eax, [%%bx]
        RUN
        becomes AC, AC
        ignore  rsp
        fault   AC, 0, .bad
        CASE    "an exception by a misaligned stack of ring 3", %1
        with    cr0, CR0_AM
        with    flags, AC
        given   rsp, sp_at - 1
        CODE
        ud2
        RUN
        trap    UD
%endmacro
        align_cases user16
        align_cases user32
        align_cases comp32
        align_cases user64
        align_cases vm86
        align_pair user64, "qword read", {mov rax, [rbx]}, 8
        align_pair user64, "qword pushed", {push qword [rbx]}, 8
        align_pair user64, "movsq", movsq, 8
        align_pair user32, "48-bit far pointer", {lfs eax, [ebx]}, 4
        align_pair user32, "32-bit far pointer", {lfs ax, [ebx]}, 2
        align_case user32, "bound, misaligned", 0x102, {bound eax, [ebx]}, 0
        CASE    "pusha to a misaligned stack", user32
        with    cr0, CR0_AM
        with    flags, AC
        given   esp, STACK - 2
        CODE
        pusha
        RUN
        fault   AC
        CASE    "popa from a misaligned stack", user32
        with    cr0, CR0_AM
        with    flags, AC
        given   esp, STACK - 62
        CODE
        popa
        RUN
        fault   AC
%macro no_align_check 1
        CASE    "misaligned in ring 0", %1
        with    cr0, CR0_AM
        with    flags, AC
        given   rbx, D(0x101)
        CODE
 %if b_%1 == 64
        mov     eax, [rbx]
 %elif b_%1 == 32
        mov     eax, [ebx]
 %else
        mov     eax, [bx]
 %endif
        RUN
        ignore  rax
%endmacro
        no_align_check real16
        no_align_check prot16
        no_align_check prot32
        no_align_check long64
        CASE    "misaligned in ring 2", user32
        with    cr0, CR0_AM
        with    flags, AC
        given   cs, CS2
        given   ss, DS2
        given   ds, DS2
        given   es, DS2
        given   fs, DS2
        given   gs, DS2
        CODE
        mov     eax, [DATA + 1]
        RUN
        ignore  rax
        CASE    "descriptor tables are not checked", user32
        with    cr0, CR0_AM
        with    flags, AC
        given   ldtr, SEL_LDT
        desc    SEL_LDT, LDT + 1, LDT_SIZE - 1, 0x0082
        memory  LDT + 9, 8, desc_low(0, 0xfffff) | desc_high(0, 0xfffff, A_DATA32 | dpl(3)) << 32
        given   eax, 0xf
        CODE
        mov     fs, eax
        RUN
        expect  fs, 0xf
; The segment's limit comes first. The manual's "Priority Among Concurrent Events" has page faults before alignment checks as well, but
; processors look at the address before they translate it.
        CASE    "misaligned beyond the limit", user32
        with    cr0, CR0_AM
        with    flags, AC
        desc    T0, DATA, 0x100, 0x40f3
        given   fs, T0 | 3
        CODE
        mov     eax, [fs:0xff]
        RUN
        fault   GP
        CASE    "misaligned and not there", user32
        with    cr0, CR0_AM
        with    flags, AC
        paging  pg32
        page_entry 1, SCRATCH, P_P, 0
        CODE
        mov     eax, [SCRATCH + 1]
        RUN
        fault   AC
        CASE    "misaligned and not canonical", user64
        with    cr0, CR0_AM
        with    flags, AC
        given   rbx, 0x0000800000000001
        CODE
        mov     eax, [rbx]
        RUN
        fault   GP
