// Add, subtract, multiply, divide, square root, in all formats.
#include "support/softfloat/core.h"

namespace calque::fp {
namespace {

template <class F>
int result_bits(const FpEnv& env) {
    if constexpr (kIsX87<F>) return env.precision;
    return Format<F>::precision;
}

template <class F>
F add_finite(Num a, Num b, FpEnv& env) {
    if (a.exp < b.exp || (a.exp == b.exp && a.sig < b.sig)) std::swap(a, b);
    // Two bits of headroom above, 62 below; a jammed bit cannot reach the rounding position.
    const u128 x = static_cast<u128>(a.sig) << 62;
    const u128 y = shift_right_jam(static_cast<u128>(b.sig) << 62, static_cast<unsigned>(a.exp - b.exp));
    const u128 r = a.sign == b.sign ? x + y : x - y;
    if (r == 0) return zero<F>(env.rounding == Round::down);
    const u64 hi = static_cast<u64>(r >> 64);
    const int lz = hi ? std::countl_zero(hi) : 64 + std::countl_zero(static_cast<u64>(r));
    return finish128<F>(a.sign, a.exp + 2 - lz, r << lz, env, result_bits<F>(env));
}

/// Rounds one operand as a result: what x + 0 is.
template <class F>
F round_operand(const Num& a, FpEnv& env) {
    return finish<F>(a.sign, a.exp, a.sig, 0, env, result_bits<F>(env));
}

template <class F>
F add_num(const Num& a, const Num& b, FpEnv& env) {
    if (a.kind == Kind::infinity && b.kind == Kind::infinity && a.sign != b.sign) return invalid<F>(env);
    if (denormal_fault(a.denormal || b.denormal, env)) return zero<F>(false);
    if (a.kind == Kind::infinity) return infinity<F>(a.sign);
    if (b.kind == Kind::infinity) return infinity<F>(b.sign);
    if (a.kind == Kind::zero) {
        if (b.kind == Kind::zero) return zero<F>(a.sign == b.sign ? a.sign : env.rounding == Round::down);
        return round_operand<F>(b, env);
    }
    if (b.kind == Kind::zero) return round_operand<F>(a, env);
    return add_finite<F>(a, b, env);
}

/// floor(sqrt(n)) for n >= 2^62, and what remains. Zimmermann's recursion: the root of the upper half, then one division.
struct Root {
    u64 root;
    u128 rest;
};
Root sqrt16(u64 n) {  // n in [2^14, 2^16)
    u64 r = 0;
    for (u64 bit = 128; bit; bit >>= 1)
        if ((r | bit) * (r | bit) <= n) r |= bit;
    return {r, n - r * r};
}
template <unsigned Half>  // of Half * 4 bits, two parts of Half bits below the upper half
Root sqrt_step(u128 n, Root upper) {
    const u128 mask = (u128{1} << Half) - 1;
    const u128 num = (upper.rest << Half) | ((n >> Half) & mask);
    u128 q, u;
    if constexpr (Half == 32) {
        // num < 2^66: halve before dividing so that one 64-bit division does it.
        const u128 den = static_cast<u128>(upper.root) << 1;
        q = num / den;
        u = num % den;
    } else {
        const u64 n64 = static_cast<u64>(num), den = upper.root << 1;
        q = n64 / den;
        u = n64 % den;
    }
    u128 root = (static_cast<u128>(upper.root) << Half) + q;
    const u128 low = (u << Half) | (n & mask), square = q * q;
    u128 rest;
    if (low >= square) {
        rest = low - square;
    } else {
        rest = low + 2 * root - 1 - square;
        --root;
    }
    return {static_cast<u64>(root), rest};
}
Root sqrt128(u128 n) {
    const u64 hi = static_cast<u64>(n >> 64);
    Root r = sqrt16(hi >> 48);
    r = sqrt_step<8>(hi >> 32, r);
    r = sqrt_step<16>(hi, r);
    return sqrt_step<32>(n, r);
}
}  // namespace

template <class F>
F add(F x, F y, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F>(x, env.daz), b = unpack<F>(y, env.daz);
    if (a.is_nan() || b.is_nan()) return propagate_nan<F>(a, b, env);
    return add_num<F>(a, b, env);
}

template <class F>
F sub(F x, F y, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F>(x, env.daz);
    Num b = unpack<F>(y, env.daz);
    if (a.is_nan() || b.is_nan()) return propagate_nan<F>(a, b, env);
    b.sign = !b.sign;
    return add_num<F>(a, b, env);
}

template <class F>
F mul(F x, F y, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F>(x, env.daz), b = unpack<F>(y, env.daz);
    if (a.is_nan() || b.is_nan()) return propagate_nan<F>(a, b, env);
    const bool sign = a.sign != b.sign;
    const bool any_zero = a.kind == Kind::zero || b.kind == Kind::zero;
    const bool any_infinity = a.kind == Kind::infinity || b.kind == Kind::infinity;
    if (any_zero && any_infinity) return invalid<F>(env);
    if (denormal_fault(a.denormal || b.denormal, env)) return zero<F>(sign);
    if (any_infinity) return infinity<F>(sign);
    if (any_zero) return zero<F>(sign);
    u128 p = static_cast<u128>(a.sig) * b.sig;
    i32 exp = a.exp + b.exp + 1;
    if (!(p >> 127)) {
        p <<= 1;
        --exp;
    }
    return finish128<F>(sign, exp, p, env, result_bits<F>(env));
}

template <class F>
F div(F x, F y, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F>(x, env.daz), b = unpack<F>(y, env.daz);
    if (a.is_nan() || b.is_nan()) return propagate_nan<F>(a, b, env);
    const bool sign = a.sign != b.sign;
    if (a.kind == b.kind && a.kind != Kind::finite) return invalid<F>(env);  // 0/0 and inf/inf
    if (b.kind == Kind::zero && a.kind == Kind::finite) {
        env.memory_denormal = false;
        env.flags |= ZE;
        return infinity<F>(sign);
    }
    if (denormal_fault(a.denormal || b.denormal, env)) return zero<F>(sign);
    if (a.kind == Kind::infinity) return infinity<F>(sign);
    if (a.kind == Kind::zero || b.kind == Kind::infinity) return zero<F>(sign);
    // The quotient's integer bit must come out at bit 63; one more quotient bit and the sticky one go below.
    const bool less = a.sig < b.sig;
    const i32 exp = a.exp - b.exp - less;
    const u128 num = static_cast<u128>(a.sig) << (less ? 64 : 63);
    const u64 q = static_cast<u64>(num / b.sig), r = static_cast<u64>(num - static_cast<u128>(q) * b.sig);
    const bool half_or_more = r >= b.sig - r;
    const bool exactly_half = r == b.sig - r;
    const u64 rest = r == 0 ? 0 : half_or_more ? kTop | !exactly_half : 1;
    return finish<F>(sign, exp, q, rest, env, result_bits<F>(env));
}

template <class F>
F sqrt(F x, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F>(x, env.daz);
    if (a.is_nan()) return propagate_nan<F>(a, a, env);
    if (a.kind == Kind::zero) return zero<F>(a.sign);
    if (a.sign) return invalid<F>(env);
    if (denormal_fault(a.denormal, env)) return zero<F>(false);
    if (a.kind == Kind::infinity) return infinity<F>(false);
    const bool odd = a.exp & 1;
    const u128 n = static_cast<u128>(a.sig) << (odd ? 64 : 63);
    const Root r = sqrt128(n);
    // The remainder exceeds the root when the next bit is one; it is never exactly half way.
    const u64 rest = r.rest == 0 ? 0 : r.rest > r.root ? kTop | 1 : 1;
    return finish<F>(false, (a.exp - odd) / 2, r.root, rest, env, result_bits<F>(env));
}

#define INSTANTIATE(F)                  \
    template F add(F, F, FpEnv&);       \
    template F sub(F, F, FpEnv&);       \
    template F mul(F, F, FpEnv&);       \
    template F div(F, F, FpEnv&);       \
    template F sqrt(F, FpEnv&);
INSTANTIATE(F32)
INSTANTIATE(F64)
INSTANTIATE(F80)
#undef INSTANTIATE
}  // namespace calque::fp
