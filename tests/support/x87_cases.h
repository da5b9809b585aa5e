// Operands for the x87's functions: random ones, and corners of each function's own. softfloat_mpfr_test.cpp judges the results by libmpfr;
// where that is missing, x87_digest_test.cpp at least finds the same bits for the same operands.
#pragma once
#include <initializer_list>

#include "tests/support/softfloat_operands.h"

namespace calque::fp {

enum class Fn : u8 { sin, cos, tan, atan2, f2xm1, yl2x, yl2xp1, sqrt, scale, extract, bld, bstp, prem, prem1 };
constexpr Fn kFunctions[] = {Fn::sin,   Fn::cos,  Fn::tan,   Fn::atan2,   Fn::f2xm1, Fn::yl2x, Fn::yl2xp1,
                             Fn::sqrt,  Fn::scale, Fn::extract, Fn::bld,   Fn::bstp, Fn::prem, Fn::prem1};
constexpr const char* kFunctionNames[] = {"FSIN",  "FCOS",   "FPTAN",   "FPATAN", "F2XM1", "FYL2X", "FYL2XP1",
                                          "FSQRT", "FSCALE", "FXTRACT", "FBLD",   "FBSTP", "FPREM", "FPREM1"};
constexpr const char* name_of(Fn f) { return kFunctionNames[static_cast<int>(f)]; }

struct X87Case {
    Fn fn;
    F80 x, y;     // ST(0) and ST(1)
    Bcd bcd;      // FBLD's operand
    FpEnv env;
};
struct X87Result {
    F80 value, second;
    Bcd bcd;
    u8 quotient;
    bool partial;
    FpEnv env;
};

inline F80 finite_not_zero(Random& r) {
    for (;;) {
        F80 v = r.below(4) ? r.f80_near_one(static_cast<unsigned>(1 + r.below(80))) : r.f80();
        const Class c = classify(v);
        if (c == Class::normal || c == Class::denormal) return v;
    }
}
inline F80 nudged(F80 v, Random& r) { return {(v.sig + r.below(9) - 4) | u64{1} << 63, v.se}; }

/// Near a multiple of pi/2 or pi/4, where the reduction cancels most.
inline F80 near_quarter_turns(Random& r) {
    FpEnv e;
    const F80 pi = constant(3, Round::nearest), n = f80_from_int(static_cast<i64>(r.next() >> (1 + r.below(63)) | 1));
    F80 v = mul(pi, n, e);
    v.se = static_cast<u16>(v.se - 2);
    return nudged(v, r);
}
inline F80 angle_operand(Random& r) {
    for (;;) {
        const F80 v = r.below(3) ? finite_not_zero(r) : near_quarter_turns(r);
        if (trig_in_range(v)) return v;
    }
}
/// In [-1, 1], the ends among them.
inline F80 exponent_operand(Random& r) {
    F80 v = finite_not_zero(r);
    const u16 e = r.below(2) ? static_cast<u16>(0x3FFE - r.below(70)) : static_cast<u16>(v.se % 0x3FFF);
    if (e && e < 0x3FFF) v = {v.sig | u64{1} << 63, static_cast<u16>((v.se & 0x8000) | e)};
    else v = {u64{1} << 63, static_cast<u16>((v.se & 0x8000) | 0x3FFF)};
    return v;
}
inline F80 logarithm_operand(Random& r) {
    F80 v = r.below(3) ? finite_not_zero(r) : nudged({u64{1} << 63, static_cast<u16>(0x3FFE + r.below(3))}, r);
    v.se &= 0x7FFF;
    return v;
}
/// Above -1.
inline F80 logarithm_plus_1_operand(Random& r) {
    F80 v = finite_not_zero(r);
    if ((v.se & 0x8000) && (v.se & 0x7FFF) >= 0x3FFF) v.se = static_cast<u16>(0xBFFE - r.below(4));
    return v;
}

inline X87Case draw(Fn fn, Random& r) {
    X87Case c{fn, finite_not_zero(r), finite_not_zero(r), {}, {}};
    const u64 bits = r.next() >> 30;
    c.env.rounding = static_cast<Round>(bits & 3);
    c.env.precision = bits & 4 ? 64 : bits & 8 ? 53 : 24;
    c.env.zen = bits & 16;
    switch (fn) {
    case Fn::sin:
    case Fn::cos:
    case Fn::tan: c.x = angle_operand(r); break;
    case Fn::atan2:
        if (r.below(16) == 0) c.x = r.below(2) ? F80{0, c.x.se} : F80{u64{1} << 63, static_cast<u16>(c.x.se | 0x7FFF)};
        if (r.below(16) == 0) c.y = r.below(2) ? F80{0, c.y.se} : F80{u64{1} << 63, static_cast<u16>(c.y.se | 0x7FFF)};
        if (c.x.sig == 0) c.x.se &= 0x8000;
        if (c.y.sig == 0) c.y.se &= 0x8000;
        break;
    case Fn::f2xm1: c.x = exponent_operand(r); break;
    case Fn::yl2x: c.x = logarithm_operand(r); break;
    case Fn::yl2xp1: c.x = logarithm_plus_1_operand(r); break;
    case Fn::sqrt: c.x.se &= 0x7FFF; break;
    case Fn::scale:
        if (r.below(2)) c.y = {r.next() | u64{1} << 63, static_cast<u16>((r.next() & 0x8000) | (0x3FFF + r.below(17)))};
        break;
    case Fn::bld:
        for (int i = 0; i < 9; ++i) c.bcd.bytes[i] = static_cast<u8>(r.below(10) << 4 | r.below(10));
        c.bcd.bytes[9] = static_cast<u8>(r.below(2) << 7);
        break;
    case Fn::bstp: c.x = {r.pattern() | u64{1} << 63, static_cast<u16>((r.next() & 0x8000) | (0x3FF0 + r.below(78)))}; break;
    case Fn::prem:
    case Fn::prem1:
        if (r.below(4) == 0) {  // an exact multiple, or halfway between two
            FpEnv e;
            c.y.sig &= ~u64{0} << 32;
            if (!(c.y.sig >> 63)) c.y = {u64{1} << 63, 0x3FFF};
            c.x = mul(c.y, f80_from_int(static_cast<i64>(r.below(1u << 31))), e);
            if (r.below(2) && (c.y.se & 0x7FFF) > 1) c.y.se = static_cast<u16>(c.y.se + 1);
            const Class k = classify(c.x);
            if (k != Class::normal && k != Class::denormal) c.x = c.y;
            if (classify(c.y) != Class::normal && classify(c.y) != Class::denormal) c.y = {u64{1} << 63, 0x3FFF};
            if (classify(c.x) != Class::normal && classify(c.x) != Class::denormal) c.x = c.y;
        }
        break;
    case Fn::extract: break;
    }
    return c;
}

inline X87Result run(const X87Case& c) {
    X87Result r{{}, {}, {}, 0, false, c.env};
    FpEnv& e = r.env;
    switch (c.fn) {
    case Fn::sin: r.value = fp::sin(c.x, e); break;
    case Fn::cos: r.value = fp::cos(c.x, e); break;
    case Fn::tan: r.value = fp::tan(c.x, e); break;
    case Fn::atan2: r.value = fp::atan2(c.y, c.x, e); break;
    case Fn::f2xm1: r.value = exp2_minus_1(c.x, e); break;
    case Fn::yl2x: r.value = y_log2_x(c.y, c.x, e); break;
    case Fn::yl2xp1: r.value = y_log2_x_plus_1(c.y, c.x, e); break;
    case Fn::sqrt: r.value = fp::sqrt(c.x, e); break;
    case Fn::scale: r.value = scale(c.x, c.y, e); break;
    case Fn::extract: {
        const Extract x = extract(c.x, e);
        r.value = x.exponent, r.second = x.significand;
        break;
    }
    case Fn::bld: r.value = f80_from_bcd(c.bcd); break;
    case Fn::bstp: r.bcd = f80_to_bcd(c.x, e); break;
    case Fn::prem:
    case Fn::prem1: {
        const Remainder m = remainder(c.x, c.y, c.fn == Fn::prem1, e);
        r.value = m.value, r.quotient = m.quotient, r.partial = m.partial;
        break;
    }
    }
    return r;
}

/// The same operands in both tests.
constexpr u64 seed_of(Fn f) { return 0x87 + static_cast<u64>(f) * 1000; }
constexpr unsigned kDigestCases = 3000;
}  // namespace calque::fp
