// Numbers with a 128-bit significand, for the inside of transcendental functions. Results are truncated: each
// operation is off by at most a few units of 2^-127, far below what an F80 can show.
#pragma once
#include "support/softfloat/core.h"

namespace calque::fp {

constexpr u128 u128_of(u64 hi, u64 lo) { return (static_cast<u128>(hi) << 64) | lo; }

/// The upper half of a 256-bit product.
constexpr u128 mul_high(u128 a, u128 b) {
    const u64 a1 = static_cast<u64>(a >> 64), a0 = static_cast<u64>(a), b1 = static_cast<u64>(b >> 64), b0 = static_cast<u64>(b);
    const u128 mid1 = static_cast<u128>(a1) * b0, mid2 = static_cast<u128>(a0) * b1;
    const u128 low = (static_cast<u128>(a0) * b0 >> 64) + static_cast<u64>(mid1) + static_cast<u64>(mid2);
    return static_cast<u128>(a1) * b1 + (mid1 >> 64) + (mid2 >> 64) + (low >> 64);
}

// Unsigned fixed point in [0, 2) with 127 fraction bits.
constexpr u128 kOne = u128{1} << 127;
constexpr u128 fixed_mul(u128 a, u128 b) { return mul_high(a, b) << 1; }

/// sig * 2^(exp - 127) with the top bit of sig set, or sig 0.
struct Wide {
    u128 sig;
    i32 exp;
    bool sign;
};

constexpr int leading_zeros(u128 v) {
    const u64 hi = static_cast<u64>(v >> 64);
    return hi ? std::countl_zero(hi) : 64 + std::countl_zero(static_cast<u64>(v));
}
/// v * 2^(exp - 127), normalized.
constexpr Wide normalized(u128 v, i32 exp, bool sign) {
    if (v == 0) return {0, 0, sign};
    const int lz = leading_zeros(v);
    return {v << lz, exp - lz, sign};
}
inline Wide wide_of(const Num& n) { return {static_cast<u128>(n.sig) << 64, n.exp, n.sign}; }
/// |w| < 2 as fixed point.
inline u128 to_fixed(const Wide& w) { return w.exp < -127 ? 0 : w.sig >> -w.exp; }

inline Wide wide_mul(const Wide& a, const Wide& b) {
    return normalized(mul_high(a.sig, b.sig), a.exp + b.exp + 1, a.sign != b.sign);
}
inline Wide wide_add(Wide a, Wide b) {
    if (a.sig == 0) return b;
    if (b.sig == 0) return a;
    if (a.exp < b.exp || (a.exp == b.exp && a.sig < b.sig)) std::swap(a, b);
    const u128 y = shift_right_jam(b.sig, static_cast<unsigned>(a.exp - b.exp));
    if (a.sign != b.sign) return normalized(a.sig - y, a.exp, a.sign);
    const u128 sum = a.sig + y;
    if (sum >= a.sig) return {sum, a.exp, a.sign};
    return {(sum >> 1) | (u128{1} << 127), a.exp + 1, a.sign};
}
inline Wide negated(Wide a) {
    a.sign = !a.sign;
    return a;
}

/// The next 64 bits of rem / den; rem < den, top bit of den set. Schoolbook division with digits of 64 bits.
inline u64 divide_digit(u128& rem, u128 den) {
    const u64 dh = static_cast<u64>(den >> 64), dl = static_cast<u64>(den);
    u64 q = static_cast<u64>(rem >> 64) >= dh ? ~u64{0} : static_cast<u64>(rem / dh);
    const u128 t = rem - static_cast<u128>(q) * dh, low = static_cast<u128>(q) * dl;
    bool negative = t < (u128{1} << 64) && (t << 64) < low;
    rem = (t << 64) - low;
    while (negative) {  // twice at most
        --q;
        rem += den;
        negative = rem >= den;
    }
    return q;
}
inline Wide wide_div(const Wide& a, const Wide& b) {
    if (a.sig == 0) return a;
    const bool less = a.sig < b.sig;
    u128 rem = less ? a.sig : a.sig - b.sig;
    const u64 hi = divide_digit(rem, b.sig), lo = divide_digit(rem, b.sig);
    const u128 q = u128_of(hi, lo);
    return {less ? q : kOne | (q >> 1), a.exp - b.exp - less, a.sign != b.sign};
}

/// An irrational result: never exact, whatever its bits look like.
inline F80 finish_wide(const Wide& w, FpEnv& env) { return finish128<F80>(w.sign, w.exp, w.sig | 1, env); }

constexpr Wide kPi{u128_of(0xC90FDAA22168C234, 0xC4C6628B80DC1CD1), 1, false};
constexpr Wide kHalfPi{kPi.sig, 0, false};
constexpr Wide kLn2{u128_of(0xB17217F7D1CF79AB, 0xC9E3B39803F2F6AF), -1, false};
constexpr Wide kLog2E{u128_of(0xB8AA3B295C17F0BB, 0xBE87FED0691D3E89), 0, false};
constexpr Wide kLog2Ten{u128_of(0xD49A784BCD1B8AFE, 0x492BF6FF4DAFDB4D), 1, false};
constexpr Wide kLog10Two{u128_of(0x9A209A84FBCFF798, 0x8F8959AC0B7C9178), -2, false};
}  // namespace calque::fp
