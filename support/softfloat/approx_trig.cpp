// FSIN, FCOS, FPTAN, FPATAN. Arguments are reduced by pi with 66 significant bits, as the x87 does (SDM vol. 1,
// "Approximation of Pi"), which makes the reduction exact in integers; what follows is a Taylor series.
#include <array>

#include "support/softfloat/wide.h"

namespace calque::fp {
namespace {

constexpr int kTerms = 18;

/// 1/1!, 1/3!, 1/5! ... and 1/0!, 1/2!, 1/4! ...
constexpr std::array<u128, kTerms> inverse_factorials(unsigned first) {
    std::array<u128, kTerms> c{};
    u128 v = kOne;
    for (unsigned k = 0, n = first; k < kTerms; ++k, n += 2) {
        c[k] = v;
        v = v / (n + 1) / (n + 2);
    }
    return c;
}
constexpr auto kSinTerms = inverse_factorials(1), kCosTerms = inverse_factorials(0);

/// 1, 1/3, 1/5 ...
constexpr std::array<u128, 15> inverse_odds() {
    std::array<u128, 15> c{};
    for (unsigned k = 0; k < c.size(); ++k) c[k] = kOne / (2 * k + 1);
    return c;
}
constexpr auto kAtanTerms = inverse_odds();

/// c0 - z (c1 - z (c2 - ...)), strictly below c0 so that directed rounding sees a tiny z.
template <size_t N>
u128 alternating(const std::array<u128, N>& c, u128 z) {
    u128 p = c[N - 1];
    for (size_t k = N - 1; k-- > 0;) p = c[k] - fixed_mul(z, p);
    return p == c[0] ? p - 1 : p;
}

struct Reduced {
    Wide r;             // |r| <= pi/4
    unsigned quadrant;  // of |x|
};

Reduced reduce(const Num& a) {
    if (a.exp < -1) return {{static_cast<u128>(a.sig) << 64, a.exp, false}, 0};
    // In units of 2^-65, pi/2 is the integer `half_pi` and |x| < 2^63 has at most 128 bits.
    constexpr u128 half_pi = (u128{0xC90FDAA22168C234} << 2) | 3;
    const u128 x = static_cast<u128>(a.sig) << (a.exp + 2);
    u128 q = x / half_pi, r = x - q * half_pi;
    bool sign = false;
    if (r > half_pi / 2) {
        r = half_pi - r;
        sign = true;
        ++q;
    }
    return {normalized(r, 127 - 65, sign), static_cast<unsigned>(q & 3)};
}

Wide sin_series(const Wide& r) {
    const u128 t = to_fixed(r);
    return wide_mul(r, normalized(alternating(kSinTerms, fixed_mul(t, t)), 0, false));
}
Wide cos_series(const Wide& r) {
    const u128 t = to_fixed(r);
    return normalized(alternating(kCosTerms, fixed_mul(t, t)), 0, false);
}

/// Handles what is no finite nonzero number in range; true when `result` is final.
bool trig_special(const Num& a, F80 x, F80 at_zero, FpEnv& env, F80& result) {
    env.rounded_up = false;
    if (a.is_nan()) result = propagate_nan(a, env);
    else if (a.kind == Kind::infinity) result = invalid<F80>(env);
    else if (a.kind == Kind::zero) result = at_zero;
    else if (a.exp >= 63 || denormal_fault(a.denormal, env)) result = x;
    else return false;
    return true;
}

/// FSIN and FPTAN below 2^-68: Intel calls the operand itself inexact, whatever the rounding; Zen rounds from the true value.
bool intel_tiny(const Num& a, const FpEnv& env) { return !env.zen && a.exp < -68; }
F80 tiny(const Num& a, FpEnv& env) {
    const F80 r = finish<F80>(a.sign, a.exp, a.sig, 0, env);
    env.flags |= a.denormal ? UE | PE : PE;
    env.rounded_up = false;
    return r;
}

/// atan(k/16), k = 0..16.
constexpr u128 kAtanTable[17] = {
    0,
    u128_of(0x07FD56EDCB3F7A71, 0xB6593C96E071706B), u128_of(0x0FEADD4D5617B6E3, 0x2C897989F3E888EF),
    u128_of(0x17B97B4BCE5B0226, 0x8F6169F103938E91), u128_of(0x1F5B75F92C80DD62, 0xADB8F3DEBEF442FD),
    u128_of(0x26C4EE6E0FD7979A, 0x716AED26349EBCCA), u128_of(0x2DEC3283C9BDE11C, 0xE2A8C848B73F9121),
    u128_of(0x34C9DD879847F96D, 0x909F257A40079C4E), u128_of(0x3B58CE0AC3769ED1, 0x5BF9117B2F0EA341),
    u128_of(0x4195FA536CC33F15, 0x25B504E5B0D28AE0), u128_of(0x47802EAF7BFACFCD, 0xAE41AF0B32E21BA4),
    u128_of(0x4D17C07338DEED10, 0x21137C711027F9DE), u128_of(0x525E3E8C9A7B8492, 0x0CD43F9522BED64F),
    u128_of(0x5756261C5A6C6040, 0x0A392F179F290385), u128_of(0x5C029F15E118CF39, 0xE596D2A90852221F),
    u128_of(0x606742DC56293320, 0x44EEB16237497D12), u128_of(0x6487ED5110B4611A, 0x62633145C06E0E69)};

Wide atan_series(const Wide& t) {
    const u128 f = to_fixed(t);
    return wide_mul(t, normalized(alternating(kAtanTerms, fixed_mul(f, f)), 0, false));
}

/// atan(a / b) for 0 < a <= b, by atan(q) = atan(c) + atan((q - c) / (1 + qc)) with c = k/16 nearest to q.
Wide atan_ratio(const Num& a, const Num& b) {
    const i32 d = b.exp - a.exp;
    unsigned k = 0;
    if (d < 6) k = static_cast<unsigned>(((static_cast<u128>(a.sig >> d) << 4) + b.sig / 2) / b.sig);
    if (k == 0) {
        const Wide t = wide_div({static_cast<u128>(a.sig) << 64, a.exp, false}, {static_cast<u128>(b.sig) << 64, b.exp, false});
        return atan_series(t);
    }
    const u128 y = a.sig, x = static_cast<u128>(b.sig) << d;  // exact, in the same unit
    const u128 num_a = 16 * y, num_b = k * x;
    const Wide num = normalized(num_a > num_b ? num_a - num_b : num_b - num_a, 0, num_a < num_b);
    const Wide base = normalized(kAtanTable[k], 0, false);
    if (num.sig == 0) return base;
    return wide_add(base, atan_series(wide_div(num, normalized(16 * x + k * y, 0, false))));
}

F80 angle(const Wide& w, bool sign, FpEnv& env) {
    Wide r = w;
    r.sign = sign;
    return finish_wide(r, env);
}
}  // namespace

bool trig_in_range(F80 x) {
    const Num a = unpack<F80>(x);
    return a.kind != Kind::finite || a.exp < 63;
}

F80 sin(F80 x, FpEnv& env) {
    const Num a = unpack<F80>(x);
    F80 special;
    if (trig_special(a, x, x, env, special)) return special;
    if (intel_tiny(a, env)) return tiny(a, env);
    const Reduced d = reduce(a);
    Wide r = d.quadrant & 1 ? cos_series(d.r) : sin_series(d.r);
    r.sign ^= a.sign ^ (d.quadrant >= 2);
    return finish_wide(r, env);
}

F80 cos(F80 x, FpEnv& env) {
    const Num a = unpack<F80>(x);
    F80 special;
    if (trig_special(a, x, pack<F80>(false, 16383, kTop), env, special)) return special;
    const Reduced d = reduce(a);
    Wide r = d.quadrant & 1 ? negated(sin_series(d.r)) : cos_series(d.r);
    r.sign ^= d.quadrant >= 2;
    return finish_wide(r, env);
}

F80 tan(F80 x, FpEnv& env) {
    const Num a = unpack<F80>(x);
    F80 special;
    if (trig_special(a, x, x, env, special)) return special;
    if (intel_tiny(a, env)) return tiny(a, env);
    const Reduced d = reduce(a);
    // The quotient of two series cannot show that tan x exceeds a tiny x.
    if (d.quadrant == 0 && a.exp < -60) return finish<F80>(a.sign, a.exp, a.sig, 1, env);
    const Wide s = sin_series(d.r), c = cos_series(d.r);
    Wide r = d.quadrant & 1 ? negated(wide_div(c, s)) : wide_div(s, c);
    r.sign ^= a.sign;
    return finish_wide(r, env);
}

F80 atan2(F80 y, F80 x, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<F80>(y), b = unpack<F80>(x);
    if (a.is_nan() || b.is_nan()) return propagate_nan<F80>(a, b, env);
    if (denormal_fault(a.denormal || b.denormal, env)) return x;
    constexpr Wide quarter_pi{kPi.sig, -1, false};
    if (a.kind == Kind::infinity) {
        if (b.kind != Kind::infinity) return angle(kHalfPi, a.sign, env);
        return angle(b.sign ? wide_add(kHalfPi, quarter_pi) : quarter_pi, a.sign, env);
    }
    if (a.kind == Kind::zero || b.kind == Kind::infinity) return b.sign ? angle(kPi, a.sign, env) : zero<F80>(a.sign);
    if (b.kind == Kind::zero) return angle(kHalfPi, a.sign, env);
    const bool steep = a.exp > b.exp || (a.exp == b.exp && a.sig > b.sig);
    Wide r = steep ? atan_ratio(b, a) : atan_ratio(a, b);
    if (steep) r = b.sign ? wide_add(kHalfPi, r) : wide_add(kHalfPi, negated(r));
    else if (b.sign) r = wide_add(kPi, negated(r));
    return angle(r, a.sign, env);
}
}  // namespace calque::fp
