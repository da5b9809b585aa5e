; Cases in 64-bit and compatibility mode. The runner leaves long mode between two of them.
        section .text
        bits    32

enter_long:
        mov     [resume_esp], esp
        call    load_control
        mov     eax, given_(cr0)
        mov     cr0, eax
        jmp     KCS64:.long
        bits    64
.long:  lidt    [idt64_pointer]
        mov     ax, [GIVEN + 8 * f_tr]
        ltr     ax
        mov     ax, [GIVEN + 8 * f_ldtr]
        lldt    ax
        mov     rax, [GIVEN + 8 * f_cr2]
        mov     cr2, rax
        mov     esp, [resume_esp]
        mov     eax, [GIVEN + 8 * f_cs]
        call    segment_base64
        mov     rax, [GIVEN + 8 * f_rip]
        sub     rax, rdx
        push    qword [GIVEN + 8 * f_ss]
        push    qword [GIVEN + 8 * f_rsp]
        push    qword [GIVEN + 8 * f_flags]
        push    qword [GIVEN + 8 * f_cs]
        push    rax
        mov     es, [GIVEN + 8 * f_es]
        mov     ds, [GIVEN + 8 * f_ds]
        mov     fs, [GIVEN + 8 * f_fs]
        mov     gs, [GIVEN + 8 * f_gs]
%macro every_register 1         ; load or save
        %1      rax
        %1      rcx
        %1      rdx
        %1      rbx
        %1      rbp
        %1      rsi
        %1      rdi
        %1      r8
        %1      r9
        %1      r10
        %1      r11
        %1      r12
        %1      r13
        %1      r14
        %1      r15
%endmacro
%macro load_given 1
        mov     %1, [GIVEN + 8 * f_ %+ %1]
%endmacro
%macro save_got 1
        mov     [GOT + 8 * f_ %+ %1], %1
%endmacro
        every_register load_given
        iretq

        align   STUB_SIZE
stubs64:
%assign n 0
%rep 256
        align   STUB_SIZE
        stub_bits n
        jmp     capture64
%assign n n + 1
%endrep

        struc   frame64
.vector: resq   1
.error: resq    1
.rip:   resq    1
.cs:    resq    1
.rflags: resq   1
.rsp:   resq    1
.ss:    resq    1
        endstruc

capture64:
        every_register save_got
        mov     rax, [rsp + frame64.rsp]
        mov     [GOT + 8 * f_rsp], rax
        mov     rax, [rsp + frame64.rflags]
        mov     [GOT + 8 * f_flags], rax
        mov     rax, [rsp + frame64.ss]
        mov     [GOT + 8 * f_ss], rax
        mov     rax, [rsp + frame64.cs]
        mov     [GOT + 8 * f_cs], rax
        call    segment_base64
        add     rdx, [rsp + frame64.rip]
        mov     [GOT + 8 * f_rip], rdx
        mov     rax, [rsp + frame64.vector]
        mov     [GOT + 8 * f_vector], rax
        cmp     eax, e_DB
        jne     .end
        cmp     dword [tracing_on], 0
        jne     .trace
.end:   mov     rax, [rsp + frame64.error]
        mov     [GOT + 8 * f_error], rax
        mov     [GOT + 8 * f_es], es
        mov     [GOT + 8 * f_ds], ds
        mov     [GOT + 8 * f_fs], fs
        mov     [GOT + 8 * f_gs], gs
%macro save_system 2
        mov     rax, %1
        mov     [GOT + 8 * f_ %+ %2], rax
%endmacro
        save_system cr0, cr0
        save_system cr2, cr2
        save_system cr3, cr3
        save_system cr4, cr4
        save_system dr0, dr0
        save_system dr1, dr1
        save_system dr2, dr2
        save_system dr3, dr3
        save_system dr6, dr6
        save_system dr7, dr7
        str     [GOT + 8 * f_tr]
        sldt    [GOT + 8 * f_ldtr]
        mov     ecx, 0xc0000080
        rdmsr
        mov     [GOT + 8 * f_efer], eax
        mov     rax, cr4                ; paging cannot be turned off under PCIDE
        and     eax, ~CR4_PCIDE
        mov     cr4, rax
        mov     esp, STACK_DF
        push    KCS32
        push    .leave
        o64 retf
.trace: mov     eax, edx                ; the note is as in the 32-bit handler
        mov     ecx, [stops]
        cmp     ecx, TRACE_MOST
        jae     .end                    ; enough; the case must end
        mov     [TRACE + rcx * 8], eax
        mov     rdx, dr6
        mov     [TRACE + rcx * 8 + 4], edx
        mov     rdx, [GIVEN + 8 * f_dr6]
        mov     dr6, rdx
        inc     dword [stops]
        mov     rax, [GOT + 8 * f_rax]
        mov     rcx, [GOT + 8 * f_rcx]
        mov     rdx, [GOT + 8 * f_rdx]
        add     rsp, 16
        iretq
        bits    32
.leave: mov     eax, KDS
        mov     ds, eax
        mov     ss, eax
        mov     eax, CR0_BASE
        mov     cr0, eax
        jmp     .flat
.flat:  mov     ecx, 0xc0000080
        xor     eax, eax
        xor     edx, edx
        wrmsr
        mov     cr4, eax
        cmp     dword [in_case], 0
        je      stray
        jmp     leave_case

        bits    64
segment_base64:                 ; of selector EAX, in RDX: 0 for 64-bit code
        mov     edx, GDT
        test    al, 4
        mov     ecx, LDT
        cmovnz  edx, ecx
        movzx   ecx, ax
        and     ecx, 0xfff8
        add     ecx, edx
        mov     edx, [rcx + 2]
        and     edx, 0xffffff
        rol     edx, 8
        mov     dl, [rcx + 7]
        ror     edx, 8
        bt      dword [rcx + 4], 21
        jnc     .end
        xor     edx, edx
.end:   ret
        bits    32
