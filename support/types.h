// Short names for fixed-width integers, used everywhere.
#pragma once
#include <cstddef>
#include <cstdint>

namespace calque {
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
__extension__ using u128 = unsigned __int128;
__extension__ using i128 = __int128;

/// a * b / c without losing the upper half of the product; c != 0.
constexpr u64 mul_div(u64 a, u64 b, u64 c) { return static_cast<u64>(static_cast<u128>(a) * b / c); }

constexpr u64 kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;
}  // namespace calque
