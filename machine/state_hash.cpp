// Two lanes, each folded with a 64x64 to 128 bit multiplication for every eight bytes; the lanes differ in their
// multipliers, so that a zero factor in one does not lose what came before.
#include "machine/state_hash.h"

#include "support/little_endian.h"

namespace calque {
namespace {
constexpr u64 kA = 0xa0761d6478bd642f, kB = 0xe7037ed1a0b428db;

u64 fold(u64 x, u64 y) {
    const u128 product = static_cast<u128>(x) * y;
    return static_cast<u64>(product) ^ static_cast<u64>(product >> 64);
}
}  // namespace

bool is_zero(std::span<const u8> bytes) {
    u64 any = 0;
    const auto* words = reinterpret_cast<const u64*>(bytes.data());
    for (size_t i = 0; i < bytes.size() / 8; ++i) any |= words[i];
    return !any;
}

void StateHash::add(u64 v) {
    a_ = fold(a_ ^ v, kA) + b_;
    b_ = fold(b_ + v, kB) ^ (a_ << 23 | a_ >> 41);
    ++length_;
}

void StateHash::add(std::span<const u8> bytes) {
    const size_t whole = bytes.size() / 8 * 8;
    for (size_t at = 0; at < whole; at += 8) add(load_little(bytes.data() + at, 8));
    if (whole < bytes.size()) add(load_little(bytes.data() + whole, bytes.size() - whole));
    add(bytes.size());
}

u64 StateHash::value() const { return fold(a_ ^ kB, b_ ^ length_ ^ kA) ^ fold(b_ ^ kA, length_ + kB); }
}  // namespace calque
