; Segment limits and types at each access, wrap of 16-bit addresses and stacks, and the code segment's limit (SDM vol. 3A, "Limit
; Checking", "Type Checking"; "8086 Emulation" for real mode; vol. 2B, "PUSH", "PUSHA").

; Access through FS, which T0 describes: mode, name, base, limit, attributes; address, bytes moved (1, 2, 4), read or write; 1 if allowed
%macro segment_access 9
        CASE    %2, %1
        desc    T0, %3, %4, %5 | dpl(cs_of_case & 3)
        given   fs, T0 | (cs_of_case & 3)
        given   ebx, %6
        fill    DATA, 0x20, 0x5a
        CODE
%ifidn %8, read
 %if %7 == 1
        mov     al, [fs:ebx]
 %elif %7 == 2
        mov     ax, [fs:ebx]
 %else
        mov     eax, [fs:ebx]
 %endif
%else
 %if %7 == 1
        mov     [fs:ebx], al
 %elif %7 == 2
        mov     [fs:ebx], ax
 %else
        mov     [fs:ebx], eax
 %endif
%endif
        RUN
%if %9
 %ifidn %8, read
  %if %7 == 1
        expect  eax, 0x1111115a
  %elif %7 == 2
        expect  eax, 0x11115a5a
  %else
        expect  eax, 0x5a5a5a5a
  %endif
 %else
        is_memory DATA, %7, 0x11111111
 %endif
%else
        fault   GP
        is_memory DATA, 8, 0x5a5a5a5a5a5a5a5a
%endif
%endmacro

%assign ALLOWED_ 1
%assign REFUSED 0
%macro limit_cases 1
        segment_access %1, "last byte of a segment", DATA - 0xfff, 0xfff, 0x4093, 0xfff, 1, read, ALLOWED_
        segment_access %1, "byte behind a segment", DATA - 0x1000, 0xfff, 0x4093, 0x1000, 1, read, REFUSED
        segment_access %1, "last word of a segment", DATA - 0xffe, 0xfff, 0x4093, 0xffe, 2, write, ALLOWED_
        segment_access %1, "word over the end of a segment", DATA - 0xfff, 0xfff, 0x4093, 0xfff, 2, write, REFUSED
        segment_access %1, "last dword of a segment", DATA - 0xffc, 0xfff, 0x4093, 0xffc, 4, read, ALLOWED_
        segment_access %1, "dword over the end of a segment", DATA - 0xffd, 0xfff, 0x4093, 0xffd, 4, write, REFUSED
        segment_access %1, "segment of one byte", DATA, 0, 0x4093, 0, 1, write, ALLOWED_
        segment_access %1, "word in a segment of one byte", DATA, 0, 0x4093, 0, 2, read, REFUSED
        segment_access %1, "dword over the end of the address space", DATA - 0xfffffffd, 0xfffff, 0xc093, 0xfffffffd, 4, read, REFUSED
        segment_access %1, "last dword of the address space", DATA - 0xfffffffc, 0xfffff, 0xc093, 0xfffffffc, 4, read, ALLOWED_
        segment_access %1, "base and offset wrap", 0xfffff000, 0xfffff, 0xc093, DATA + 0x1000, 4, read, ALLOWED_
        segment_access %1, "granular limit", DATA - 0x1fff, 1, 0xc093, 0x1fff, 1, read, ALLOWED_
        segment_access %1, "behind a granular limit", DATA - 0x2000, 1, 0xc093, 0x2000, 1, read, REFUSED
        segment_access %1, "write to read only data", DATA, 0xfff, 0x4091, 0, 1, write, REFUSED
        segment_access %1, "read of read only data", DATA, 0xfff, 0x4091, 0, 1, read, ALLOWED_
        segment_access %1, "write to readable code", DATA, 0xfff, 0x409b, 0, 1, write, REFUSED
        segment_access %1, "read of readable code", DATA, 0xfff, 0x409b, 0, 2, read, ALLOWED_
        segment_access %1, "above an expand-down limit", DATA - 0x1000, 0xfff, 0x4097, 0x1000, 1, write, ALLOWED_
        segment_access %1, "at an expand-down limit", DATA - 0xfff, 0xfff, 0x4097, 0xfff, 1, read, REFUSED
        segment_access %1, "dword across an expand-down limit", DATA - 0xffe, 0xfff, 0x4097, 0xffe, 4, read, REFUSED
        segment_access %1, "end of a big expand-down segment", DATA - 0xfffffffc, 0xfff, 0x4097, 0xfffffffc, 4, write, ALLOWED_
        segment_access %1, "over the end of a big expand-down segment", DATA - 0xfffffffd, 0xfff, 0x4097, 0xfffffffd, 4, write, REFUSED
        segment_access %1, "end of a small expand-down segment", DATA - 0xfffe, 0xfff, 0x0097, 0xfffe, 2, write, ALLOWED_
        segment_access %1, "over the end of a small expand-down segment", DATA - 0xffff, 0xfff, 0x0097, 0xffff, 2, write, REFUSED
        segment_access %1, "behind a small expand-down segment", DATA - 0x10000, 0xfff, 0x0097, 0x10000, 1, read, REFUSED
        segment_access %1, "expand-down limit of 4 GiB", DATA - 0xfffffff0, 0xfffff, 0xc097, 0xfffffff0, 1, read, REFUSED
%endmacro
        limit_cases prot32
        limit_cases user32
        limit_cases prot16
        limit_cases user16
        limit_cases comp32

; 64-bit mode has no limits, but addresses must be canonical.
        CASE    "null segment in use", prot32
        given   fs, 0
        CODE
        mov     al, [fs:DATA]
        RUN
        fault   GP
        CASE    "null segment in use", user32
        given   es, 0
        given   edi, DATA
        CODE
        stosb
        RUN
        fault   GP
        CASE    "null segments are in use all the time", user64
        given   ds, 0
        given   es, 0
        memory  DATA, 1, 0x77
        CODE
        mov     al, [DATA]
        RUN
        expect  rax, 0x77, 0xff
        CASE    "non-canonical read", long64
        given   rax, 0x0000800000000000
        CODE
        mov     cl, [rax]
        RUN
        fault   GP
        CASE    "non-canonical write by the stack pointer", long64
        given   rbp, 0xffff7fffffffffff
        CODE
        mov     [rbp], cl
        RUN
        fault   SS
        CASE    "read over the end of the lower half", user64
        given   rax, 0x00007ffffffffffd
        CODE
        mov     ecx, [rax]
        RUN
        fault   GP
        CASE    "push to a stack that is not canonical", user64
        given   rsp, 0x0000800000000004
        CODE
        push    rcx
        RUN
        fault   SS
        CASE    "pop from a stack that is not canonical", user64
        given   rsp, 0x00007ffffffffffc
        CODE
        pop     rcx
        RUN
        fault   SS
        CASE    "ss prefix at a non-canonical address", user64
        given   rax, 0x1234000000000000
        CODE
        db 0x36, 0x8a, 0x08
        RUN
        fault   GP
        CASE    "fs base does not make an address canonical", long64
        given   rax, 0x0000800000000000
        CODE
        mov     cl, [fs:rax]
        RUN
        fault   GP

; Real and virtual-8086 mode: segments of 64 KiB, 16-bit addresses that wrap.
%macro wrap_cases 1
        CASE    "word at offset ffff", %1
        given   ebx, 0xffff
        CODE
        mov     ax, [bx]
        RUN
        fault   GP
        CASE    "word at offset ffff of the stack segment", %1
        given   ebp, 0xffff
        CODE
        mov     ax, [bp]
        RUN
        fault   SS
        CASE    "dword at offset fffd", %1
        given   ebx, 0xfffd
        CODE
        mov     [bx], eax
        RUN
        fault   GP
        CASE    "byte at offset ffff", %1
        given   ebx, 0xffff
        memory  DATA + 0xffff, 1, 0x66
        CODE
        mov     al, [bx]
        RUN
        expect  eax, 0x11111166
        CASE    "offset wraps", %1
        given   ebx, 0xfff0
        given   esi, 0x0012
        memory  DATA + 2, 1, 0x66
        CODE
        mov     al, [bx + si]
        RUN
        expect  eax, 0x11111166
        CASE    "32-bit offset beyond 64 KiB", %1
        given   ebx, 0x10000
        CODE
        mov     al, [ebx]
        RUN
        fault   GP
        CASE    "lods at offset ffff", %1
        given   esi, 0x1234ffff
        memory  DATA + 0xffff, 1, 0x66
        CODE
        lodsb
        RUN
        expect  eax, 0x11111166
        expect  esi, 0x12340000
        CASE    "rep stosw up to offset ffff", %1
        given   edi, 0xfffb
        given   ecx, 0x22220005
        CODE
        rep stosw
        RUN
        fault   GP
        expect  edi, 0xffff
        expect  ecx, 0x22220003
        CASE    "rep movsb wraps", %1
        given   esi, 0xfffe
        given   edi, 0x100
        given   ecx, 4
        memory  DATA + 0xfffe, 2, 0x2211
        memory  DATA, 2, 0x4433
        CODE
        rep movsb
        RUN
        is_memory DATA + 0x100, 4, 0x44332211
        expect  esi, 2
        expect  edi, 0x104
        expect  ecx, 0
        CASE    "stosb downwards wraps", %1
        with    flags, DF
        given   edi, 0x55550000
        CODE
        stosb
        RUN
        expect  edi, 0x5555ffff
        CASE    "xlat wraps", %1
        given   ebx, 0xfff0
        given   eax, 0x20
        memory  DATA + 0x10, 1, 0x99
        CODE
        xlatb
        RUN
        expect  eax, 0x99
; The stack pointer.
        CASE    "push at stack pointer 0", %1
        given   esp, 0
        CODE
        push    ax
        mov     sp, STACK - DATA
        RUN
        is_memory DATA + 0xfffe, 2, 0x1111
        expect  esp, STACK - DATA
        CASE    "pop at stack pointer fffe", %1
        given   esp, 0xfffe
        memory  DATA + 0xfffe, 2, 0x8765
        CODE
        pop     ax
        mov     bx, sp
        mov     sp, STACK - DATA
        RUN
        expect  eax, 0x11118765
        expect  ebx, 0x44440000
        expect  esp, STACK - DATA
        CASE    "pop of a dword at stack pointer fffc", %1
        given   esp, 0xfffc
        memory  DATA + 0xfffc, 4, 0x87654321
        CODE
        pop     eax
        mov     bx, sp
        mov     sp, STACK - DATA
        RUN
        expect  eax, 0x87654321
        expect  ebx, 0x44440000
        expect  esp, STACK - DATA
        CASE    "popa wraps", %1
        given   esp, 0xfff8
        memory  DATA + 0xfff8, 8, 0x0003000200010000
        memory  DATA, 8, 0x0007000600050004
        CODE
        popa
        mov     sp, STACK - DATA
        RUN
        expect  edi, 0x88880000
        expect  esi, 0x77770001
        expect  ebp, 0x66660002
        expect  ebx, 0x44440004
        expect  edx, 0x33330005
        expect  ecx, 0x22220006
        expect  eax, 0x11110007
        expect  esp, STACK - DATA
        CASE    "call at stack pointer 0", %1
        given   esp, 0
        CODE
        call    .next
.next:  mov     sp, STACK - DATA
        RUN
        is_memory DATA + 0xfffe, 2, off(.next)
        expect  esp, STACK - DATA
        CASE    "jump that wraps", %1
        place   0x20
        memory  EXEC + 0xfffc, 4, 0x23eb0000
        CODE
        db      0xe9                    ; back to the segment's last two bytes, a jump of 23h bytes
        dw      0xfffe - (0x20 + 3)
.next:  RUN
        stopped_at .next
%endmacro
        wrap_cases real16
        wrap_cases vm86
%macro odd_stack_cases 1
; In virtual-8086 mode faults have a stack of their own.
        CASE    "push at stack pointer 1", %1
        given   esp, 1
        CODE
        push    ax
        RUN
        fault   SS
        CASE    "push of a dword at stack pointer 2", %1
        given   esp, 2
        CODE
        push    eax
        RUN
        fault   SS
        CASE    "pop at stack pointer ffff", %1
        given   esp, 0xffff
        CODE
        pop     ax
        RUN
        fault   SS
        CASE    "pop of a dword at stack pointer fffe", %1
        given   esp, 0xfffe
        CODE
        pop     eax
        RUN
        fault   SS
        CASE    "pusha at stack pointer 7", %1
        given   esp, 7
        CODE
        pusha
        RUN
        fault   SS
        CASE    "popa at stack pointer fff5", %1
        given   esp, 0xfff5
        CODE
        popa
        RUN
        fault   SS
        CASE    "far return at stack pointer fffd", %1
        given   esp, 0xfffd
        memory  DATA + 0xfffd, 4, (cs_of_case << 16) | off(.done)        ; where it is taken to, unchecked
        CODE
        retf
        RUN
        fault   SS
        CASE    "call at stack pointer 1", %1
        given   esp, 1
        CODE
        call    .done
        RUN
        fault   SS
        CASE    "enter at stack pointer 1", %1
        given   esp, 1
        CODE
        enter   2, 0
        RUN
        fault   SS
        CASE    "leave at frame pointer ffff", %1
        given   ebp, 0xffff
        CODE
        leave
        RUN
        fault   SS
%endmacro
        odd_stack_cases vm86
        odd_stack_cases user16
        odd_stack_cases comp16

; The code segment's limit: at the jump, or where code runs past it.
%macro code_segment 2           ; limit, D
        desc    T0, EXEC, %1, (%2) | dpl(cs_of_case & 3)
        given   cs, T0 | (cs_of_case & 3)
%endmacro
%macro code_limit_cases 1
        CASE    "jump behind the code segment's limit", %1
        code_segment 0x1ff, 0x409b
        CODE
        bits    32
        jmp     near .code + 0x200
        RUN
        fault   GP
        CASE    "conditional jump behind the limit, taken", %1
        code_segment 0x1ff, 0x409b
        with    flags, ZF
        CODE
        bits    32
        jz      near .code + 0x200
        RUN
        fault   GP
        CASE    "conditional jump behind the limit, not taken", %1
        code_segment 0x1ff, 0x409b
        CODE
        bits    32
        jz      near .code + 0x200
        RUN
        CASE    "loop behind the limit", %1
        code_segment 0x120, 0x409b
        given   ecx, 5
        CODE
        bits    32
        loop    .code + 0x40
        RUN
        fault   GP
; Intel's processors have stored the return address when they find the target behind the limit, AMD's have not: only ESP is certain.
        CASE    "call behind the limit", %1
        code_segment 0x1ff, 0x409b
        CODE
        bits    32
        call    .code + 0x300
        RUN
        fault   GP
        CASE    "return behind the limit", %1
        code_segment 0x1ff, 0x409b
        memory  STACK, 4, exec_offset + 0x200
        CODE
        bits    32
        ret
        RUN
        fault   GP
        CASE    "indirect jump behind the limit", %1
        code_segment 0x1ff, 0x409b
        given   eax, 0x10000
        CODE
        bits    32
        jmp     eax
        RUN
        fault   GP
        CASE    "code runs to the limit", %1
        code_segment 0x101, 0x409b
        CODE
        bits    32
        inc     eax
        nop
.past:  nop
        RUN
        ignore  flags
        expect  eax, 0x11111112
        fault   GP, 0, .past
        CASE    "instruction over the limit", %1
        code_segment 0x102, 0x409b
        CODE
        bits    32
        nop
.long:  mov     eax, 1
        RUN
        fault   GP, 0, .long
        CASE    "16-bit jump clears the upper half of EIP", %1
        code_segment 0xffff, 0x409b
        CODE
        bits    32
        db      0x66, 0xe9
        dw      .done - .next
.next:
        RUN
%endmacro
        code_limit_cases prot32
        code_limit_cases user32
        code_limit_cases comp32

; Stacks in protected mode.
%macro stack_case 7             ; mode, name, limit, attributes, ESP, instruction, 1 if allowed
        CASE    %2, %1
        desc    T0, DATA, %3, %4 | dpl(cs_of_case & 3)
        given   ss, T0 | (cs_of_case & 3)
        given   esp, %5
        memory  DATA + ((%5) & 0xffff), 4, off(.done)    ; where it is taken to, unchecked
        CODE
        %6
        RUN
%if %7 == 0
        fault   SS
%endif
%endmacro
%macro stack_cases 1
        stack_case %1, "push at a stack's limit", 0xeff, 0x4093, 0xf00, {push eax}, 1
        expect  esp, 0xefc
        stack_case %1, "push behind a stack's limit", 0xeff, 0x4093, 0xf01, {push eax}, 0
        stack_case %1, "push at 0 of a 32-bit stack", 0xfff, 0x4093, 0, {push eax}, 0
        stack_case %1, "push to an expand-down stack", 0xfff, 0x4097, 0x1004, {push eax}, 1
        expect  esp, 0x1000
        stack_case %1, "push below an expand-down stack", 0xfff, 0x4097, 0x1003, {push eax}, 0
        stack_case %1, "pop behind the limit", 0xeff, 0x4093, 0xefd, {pop eax}, 0
        stack_case %1, "call below an expand-down stack", 0xfff, 0x4097, 0x1002, {call .done}, 0
        stack_case %1, "ret behind the limit", 0xeff, 0x4093, 0xefe, ret, 0
        stack_case %1, "pushad over an expand-down limit", 0xfff, 0x4097, 0x101c, pushad, 0
        stack_case %1, "popad over the limit", 0xeff, 0x4093, 0xee4, popad, 0
        stack_case %1, "enter over an expand-down limit", 0xfff, 0x4097, 0x1010, {enter 0x10, 0}, 0
        stack_case %1, "pushf below an expand-down stack", 0xfff, 0x4097, 0x1002, pushf, 0
%endmacro
        stack_cases user32
        stack_cases comp32
