; Cases in protected and virtual-8086 mode: the way in, and the way out by an exception.
        section .text
        bits    32

; Control and debug registers as the case wants them; paging, if any, comes last. All tables map what runs here to itself.
load_control:
        mov     eax, given_(cr3)
        mov     cr3, eax
        test    dword [features], need_cr4
        jz      .debug
        mov     eax, given_(cr4)
        mov     cr4, eax
        test    dword [features], need_nx | need_lm
        jz      .debug
        mov     ecx, 0xc0000080
        mov     eax, given_(efer)
        and     eax, ~EFER_LMA
        xor     edx, edx
        wrmsr
.debug: mov     eax, given_(cr2)
        mov     cr2, eax
        mov     eax, given_(dr0)
        mov     dr0, eax
        mov     eax, given_(dr1)
        mov     dr1, eax
        mov     eax, given_(dr2)
        mov     dr2, eax
        mov     eax, given_(dr3)
        mov     dr3, eax
        mov     eax, given_(dr6)
        mov     dr6, eax
        mov     eax, given_(dr7)
        mov     dr7, eax
        ret

enter_protected:
        mov     [resume_esp], esp
        call    load_control
        mov     eax, given_(cr0)
        mov     cr0, eax
        jmp     .go
.go:    mov     ax, [GIVEN + 8 * f_tr]
        ltr     ax
        mov     ax, [GIVEN + 8 * f_ldtr]
        lldt    ax
        mov     edx, EXEC
        test    given_(flags), VM
        jnz     .based
        mov     eax, given_(cs)
        call    segment_base
.based: sub     edx, given_(rip)
        neg     edx
        test    given_(flags), VM
        jnz     .vm86
        test    given_(cs), 3
        jnz     .outer
        mov     eax, given_(rsp)        ; the case's own stack, and what is popped from it
        mov     [.stack], eax
        mov     eax, given_(ss)
        mov     [.stack + 4], eax
        lss     esp, [.stack]
        jmp     .frame
.vm86:  push    given_(gs)
        push    given_(fs)
        push    given_(ds)
        push    given_(es)
.outer: push    given_(ss)
        push    given_(rsp)
.frame: push    given_(flags)
        push    given_(cs)
        push    edx
        mov     eax, given_(rax)
        mov     ecx, given_(rcx)
        mov     edx, given_(rdx)
        mov     ebx, given_(rbx)
        mov     ebp, given_(rbp)
        mov     esi, given_(rsi)
        mov     edi, given_(rdi)
        test    given_(flags), VM
        jnz     .in
        mov     es, [GIVEN + 8 * f_es]
        mov     fs, [GIVEN + 8 * f_fs]
        mov     gs, [GIVEN + 8 * f_gs]
        mov     ds, [GIVEN + 8 * f_ds]
.in:    iretd
        align   4
.stack: dd      0, 0

; The base of the segment that selector EAX names, in EDX. Carry: it is a big one (D/B).
segment_base:
        push    ecx
        mov     edx, GDT
        test    al, 4
        jz      .table
        mov     edx, LDT
.table: movzx   ecx, ax
        and     ecx, 0xfff8
        add     ecx, edx
        mov     edx, [ecx + 2]
        and     edx, 0xffffff
        rol     edx, 8
        mov     dl, [ecx + 7]
        ror     edx, 8
        bt      dword [ecx + 4], 22
        pop     ecx
        ret

; ---- exceptions. Stubs push the vector, and a zero where the processor has pushed no error code.
%macro stub_bits 1              ; vector
%if %1 == 8 || (%1 >= 10 && %1 <= 14) || %1 == 17
%else
        push    0
%endif
        push    strict dword %1
%endmacro
        align   STUB_SIZE
stubs32:
%assign n 0
%rep 256
        align   STUB_SIZE
        stub_bits n
        jmp     capture32
%assign n n + 1
%endrep

        struc   frame32         ; what capture32 finds above the registers that it has pushed
.ds:    resd    1
.eax:   resd    1
.vector: resd   1
.error: resd    1
.eip:   resd    1
.cs:    resd    1
.eflags: resd   1
.esp:   resd    1
.ss:    resd    1
.es:    resd    1
.old_ds: resd   1
.fs:    resd    1
.gs:    resd    1
        endstruc

capture32:
        push    eax
        push    ds
        mov     eax, KDS
        mov     ds, eax
        mov     got_(rcx), ecx
        mov     got_(rdx), edx
        mov     got_(rbx), ebx
        mov     got_(rbp), ebp
        mov     got_(rsi), esi
        mov     got_(rdi), edi
        mov     eax, ss                 ; the stack may be one of 16 bits
        call    segment_base
        mov     ecx, esp
        jc      .wide
        movzx   ecx, cx
.wide:  lea     ebx, [edx + ecx]
        mov     eax, [ebx + frame32.eflags]
        mov     got_(flags), eax
        mov     edx, [ebx + frame32.cs]
        and     edx, 0xffff
        mov     got_(cs), edx
        test    eax, VM
        jnz     .vm86
        mov     eax, edx
        call    segment_base
        jmp     .rip
.vm86:  shl     edx, 4
.rip:   add     edx, [ebx + frame32.eip]
        mov     got_(rip), edx
        mov     eax, [ebx + frame32.vector]
        mov     got_(vector), eax
        cmp     eax, e_DB
        jne     .end
        cmp     dword [tracing_on], 0
        jne     .trace
.end:   mov     eax, [ebx + frame32.error]
        mov     got_(error), eax
        mov     eax, [ebx + frame32.eax]
        mov     got_(rax), eax
        test    got_(flags), VM
        jnz     .from_vm86
        mov     ax, es
        mov     [GOT + 8 * f_es], ax
        mov     ax, [ebx + frame32.ds]
        mov     [GOT + 8 * f_ds], ax
        mov     ax, fs
        mov     [GOT + 8 * f_fs], ax
        mov     ax, gs
        mov     [GOT + 8 * f_gs], ax
        test    got_(cs), 3
        jnz     .from_outer
        mov     eax, ss
        mov     got_(ss), eax
        call    segment_base
        mov     eax, esp
        jnc     .narrow
        add     eax, frame32.esp
        jmp     .sp
.narrow:
        add     ax, frame32.esp
.sp:    mov     got_(rsp), eax
        jmp     captured32
.from_vm86:
        mov     ax, [ebx + frame32.es]
        mov     [GOT + 8 * f_es], ax
        mov     ax, [ebx + frame32.old_ds]
        mov     [GOT + 8 * f_ds], ax
        mov     ax, [ebx + frame32.fs]
        mov     [GOT + 8 * f_fs], ax
        mov     ax, [ebx + frame32.gs]
        mov     [GOT + 8 * f_gs], ax
.from_outer:
        mov     eax, [ebx + frame32.esp]
        mov     got_(rsp), eax
        mov     ax, [ebx + frame32.ss]
        mov     [GOT + 8 * f_ss], ax
        jmp     captured32
.trace: mov     eax, got_(rip)
        call    note_step
        jc      .end
        mov     ecx, got_(rcx)
        mov     edx, got_(rdx)
        mov     ebx, got_(rbx)
        pop     ds
        pop     eax
        lea     esp, [esp + 8]
        iretd

; Notes that a debug exception stopped at EAX, and DR6; clears that. Carry: enough, the case must end.
note_step:
        mov     ecx, [stops]
        cmp     ecx, TRACE_MOST
        jae     .full
        mov     [TRACE + ecx * 8], eax
        mov     edx, dr6
        mov     [TRACE + ecx * 8 + 4], edx
        mov     edx, given_(dr6)
        mov     dr6, edx
        inc     dword [stops]
        clc
        ret
.full:  stc
        ret

; GOT's system registers, and paging off.
captured32:
        mov     eax, cr0
        mov     got_(cr0), eax
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
        str     ax
        mov     [GOT + 8 * f_tr], ax
        sldt    ax
        mov     [GOT + 8 * f_ldtr], ax
captured_real:                  ; in real mode some of these do not exist
        mov     eax, CR0_BASE
        mov     cr0, eax
        jmp     .flat
.flat:  test    dword [features], need_cr4
        jz      .end
        mov     eax, cr4
        mov     got_(cr4), eax
        xor     eax, eax
        mov     cr4, eax
        test    dword [features], need_nx | need_lm
        jz      .end
        mov     ecx, 0xc0000080
        rdmsr
        mov     got_(efer), eax
        xor     eax, eax
        xor     edx, edx
        wrmsr
.end:   cmp     dword [in_case], 0
        je      stray
        jmp     leave_case

; A double fault comes through a task gate; the state before is in the task state of old.
double_fault:
        pop     eax
        mov     got_(error), eax
        mov     got_(vector), e_DF
        movzx   ebx, word [TSS_DF]      ; the link: which task it was
        mov     got_(tr), ebx
        mov     eax, ebx
        call    segment_base
        mov     ebx, edx
        mov     esi, edx
        add     esi, 40
        mov     edi, GOT
        mov     ecx, 8
.register:
        lodsd
        mov     [edi], eax
        add     edi, 8
        loop    .register
        mov     eax, [ebx + 36]
        mov     got_(flags), eax
        mov     edi, GOT + 8 * f_es     ; ES CS SS DS FS GS
        mov     ecx, 6
.selector:
        lodsd
        movzx   eax, ax
        mov     [edi], eax
        add     edi, 8
        loop    .selector
        mov     ax, [ebx + 76]
        call    segment_base
        test    got_(flags), VM
        jz      .rip
        movzx   edx, word [ebx + 76]
        shl     edx, 4
.rip:   add     edx, [ebx + 32]
        mov     got_(rip), edx
        clts                            ; set by the task switch, not by the case
        mov     eax, cr0
        mov     got_(cr0), eax
        mov     eax, cr2
        mov     got_(cr2), eax
        mov     eax, cr3
        mov     got_(cr3), eax
        mov     eax, dr6
        mov     got_(dr6), eax
        mov     eax, dr7
        mov     got_(dr7), eax
        jmp     captured_real
