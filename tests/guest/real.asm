; Cases in real mode: the way in by clearing CR0.PE, and the way out by an exception through our own vector table.
        section .text
        bits    32

enter_real:
        mov     [resume_esp], esp
        mov     esi, GIVEN
        mov     edi, real_fields
        mov     ecx, 2 * f_cr0
        rep     movsd
        mov     eax, given_(rip)
        mov     edx, given_(cs)
        shl     edx, 4
        sub     eax, edx
        mov     [real_fields + 8 * f_rip], eax
        mov     eax, [tracing_on]
        mov     [real_tracing], eax
        call    load_control
        lidt    [ivt_pointer]
        mov     eax, REAL_DS
        cmp     given_(unreal), 0
        je      .limits
        mov     eax, KDS                ; real mode keeps the limits it finds
.limits:
        mov     ecx, given_(cr0)
        mov     ds, eax
        mov     es, eax
        mov     fs, eax
        mov     gs, eax
        mov     ss, eax
        jmp     IMAGE_CS16:enter_real16 - header

ivt_pointer:
        dw      0x3ff
        dd      IVT

        section .text16
        bits    16
%define real_(f) dword [cs:real_fields - header + 8 * f_ %+ f]
%define real16_(f) word [cs:real_fields - header + 8 * f_ %+ f]
enter_real16:
        mov     cr0, ecx
        jmp     (IMAGE >> 4):.real - header
.real:  mov     ss, real16_(ss)
        mov     esp, real_(rsp)
        push    real_(flags)
        push    real_(cs)
        push    real_(rip)
        mov     eax, real_(rax)
        mov     ecx, real_(rcx)
        mov     edx, real_(rdx)
        mov     ebx, real_(rbx)
        mov     ebp, real_(rbp)
        mov     esi, real_(rsi)
        mov     edi, real_(rdi)
        mov     es, real16_(es)
        mov     fs, real16_(fs)
        mov     gs, real16_(gs)
        mov     ds, real16_(ds)
        iretd

        align   STUB_SIZE
stubs16:
%assign n 0
%rep 256
        align   STUB_SIZE
        mov     word [cs:real_vector - header], n       ; not pushed: there may be no room on the stack
        jmp     strict near capture16
%assign n n + 1
%endrep

capture16:                      ; on the stack: IP, CS, FLAGS
        mov     real_(rax), eax
        mov     real_(rcx), ecx
        mov     real_(rdx), edx
        mov     real_(rbx), ebx
        mov     real_(rbp), ebp
        mov     real_(rsi), esi
        mov     real_(rdi), edi
        mov     real16_(es), es
        mov     real16_(ss), ss
        mov     real16_(ds), ds
        mov     real16_(fs), fs
        mov     real16_(gs), gs
        mov     eax, esp
        mov     bp, sp
        add     ax, 6
        mov     real_(rsp), eax
        movzx   eax, word [bp + 2]
        mov     real_(cs), eax
        shl     eax, 4
        movzx   ecx, word [bp]
        add     eax, ecx
        mov     real_(rip), eax
        mov     ax, [bp + 4]
        mov     sp, cs
        mov     ss, sp
        mov     sp, real_stack - header
        pushfd
        pop     ecx
        mov     cx, ax
        mov     real_(flags), ecx
        cmp     word [cs:real_vector - header], e_DB
        jne     .end
        cmp     word [cs:real_tracing - header], 0
        jne     .trace
.end:   mov     eax, cr0
        mov     [cs:real_cr0 - header], eax
        o32 lgdt [cs:gdt_pointer16 - header]
        mov     eax, CR0_BASE
        mov     cr0, eax
        jmp     dword KCS32:real_captured
.trace: o32 lgdt [cs:gdt_pointer16 - header]    ; the note is made in protected mode
        mov     eax, cr0
        or      al, CR0_PE
        mov     cr0, eax
        jmp     dword KCS32:real_noted
.noted_in_real:
        mov     eax, cr0
        and     al, ~CR0_PE
        mov     cr0, eax
        jmp     (IMAGE >> 4):.back - header
.back:  mov     ss, real16_(ss)
        mov     es, real16_(es)
        mov     ds, real16_(ds)
        mov     esp, real_(rsp)
        sub     sp, 6
        mov     eax, real_(rax)
        mov     ecx, real_(rcx)
        mov     edx, real_(rdx)
        mov     ebp, real_(rbp)
        iret

        align   4
        times   16 dd 0
real_stack:
real_fields: times 2 * f_cr0 dd 0
real_cr0: dd    0
real_vector: dd 0
real_tracing: dd 0
gdt_pointer16:
        dw      GDT_SIZE - 1
        dd      GDT

        section .text
        bits    32
real_noted:
        mov     eax, KDS
        mov     ds, eax
        mov     ss, eax
        mov     esp, STACK_DF
        mov     eax, [real_fields + 8 * f_rip]
        call    note_step
        jc      .enough
        mov     eax, REAL_DS
        mov     ds, eax
        mov     ss, eax
        jmp     IMAGE_CS16:capture16.noted_in_real - header
.enough:
        mov     eax, given_(cr0)
        mov     [real_cr0], eax

real_captured:
        mov     eax, KDS
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     esp, STACK_DF
        cld
        mov     esi, real_fields
        mov     edi, GOT
        mov     ecx, 2 * f_cr0
        rep     movsd
        mov     eax, [real_cr0]
        mov     got_(cr0), eax
        mov     eax, [real_vector]
        mov     got_(vector), eax
        mov     eax, cr2
        mov     got_(cr2), eax
        mov     eax, cr3
        mov     got_(cr3), eax
        mov     eax, dr0
        mov     got_(dr0), eax
        mov     eax, dr1
        mov     got_(dr1), eax
        mov     eax, dr2
        mov     got_(dr2), eax
        mov     eax, dr3
        mov     got_(dr3), eax
        mov     eax, dr6
        mov     got_(dr6), eax
        mov     eax, dr7
        mov     got_(dr7), eax
        mov     eax, given_(tr)         ; cannot be looked at in real mode
        mov     got_(tr), eax
        jmp     captured_real
