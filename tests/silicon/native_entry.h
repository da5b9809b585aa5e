// The page through which the native side's assembler and C++ talk. Its offsets are known to native_entry.cpp.
#pragma once
#include "tests/silicon/case.h"

namespace calque::silicon {

struct alignas(64) NativeContext {
    u64 in_gpr[16];      // 0x000
    u64 out_gpr[16];     // 0x080
    u64 flag_slot[2];    // 0x100: [0] flags in; then flags out
    u64 host_rsp;        // 0x110
    u64 target;          // 0x118: where to jump, 64-bit
    u64 exit[3];         // 0x120: addresses of the ways back: fallen through, after, before
    u64 pad;             // 0x138: 0 fallen through, 1 or 2 the pad
    u64 far_target;      // 0x140: offset and selector of a far jump into 16- and 32-bit code
    u64 segments[6];     // 0x148: selectors to load, in the order of Seg
    u64 host_fs_base;    // 0x178
    u64 host_gs_base;    // 0x180
    u64 unused;
    u32 host_mxcsr;      // 0x190
    u32 host_avx;        // 0x194: not 0 when the processor has AVX
    u64 spare;
    u32 environment[7];  // 0x1a0: FNSTENV's
    u32 more_spare[17];
    FxState fx_in;   // 0x200, upper halves at 0x400
    FxState fx_out;  // 0x500, upper halves at 0x700
};
static_assert(offsetof(NativeContext, environment) == 0x1a0 && offsetof(NativeContext, fx_in) == 0x200 && offsetof(NativeContext, fx_out) == 0x500);

extern "C" {
void silicon_enter64();
void silicon_enter64_vector();
void silicon_enter32();
void silicon_fault();
extern char silicon_exit64[], silicon_exit64_after[], silicon_exit64_before[];
extern char silicon_exit32[], silicon_exit32_after[], silicon_exit32_before[];
extern char silicon_exit64_vector[], silicon_exit64_vector_after[], silicon_exit64_vector_before[];
}
}  // namespace calque::silicon
