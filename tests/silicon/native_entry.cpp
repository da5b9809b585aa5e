// The way into one instruction and back. Everything is addressed absolutely, so that no register is needed on the way.
#include "tests/silicon/native_entry.h"

static_assert(calque::silicon::where::context == 0x33330000);

asm(R"(
.set CTX, 0x33330000
.macro save_host
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, CTX+0x110
.endm
.macro each_vector
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    on_vector \n
    .endr
.endm
.macro load_vectors
    fxrstor64 CTX+0x200
    cmpl $0, CTX+0x194
    je 1f
    .macro on_vector n
    vinsertf128 $1, CTX+0x400+16*\n, %ymm\n, %ymm\n
    .endm
    each_vector
    .purgem on_vector
1:
.endm
.macro store_vectors
    fxsave64 CTX+0x500
    fnstenv CTX+0x1a0
    cmpl $0, CTX+0x194
    je 1f
    .macro on_vector n
    vextractf128 $1, %ymm\n, CTX+0x700+16*\n
    .endm
    each_vector
    .purgem on_vector
    vzeroupper
1:
    fninit
    ldmxcsr CTX+0x190
.endm
.macro load_guest
    movq $CTX+0x100, %rsp
    popfq
    movq CTX+0x00, %rax
    movq CTX+0x08, %rcx
    movq CTX+0x10, %rdx
    movq CTX+0x18, %rbx
    movq CTX+0x28, %rbp
    movq CTX+0x30, %rsi
    movq CTX+0x38, %rdi
    movq CTX+0x40, %r8
    movq CTX+0x48, %r9
    movq CTX+0x50, %r10
    movq CTX+0x58, %r11
    movq CTX+0x60, %r12
    movq CTX+0x68, %r13
    movq CTX+0x70, %r14
    movq CTX+0x78, %r15
    movq CTX+0x20, %rsp
.endm
.macro store_guest
    movq %rax, CTX+0x80
    movq %rcx, CTX+0x88
    movq %rdx, CTX+0x90
    movq %rbx, CTX+0x98
    movq %rsp, CTX+0xa0
    movq %rbp, CTX+0xa8
    movq %rsi, CTX+0xb0
    movq %rdi, CTX+0xb8
    movq %r8, CTX+0xc0
    movq %r9, CTX+0xc8
    movq %r10, CTX+0xd0
    movq %r11, CTX+0xd8
    movq %r12, CTX+0xe0
    movq %r13, CTX+0xe8
    movq %r14, CTX+0xf0
    movq %r15, CTX+0xf8
    movq $CTX+0x110, %rsp
    pushfq
.endm
.macro host_segments
    xorl %eax, %eax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movl $0x2b, %eax
    movw %ax, %ss
    movq CTX+0x178, %rax
    wrfsbase %rax
    movq CTX+0x180, %rax
    wrgsbase %rax
.endm
.macro back_to_host
    movq CTX+0x110, %rsp
    pushq $0x202
    popfq
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
.endm

.text
.globl silicon_enter64
silicon_enter64:
    save_host
    load_guest
    jmp *CTX+0x118
.globl silicon_enter64_vector
silicon_enter64_vector:
    save_host
    load_vectors
    load_guest
    jmp *CTX+0x118

.globl silicon_exit64_before
silicon_exit64_before:
    movb $2, CTX+0x138
    jmp silicon_exit64
.globl silicon_exit64_after
silicon_exit64_after:
    movb $1, CTX+0x138
.globl silicon_exit64
silicon_exit64:
    store_guest
    back_to_host

.globl silicon_exit64_vector_before
silicon_exit64_vector_before:
    movb $2, CTX+0x138
    jmp silicon_exit64_vector
.globl silicon_exit64_vector_after
silicon_exit64_vector_after:
    movb $1, CTX+0x138
.globl silicon_exit64_vector
silicon_exit64_vector:
    store_guest
    store_vectors
    back_to_host

// 16- and 32-bit code: with segments, and always with x87 and SSE state.
.globl silicon_enter32
silicon_enter32:
    save_host
    load_vectors
    movw CTX+0x148, %es
    movw CTX+0x160, %ds
    movw CTX+0x168, %fs
    movw CTX+0x170, %gs
    movw CTX+0x158, %ss
    load_guest
    ljmp *CTX+0x140

.globl silicon_exit32_before
silicon_exit32_before:
    movb $2, CTX+0x138
    jmp silicon_exit32
.globl silicon_exit32_after
silicon_exit32_after:
    movb $1, CTX+0x138
.globl silicon_exit32
silicon_exit32:
    store_guest
    host_segments
    store_vectors
    back_to_host

.globl silicon_fault
silicon_fault:
    back_to_host
)");
