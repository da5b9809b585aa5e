// Random operands for floating-point tests, with many corners among them.
#pragma once
#include "support/softfloat/softfloat.h"

namespace calque::fp {

/// xorshift64*: the same sequence on every host.
class Random {
public:
    explicit Random(u64 seed) : s_{seed} {}
    u64 next() {
        s_ ^= s_ >> 12;
        s_ ^= s_ << 25;
        s_ ^= s_ >> 27;
        return s_ * 0x2545F4914F6CDD1D;
    }
    u64 below(u64 n) { return (next() >> 11) % n; }

    /// 64 significant bits in one of several shapes: dense, few ones, runs, near powers of two.
    u64 pattern() {
        switch (below(6)) {
        case 0: return u64{1} << below(64);
        case 1: return ~u64{0} << below(64);
        case 2: return ~u64{0} >> below(64);
        case 3: return (next() >> below(64)) << below(64);
        case 4: return (u64{1} << 63) + below(5) - 2;
        default: return next();
        }
    }

    F32 f32() { return {static_cast<u32>(ieee(8, 23, 24))}; }
    F64 f64() { return {ieee(11, 52, 54)}; }
    F80 f80() {
        const u16 sign = static_cast<u16>(next() & 0x8000);
        const u16 e = static_cast<u16>(exponent(0x7FFF, 66));
        u64 sig = pattern();
        if (below(16)) sig = e ? sig | u64{1} << 63 : sig & ~(u64{1} << 63);
        if (below(32) == 0) sig = below(2) ? 0 : u64{1} << 63;
        return {sig, static_cast<u16>(sign | e)};
    }
    /// Like f80(), with an exponent within `spread` of 1.0's.
    F80 f80_near_one(unsigned spread) {
        const u64 sign = next() & 0x8000, e = 16383 - spread + below(2 * spread + 1);
        return {pattern() | u64{1} << 63, static_cast<u16>(sign | e)};
    }
    F32 get(F32) { return f32(); }
    F64 get(F64) { return f64(); }
    F80 get(F80) { return f80(); }

private:
    u64 exponent(u64 max, u64 near) {
        const u64 bias = max / 2;
        switch (below(8)) {
        case 0: return below(3);
        case 1: return max - below(3);
        case 2: return below(near + 2);
        case 3: return max - below(near + 2);
        case 4: return below(max + 1);
        default: return bias - near + below(2 * near);
        }
    }
    u64 ieee(unsigned exp_bits, unsigned frac_bits, u64 near) {
        const u64 sign = next() & 1, e = exponent((u64{1} << exp_bits) - 1, near);
        const u64 frac = below(32) == 0 ? 0 : (below(2) ? pattern() : pattern() >> (64 - frac_bits)) & ((u64{1} << frac_bits) - 1);
        return sign << (exp_bits + frac_bits) | e << frac_bits | frac;
    }
    u64 s_;
};
}  // namespace calque::fp
