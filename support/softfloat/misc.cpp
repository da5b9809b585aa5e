// Comparison, minimum and maximum, rounding to integers, scaling, exponent extraction and remainders.
#include "support/softfloat/core.h"

namespace calque::fp {
namespace {

Relation relation(const Num& a, const Num& b) {
    // Order by (sign, kind, exponent, significand); zeros compare equal whatever their signs.
    if (a.kind == Kind::zero && b.kind == Kind::zero) return Relation::equal;
    if (a.kind == Kind::zero) return b.sign ? Relation::greater : Relation::less;
    if (b.kind == Kind::zero) return a.sign ? Relation::less : Relation::greater;
    if (a.sign != b.sign) return a.sign ? Relation::less : Relation::greater;
    int c = 0;
    if (a.kind != b.kind) c = a.kind == Kind::infinity ? 1 : -1;
    else if (a.kind == Kind::finite) {
        c = a.exp != b.exp ? (a.exp > b.exp ? 1 : -1) : a.sig != b.sig ? (a.sig > b.sig ? 1 : -1) : 0;
    }
    if (c == 0) return Relation::equal;
    return (c > 0) != a.sign ? Relation::greater : Relation::less;
}

bool raises_invalid(const Num& n, bool signaling) {
    return n.kind >= (signaling ? Kind::quiet_nan : Kind::signaling_nan);
}

/// MIN and MAX raise IE and DE as comparisons do.
template <class F>
F select(F a, F b, Relation first, FpEnv& env) {
    const F r = compare<F>(a, b, true, env) == first ? a : b;
    const Num n = unpack<F>(r, env.daz);
    return n.kind == Kind::zero ? zero<F>(n.sign) : r;
}
}  // namespace

template <class F>
Relation compare(F x, F y, bool signaling, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F>(x, env.daz), b = unpack<F>(y, env.daz);
    if (a.is_nan() || b.is_nan()) {
        env.memory_denormal = false;
        if (raises_invalid(a, signaling) || raises_invalid(b, signaling)) env.flags |= IE;
        return Relation::unordered;
    }
    denormal_fault(a.denormal || b.denormal, env);
    return relation(a, b);
}

template <class F> F min(F a, F b, FpEnv& env) { return select(a, b, Relation::less, env); }
template <class F> F max(F a, F b, FpEnv& env) { return select(a, b, Relation::greater, env); }

template <class F>
F round_to_int(F x, FpEnv& env, bool exact_flag) {
    env.rounded_up = false;
    const Num a = unpack<F>(x, env.daz);
    if (a.is_nan()) return propagate_nan<F>(a, a, env);
    if (a.kind == Kind::zero) return zero<F>(a.sign);
    if (kIsX87<F> && denormal_fault(a.denormal, env)) return x;  // ROUNDPS raises no DE
    if (a.kind == Kind::infinity || a.exp >= Format<F>::precision - 1) return x;
    // An integer part of exp + 1 bits; below 1 at most a carry remains.
    i32 exp = a.exp;
    Rounded r;
    if (exp >= 0) {
        r = round_at(a.sig, 0, exp + 1, a.sign, env.rounding);
    } else {
        const u128 v = shift_right_jam(static_cast<u128>(a.sig) << 64, static_cast<unsigned>(63 - exp));
        r = round_at(0, static_cast<u64>(v), 64, a.sign, env.rounding);
        exp = 0;
        r.sig = r.up ? kTop : 0;
        r.carry = false;
    }
    if (r.carry) {
        r.sig = kTop;
        ++exp;
    }
    if (r.inexact && exact_flag) env.flags |= PE;
    env.rounded_up = r.up;
    if (r.sig == 0) return zero<F>(a.sign);
    return pack<F>(a.sign, static_cast<u32>(exp - Format<F>::emin + 1), r.sig);
}

#define INSTANTIATE(F)                                   \
    template Relation compare(F, F, bool, FpEnv&);       \
    template F min(F, F, FpEnv&);                        \
    template F max(F, F, FpEnv&);                        \
    template F round_to_int(F, FpEnv&, bool);
INSTANTIATE(F32)
INSTANTIATE(F64)
INSTANTIATE(F80)
#undef INSTANTIATE

Class classify(F80 x) {
    const Num a = unpack<F80>(x);
    switch (a.kind) {
    case Kind::zero: return Class::zero;
    case Kind::finite: return a.denormal ? Class::denormal : Class::normal;
    case Kind::infinity: return Class::infinity;
    case Kind::quiet_nan:
    case Kind::signaling_nan: return Class::nan;
    case Kind::unsupported: break;
    }
    return Class::unsupported;
}

F80 scale(F80 x, F80 by, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F80>(x), b = unpack<F80>(by);
    if (a.is_nan() || b.is_nan()) return propagate_nan<F80>(a, b, env);
    if (b.kind == Kind::infinity && a.kind == (b.sign ? Kind::infinity : Kind::zero)) return invalid<F80>(env);
    if (denormal_fault(a.denormal || b.denormal, env)) return x;
    if (b.kind == Kind::infinity && a.kind == Kind::finite) return b.sign ? zero<F80>(a.sign) : infinity<F80>(a.sign);
    if (a.kind != Kind::finite || b.kind == Kind::zero || b.exp < 0) {
        // Zen sees an underflow that is not masked also when there is nothing to scale by.
        if (!env.zen && b.kind == Kind::zero) return x;
        return a.kind == Kind::finite ? finish<F80>(a.sign, a.exp, a.sig, 0, env) : x;
    }
    // Beyond 2^17 everything overflows or underflows, wrapped exponents included.
    i32 n = b.exp > 16 ? 1 << 17 : static_cast<i32>(b.sig >> (63 - b.exp));
    if (b.sign) n = -n;
    return finish<F80>(a.sign, a.exp + n, a.sig, 0, env);
}

Extract extract(F80 x, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F80>(x);
    if (a.is_nan()) {
        const F80 n = propagate_nan(a, env);
        return {n, n};
    }
    if (a.kind == Kind::zero) {
        env.flags |= ZE;
        return {infinity<F80>(true), x};
    }
    if (a.kind == Kind::infinity) return {infinity<F80>(false), x};
    if (denormal_fault(a.denormal, env)) return {x, x};
    return {f80_from_int(a.exp), pack<F80>(a.sign, 16383, a.sig)};
}

Remainder remainder(F80 x, F80 y, bool nearest, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F80>(x), b = unpack<F80>(y);
    if (a.is_nan() || b.is_nan()) return {propagate_nan<F80>(a, b, env), 0, false};
    if (a.kind == Kind::infinity || b.kind == Kind::zero) return {invalid<F80>(env), 0, false};
    if (denormal_fault(a.denormal || b.denormal, env)) return {x, 0, false};
    if (a.kind == Kind::zero) return {x, 0, false};
    // Intel sees no underflow here; Zen does, when it is not masked.
    if (b.kind == Kind::infinity && !env.zen) return {x, 0, false};
    if (b.kind == Kind::infinity) return {finish<F80>(a.sign, a.exp, a.sig, 0, env), 0, false};

    const i32 d = a.exp - b.exp;
    if (d < (nearest ? -1 : 0)) return {finish<F80>(a.sign, a.exp, a.sig, 0, env), 0, false};
    // Reduce by at most 63 exponent steps at once; when more remain, by a count that leaves a multiple of 32.
    const bool partial = d >= 64;
    const i32 steps = partial ? 32 + (d & 31) : d;
    u64 q = 0, r = a.sig;
    i32 exp = a.exp - steps;
    bool sign = a.sign;
    if (steps < 0) {
        exp = a.exp;  // |a| < |b|, and at least b / 4
    } else {
        const u128 num = static_cast<u128>(a.sig) << steps, quotient = num / b.sig;
        q = static_cast<u64>(quotient);
        r = static_cast<u64>(num - quotient * b.sig);
    }
    if (nearest && !partial) {
        // Compare r with b - r in units of r's exponent; b is one bit larger there when nothing was subtracted.
        const u128 whole = static_cast<u128>(b.sig) << (steps < 0 ? 1 : 0);
        const u128 other = whole - r;
        if (r > other || (r == other && (q & 1))) {
            // other < r here, so it fits.
            r = static_cast<u64>(other);
            sign = !sign;
            ++q;
        }
    }
    const u8 low = partial ? 0 : static_cast<u8>(q & 7);
    if (r == 0) return {zero<F80>(a.sign), low, partial};
    const int lz = std::countl_zero(r);
    return {finish<F80>(sign, exp - lz, r << lz, 0, env), low, partial};
}

namespace {
F32 estimate(const Num& a, i32 exp, u64 sig) {
    // sig has bit 63 set; keep 12 bits.
    const Rounded r = round_at(sig, 0, 12, false, Round::nearest);
    exp += r.carry;
    if (exp < Format<F32>::emin) return zero<F32>(a.sign);
    if (exp > Format<F32>::emax) return infinity<F32>(a.sign);
    return pack<F32>(a.sign, static_cast<u32>(exp + 127), r.carry ? kTop : r.sig);
}
}  // namespace

F32 reciprocal_estimate(F32 x) {
    const Num a = unpack<F32>(x, true);  // denormals count as zeros whatever MXCSR says
    if (a.is_nan()) return pack_nan<F32>(a);
    if (a.kind == Kind::zero) return infinity<F32>(a.sign);
    if (a.kind == Kind::infinity) return zero<F32>(a.sign);
    if (a.sig == kTop) return estimate(a, -a.exp, kTop);
    const u64 q = static_cast<u64>((static_cast<u128>(kTop) << 64) / a.sig);
    return estimate(a, -a.exp - 1, q);
}

F32 reciprocal_sqrt_estimate(F32 x) {
    const Num a = unpack<F32>(x, true);
    if (a.is_nan()) return pack_nan<F32>(a);
    if (a.kind == Kind::zero) return infinity<F32>(a.sign);
    if (a.sign) return kDefaultNan32;
    if (a.kind == Kind::infinity) return zero<F32>(false);
    // An F80's root and quotient are far more exact than what is kept.
    FpEnv env;
    const F80 root = sqrt<F80>(pack<F80>(false, static_cast<u32>(a.exp + 16383), a.sig), env);
    const Num r = unpack<F80>(div<F80>(pack<F80>(false, 16383, kTop), root, env));
    return estimate(a, r.exp, r.sig);
}
}  // namespace calque::fp
