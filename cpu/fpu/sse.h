// What the SSE rules tell their helpers, packed into one constant.
#pragma once
#include "jit/ir/ir.h"

namespace calque {

/// helper_sse_fp: a floating-point op of the IR done with exceptions that may be unmasked.
struct SseOp {
    jit::Op op{};
    jit::Type type = jit::Type::V128;
    jit::Lane lane{};
    u8 aux = 0;
    u8 reg = 0;          // xmm register with the first operand; unary ops take the source instead
    bool store = true;   // the result goes to that register; else it is returned (low half)
    constexpr u64 pack() const {
        return u64{static_cast<u8>(op)} | u64{static_cast<u8>(type)} << 8 | u64{static_cast<u8>(lane)} << 16 | u64{aux} << 24 | u64{reg} << 32 |
               u64{store} << 40;
    }
    static constexpr SseOp unpack(u64 v) {
        return {static_cast<jit::Op>(static_cast<u8>(v)), static_cast<jit::Type>(static_cast<u8>(v >> 8)), static_cast<jit::Lane>(static_cast<u8>(v >> 16)),
                static_cast<u8>(v >> 24), static_cast<u8>(v >> 32 & 15), (v >> 40 & 1) != 0};
    }
};
static_assert(static_cast<unsigned>(jit::Op::count) <= 256);

/// helper_sse_estimate: RCPPS and its relatives.
struct SseEstimate {
    bool root, packed;
    u8 reg;
    constexpr u64 pack() const { return u64{root} | u64{packed} << 1 | u64{reg} << 8; }
    static constexpr SseEstimate unpack(u64 v) { return {(v & 1) != 0, (v & 2) != 0, static_cast<u8>(v >> 8 & 15)}; }
};
}  // namespace calque
