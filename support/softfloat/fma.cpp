// Fused multiply-add, in binary32 and binary64.
#include "support/softfloat/core.h"

namespace calque::fp {
namespace {

/// The value is sig * 2^(exp - 127), with bit 127 of sig set.
struct Exact {
    u128 sig;
    i32 exp;
    bool sign;
};

/// Both significands end in zeros, at least two: those of products have 106 bits at most.
template <class F>
F add_exact(Exact a, Exact b, FpEnv& env) {
    if (a.exp < b.exp || (a.exp == b.exp && a.sig < b.sig)) std::swap(a, b);
    // A bit of headroom. What is shifted out of b far below a leaves its trace in the lowest bit, where a has zeros.
    const u128 x = a.sig >> 1, y = shift_right_jam(b.sig >> 1, static_cast<unsigned>(a.exp - b.exp));
    u128 r = a.sign == b.sign ? x + y : x - y;
    if (r == 0) return zero<F>(env.rounding == Round::down);
    const u64 hi = static_cast<u64>(r >> 64);
    const int lz = hi ? std::countl_zero(hi) : 64 + std::countl_zero(static_cast<u64>(r));
    return finish128<F>(a.sign, a.exp + 1 - lz, r << lz, env);
}

Exact product(const Num& a, const Num& b, bool sign) {
    u128 p = static_cast<u128>(a.sig) * b.sig;
    i32 exp = a.exp + b.exp + 1;
    if (!(p >> 127)) {
        p <<= 1;
        --exp;
    }
    return {p, exp, sign};
}
}  // namespace

template <class F>
F fused_multiply_add(F x, F y, F z, FusedSigns signs, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F>(x, env.daz), b = unpack<F>(y, env.daz);
    Num c = unpack<F>(z, env.daz);
    if (a.is_nan() || b.is_nan() || c.is_nan()) {
        if (c.kind == Kind::signaling_nan) env.flags |= IE;
        if (a.is_nan() || b.is_nan()) return propagate_nan<F>(a, b, env);
        return pack_nan<F>(c);
    }
    const bool sign = (a.sign != b.sign) != signs.negate_product;
    c.sign = c.sign != signs.negate_addend;
    const bool any_zero = a.kind == Kind::zero || b.kind == Kind::zero;
    const bool any_infinity = a.kind == Kind::infinity || b.kind == Kind::infinity;
    if (any_infinity && (any_zero || (c.kind == Kind::infinity && c.sign != sign))) return invalid<F>(env);
    if (denormal_fault(a.denormal || b.denormal || c.denormal, env)) return zero<F>(sign);
    if (any_infinity) return infinity<F>(sign);
    if (c.kind == Kind::infinity) return infinity<F>(c.sign);
    if (any_zero && c.kind == Kind::zero) return zero<F>(sign == c.sign ? sign : env.rounding == Round::down);
    if (any_zero) return finish<F>(c.sign, c.exp, c.sig, 0, env);
    const Exact p = product(a, b, sign);
    if (c.kind == Kind::zero) return finish128<F>(p.sign, p.exp, p.sig, env);
    return add_exact<F>(p, {static_cast<u128>(c.sig) << 64, c.exp, c.sign}, env);
}
template F32 fused_multiply_add(F32, F32, F32, FusedSigns, FpEnv&);
template F64 fused_multiply_add(F64, F64, F64, FusedSigns, FpEnv&);
}  // namespace calque::fp
