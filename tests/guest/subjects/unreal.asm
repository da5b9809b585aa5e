; Real mode with what protected mode has left in the segments' hidden parts (SDM vol. 3A, "Switching Back to Real-Address Mode"): a load
; of a selector changes the base, limits stay. `given unreal, 1`: 4 GiB limits in DS, ES, FS, GS and SS.

HIGH_UP equ     SCRATCH + 0x100         ; above 1 MiB

%macro unreal_case 3            ; name, {instruction}, what it does
        CASE    %1, real16
        given   unreal, 1
        given   ebx, HIGH_UP - DATA
        given   esi, HIGH_UP - DATA
        given   edi, HIGH_UP - DATA
        given   ecx, 2
        memory  HIGH_UP, 8, 0x8877665544332211
        CODE
        %2
        RUN
%ifidn %3, load
        expect  eax, 0x44332211
%elifidn %3, store
        is_memory HIGH_UP, 4, 0x11111111
%endif
        ignore  esi, edi, ecx, flags
%endmacro
        unreal_case "load above 1 MiB in unreal mode", {mov eax, [ebx]}, load
        unreal_case "store above 1 MiB in unreal mode", {mov [ebx], eax}, store
        unreal_case "load above 1 MiB by es", {mov eax, [es:ebx]}, load
        unreal_case "load above 1 MiB by fs", {mov eax, [fs:ebx]}, load
        unreal_case "load above 1 MiB by gs", {mov eax, [gs:ebx]}, load
        unreal_case "load above 1 MiB by ss", {mov eax, [ss:ebx]}, load
        unreal_case "lodsd above 1 MiB", {a32 lodsd}, load
        unreal_case "stosd above 1 MiB", {a32 stosd}, store
        unreal_case "rep stosd above 1 MiB", {a32 rep stosd}, store
        CASE    "rep movsd from above 1 MiB", real16
        given   unreal, 1
        given   esi, HIGH_UP - DATA
        given   edi, 0x100
        given   ecx, 2
        memory  HIGH_UP, 8, 0x8877665544332211
        CODE
        a32 rep movsd
        RUN
        is_memory DATA + 0x100, 8, 0x8877665544332211
        expect  ecx, 0
        expect  esi, HIGH_UP - DATA + 8
        expect  edi, 0x108
        CASE    "offset over 64 KiB in unreal mode", real16
        given   unreal, 1
        given   ebx, 0xffff
        memory  DATA + 0xffff, 1, 0x12
        CODE
        mov     [bx], ax                ; 16-bit addressing, but the limit does not bound the access
        RUN
        is_memory DATA + 0xffff, 2, 0x1111
        CASE    "16-bit addresses wrap in unreal mode", real16
        given   unreal, 1
        given   ebx, 0xfff0
        given   esi, 0x0012
        memory  DATA + 2, 1, 0x66
        CODE
        mov     al, [bx + si]
        RUN
        expect  eax, 0x11111166
        CASE    "unreal limits survive a load of the selector", real16
        given   unreal, 1
        given   eax, 0x1000
        given   ebx, HIGH_UP - 0x10000
        memory  HIGH_UP, 4, 0x44332211
        CODE
        mov     ds, ax
        mov     ecx, [ebx]
        RUN
        expect  ds, 0x1000
        expect  ecx, 0x44332211
        CASE    "unreal limits survive pop and lds", real16
        given   unreal, 1
        given   ebx, HIGH_UP - 0x10000
        memory  HIGH_UP, 4, 0x44332211
        memory  STACK, 2, 0x1000
        memory  DATA + 0x40, 4, 0x1000 << 16
        CODE
        pop     es
        mov     ecx, [es:ebx]
        lfs     si, [0x40]
        add     ecx, [fs:ebx]
        RUN
        moves_sp 2
        expect  es, 0x1000
        expect  fs, 0x1000
        expect  esi, 0x77770000
        expect  ecx, 0x88664422
        ignore  flags
        CASE    "without unreal limits", real16
        given   ebx, HIGH_UP - DATA
        CODE
        mov     eax, [ebx]
        RUN
        fault   GP
        CASE    "interrupts do not change unreal limits", real16
        given   unreal, 1
        given   ebx, HIGH_UP - DATA
        memory  HIGH_UP, 4, 0x44332211
        memory  IVT + 4 * 0x50, 4, (EXEC << 12) + off(.handler)
        CODE
        int     0x50
        mov     eax, [ebx]
        jmp     short .done
.handler:
        iret
        RUN
        expect  eax, 0x44332211
        CASE    "protected mode and back in the code under test", real16
        given   ebx, HIGH_UP
        memory  HIGH_UP, 4, 0x44332211
        memory  DATA + 0x40, 6, (GDT_SIZE - 1) | GDT << 16
        CODE
        o32 lgdt [0x40]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        mov     dx, KDS
        mov     fs, dx
        and     al, 0xfe
        mov     cr0, eax
        mov     ecx, [fs:ebx]           ; the base is that of the descriptor
        xor     dx, dx
        mov     fs, dx
        mov     edi, [fs:ebx]
        RUN
        ignore  eax, edx, flags
        expect  fs, 0
        expect  ecx, 0x44332211
        expect  edi, 0x44332211
        CASE    "cs keeps its base after PE is set", real16
        memory  DATA + 0x40, 6, (GDT_SIZE - 1) | GDT << 16
        CODE
        o32 lgdt [0x40]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        inc     cx                      ; still by the real-mode base, 16-bit code
        mov     edx, [0x40]             ; and by that of ds
        and     al, 0xfe
        mov     cr0, eax
        RUN
        ignore  eax, flags
        expect  ecx, 0x22222223
        expect  edx, (GDT_SIZE - 1) | (GDT & 0xffff) << 16
