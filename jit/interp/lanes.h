// The elements of a 128-bit vector, the same on hosts of either byte order.
#pragma once
#include <array>

#include "jit/context.h"

namespace calque::jit {

template <class T>
constexpr unsigned kLanes = 16 / sizeof(T);
/// T is u8, u16, u32 or u64.
template <class T>
using Lanes = std::array<T, kLanes<T>>;

template <class T>
constexpr Lanes<T> lanes_of(const V128& v) {
    constexpr unsigned half = kLanes<T> / 2, width = 8 * sizeof(T);
    Lanes<T> r{};
    for (unsigned i = 0; i < half; ++i) {
        r[i] = static_cast<T>(v.lo >> (i * width));
        r[half + i] = static_cast<T>(v.hi >> (i * width));
    }
    return r;
}
template <class T>
constexpr V128 vec_of(const Lanes<T>& l) {
    constexpr unsigned half = kLanes<T> / 2, width = 8 * sizeof(T);
    V128 v{0, 0};
    for (unsigned i = 0; i < half; ++i) {
        v.lo |= u64{l[i]} << (i * width);
        v.hi |= u64{l[half + i]} << (i * width);
    }
    return v;
}
constexpr u128 to_u128(const V128& v) { return static_cast<u128>(v.hi) << 64 | v.lo; }
constexpr V128 from_u128(u128 v) { return {static_cast<u64>(v), static_cast<u64>(v >> 64)}; }
}  // namespace calque::jit
