// The x87's functions beside libmpfr: FPREM, FPREM1, FSQRT, FSCALE, FXTRACT, FBLD and FBSTP are exact or correctly rounded, transcendentals
// within one unit in the last place of the exact value (SDM vol. 1, "Transcendental Instruction Accuracy"), and in fact rounded by the mode.
// Arguments of FSIN, FCOS and FPTAN are reduced by a pi of 66 bits ("Approximation of Pi"); "exact" means after that.
//     X87_CASES=1000000 build/tests/support/test_softfloat_mpfr         more than the usual number of each
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <gmp.h>
#include <mpfr.h>
#include <doctest/doctest.h>

#include "tests/support/x87_cases.h"

using namespace calque;
using namespace calque::fp;

namespace {

constexpr mpfr_prec_t kPrecision = 500;

class Exact {
public:
    Exact() { mpfr_init2(v_, kPrecision); }
    explicit Exact(F80 x) : Exact() {
        const int e = x.se & 0x7FFF;
        if (e == 0x7FFF) mpfr_set_inf(v_, 1);
        else if (x.sig == 0) mpfr_set_zero(v_, 1);
        else mpfr_set_ui_2exp(v_, x.sig, (e ? e : 1) - 16383 - 63, MPFR_RNDN);
        if (x.se & 0x8000) mpfr_neg(v_, v_, MPFR_RNDN);
    }
    Exact(const Exact& o) : Exact() { mpfr_set(v_, o.v_, MPFR_RNDN); }
    Exact& operator=(const Exact& o) { return mpfr_set(v_, o.v_, MPFR_RNDN), *this; }
    ~Exact() { mpfr_clear(v_); }
    operator mpfr_ptr() { return v_; }
    operator mpfr_srcptr() const { return v_; }

private:
    mpfr_t v_;
};

class Integer {
public:
    Integer() { mpz_init(v_); }
    Integer(const Integer&) = delete;
    Integer& operator=(const Integer&) = delete;
    ~Integer() { mpz_clear(v_); }
    operator mpz_ptr() { return v_; }
    operator mpz_srcptr() const { return v_; }

private:
    mpz_t v_;
};

std::string text(F80 v) {
    char b[40];
    std::snprintf(b, sizeof b, "%04x.%016llx", v.se, static_cast<unsigned long long>(v.sig));
    return b;
}

mpfr_rnd_t mode_of(Round r) { return r == Round::nearest ? MPFR_RNDN : r == Round::down ? MPFR_RNDD : r == Round::up ? MPFR_RNDU : MPFR_RNDZ; }

struct Want {
    F80 value;
    bool inexact, up;   // up: away from zero
};

/// The F80 that `v` rounds to, with the masked responses to overflow and underflow.
Want rounded(const Exact& v, Round mode, int precision) {
    const u16 sign = mpfr_signbit(static_cast<mpfr_srcptr>(v)) ? 0x8000 : 0;
    if (mpfr_zero_p(static_cast<mpfr_srcptr>(v))) return {{0, sign}, false, false};
    if (mpfr_inf_p(static_cast<mpfr_srcptr>(v))) return {{u64{1} << 63, static_cast<u16>(sign | 0x7FFF)}, false, false};
    const long unit = std::max<long>(mpfr_get_exp(static_cast<mpfr_srcptr>(v)) - precision, -16445);
    Exact t;
    mpfr_mul_2si(t, v, -unit, MPFR_RNDN);
    mpfr_rint(t, t, mode_of(mode));
    mpfr_mul_2si(t, t, unit, MPFR_RNDN);
    const bool inexact = mpfr_cmp(t, v) != 0, up = mpfr_cmpabs(t, v) > 0;
    mpfr_abs(t, t, MPFR_RNDN);
    if (mpfr_zero_p(static_cast<mpfr_srcptr>(t))) return {{0, sign}, inexact, up};
    const long e = mpfr_get_exp(static_cast<mpfr_srcptr>(t)) - 1;
    if (e > 16383) {
        const bool infinite = mode == Round::nearest || mode == (sign ? Round::down : Round::up);
        if (infinite) return {{u64{1} << 63, static_cast<u16>(sign | 0x7FFF)}, true, true};
        return {{~u64{0} << (64 - precision), static_cast<u16>(sign | 0x7FFE)}, true, false};
    }
    const bool denormal = e < -16382;
    mpfr_mul_2si(t, t, 63 - (denormal ? -16382 : e), MPFR_RNDN);
    const u64 sig = mpfr_get_ui(t, MPFR_RNDZ);
    return {{sig, static_cast<u16>(sign | (denormal ? 0 : e + 16383))}, inexact, up};
}

/// |got - exact| in units of the exact value's last place.
double error_in_units(const Exact& exact, F80 got) {
    Exact g{got}, d;
    if (mpfr_get_exp(static_cast<mpfr_srcptr>(exact)) > 16384) return 0;   // overflow; judge_rounded() knows what comes of it
    if (mpfr_inf_p(static_cast<mpfr_srcptr>(g))) return 1;
    mpfr_sub(d, g, exact, MPFR_RNDN);
    const long unit = std::max<long>(mpfr_get_exp(static_cast<mpfr_srcptr>(exact)) - 64, -16445);
    mpfr_mul_2si(d, d, -unit, MPFR_RNDN);
    return std::abs(mpfr_get_d(d, MPFR_RNDA));
}

/// x = n * pi66/2 + r with |r| <= pi66/4. Returns n mod 4.
unsigned reduce(const Exact& x, Exact& r) {
    Exact half_pi, n;
    mpfr_set_ui_2exp(half_pi, 0xC90FDAA22168C234, 2, MPFR_RNDN);
    mpfr_add_ui(half_pi, half_pi, 3, MPFR_RNDN);
    mpfr_mul_2si(half_pi, half_pi, -65, MPFR_RNDN);
    mpfr_div(n, x, half_pi, MPFR_RNDN);
    mpfr_rint(n, n, MPFR_RNDN);
    mpfr_mul(r, n, half_pi, MPFR_RNDN);
    mpfr_sub(r, x, r, MPFR_RNDN);
    Integer i;
    mpfr_get_z(i, n, MPFR_RNDN);
    return static_cast<unsigned>(mpz_fdiv_ui(i, 4));
}

/// After an operation that has rounded `v` in this direction: back to the exact value's side, which decides when 64 bits hold `v` exactly
/// (the cosine of 2^-9000 is below 1).
void keep_side(Exact& v, int ternary) {
    if (ternary > 0) mpfr_nextbelow(v);
    if (ternary < 0) mpfr_nextabove(v);
}

void trigonometric(Fn fn, const Exact& x, Exact& v) {
    Exact r;
    unsigned n = reduce(x, r);
    if (fn == Fn::tan) {
        keep_side(v, n & 1 ? mpfr_cot(v, r, MPFR_RNDN) : mpfr_tan(v, r, MPFR_RNDN));
        if (n & 1) mpfr_neg(v, v, MPFR_RNDN);
        return;
    }
    // sin(n pi/2 + r): sin r, cos r, -sin r, -cos r; the cosine is a quarter turn ahead.
    if (fn == Fn::cos) ++n;
    keep_side(v, n & 1 ? mpfr_cos(v, r, MPFR_RNDN) : mpfr_sin(v, r, MPFR_RNDN));
    if (n & 2) mpfr_neg(v, v, MPFR_RNDN);
}

void transcendental(const X87Case& c, Exact& v) {
    const Exact x{c.x}, y{c.y};
    Exact ln2;
    mpfr_const_log2(ln2, MPFR_RNDN);
    switch (c.fn) {
    case Fn::atan2: keep_side(v, mpfr_atan2(v, y, x, MPFR_RNDN)); break;
    case Fn::f2xm1:
        mpfr_mul(v, x, ln2, MPFR_RNDN);
        mpfr_expm1(v, v, MPFR_RNDN);
        break;
    case Fn::yl2x:
        mpfr_log2(v, x, MPFR_RNDN);
        mpfr_mul(v, v, y, MPFR_RNDN);
        break;
    case Fn::yl2xp1:
        if (mpfr_get_exp(static_cast<mpfr_srcptr>(x)) > -100) {   // 1 + x is exact, and may be a power of two
            keep_side(v, mpfr_add_ui(v, x, 1, MPFR_RNDN));
            keep_side(v, mpfr_log2(v, v, MPFR_RNDN));
        } else {
            mpfr_log1p(v, x, MPFR_RNDN);
            mpfr_div(v, v, ln2, MPFR_RNDN);
        }
        mpfr_mul(v, v, y, MPFR_RNDN);
        break;
    default: trigonometric(c.fn, x, v); break;
    }
}

unsigned cases() {
    const char* n = std::getenv("X87_CASES");
    return n ? static_cast<unsigned>(std::strtoul(n, nullptr, 0)) : kDigestCases;
}

/// Draws operands for `fn`, and has each result judged: what is wrong with it, or nothing.
template <class Judge>
void every_case(Fn fn, Judge judge) {
    Random r{seed_of(fn)};
    unsigned bad = 0;
    for (unsigned i = 0, n = cases(); i < n && bad < 10; ++i) {
        const X87Case c = draw(fn, r);
        const X87Result got = run(c);
        const std::string wrong = judge(c, got);
        if (wrong.empty()) continue;
        ++bad;
        MESSAGE(std::string{name_of(fn)}, " case ", i, " ST(0) ", text(c.x), " ST(1) ", text(c.y), " rounding ", static_cast<int>(c.env.rounding), " precision ",
                static_cast<int>(c.env.precision), " zen ", c.env.zen, ": got ", text(got.value), " flags ", static_cast<int>(got.env.flags), ", ", wrong);
    }
    CHECK(bad == 0);
}

/// What C1 and PE say must fit the value.
std::string judge_rounded(const X87Result& got, const Want& want) {
    if (!(got.value == want.value)) return "want " + text(want.value);
    if (want.inexact && !(got.env.flags & PE)) return "no PE";
    if (got.env.rounded_up != want.up) return "C1";
    if (got.env.flags & (IE | ZE)) return "IE or ZE";
    return {};
}

/// On Intel's processors FSIN and FPTAN below 2^-68 give the operand itself, whatever the rounding.
bool is_operand_itself(const X87Case& c) { return (c.fn == Fn::sin || c.fn == Fn::tan) && !c.env.zen && (c.x.se & 0x7FFF) < 16383 - 68; }

std::string judge_transcendental(const X87Case& c, const X87Result& got) {
    Exact v;
    transcendental(c, v);
    if (mpfr_regular_p(static_cast<mpfr_srcptr>(v)) && error_in_units(v, got.value) > 1) return "more than one unit off";
    if (is_operand_itself(c)) return mpfr_equal_p(Exact{c.x}, Exact{got.value}) ? "" : "not the operand";
    const Want want = rounded(v, c.env.rounding, 64);
    // A value can be so near to where the rounding changes that 128 bits do not tell the side: FPATAN's quotient, or the cosine of 2^-32.
    const double e = error_in_units(v, got.value), close = 1e-15;
    if (!(got.value == want.value) && e < (c.env.rounding == Round::nearest ? 0.5 + close : close)) return {};
    return judge_rounded(got, want);
}

// ---- remainders

/// |v| as an integer times 2^unit.
void in_units(F80 v, int unit, mpz_ptr out) {
    const int e = v.se & 0x7FFF;
    mpz_set_ui(out, v.sig);
    mpz_mul_2exp(out, out, static_cast<mp_bitcnt_t>((e ? e : 1) - unit));
}
int exponent_of(F80 v) { return v.se & 0x7FFF ? v.se & 0x7FFF : 1 - std::countl_zero(v.sig); }
int unit_of(F80 v) { return v.se & 0x7FFF ? v.se & 0x7FFF : 1; }

bool is_value(F80 v, int unit, mpz_srcptr magnitude, bool sign) {
    if (((v.se >> 15) != 0) != sign) return false;
    if (v.sig == 0 || mpz_sgn(magnitude) == 0) return v.sig == 0 && mpz_sgn(magnitude) == 0;
    const int at = std::min(unit, unit_of(v));
    Integer a, b;
    in_units(v, at, a);
    mpz_mul_2exp(b, magnitude, static_cast<mp_bitcnt_t>(unit - at));
    return mpz_cmp(a, b) == 0;
}

/// SDM vol. 2A, "FPREM", "FPREM1": with D the difference of exponents, all at once when D < 64, else by an N from 32 to 63.
std::string judge_remainder(const X87Case& c, const X87Result& got) {
    const bool nearest = c.fn == Fn::prem1, sign = c.x.se & 0x8000;
    const int unit = std::min(unit_of(c.x), unit_of(c.y)), d = exponent_of(c.x) - exponent_of(c.y);
    Integer a, b, q, r;
    in_units(c.x, unit, a), in_units(c.y, unit, b);
    if (got.env.flags & ~DE) return "flags of an exact result";
    if (got.partial != (d >= 64)) return "C2";
    if (!got.partial) {
        mpz_tdiv_qr(q, r, a, b);
        bool turned = false;
        if (nearest) {
            Integer twice;
            mpz_mul_2exp(twice, r, 1);
            const int half = mpz_cmp(twice, b);
            if (half > 0 || (half == 0 && mpz_odd_p(static_cast<mpz_srcptr>(q)))) {
                mpz_add_ui(q, q, 1);
                mpz_sub(r, b, r);
                turned = true;
            }
        }
        if (!is_value(got.value, unit, r, mpz_sgn(static_cast<mpz_srcptr>(r)) ? sign != turned : sign)) return "remainder";
        return got.quotient == mpz_fdiv_ui(q, 8) ? "" : "quotient bits";
    }
    for (int n = 32; n < 64; ++n) {
        Integer step;
        mpz_mul_2exp(step, b, static_cast<mp_bitcnt_t>(d - n));
        mpz_tdiv_r(r, a, step);
        if (is_value(got.value, unit, r, sign)) return "";
    }
    return "no N gives this partial remainder";
}

/// Repeated until C2 is clear, as programs do: the remainder and quotient bits of the whole.
std::string judge_complete_remainder(const X87Case& c, const X87Result& first) {
    const int unit = std::min(unit_of(c.x), unit_of(c.y));
    Integer a, b, q, r;
    in_units(c.x, unit, a), in_units(c.y, unit, b);
    mpz_tdiv_qr(q, r, a, b);
    X87Case step = c;
    X87Result got = first;
    for (int i = 0; got.partial; ++i) {
        if (i > 32768 / 32) return "does not end";
        step.x = got.value;
        got = run(step);
    }
    if (!is_value(got.value, unit, r, c.x.se & 0x8000)) return "remainder after all steps";
    return got.quotient == mpz_fdiv_ui(q, 8) ? "" : "quotient bits after all steps";
}

// ---- packed decimal

std::string judge_bcd_store(const X87Case& c, const X87Result& got) {
    const Exact x{c.x};
    Exact n;
    const bool inexact = mpfr_rint(n, x, mode_of(c.env.rounding)) != 0 && !mpfr_integer_p(static_cast<mpfr_srcptr>(x));
    Integer i, limit;
    mpfr_get_z(i, n, MPFR_RNDN);
    mpz_abs(i, i);
    mpz_ui_pow_ui(limit, 10, 18);
    Bcd want{{0, 0, 0, 0, 0, 0, 0, 0xC0, 0xFF, 0xFF}};
    const bool fits = mpz_cmp(i, limit) < 0;
    if (fits) {
        for (int k = 0; k < 9; ++k) want.bytes[k] = static_cast<u8>(mpz_tdiv_q_ui(i, i, 10) | mpz_tdiv_q_ui(i, i, 10) << 4);
        want.bytes[9] = c.x.se & 0x8000 ? 0x80 : 0;
    }
    for (int k = 0; k < 10; ++k)
        if (got.bcd.bytes[k] != want.bytes[k]) return "digits, byte " + std::to_string(k);
    if (got.env.flags != (fits ? inexact ? PE : 0 : IE)) return "flags";
    if (fits && got.env.rounded_up != (mpfr_cmpabs(n, x) > 0)) return "C1";
    return "";
}

std::string judge_bcd_load(const X87Case& c, const X87Result& got) {
    Integer i;
    for (int k = 8; k >= 0; --k) {
        mpz_mul_ui(i, i, 100);
        mpz_add_ui(i, i, (c.bcd.bytes[k] >> 4) * 10u + (c.bcd.bytes[k] & 15));
    }
    Exact v;
    mpfr_set_z(v, i, MPFR_RNDN);
    if (mpfr_zero_p(static_cast<mpfr_srcptr>(v))) mpfr_set_zero(v, 1);
    if (c.bcd.bytes[9] & 0x80) mpfr_neg(v, v, MPFR_RNDN);
    const Want want = rounded(v, Round::nearest, 64);
    return got.value == want.value ? "" : "want " + text(want.value);
}
}  // namespace

TEST_CASE("x87: transcendentals are within one unit of libmpfr's values, and rounded by the mode") {
    mpfr_set_emin(mpfr_get_emin_min());
    mpfr_set_emax(mpfr_get_emax_max());
    for (Fn fn : {Fn::sin, Fn::cos, Fn::tan, Fn::atan2, Fn::f2xm1, Fn::yl2x, Fn::yl2xp1}) every_case(fn, judge_transcendental);
}

TEST_CASE("x87: FSQRT is correctly rounded in every precision") {
    every_case(Fn::sqrt, [](const X87Case& c, const X87Result& got) {
        const Exact x{c.x};
        Exact v;
        mpfr_sqrt(v, x, MPFR_RNDN);
        const Want want = rounded(v, c.env.rounding, c.env.precision);
        // A root of 64 bits' square is exact in 500, so this sees whether it was.
        if (!want.inexact && (got.env.flags & PE)) return std::string{"PE of an exact root"};
        return judge_rounded(got, want);
    });
}

TEST_CASE("x87: FSCALE multiplies by a power of two, with one rounding at most") {
    every_case(Fn::scale, [](const X87Case& c, const X87Result& got) {
        const Exact x{c.x};
        Exact by{c.y}, v;
        mpfr_trunc(by, by);
        const long n = mpfr_cmp_si(by, 100000) > 0 ? 100000 : mpfr_cmp_si(by, -100000) < 0 ? -100000 : mpfr_get_si(by, MPFR_RNDZ);
        mpfr_mul_2si(v, x, n, MPFR_RNDN);
        const Want want = rounded(v, c.env.rounding, 64);
        if (!want.inexact && (got.env.flags & PE)) return std::string{"PE of an exact result"};
        return judge_rounded(got, want);
    });
}

TEST_CASE("x87: FXTRACT splits into exponent and significand") {
    every_case(Fn::extract, [](const X87Case& c, const X87Result& got) {
        const Exact x{c.x}, e{got.value};
        Exact v{got.second};
        if ((got.second.se & 0x7FFF) != 16383) return std::string{"significand is not in [1, 2)"};
        mpfr_mul_2si(v, v, mpfr_get_si(e, MPFR_RNDZ), MPFR_RNDN);
        return std::string{mpfr_equal_p(v, x) && mpfr_integer_p(static_cast<mpfr_srcptr>(e)) && !(got.env.flags & ~DE) ? "" : "not the operand"};
    });
}

TEST_CASE("x87: FBLD and FBSTP are exact") {
    every_case(Fn::bld, judge_bcd_load);
    every_case(Fn::bstp, judge_bcd_store);
}

TEST_CASE("x87: FPREM and FPREM1 are exact, with the quotient's low bits, and reduce in steps of 32 to 63") {
    every_case(Fn::prem, judge_remainder);
    every_case(Fn::prem1, judge_remainder);
    every_case(Fn::prem, judge_complete_remainder);
}
