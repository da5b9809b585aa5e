// F2XM1, FYL2X, FYL2XP1 and the constants of FLDPI and kin, by series on 128-bit significands.
#include <array>

#include "support/softfloat/wide.h"

namespace calque::fp {
namespace {

/// 1/1!, 1/2!, 1/3! ...: (e^y - 1) / y
constexpr std::array<u128, 33> exp_terms() {
    std::array<u128, 33> c{};
    u128 v = kOne;
    for (unsigned k = 0; k < c.size(); ++k) {
        c[k] = v;
        v /= k + 2;
    }
    return c;
}
constexpr auto kExpTerms = exp_terms();

/// 1, 1/3, 1/5 ...: atanh(s) / s
constexpr std::array<u128, 27> atanh_terms() {
    std::array<u128, 27> c{};
    for (unsigned k = 0; k < c.size(); ++k) c[k] = kOne / (2 * k + 1);
    return c;
}
constexpr auto kAtanhTerms = atanh_terms();

/// log2((1 + s) / (1 - s)) for |s| <= 3 - sqrt(8)
Wide log2_of_ratio(const Wide& s) {
    const u128 f = to_fixed(s), z = fixed_mul(f, f);
    u128 p = kAtanhTerms.back();
    for (size_t k = kAtanhTerms.size() - 1; k-- > 0;) p = kAtanhTerms[k] + fixed_mul(z, p);
    Wide r = wide_mul(wide_mul(s, normalized(p, 0, false)), kLog2E);
    ++r.exp;
    return r;
}

/// log2(v) for v > 0.
Wide log2_wide(const Wide& v) {
    constexpr u128 root2 = u128_of(0xB504F333F9DE6484, 0);  // about sqrt(2): only halves the range
    const bool upper = v.sig > root2;
    const u128 m = v.sig;
    // With m in [1, 2) or, halved, in (1/sqrt(2), 1): s = (m - 1) / (m + 1), the denominator always in units of 2^-126.
    const Wide num = upper ? normalized(u128{0} - m, -1, true) : normalized(m - kOne, 0, false);
    const Wide den = upper ? Wide{kOne | (m >> 1), 0, false} : Wide{(m >> 1) + (kOne >> 1), 1, false};
    Wide r = num.sig ? log2_of_ratio(wide_div(num, den)) : Wide{0, 0, false};
    const i32 e = v.exp + upper;
    if (e) r = wide_add(normalized(static_cast<u128>(e < 0 ? -e : e), 127, e < 0), r);
    return r;
}

F80 times(const Num& y, const Wide& log, FpEnv& env) { return finish_wide(wide_mul(wide_of(y), log), env); }

/// y * n in full precision. The x87 reports PE, and with it UE of tiny results, even where the product is exact.
F80 times_integer(F80 y, i32 n, FpEnv& env) {
    const u8 precision = std::exchange(env.precision, u8{64});
    const F80 r = mul<F80>(y, f80_from_int(n), env);
    env.precision = precision;
    env.flags |= (r.se & 0x7FFF) == 0 ? UE | PE : PE;
    return r;
}

F80 round_constant(const Wide& w, Round mode) {
    FpEnv env;
    env.rounding = mode;
    return finish_wide(w, env);
}
}  // namespace

F80 exp2_minus_1(F80 x, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F80>(x);
    if (a.is_nan()) return propagate_nan(a, env);
    if (a.kind == Kind::zero) return x;
    if (a.kind == Kind::infinity) return a.sign ? pack<F80>(true, 16383, kTop) : x;
    if (denormal_fault(a.denormal, env)) return x;
    if (a.exp >= 0) {
        env.flags |= PE;
        if (a.exp == 0 && a.sig == kTop) return pack<F80>(a.sign, a.sign ? 16382 : 16383, kTop);  // 1 or -1/2
        return x;  // outside [-1, 1] the manual promises nothing; AMD's processors give x
    }
    const Wide y = wide_mul(wide_of(a), kLn2);
    const u128 f = to_fixed(y);
    u128 p = kExpTerms.back();
    for (size_t k = kExpTerms.size() - 1; k-- > 0;) {
        const u128 t = fixed_mul(f, p);
        p = a.sign ? kExpTerms[k] - t : kExpTerms[k] + t;
    }
    return finish_wide(wide_mul(y, normalized(p, 0, false)), env);
}

F80 y_log2_x(F80 y, F80 x, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F80>(y), b = unpack<F80>(x);
    if (a.is_nan() || b.is_nan()) return propagate_nan<F80>(a, b, env);
    if (b.sign && b.kind != Kind::zero) return invalid<F80>(env);
    const bool is_one = b.kind == Kind::finite && b.exp == 0 && b.sig == kTop;
    if (a.kind == Kind::zero && b.kind != Kind::finite) return invalid<F80>(env);
    if (a.kind == Kind::infinity && is_one) return invalid<F80>(env);
    if (b.kind == Kind::zero && a.kind == Kind::finite) {
        env.flags |= ZE;
        return infinity<F80>(!a.sign);
    }
    if (denormal_fault(a.denormal || b.denormal, env)) return y;
    const bool negative_log = b.kind == Kind::zero || (b.kind == Kind::finite && b.exp < 0);
    if (a.kind == Kind::infinity || b.kind == Kind::infinity) return infinity<F80>(a.sign != negative_log);
    if (a.kind == Kind::zero || is_one) return zero<F80>(a.sign != negative_log);
    if (b.sig == kTop) return times_integer(y, b.exp, env);
    return times(a, log2_wide(wide_of(b)), env);
}

F80 y_log2_x_plus_1(F80 y, F80 x, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F80>(y), b = unpack<F80>(x);
    if (a.is_nan() || b.is_nan()) return propagate_nan<F80>(a, b, env);
    if (a.kind == Kind::infinity && b.kind == Kind::zero) return invalid<F80>(env);
    if (a.kind == Kind::zero && b.kind == Kind::infinity) return invalid<F80>(env);
    if (b.sign && b.kind == Kind::infinity) return invalid<F80>(env);
    if (denormal_fault(a.denormal || b.denormal, env)) return y;
    const bool sign = a.sign != b.sign;
    if (a.kind == Kind::infinity || b.kind == Kind::infinity) return infinity<F80>(sign);
    if (a.kind == Kind::zero || b.kind == Kind::zero) return zero<F80>(sign);
    if (b.sign && b.exp >= 0) {
        env.flags |= PE;  // no logarithm; the manual promises nothing from about -0.29 down, and AMD's processors give x
        return x;
    }
    const Wide w = wide_of(b);
    if (b.exp < -2) return times(a, log2_of_ratio(wide_div(w, wide_add({kOne, 1, false}, w))), env);
    const Wide v = wide_add({kOne, 0, false}, w);  // exact: both have few bits
    if (v.sig == kOne) return times_integer(y, v.exp, env);
    return times(a, log2_wide(v), env);
}

F80 constant(unsigned index, Round mode) {
    switch (index) {
    case 0: return pack<F80>(false, 16383, kTop);
    case 1: return round_constant(kLog2Ten, mode);
    case 2: return round_constant(kLog2E, mode);
    case 3: return round_constant(kPi, mode);
    case 4: return round_constant(kLog10Two, mode);
    case 5: return round_constant(kLn2, mode);
    default: return zero<F80>(false);
    }
}
}  // namespace calque::fp
