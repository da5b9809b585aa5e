// The process that runs cases natively, and the memory that it shares with its parent.
#pragma once
#include <asm/ldt.h>

#include "cpu/decode.h"
#include "machine/exec/case.h"

namespace calque::exec::host {

/// Where a case's memory is in the child. 64-bit code has it where the case has it; other code gets there by segment bases.
constexpr u64 kBase32 = 0x20000000;

/// An FXSAVE image, as in a signal's frame; the upper halves of the YMM registers are elsewhere there.
struct FxImage {
    u16 fcw, fsw;
    u8 ftw, zero;
    u16 fop;
    u64 fip, fdp;
    u32 mxcsr, mxcsr_mask;
    struct St { u64 sig; u16 se; u16 zero[3]; } st[8];
    jit::V128 xmm[16];
};

struct State {
    u64 gpr[16];
    u64 rip;
    u32 flags;           // those that user mode can have
    FxImage fx;
    jit::V128 ymm_high[16];
};

struct Exchange {
    // ---- what to do
    bool wide;           // 64-bit code
    bool user;           // the case is at privilege level 3, as the child is
    bool interrupts;     // the case has them on
    u16 selector[kSegs];
    user_desc segment[kSegs];
    u64 fs_base, gs_base;
    u64 code_base, stack_base;
    u64 stack_mask, linear_mask;   // what of RSP is an offset, what of its sum with the base an address
    jit::Mode mode;
    IsaSet features;
    u64 steps;
    // ---- before and after
    State state;
    // ---- what came of it
    u64 done;            // instructions
    bool endless;
    int vector;          // -1: no exception
    u32 error;
    u64 cr2;
    char refused[120];   // not empty: why not
};

/// Never returns. Requests from the parent and answers are single bytes; `ram_fd` is the shared memory of the cases.
[[noreturn]] void serve(Exchange&, int ram_fd, bool wide, int parent);
/// The lowest address at which the child has memory; kRam when it could not get any.
u64 lowest_address();
}  // namespace calque::exec::host
