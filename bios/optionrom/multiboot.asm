; Boots a Multiboot 1 image ("Multiboot Specification version 0.6.96"). The host has prepared the information
; structure, strings and module list as one block for low memory, and lists what to load; here the parts are loaded,
; what only the firmware knows is filled in (memory map, video mode), and the kernel is entered in protected mode.
%include "common.inc"

; The block: the information structure, then parameters for us, then everything that pointers point to.
MBI_FLAGS       equ 0
MBI_MEM_LOWER   equ 4
MBI_MEM_UPPER   equ 8
MBI_MMAP_LENGTH equ 44
MBI_MMAP_ADDR   equ 48
MBI_VBE_CONTROL equ 72
MBI_VBE_MODEINF equ 76
MBI_VBE_MODE    equ 80
MBI_VBE_SEG     equ 82
MBI_FB_ADDR     equ 88
MBI_FB_PITCH    equ 96
MBI_FB_WIDTH    equ 100
MBI_FB_HEIGHT   equ 104
MBI_FB_BPP      equ 108
MBI_FB_TYPE     equ 109
MBI_FB_COLOR    equ 110
P_SEGMENTS      equ 128                 ; word: offset of the list {address, bytes from fw_cfg, bytes in memory}
P_COUNT         equ 130                 ; word
P_MMAP          equ 132                 ; word: offset of the room for the memory map
P_MMAP_MAX      equ 134                 ; word: how many entries it has room for
P_VBE_CONTROL   equ 136                 ; word: offset of 512 bytes
P_VBE_MODEINF   equ 138                 ; word: offset of 256 bytes
P_GRAPHICS      equ 140                 ; word: 1 if the kernel wants a graphics mode
P_WIDTH         equ 142                 ; words: what it wants
P_HEIGHT        equ 144
P_DEPTH         equ 146

HAS_MEMORY      equ 1 << 0
HAS_MMAP        equ 1 << 6
HAS_VBE         equ 1 << 11
HAS_FRAMEBUFFER equ 1 << 12

        ROM_HEADER 'Multiboot kernel from the command line'

boot:
        cld
        call    enable_a20
        mov     ax, FW_SETUP_ADDR
        mov     bx, FW_SETUP_SIZE
        mov     cx, FW_SETUP_DATA
        call    fw_load
        mov     eax, FW_SETUP_ADDR
        call    fw_number
        shr     eax, 4
        mov     ds, ax                  ; from here on ds is the block
        mov     es, ax
        call    load_segments
        call    memory_map
        call    video
        mov     eax, FW_KERNEL_ENTRY
        call    fw_number
        mov     ebp, eax
        jmp     enter_kernel

load_segments:
        mov     eax, FW_KERNEL_DATA << 16 | DMA_SELECT
        xor     ecx, ecx
        xor     edi, edi
        call    fw_dma
        jc      failed
        mov     si, [P_SEGMENTS]
        mov     bx, [P_COUNT]
.load:  test    bx, bx
        jz      .loaded
        mov     edi, [si]
        mov     ecx, [si + 4]
        mov     eax, DMA_READ
        call    fw_dma
        jc      failed
        add     si, 12
        dec     bx
        jmp     .load
        ; The item is used up now, so it reads as zeros: they fill what the file does not.
.loaded:
        mov     si, [P_SEGMENTS]
        mov     bx, [P_COUNT]
.clear: test    bx, bx
        jz      .done
        mov     edi, [si]
        add     edi, [si + 4]
        mov     ecx, [si + 8]
        sub     ecx, [si + 4]
        jz      .next
        mov     eax, DMA_READ
        call    fw_dma
        jc      failed
.next:  add     si, 12
        dec     bx
        jmp     .clear
.done:  ret

memory_map:
        int     0x12
        movzx   eax, ax
        mov     [MBI_MEM_LOWER], eax
        mov     di, [P_MMAP]
        mov     cx, [P_MMAP_MAX]
        xor     ebx, ebx
.next:  push    cx
        mov     dword [di], 20          ; the size of what follows the size
        add     di, 4
        mov     eax, 0xe820
        mov     edx, 0x534d4150         ; 'SMAP'
        mov     ecx, 20
        int     0x15
        pop     cx
        jc      .end
        cmp     eax, 0x534d4150
        jne     .end
        call    upper_memory
        add     di, 20
        test    ebx, ebx
        jz      .done
        loop    .next
        jmp     .done
.end:   sub     di, 4
.done:  movzx   eax, di
        movzx   ecx, word [P_MMAP]
        sub     eax, ecx
        mov     [MBI_MMAP_LENGTH], eax
        xor     eax, eax
        mov     ax, ds
        shl     eax, 4
        add     eax, ecx
        mov     [MBI_MMAP_ADDR], eax
        or      dword [MBI_FLAGS], HAS_MEMORY | HAS_MMAP
        ret

; The map's entry at di: if it is RAM that holds the first megabyte's end, it says how much upper memory there is.
upper_memory:
        cmp     dword [di + 16], 1
        jne     .no
        cmp     dword [di + 4], 0
        jne     .no
        mov     eax, [di]
        cmp     eax, 0x100000
        ja      .no
        mov     edx, [di + 12]
        add     eax, [di + 8]
        adc     edx, 0
        sub     eax, 0x100000
        sbb     edx, 0
        jc      .no
        shrd    eax, edx, 10
        mov     [MBI_MEM_UPPER], eax
.no:    ret

video:
        cmp     word [P_GRAPHICS], 0
        je      text_mode
        mov     di, [P_VBE_CONTROL]
        mov     dword [di], 0x32454256  ; 'VBE2': version 2 and later fill in 512 bytes
        mov     ax, 0x4f00
        int     0x10
        cmp     ax, 0x4f
        jne     text_mode
        mov     bp, 0                   ; how much is asked for: size and depth, size alone, any linear mode
.pass:  mov     si, [P_VBE_CONTROL]
        les     si, [si + 14]           ; the list of modes
.mode:  mov     cx, [es:si]
        cmp     cx, 0xffff
        je      .relax
        add     si, 2
        call    mode_fits
        jc      .mode
        mov     bx, cx
        or      bx, 0x4000              ; with a linear frame buffer
        mov     ax, 0x4f02
        push    cx
        int     0x10
        pop     cx
        cmp     ax, 0x4f
        jne     .mode
        push    ds
        pop     es
        jmp     graphics_mode
.relax: inc     bp
        cmp     bp, 3
        jb      .pass
        push    ds
        pop     es
        jmp     text_mode

; cx: a mode, bp: the pass. Carry clear if it fits. Its description is in the block afterwards.
mode_fits:
        push    es
        push    si
        push    ds
        pop     es
        mov     di, [P_VBE_MODEINF]
        mov     ax, 0x4f01
        push    cx
        int     0x10
        pop     cx
        cmp     ax, 0x4f
        jne     .no
        mov     ax, [di]                ; attributes: supported, graphics, linear frame buffer
        and     ax, 0x91
        cmp     ax, 0x91
        jne     .no
        cmp     byte [di + 27], 6       ; memory model: direct colour
        jne     .no
        cmp     bp, 2
        jae     .yes
        mov     ax, [P_WIDTH]
        cmp     ax, [di + 18]
        jne     .no
        mov     ax, [P_HEIGHT]
        cmp     ax, [di + 20]
        jne     .no
        cmp     bp, 1
        jae     .yes
        mov     al, [P_DEPTH]
        cmp     al, [di + 25]
        jne     .no
.yes:   pop     si
        pop     es
        clc
        ret
.no:    pop     si
        pop     es
        stc
        ret

; cx: the mode that is set now
graphics_mode:
        mov     di, [P_VBE_MODEINF]
        mov     [MBI_VBE_MODE], cx
        xor     eax, eax
        mov     ax, ds
        shl     eax, 4
        movzx   edx, word [P_VBE_CONTROL]
        add     edx, eax
        mov     [MBI_VBE_CONTROL], edx
        movzx   edx, di
        add     edx, eax
        mov     [MBI_VBE_MODEINF], edx
        mov     dword [MBI_VBE_SEG], 0  ; no protected-mode interface
        mov     eax, [di + 40]
        mov     [MBI_FB_ADDR], eax
        movzx   eax, word [di + 16]
        mov     [MBI_FB_PITCH], eax
        movzx   eax, word [di + 18]
        mov     [MBI_FB_WIDTH], eax
        movzx   eax, word [di + 20]
        mov     [MBI_FB_HEIGHT], eax
        mov     al, [di + 25]
        mov     [MBI_FB_BPP], al
        mov     byte [MBI_FB_TYPE], 1   ; direct RGB
        ; red, green and blue: first bit, then number of bits; VBE has them the other way round
        mov     ax, [di + 31]
        xchg    al, ah
        mov     [MBI_FB_COLOR], ax
        mov     ax, [di + 33]
        xchg    al, ah
        mov     [MBI_FB_COLOR + 2], ax
        mov     ax, [di + 35]
        xchg    al, ah
        mov     [MBI_FB_COLOR + 4], ax
        or      dword [MBI_FLAGS], HAS_VBE | HAS_FRAMEBUFFER
        ret

text_mode:
        mov     ax, 3
        int     0x10
        mov     dword [MBI_FB_ADDR], 0xb8000
        mov     dword [MBI_FB_PITCH], 160
        mov     dword [MBI_FB_WIDTH], 80
        mov     dword [MBI_FB_HEIGHT], 25
        mov     byte [MBI_FB_BPP], 16
        mov     byte [MBI_FB_TYPE], 2   ; text
        or      dword [MBI_FLAGS], HAS_FRAMEBUFFER
        ret

; ebp: the entry point. "Machine state" in the specification.
enter_kernel:
        cli
        xor     ebx, ebx
        mov     bx, ds
        shl     ebx, 4                  ; the information structure
        xor     ecx, ecx
        mov     cx, cs
        shl     ecx, 4                  ; where we are
        ; The descriptor table must be in RAM that stays: our scratch.
        push    cs
        pop     ds
        xor     ax, ax
        mov     es, ax
        mov     si, gdt
        mov     di, saved
        push    ecx
        mov     cx, gdt_end - gdt
        rep     movsb
        pop     ecx
        mov     ds, ax
        mov     word [saved], gdt_end - gdt - 1
        mov     dword [saved + 2], saved
        o32 lgdt [saved]                ; the first descriptor's place holds the register's image
        lea     edx, [ecx + protected]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        push    dword 0x08
        push    edx
        o32 retf

        align   8, db 0
gdt:    dq      0
        dq      0x00cf9b000000ffff      ; 08: code, 4 GiB, accessed already
        dq      0x00cf93000000ffff      ; 10: data, 4 GiB
gdt_end:

bits 32
protected:
        mov     eax, 0x10
        mov     ds, eax
        mov     es, eax
        mov     fs, eax
        mov     gs, eax
        mov     ss, eax
        mov     eax, 0x2badb002
        jmp     ebp
bits 16

        SHARED_CODE
