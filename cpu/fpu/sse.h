// What the vector rules tell their helpers, packed into one constant.
#pragma once
#include "cpu/state.h"

namespace calque {

/// A floating-point op of the IR: for helper_vec_fp, which does it with exceptions that may be unmasked.
struct FpOp {
    jit::Op op{};
    jit::Lane lane{};
    u8 aux = 0;
    jit::Type type = jit::Type::V128;   // of the result
    bool wide = false;                  // both halves
    constexpr u64 pack() const {
        return u64{static_cast<u8>(op)} | u64{static_cast<u8>(lane)} << 8 | u64{aux} << 16 | u64{static_cast<u8>(type)} << 24 | u64{wide} << 32;
    }
    static constexpr FpOp unpack(u64 v) {
        return {static_cast<jit::Op>(static_cast<u8>(v)), static_cast<jit::Lane>(static_cast<u8>(v >> 8)), static_cast<u8>(v >> 16),
                static_cast<jit::Type>(static_cast<u8>(v >> 24)), (v >> 32 & 1) != 0};
    }
};
static_assert(static_cast<unsigned>(jit::Op::count) <= 256);

/// An access to memory of which a mask leaves elements out: for helper_masked_load and helper_masked_store.
struct MaskedMove {
    Seg seg = DS;
    u8 lane_bytes = 4, bytes = 16, address_bytes = 8;
    constexpr u64 pack() const { return u64{seg} | u64{lane_bytes} << 8 | u64{bytes} << 16 | u64{address_bytes} << 24; }
    static constexpr MaskedMove unpack(u64 v) {
        return {static_cast<Seg>(v & 7), static_cast<u8>(v >> 8), static_cast<u8>(v >> 16), static_cast<u8>(v >> 24)};
    }
};
}  // namespace calque
