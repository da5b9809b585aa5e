// The common representation all operations work on, and the one place where results are rounded and packed.
#pragma once
#include <bit>
#include <utility>

#include "support/softfloat/softfloat.h"

namespace calque::fp {

enum class Kind : u8 { zero, finite, infinity, quiet_nan, signaling_nan, unsupported };

/// A finite value is sig * 2^(exp - 63) with bit 63 of sig set. A NaN's payload is in sig as in an F80.
struct Num {
    u64 sig;
    i32 exp;
    Kind kind;
    bool sign;
    bool denormal;
    bool is_nan() const { return kind >= Kind::quiet_nan; }
};

constexpr u64 kTop = u64{1} << 63;
constexpr u64 kQuiet = u64{1} << 62;

template <class F> struct Format;
template <> struct Format<F16> {
    using Bits = u16;
    static constexpr int precision = 11, exp_bits = 5, emin = -14, emax = 15;
    static constexpr F16 default_nan = kDefaultNan16;
};
template <> struct Format<F32> {
    using Bits = u32;
    static constexpr int precision = 24, exp_bits = 8, emin = -126, emax = 127;
    static constexpr F32 default_nan = kDefaultNan32;
};
template <> struct Format<F64> {
    using Bits = u64;
    static constexpr int precision = 53, exp_bits = 11, emin = -1022, emax = 1023;
    static constexpr F64 default_nan = kDefaultNan64;
};
template <> struct Format<F80> {
    static constexpr int precision = 64, exp_bits = 15, emin = -16382, emax = 16383;
    static constexpr F80 default_nan = kDefaultNan80;
};
template <class F> constexpr bool kIsX87 = false;
template <> inline constexpr bool kIsX87<F80> = true;

/// Right shift of a 128-bit number that keeps a trace of what falls out in its lowest bit.
constexpr u128 shift_right_jam(u128 v, unsigned n) {
    if (n == 0) return v;
    if (n > 127) return v != 0;
    return (v >> n) | ((v << (128 - n)) != 0);
}

template <class F>
inline Num unpack(F x, bool daz = false) {
    using T = Format<F>;
    constexpr int frac_bits = T::precision - 1;
    constexpr u32 exp_max = (1u << T::exp_bits) - 1;
    const u64 frac = (static_cast<u64>(x.bits) << (64 - T::precision)) & (kTop - 1);
    const u32 e = static_cast<u32>(x.bits >> frac_bits) & exp_max;
    Num n{frac | kTop, static_cast<i32>(e) + T::emin - 1, Kind::finite, (x.bits >> (frac_bits + T::exp_bits)) != 0, false};
    if (e == exp_max) {
        n.kind = frac == 0 ? Kind::infinity : frac & kQuiet ? Kind::quiet_nan : Kind::signaling_nan;
    } else if (e == 0) {
        if (frac == 0 || daz) {
            n.kind = Kind::zero;
            n.sig = 0;
        } else {
            const int lz = std::countl_zero(frac);
            n.sig = frac << lz;
            n.exp = T::emin - lz;
            n.denormal = true;
        }
    }
    return n;
}

template <>
inline Num unpack<F80>(F80 x, bool) {
    const u32 e = x.se & 0x7FFF;
    Num n{x.sig, static_cast<i32>(e) - 16383, Kind::finite, (x.se & 0x8000) != 0, false};
    const bool integer_bit = x.sig & kTop;
    if (e == 0) {
        if (x.sig == 0) {
            n.kind = Kind::zero;
        } else {
            const int lz = std::countl_zero(x.sig);
            n.sig = x.sig << lz;
            n.exp = Format<F80>::emin - lz;
            n.denormal = true;  // pseudo-denormals too
        }
    } else if (!integer_bit) {
        n.kind = Kind::unsupported;  // unnormals, pseudo-infinities, pseudo-NaNs
    } else if (e == 0x7FFF) {
        const u64 frac = x.sig << 1;
        n.kind = frac == 0 ? Kind::infinity : x.sig & kQuiet ? Kind::quiet_nan : Kind::signaling_nan;
    }
    return n;
}

/// Puts a significand (integer bit at 63, clear for denormals) under a biased exponent.
template <class F>
inline F pack(bool sign, u32 biased, u64 sig) {
    using T = Format<F>;
    if constexpr (kIsX87<F>) {
        return {sig, static_cast<u16>((sign << 15) | biased)};
    } else {
        using B = typename T::Bits;
        const B frac = static_cast<B>((sig & (kTop - 1)) >> (64 - T::precision));
        return {static_cast<B>((B{sign} << (T::precision + T::exp_bits - 1)) | (static_cast<B>(biased) << (T::precision - 1)) | frac)};
    }
}
template <class F> inline F zero(bool sign) { return pack<F>(sign, 0, 0); }
template <class F> inline F infinity(bool sign) { return pack<F>(sign, (1u << Format<F>::exp_bits) - 1, kTop); }
template <class F> inline F pack_nan(const Num& n) {
    return pack<F>(n.sign, (1u << Format<F>::exp_bits) - 1, n.sig | kTop | kQuiet);
}
template <class F> inline F invalid(FpEnv& env) {
    env.flags |= IE;
    return Format<F>::default_nan;
}

/// The result when at least one operand is a NaN or an unsupported encoding.
template <class F>
inline F propagate_nan(const Num& a, const Num& b, FpEnv& env) {
    env.memory_denormal = false;
    if constexpr (kIsX87<F>) {
        if (a.kind == Kind::unsupported || b.kind == Kind::unsupported) return invalid<F>(env);
    }
    if (a.kind == Kind::signaling_nan || b.kind == Kind::signaling_nan) env.flags |= IE;
    if (!a.is_nan()) return pack_nan<F>(b);
    if (!b.is_nan()) return pack_nan<F>(a);
    if constexpr (kIsX87<F>) {
        // SDM vol. 1, Rules for Handling NaNs: a quiet NaN before a signaling one, then the larger significand.
        if (a.kind != b.kind) return pack_nan<F>(a.kind == Kind::quiet_nan ? a : b);
        const u64 sa = a.sig | kQuiet, sb = b.sig | kQuiet;
        if (sa != sb) return pack_nan<F>(sa > sb ? a : b);
        return pack_nan<F>(a.sign ? b : a);
    }
    return pack_nan<F>(a);
}

/// Raises DE when an operand is denormal. True: the exception is not masked and nothing must be computed.
inline bool denormal_fault(bool denormal, FpEnv& env) {
    if (!denormal && !env.memory_denormal) return false;
    env.memory_denormal = false;
    env.flags |= DE;
    return !(env.masks & DE);
}

struct Rounded {
    u64 sig;
    bool carry, inexact, up;
};

/// Rounds sig:rest to its `bits` highest bits. After a carry sig is 0 in the place of 2^64.
inline Rounded round_at(u64 sig, u64 rest, int bits, bool sign, Round mode) {
    u64 low = rest, unit = 1;
    if (bits < 64) {
        low = (sig << bits) | (rest != 0);
        unit = u64{1} << (64 - bits);
        sig &= ~(unit - 1);
    }
    bool up = false;
    switch (mode) {
    case Round::nearest: up = low > kTop || (low == kTop && (sig & unit)); break;
    case Round::down: up = sign && low; break;
    case Round::up: up = !sign && low; break;
    case Round::zero: break;
    }
    if (up) sig += unit;
    return {sig, up && sig == 0, low != 0, up};
}

/// How far the x87 moves the exponent of a result that overflows or underflows unmasked.
constexpr i32 kWrap = 24576;

template <class F>
F finish_tiny(bool sign, i32 exp, u64 sig, u64 rest, int bits, FpEnv& env);
template <class F>
F finish_huge(bool sign, i32 exp, const Rounded& r, int bits, FpEnv& env);

/// Rounds and packs (-1)^sign * (sig:rest) * 2^(exp - 63), bit 63 of sig set; raises OE, UE, PE.
template <class F>
inline F finish(bool sign, i32 exp, u64 sig, u64 rest, FpEnv& env, int bits = Format<F>::precision) {
    using T = Format<F>;
    if (exp < T::emin) [[unlikely]]
        return finish_tiny<F>(sign, exp, sig, rest, bits, env);
    Rounded r = round_at(sig, rest, bits, sign, env.rounding);
    if (r.carry) {
        r.sig = kTop;
        ++exp;
    }
    if (exp > T::emax) [[unlikely]]
        return finish_huge<F>(sign, exp, r, bits, env);
    if (r.inexact) env.flags |= PE;
    env.rounded_up = r.up;
    return pack<F>(sign, static_cast<u32>(exp - T::emin + 1), r.sig);
}
template <class F>
inline F finish128(bool sign, i32 exp, u128 v, FpEnv& env, int bits = Format<F>::precision) {
    return finish<F>(sign, exp, static_cast<u64>(v >> 64), static_cast<u64>(v), env, bits);
}

template <class F>
F finish_tiny(bool sign, i32 exp, u64 sig, u64 rest, int bits, FpEnv& env) {
    using T = Format<F>;
    // Tininess is detected after rounding, as if the exponent had no limit.
    Rounded r = round_at(sig, rest, bits, sign, env.rounding);
    const bool tiny = !(r.carry && exp == T::emin - 1);
    if (tiny && !(env.masks & UE)) {
        env.flags |= r.inexact ? UE | PE : UE;
        env.rounded_up = r.up;
        if constexpr (kIsX87<F>) {
            exp += kWrap + r.carry;
            if (exp < T::emin) {  // FSCALE can fall short even of the wrapped range
                env.flags |= PE;
                env.rounded_up = false;
                return zero<F>(sign);
            }
            return pack<F>(sign, static_cast<u32>(exp - T::emin + 1), r.carry ? kTop : r.sig);
        }
        return zero<F>(sign);
    }
    if (tiny && env.ftz && !kIsX87<F>) {
        env.flags |= UE | PE;
        env.rounded_up = false;
        return zero<F>(sign);
    }
    const u128 v = shift_right_jam((static_cast<u128>(sig) << 64) | rest, static_cast<unsigned>(T::emin - exp));
    r = round_at(static_cast<u64>(v >> 64), static_cast<u64>(v), bits, sign, env.rounding);
    if (r.inexact) env.flags |= tiny ? UE | PE : PE;
    env.rounded_up = r.up;
    return pack<F>(sign, (r.sig & kTop) != 0, r.sig);
}

template <class F>
F finish_huge(bool sign, i32 exp, const Rounded& r, int bits, FpEnv& env) {
    using T = Format<F>;
    env.flags |= OE;
    if (!(env.masks & OE)) {
        if (r.inexact) env.flags |= PE;
        env.rounded_up = r.up;
        exp -= kWrap;
        if (!kIsX87<F> || exp > T::emax) {
            env.flags |= kIsX87<F> ? PE : 0;
            env.rounded_up = true;
            return infinity<F>(sign);
        }
        return pack<F>(sign, static_cast<u32>(exp - T::emin + 1), r.sig);
    }
    env.flags |= PE;
    const bool to_infinity = env.rounding == Round::nearest || env.rounding == (sign ? Round::down : Round::up);
    env.rounded_up = to_infinity;
    if (to_infinity) return infinity<F>(sign);
    return pack<F>(sign, static_cast<u32>(T::emax - T::emin + 1), ~u64{0} << (64 - bits));
}

/// What an F80 operation that returns its one operand's NaN does.
inline F80 propagate_nan(const Num& a, FpEnv& env) { return propagate_nan<F80>(a, a, env); }
}  // namespace calque::fp
