; What this processor has, as need_ bits (SDM vol. 2A, "CPUID").
        section .text
        bits    32

; leaf, register (0 EAX, 1 EBX, 2 ECX, 3 EDX), bit, need_ bit
%macro feature 4
        dd      %1
        db      %2, %3
        dd      %4
%endmacro
feature_table:
        feature 1, 3, 1, need_vme
        feature 1, 3, 2, need_de
        feature 1, 3, 3, need_pse
        feature 1, 3, 4, need_tsc
        feature 1, 3, 5, need_msr
        feature 1, 3, 6, need_pae
        feature 1, 3, 8, need_cx8
        feature 1, 3, 11, need_sep
        feature 1, 3, 13, need_pge
        feature 1, 3, 23, need_mmx
        feature 1, 3, 25, need_sse
        feature 1, 3, 26, need_sse2
        feature 1, 2, 13, need_cx16
        feature 1, 2, 17, need_pcid
        feature 1, 2, 26, need_xsave
        feature 7, 1, 0, need_fsgsbase
        feature 7, 1, 7, need_smep
        feature 7, 1, 20, need_smap
        feature 7, 2, 2, need_umip
        feature 0x80000001, 3, 20, need_nx
        feature 0x80000001, 3, 26, need_page1g
        feature 0x80000001, 3, 27, need_rdtscp
        feature 0x80000001, 3, 29, need_lm
        feature 0x80000001, 3, 29, need_syscall
feature_end:
        align   4
features: dd    0

find_features:
        pushfd
        pushfd
        xor     dword [esp], ID
        popfd
        pushfd
        pop     eax
        xor     eax, [esp]
        popfd
        test    eax, ID
        jz      .none
        or      dword [features], need_cpuid
        mov     esi, feature_table
.next:  mov     eax, [esi]
        and     eax, 0x80000000
        cpuid
        cmp     eax, [esi]
        jb      .absent                 ; the leaf does not exist
        mov     eax, [esi]
        xor     ecx, ecx
        cpuid
        push    edx
        push    ecx
        push    ebx
        push    eax
        movzx   ecx, byte [esi + 4]
        mov     eax, [esp + ecx * 4]
        add     esp, 16
        movzx   ecx, byte [esi + 5]
        bt      eax, ecx
        jnc     .absent
        mov     eax, [esi + 6]
        or      [features], eax
.absent:
        add     esi, 10
        cmp     esi, feature_end
        jb      .next
        mov     eax, need_cr4
        test    dword [features], need_vme | need_de | need_pse | need_pae
        jz      .none
        or      [features], eax
.none:
%ifndef FRAGILE             ; for emulators that do not survive some cases
        or      dword [features], need_robust
%endif
        ret
