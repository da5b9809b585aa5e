; Page faults with every bit of their error code, and accessed and dirty bits, in each of the three formats (SDM vol. 3A, "Paging":
; "Access Rights", "Page-Fault Exceptions", "Accessed and Dirty Flags").

E_P     equ     1
E_W     equ     2
E_U     equ     4
E_RSVD  equ     8
E_I     equ     16
ALLOWED equ     -1
PAGE    equ     DATA + 0x2000           ; the page that is looked at

; Begins a case with paging: mode, format (pg32, pae; pg64 in modes that have it anyway), name, features. `user`: the error code's U bit.
%macro PAGED 3-4 0
%ifidn %2, pg64
        CASE    %3, %1, %4
%else
 %defstr %%format %2
 %strcat %%name %3, ", ", %%format
 %ifidn %2, pae
        CASE    %%name, %1, (%4) | need_pae
 %else
        CASE    %%name, %1, %4
 %endif
        paging  %2
%endif
%assign user 0
%if case_mode == m_vm86 || (cs_of_case & 3)
 %assign user E_U
%endif
%endmacro

; One byte at a linear address is read, written or executed. The error code of the page fault, or ALLOWED.
%macro access 3
%if case_bits == 16
        given   edi, (%2) - DATA
 %define %%pointer di
 %define %%target di
%elif case_bits == 32
        given   edi, %2
 %define %%pointer edi
 %define %%target edi
%else
        given   rdi, %2
 %define %%pointer rdi
 %define %%target rdi
%endif
%ifidn %1, read
        CODE
        mov     al, [%%pointer]
        RUN
 %if %3 == ALLOWED
        ignore  rax
 %endif
%elifidn %1, write
        CODE
        mov     byte [%%pointer], 0x55
        RUN
 %if %3 == ALLOWED
        is_memory PAGE, 1, 0x55
 %else
        is_memory PAGE, 1, 0
 %endif
%else
        memory  PAGE, 2, 0x0b0f         ; UD2
        CODE
        jmp     %%target
        RUN
        expect  rip, %2
%endif
%if %3 != ALLOWED
 %ifidn %1, fetch
        expect  vector, e_PF
        expect  error, %3
        expect  cr2, %2
 %else
        page_fault %2, %3
 %endif
%endif
%endmacro

; With the restriction of the mode: ring 0 may do what ring 3 may not. Error code for ring 3, and for ring 0.
%macro access_by_ring 4
%if user
        access  %1, %2, %3
%else
        access  %1, %2, %4
%endif
%endmacro

; The leaf's bits.
%macro leaf_cases 2
        PAGED   %1, %2, "read"
        access  read, PAGE, ALLOWED
        is_entry 1, PAGE, P_A | P_D, P_A
        is_entry 2, PAGE, P_A, P_A
        PAGED   %1, %2, "write"
        access  write, PAGE, ALLOWED
        is_entry 1, PAGE, P_A | P_D, P_A | P_D
        PAGED   %1, %2, "read, not present"
        page_entry 1, PAGE, P_P, P_D
        access  read, PAGE, user
        PAGED   %1, %2, "write, not present"
        page_entry 1, PAGE, P_P | P_W | P_U, 0
        access  write, PAGE, user | E_W
        PAGED   %1, %2, "read only, read"
        with    cr0, CR0_WP
        page_entry 1, PAGE, P_W, 0
        access  read, PAGE, ALLOWED
        PAGED   %1, %2, "read only, write, WP off"
        page_entry 1, PAGE, P_W, 0
        access_by_ring write, PAGE, E_P | E_W | E_U, ALLOWED
        PAGED   %1, %2, "read only, write, WP on"
        with    cr0, CR0_WP
        page_entry 1, PAGE, P_W, 0
        access  write, PAGE, E_P | E_W | user
        is_entry 1, PAGE, P_D, 0
        PAGED   %1, %2, "supervisor page, read"
        page_entry 1, PAGE, P_U, 0
        access_by_ring read, PAGE, E_P | E_U, ALLOWED
        PAGED   %1, %2, "supervisor page, write"
        page_entry 1, PAGE, P_U, 0
        access_by_ring write, PAGE, E_P | E_W | E_U, ALLOWED
        PAGED   %1, %2, "user page, read"
        page_entry 1, PAGE, 0, P_U
        access  read, PAGE, ALLOWED
        PAGED   %1, %2, "user page, SMAP, read", need_smap
        with    cr4, CR4_SMAP
        page_entry 1, PAGE, 0, P_U
        access_by_ring read, PAGE, ALLOWED, E_P
        PAGED   %1, %2, "user page, SMAP, write", need_smap
        with    cr4, CR4_SMAP
        page_entry 1, PAGE, 0, P_U
        access_by_ring write, PAGE, ALLOWED, E_P | E_W
        PAGED   %1, %2, "user page, SMAP, AC, write", need_smap
        with    cr4, CR4_SMAP
        with    flags, AC
        page_entry 1, PAGE, 0, P_U
        access  write, PAGE, ALLOWED
        PAGED   %1, %2, "read only user page, SMAP, AC, WP, write", need_smap
        with    cr4, CR4_SMAP
        with    cr0, CR0_WP
        with    flags, AC
        page_entry 1, PAGE, P_W, P_U
        access  write, PAGE, E_P | E_W | user
%endmacro

%macro fetch_cases 2
        PAGED   %1, %2, "fetch"
        access  fetch, PAGE, ALLOWED
        is_entry 1, PAGE, P_A | P_D, P_A
        PAGED   %1, %2, "fetch, not present"
        page_entry 1, PAGE, P_P, 0
        access  fetch, PAGE, user
        PAGED   %1, %2, "supervisor page, fetch"
        page_entry 1, PAGE, P_U, 0
        access_by_ring fetch, PAGE, E_P | E_U, ALLOWED
        PAGED   %1, %2, "user page, fetch"
        page_entry 1, PAGE, 0, P_U
        access  fetch, PAGE, ALLOWED
        PAGED   %1, %2, "user page, SMEP, fetch", need_smep
        with    cr4, CR4_SMEP
        page_entry 1, PAGE, 0, P_U
        access_by_ring fetch, PAGE, ALLOWED, E_P | E_I
        PAGED   %1, %2, "SMEP, fetch, not present", need_smep
        with    cr4, CR4_SMEP
        page_entry 1, PAGE, P_P, 0
        access  fetch, PAGE, user | E_I
        PAGED   %1, %2, "SMEP, read, not present", need_smep
        with    cr4, CR4_SMEP
        page_entry 1, PAGE, P_P, 0
        access  read, PAGE, user
        PAGED   %1, %2, "supervisor page, SMEP, fetch", need_smep
        with    cr4, CR4_SMEP
        page_entry 1, PAGE, P_U, 0
        access_by_ring fetch, PAGE, E_P | E_U | E_I, ALLOWED
%endmacro

; Formats with 64-bit entries.
%macro nx_cases 2
        PAGED   %1, %2, "NX, fetch", need_nx
        with    efer, EFER_NXE
        page_entry 1, PAGE, 0, P_NX
        access  fetch, PAGE, E_P | E_I | user
        PAGED   %1, %2, "NX, read", need_nx
        with    efer, EFER_NXE
        page_entry 1, PAGE, 0, P_NX
        access  read, PAGE, ALLOWED
        PAGED   %1, %2, "NX in the directory, fetch", need_nx
        with    efer, EFER_NXE
        page_entry 2, ALIAS2 + PAGE, 0, P_NX
        access  fetch, ALIAS2 + PAGE, E_P | E_I | user
        PAGED   %1, %2, "NXE, fetch, not present", need_nx
        with    efer, EFER_NXE
        page_entry 1, PAGE, P_P, 0
        access  fetch, PAGE, E_I | user
        PAGED   %1, %2, "NX without NXE, read"
        page_entry 1, PAGE, 0, P_NX
        access  read, PAGE, E_P | E_RSVD | user
        PAGED   %1, %2, "NX without NXE, fetch"
        page_entry 1, PAGE, 0, P_NX
        access  fetch, PAGE, E_P | E_RSVD | user
        PAGED   %1, %2, "reserved physical address bit, read"
        page_entry 1, PAGE, 0, 1 << 51
        access  read, PAGE, E_P | E_RSVD | user
        PAGED   %1, %2, "reserved physical address bit in a page not present, read"
        page_entry 1, PAGE, P_P, 1 << 51
        access  read, PAGE, user
        PAGED   %1, %2, "reserved physical address bit, read only, write"
        with    cr0, CR0_WP
        page_entry 1, PAGE, P_W, 1 << 51
        access  write, PAGE, E_P | E_W | E_RSVD | user
        PAGED   %1, %2, "reserved physical address bit in the directory, fetch"
        page_entry 2, ALIAS2 + PAGE, 0, 1 << 51
        access  fetch, ALIAS2 + PAGE, E_P | E_RSVD | user
        PAGED   %1, %2, "large page"
        page_entry 2, ALIAS2 + PAGE, -1, P_PS | P_P | P_W | P_U
        access  write, ALIAS2 + PAGE, ALLOWED
        is_entry 2, ALIAS2 + PAGE, P_A | P_D, P_A | P_D
        PAGED   %1, %2, "large page, read"
        page_entry 2, ALIAS2 + PAGE, -1, P_PS | P_P | P_W | P_U
        access  read, ALIAS2 + PAGE, ALLOWED
        is_entry 2, ALIAS2 + PAGE, P_A | P_D, P_A
        PAGED   %1, %2, "large page, reserved address bit, read"
        page_entry 2, ALIAS2 + PAGE, -1, P_PS | P_P | P_W | P_U | 1 << 13
        access  read, ALIAS2 + PAGE, E_P | E_RSVD | user
        PAGED   %1, %2, "large page, last reserved address bit, write"
        page_entry 2, ALIAS2 + PAGE, -1, P_PS | P_P | P_W | P_U | 1 << 20
        access  write, ALIAS2 + PAGE, E_P | E_RSVD | E_W | user
        PAGED   %1, %2, "large page, PAT bit"
        page_entry 2, ALIAS2 + PAGE, -1, P_PS | P_P | P_W | P_U | 1 << 12
        access  read, ALIAS2 + PAGE, ALLOWED
        PAGED   %1, %2, "large page, supervisor, read"
        page_entry 2, ALIAS2 + PAGE, -1, P_PS | P_P | P_W
        access_by_ring read, ALIAS2 + PAGE, E_P | E_U, ALLOWED
%endmacro

; Rights are those of all levels together.
%macro directory_cases 2
        PAGED   %1, %2, "directory not present, read"
        page_entry 2, ALIAS2 + PAGE, P_P, 0
        access  read, ALIAS2 + PAGE, user
        PAGED   %1, %2, "directory not present, write"
        page_entry 2, ALIAS2 + PAGE, -1, 0xffe
        access  write, ALIAS2 + PAGE, user | E_W
        PAGED   %1, %2, "read only directory, WP, write"
        with    cr0, CR0_WP
        page_entry 2, ALIAS2 + PAGE, P_W, 0
        access  write, ALIAS2 + PAGE, E_P | E_W | user
        PAGED   %1, %2, "read only directory, write"
        page_entry 2, ALIAS2 + PAGE, P_W, 0
        access_by_ring write, ALIAS2 + PAGE, E_P | E_W | E_U, ALLOWED
        PAGED   %1, %2, "supervisor directory, read"
        page_entry 2, ALIAS2 + PAGE, P_U, 0
        access_by_ring read, ALIAS2 + PAGE, E_P | E_U, ALLOWED
        PAGED   %1, %2, "accessed and dirty through a directory"
        access  write, ALIAS2 + PAGE, ALLOWED
        is_entry 2, ALIAS2 + PAGE, P_A | P_D, P_A
        is_entry 1, ALIAS2 + PAGE, P_A | P_D, P_A | P_D
        PAGED   %1, %2, "supervisor directory, user page, SMAP, read", need_smap
        with    cr4, CR4_SMAP
        page_entry 2, ALIAS2 + PAGE, P_U, 0
        page_entry 1, ALIAS2 + PAGE, 0, P_U
        access_by_ring read, ALIAS2 + PAGE, E_P | E_U, ALLOWED
%endmacro

%macro paging_cases 2
        leaf_cases %1, %2
        fetch_cases %1, %2
        directory_cases %1, %2
%endmacro
        paging_cases prot32, pg32
        paging_cases user32, pg32
        paging_cases prot32, pae
        paging_cases user32, pae
        paging_cases long64, pg64
        paging_cases user64, pg64
        paging_cases comp32, pg64
        leaf_cases vm86, pg32
        leaf_cases vm86, pae
        nx_cases prot32, pae
        nx_cases user32, pae
        nx_cases long64, pg64
        nx_cases user64, pg64
        nx_cases comp32, pg64

; 4 MiB pages.
%macro pse_cases 1
        PAGED   %1, pg32, "large page", need_pse
        with    cr4, CR4_PSE
        page_entry 2, ALIAS2 + PAGE, -1, P_PS | P_P | P_W | P_U
        access  write, ALIAS2 + PAGE, ALLOWED
        is_entry 2, ALIAS2 + PAGE, P_A | P_D, P_A | P_D
        PAGED   %1, pg32, "large page, read", need_pse
        with    cr4, CR4_PSE
        page_entry 2, ALIAS2 + PAGE, -1, P_PS | P_P | P_W | P_U
        access  read, ALIAS2 + PAGE, ALLOWED
        is_entry 2, ALIAS2 + PAGE, P_A | P_D, P_A
        PAGED   %1, pg32, "large page, reserved bit 21, read", need_pse
        with    cr4, CR4_PSE
        page_entry 2, ALIAS2 + PAGE, -1, P_PS | P_P | P_W | P_U | 1 << 21
        access  read, ALIAS2 + PAGE, E_P | E_RSVD | user
        PAGED   %1, pg32, "large page, read only, write", need_pse
        with    cr4, CR4_PSE
        with    cr0, CR0_WP
        page_entry 2, ALIAS2 + PAGE, -1, P_PS | P_P | P_U
        access  write, ALIAS2 + PAGE, E_P | E_W | user
        PAGED   %1, pg32, "PS without PSE is ignored"
        page_entry 2, ALIAS2 + PAGE, 0, P_PS
        access  write, ALIAS2 + PAGE, ALLOWED
        is_entry 1, ALIAS2 + PAGE, P_A | P_D, P_A | P_D
%endmacro
        pse_cases prot32
        pse_cases user32

; The upper levels of 4-level paging.
%macro upper_cases 1
        PAGED   %1, pg64, "PDPTE not present, read"
        page_entry 3, ALIAS3 + PAGE, P_P, 0
        access  read, ALIAS3 + PAGE, user
        PAGED   %1, pg64, "PDPTE read only, write, WP"
        with    cr0, CR0_WP
        page_entry 3, ALIAS3 + PAGE, P_W, 0
        access  write, ALIAS3 + PAGE, E_P | E_W | user
        PAGED   %1, pg64, "PDPTE supervisor, read"
        page_entry 3, ALIAS3 + PAGE, P_U, 0
        access_by_ring read, ALIAS3 + PAGE, E_P | E_U, ALLOWED
        PAGED   %1, pg64, "PDPTE accessed"
        access  write, ALIAS3 + PAGE, ALLOWED
        is_entry 3, ALIAS3 + PAGE, P_A | P_D, P_A
        PAGED   %1, pg64, "PDPTE NX, fetch", need_nx
        with    efer, EFER_NXE
        page_entry 3, ALIAS3 + PAGE, 0, P_NX
        access  fetch, ALIAS3 + PAGE, E_P | E_I | user
        PAGED   %1, pg64, "1 GiB page", need_page1g
        page_entry 3, ALIAS3 + PAGE, -1, P_PS | P_P | P_W | P_U
        access  write, ALIAS3 + PAGE, ALLOWED
        is_entry 3, ALIAS3 + PAGE, P_A | P_D, P_A | P_D
        PAGED   %1, pg64, "1 GiB page, reserved address bit, read", need_page1g
        page_entry 3, ALIAS3 + PAGE, -1, P_PS | P_P | P_W | P_U | 1 << 29
        access  read, ALIAS3 + PAGE, E_P | E_RSVD | user
%if b_%1 == 64
        PAGED   %1, pg64, "PML4E not present, write"
        page_entry 4, 0, P_P, 0
        access  write, ALIAS4 + PAGE, user | E_W
        PAGED   %1, pg64, "PML4E read only, write, WP"
        with    cr0, CR0_WP
        page_entry 4, 0, P_W, 0
        access  write, ALIAS4 + PAGE, E_P | E_W | user
        PAGED   %1, pg64, "PML4E supervisor, fetch"
        page_entry 4, 0, P_U, 0
        access_by_ring fetch, ALIAS4 + PAGE, E_P | E_U, ALLOWED
        PAGED   %1, pg64, "PML4E with PS, read"
        page_entry 4, 0, 0, P_PS
        access  read, ALIAS4 + PAGE, E_P | E_RSVD | user
        PAGED   %1, pg64, "PML4E accessed"
        access  read, ALIAS4 + PAGE, ALLOWED
        is_entry 4, 0, P_A | P_D, P_A
        PAGED   %1, pg64, "PML4E NX, fetch", need_nx
        with    efer, EFER_NXE
        page_entry 4, 0, 0, P_NX
        access  fetch, ALIAS4 + PAGE, E_P | E_I | user
%endif
%endmacro
        upper_cases long64
        upper_cases user64
        upper_cases comp32

; Available bits that mean nothing.
        PAGED   long64, pg64, "bits 52 to 58 are ignored"
        page_entry 1, PAGE, 0, 0x7f << 52
        access  write, PAGE, ALLOWED
        PAGED   prot32, pae, "bit 52 is reserved"
        page_entry 1, PAGE, 0, 1 << 52
        access  write, PAGE, E_P | E_W | E_RSVD
        PAGED   prot32, pae, "bit 62 is reserved"
        page_entry 1, PAGE, 0, 1 << 62
        access  read, PAGE, E_P | E_RSVD
