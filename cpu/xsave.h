// State components, and what the XSAVE rules tell their helpers.
#pragma once
#include "cpu/state.h"

namespace calque::xsave {

constexpr u64 Fpu = 1, Sse = 2, Avx = 4;   // bits of XCR0
constexpr u32 kAvxOffset = 576, kAvxSize = 256;

struct XsaveOp {
    bool rex_w = false, optimised = false, compacted = false, supervisor = false;
    Seg seg = DS;          // of the operand
    constexpr u64 pack() const { return u64{rex_w} | u64{optimised} << 1 | u64{compacted} << 2 | u64{supervisor} << 3 | u64{seg} << 8; }
    static constexpr XsaveOp unpack(u64 v) {
        return {(v & 1) != 0, (v & 2) != 0, (v & 4) != 0, (v & 8) != 0, static_cast<Seg>(v >> 8 & 7)};
    }
};
}  // namespace calque::xsave
