; System tables: descriptors, gates, task states and page tables. Those in use are made anew for every case, so that a case may
; change what it likes.
        section .text
        bits    32

%macro segment_row 3            ; base, limit, attributes
        dd      desc_low(%1, %2), desc_high(%1, %2, %3)
%endmacro
        align   8
gdt_model:
        dq      0
        segment_row 0, 0xfffff, A_CODE32                ; KCS32
        segment_row 0, 0xfffff, A_DATA32                ; KDS
        segment_row 0, 0xfffff, A_CODE32 | dpl(3)       ; UCS32
        segment_row 0, 0xfffff, A_DATA32 | dpl(3)       ; UDS
        segment_row 0, 0xfffff, A_CODE64                ; KCS64
        segment_row 0, 0xfffff, A_CODE64 | dpl(3)       ; UCS64
        segment_row EXEC, 0xffff, A_CODE16              ; KCS16
        segment_row DATA, 0xffff, A_DATA16              ; KDS16
        segment_row EXEC, 0xffff, A_CODE16 | dpl(3)     ; UCS16
        segment_row DATA, 0xffff, A_DATA16 | dpl(3)     ; UDS16
        segment_row IMAGE, 0xffff, A_CODE16             ; IMAGE_CS16
        segment_row 0, 0xffff, A_DATA16                 ; REAL_DS
        segment_row TSS_MAIN, TSS_LIMIT, 0x0089
        segment_row TSS_DF, 0x67, 0x0089
        segment_row TSS_64, 0x67, 0x0089
        dq      0
        segment_row TSS_TEST, 0x67, 0x0089
        segment_row TSS_TEST16, 0x2b, 0x0081
        segment_row LDT, LDT_SIZE - 1, 0x0082
        segment_row LDT, LDT_SIZE - 1, 0x0082           ; SEL_LDT64
        dq      0
        segment_row 0, 0xfffff, A_CODE32 | dpl(1)       ; CS1
        segment_row 0, 0xfffff, A_DATA32 | dpl(1)
        segment_row 0, 0xfffff, A_CODE32 | dpl(2)
        segment_row 0, 0xfffff, A_DATA32 | dpl(2)
        dd      SEL_TSS_TEST << 16, 0xe500              ; SEL_TASK_GATE
gdt_model_end:

gdt_pointer:
        dw      GDT_SIZE - 1
        dd      GDT, 0                  ; long enough for 64-bit code
idt32_pointer:
        dw      0x7ff
        dd      IDT32
idt64_pointer:
        dw      0xfff
        dd      IDT64, 0

; What no case changes: the interrupt tables, from which each case's are made.
tables_once:
        lgdt    [gdt_pointer]
        call    renew_tables
        mov     eax, KDS
        mov     ds, eax
        mov     es, eax
        mov     fs, eax
        mov     gs, eax
        mov     ss, eax
        jmp     KCS32:.here
.here:  lidt    [idt32_pointer]
        mov     ax, SEL_TSS
        ltr     ax
        ret

; Fills memory at EDI with ECX zero bytes (a multiple of four).
clear_bytes:
        xor     eax, eax
        shr     ecx, 2
        rep     stosd
        ret

; The descriptors, gates, task states, and test memory of a case that mentions none.
renew_tables:
        pushad
        mov     edi, GDT
        mov     ecx, GDT_SIZE + LDT_SIZE
        call    clear_bytes
        mov     esi, gdt_model
        mov     edi, GDT
        mov     ecx, (gdt_model_end - gdt_model) / 4
        rep     movsd
        call    renew_gates
        call    renew_tasks
        mov     edi, EXEC               ; INT3, where nothing else is
        mov     ecx, 0x2000 / 4
        mov     eax, 0xcccccccc
        rep     stosd
        mov     edi, DATA
        mov     ecx, 0x10000
        call    clear_bytes
        popad
        ret

renew_gates:
        mov     edi, IDT32              ; 32-bit interrupt gates for everybody
        mov     ebx, stubs32
        xor     ecx, ecx
.gate32:
        mov     eax, ebx
        and     eax, 0xffff
        or      eax, KCS32 << 16
        stosd
        mov     eax, ebx
        mov     ax, 0xee00
        stosd
        add     ebx, STUB_SIZE
        inc     cl
        jnz     .gate32
        mov     dword [IDT32 + 8 * e_DF], SEL_TSS_DF << 16
        mov     dword [IDT32 + 8 * e_DF + 4], 0xe500
        mov     edi, IVT
        mov     eax, (IMAGE >> 4) << 16 | (stubs16 - header)
.gate16:
        stosd
        add     eax, STUB_SIZE
        inc     cl
        jnz     .gate16
        test    dword [features], need_lm
        jz      .end
        mov     edi, IDT64
        mov     ebx, stubs64
.gate64:
        mov     eax, ebx
        and     eax, 0xffff
        or      eax, KCS64 << 16
        stosd
        mov     eax, ebx
        mov     ax, 0xee01              ; on the first stack of the IST
        stosd
        xor     eax, eax
        stosd
        stosd
        add     ebx, STUB_SIZE
        inc     cl
        jnz     .gate64
.end:   ret

renew_tasks:
        mov     edi, TSS_MAIN
        mov     ecx, 0xd00
        call    clear_bytes
        mov     ebx, TSS_MAIN
        call    .stacks
        mov     word [TSS_MAIN + 0x66], TSS_IOMAP - TSS_MAIN
        mov     edi, TSS_IOMAP          ; no ports for anybody
        mov     ecx, 0x20
        or      eax, -1
        rep     stosd
        mov     byte [TSS_MAIN + TSS_LIMIT], 0xff
        mov     ebx, TSS_DF
        mov     edx, STACK_DF
        mov     eax, double_fault
        call    .task
        mov     ebx, TSS_TEST           ; a task that runs what is tested
        mov     edx, STACK
        mov     eax, EXEC + 0x100
        call    .task
        mov     ebx, TSS_TEST
        call    .stacks
        mov     word [TSS_TEST + 0x66], 0x68
        mov     dword [TSS_64 + 4], STACK_RING0
        mov     dword [TSS_64 + 12], STACK_RING1
        mov     dword [TSS_64 + 20], STACK_RING2
        mov     dword [TSS_64 + 36], STACK_IST
        ret
.stacks:
        mov     dword [ebx + 4], STACK_RING0
        mov     dword [ebx + 8], KDS
        mov     dword [ebx + 12], STACK_RING1
        mov     dword [ebx + 16], DS1
        mov     dword [ebx + 20], STACK_RING2
        mov     dword [ebx + 24], DS2
        ret
.task:  mov     [ebx + 32], eax         ; EIP
        mov     dword [ebx + 36], 2     ; EFLAGS
        mov     [ebx + 56], edx         ; ESP
        mov     eax, KDS
        mov     [ebx + 72], eax         ; ES
        mov     dword [ebx + 76], KCS32
        mov     [ebx + 80], eax         ; SS
        mov     [ebx + 84], eax         ; DS
        mov     [ebx + 88], eax         ; FS
        mov     [ebx + 92], eax         ; GS
        ret

; ---- paging: the first 4 MiB are their own image. User pages are those of the code and data under test, when AL is 3.
renew_pages:
        pushad
        mov     dl, al
        mov     edi, PD32
        mov     ecx, 0xb000
        call    clear_bytes
        mov     dword [PD32], PT32 + 7
        ; The same memory again through other entries, at ALIAS2 to ALIAS4.
        mov     dword [PD32 + 4], PT32 + 7
        mov     dword [PD_PAE + 8 * 2], PT64 + 7
        mov     dword [PD64 + 8 * 2], PT64 + 7
        mov     dword [PDPT_PAE + 8], PD_PAE + 1
        mov     dword [PDPT64 + 8], PD64 + 7
        mov     dword [PML4 + 8], PDPT64 + 7
        mov     dword [PDPT_PAE], PD_PAE + 1
        mov     dword [PD_PAE], PT64 + 7
        mov     dword [PD_PAE + 8], PT64 + 0x1007
        mov     dword [PDPT_PAE + 8 * 3], PD_HIGH + 1
        mov     dword [PML4], PDPT64 + 7
        mov     dword [PML4 + 8 * 511], PDPT64 + 7
        mov     dword [PDPT64], PD64 + 7
        mov     dword [PDPT64 + 8 * 3], PD_HIGH + 7
        mov     dword [PDPT64 + 8 * 511], PD_HIGH + 7
        mov     dword [PD64], PT64 + 7
        mov     dword [PD64 + 8], PT64 + 0x1007
        mov     dword [PD_HIGH + 8 * 511], PT_HIGH + 7
        mov     eax, 3
        xor     ecx, ecx
.page:  mov     ebx, eax
        cmp     dl, 3
        jne     .set
        cmp     eax, EXEC
        jb      .set
        cmp     eax, DATA + 0x10000
        jae     .scratch
.user:  or      ebx, P_U
        jmp     .set
.scratch:
        cmp     eax, SCRATCH
        jb      .set
        cmp     eax, LOAD
        jb      .user
.set:   mov     [PT32 + ecx * 4], ebx
        mov     [PT64 + ecx * 8], ebx
        add     eax, 0x1000
        inc     ecx
        cmp     ecx, 1024
        jb      .page
        ; The highest page of the address space is the first of DATA's.
        mov     eax, [PT64 + (DATA >> 12) * 8]
        mov     [PT_HIGH + 8 * 511], eax
        popad
        ret

; The entry for the linear address EBX at level ECX (1 page table .. 4): its address in EDI. Carry: in 32-bit format.
find_entry:
        test    given_(cr4), CR4_PAE
        jz      .pg32
        test    given_(efer), EFER_LME
        jnz     .long
        mov     edi, ebx
        cmp     cl, 2
        ja      .pdpt
        je      .pd
.pt:    shr     edi, 12
        and     edi, 1023
        lea     edi, [PT64 + edi * 8]
        clc
        ret
.pd:    shr     edi, 21
        and     edi, 511
        lea     edi, [PD_PAE + edi * 8]
        clc
        ret
.pdpt:  shr     edi, 30
        lea     edi, [PDPT_PAE + edi * 8]
        clc
        ret
.long:  mov     edi, ebx
        cmp     cl, 1
        je      .pt
        cmp     cl, 2
        ja      .high
        shr     edi, 21
        and     edi, 511
        lea     edi, [PD64 + edi * 8]
        clc
        ret
.high:  cmp     cl, 3
        mov     edi, PML4 + 8           ; only the entry for ALIAS4 can be changed
        ja      .end
        mov     edi, ebx
        shr     edi, 30
        lea     edi, [PDPT64 + edi * 8]
.end:   clc
        ret
.pg32:  mov     edi, ebx
        cmp     cl, 1
        je      .pt32
        shr     edi, 22
        lea     edi, [PD32 + edi * 4]
        stc
        ret
.pt32:  shr     edi, 12
        and     edi, 1023
        lea     edi, [PT32 + edi * 4]
        stc
        ret
