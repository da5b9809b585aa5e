// What a gather's rule tells its helper.
#pragma once
#include "cpu/state.h"

namespace calque {

struct GatherOp {
    u8 to = 0, mask = 0, index = 0;   // vector registers
    Seg seg = DS;
    u8 scale = 1, address_bytes = 8;
    u8 bytes = 4, index_bytes = 4;    // of an element and of its index
    u8 count = 0;                     // of elements
    constexpr u64 pack() const {
        const u8 field[] = {to, mask, index, seg, scale, address_bytes, bytes, index_bytes, count};
        u64 v = 0;
        for (unsigned k = 0; k < 9; ++k) v |= u64{field[k]} << 4 * k;
        return v;
    }
    static constexpr GatherOp unpack(u64 v) {
        const auto field = [v](unsigned k) { return static_cast<u8>(v >> 4 * k & 15); };
        return {field(0), field(1), field(2), static_cast<Seg>(field(3)), field(4), field(5), field(6), field(7), field(8)};
    }
};
}  // namespace calque
