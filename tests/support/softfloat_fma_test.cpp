// Fused multiply-add and half precision: values from the manual's rules, and on x86 hosts that have them random operands beside the
// host's own instructions.
#include <cstring>
#include <doctest/doctest.h>

#include "tests/support/softfloat_operands.h"

using namespace calque;
using namespace calque::fp;

namespace {
constexpr F64 kOne{0x3ff0000000000000}, kInfinity{0x7ff0000000000000}, kZero{0};

F64 fma(F64 a, F64 b, F64 c, FpEnv& e, FusedSigns s = {}) { return fused_multiply_add(a, b, c, s, e); }
}  // namespace

TEST_CASE("fused multiply-add rounds once") {
    FpEnv e;
    const F64 x{kOne.bits + 1};   // squared: 1 + 2^-51 + 2^-104
    CHECK(fma(x, x, {0xbff0000000000002}, e) == F64{0x3970000000000000});
    CHECK(e.flags == 0);
    CHECK(fma(x, x, kZero, e) == F64{0x3ff0000000000002});
    CHECK(e.flags == PE);
    // The product alone would overflow.
    e.flags = 0;
    CHECK(fma({0x7fefffffffffffff}, {0x4000000000000000}, {0xffefffffffffffff}, e) == F64{0x7fefffffffffffff});
    CHECK(e.flags == 0);
    // An addend far below decides about a tie.
    CHECK(fma({kOne.bits + 1}, {0x3ff8000000000000}, {0x0000000000000001}, e) == F64{0x3ff8000000000002});
    CHECK(fma({kOne.bits + 1}, {0x3ff8000000000000}, {0x8000000000000001}, e) == F64{0x3ff8000000000001});
}

TEST_CASE("fused multiply-add: signs of zeros, and what is invalid") {
    FpEnv e;
    CHECK(fma(kOne, kOne, {0xbff0000000000000}, e) == kZero);
    CHECK(fma(kZero, kOne, {0x8000000000000000}, e) == kZero);
    CHECK(fma(kZero, kOne, kZero, e, {true, true}) == F64{0x8000000000000000});
    e.rounding = Round::down;
    CHECK(fma(kOne, kOne, {0xbff0000000000000}, e) == F64{0x8000000000000000});
    CHECK(e.flags == 0);
    CHECK(fma(kInfinity, kZero, kOne, e) == kDefaultNan64);
    CHECK(e.flags == IE);
    e.flags = 0;
    CHECK(fma(kInfinity, kOne, kInfinity, e, {true, false}) == kDefaultNan64);
    CHECK(e.flags == IE);
    e.flags = 0;
    CHECK(fma(kInfinity, kZero, {0x7ff8000000000005}, e) == F64{0x7ff8000000000005});
    CHECK(e.flags == 0);
}

TEST_CASE("half precision: every value widens and comes back") {
    for (u32 h = 0; h < 0x10000; ++h) {
        FpEnv e;
        e.daz = e.ftz = true;
        const F32 wide = f16_to_f32({static_cast<u16>(h)}, e);
        const bool nan = (h & 0x7fff) > 0x7c00, signaling = nan && !(h & 0x200);
        REQUIRE(e.flags == (signaling ? IE : 0));
        REQUIRE(f32_to_f16(wide, e).bits == (signaling ? h | 0x200 : h));
        REQUIRE(e.flags == (signaling ? IE : 0));
    }
}

#if defined(__x86_64__)
namespace {
// Runs an instruction on z, x, y under `mxcsr`; returns the flags it raised.
#define FMAOP(NAME, INSN, F, T)                                                                   \
    u8 NAME(u32 mxcsr, F& z, F x, F y) {                                                          \
        u32 saved, after;                                                                         \
        T a, b, c;                                                                                \
        std::memcpy(&c, &z, sizeof c), std::memcpy(&a, &x, sizeof a), std::memcpy(&b, &y, sizeof b); \
        asm volatile("stmxcsr %2\n ldmxcsr %3\n" INSN " %5, %4, %0\n stmxcsr %1\n ldmxcsr %2"     \
                     : "+x"(c), "=m"(after), "=m"(saved)                                          \
                     : "m"(mxcsr), "x"(a), "x"(b));                                               \
        std::memcpy(&z, &c, sizeof c);                                                            \
        return after & 0x3F;                                                                      \
    }
FMAOP(host_fma, "vfmadd231ss", F32, float)
FMAOP(host_fma, "vfmadd231sd", F64, double)
FMAOP(host_fnmsub, "vfnmsub231ss", F32, float)
FMAOP(host_fnmsub, "vfnmsub231sd", F64, double)

u32 random_control(Random& r, FpEnv& e) {
    e.rounding = static_cast<Round>(r.below(4));
    e.daz = r.below(8) == 0, e.ftz = r.below(8) == 0;
    return 0x1f80 | static_cast<u32>(e.rounding) << 13 | u32{e.daz} << 6 | u32{e.ftz} << 15;
}

template <class F>
void compare_fma(unsigned n) {
    Random r{0xF3A};
    unsigned bad = 0;
    for (unsigned i = 0; i < n; ++i) {
        const F x = r.get(F{}), y = r.get(F{});
        F z = r.get(F{});
        if (r.below(3) == 0) {   // near the product, with either sign
            FpEnv e;
            z = mul(x, y, e);
            z.bits += static_cast<decltype(z.bits)>(r.below(5) - 2);
            if (r.below(2)) z = sub(F{0}, z, e);
        }
        FpEnv e;
        const u32 mxcsr = random_control(r, e);
        const bool negative = r.below(2);
        F want = z;
        const u8 flags = negative ? host_fnmsub(mxcsr, want, x, y) : host_fma(mxcsr, want, x, y);
        const F got = fused_multiply_add(x, y, z, {negative, negative}, e);
        bad += !(got == want) || e.flags != flags;
    }
    CHECK(bad == 0);
}
}  // namespace

TEST_CASE("fused multiply-add agrees with the host's") {
    if (!__builtin_cpu_supports("fma")) return;
    compare_fma<F32>(200000);
    compare_fma<F64>(200000);
}

TEST_CASE("conversions to half precision agree with the host's") {
    if (!__builtin_cpu_supports("f16c")) return;
    Random r{0x16C};
    unsigned bad = 0;
    for (unsigned i = 0; i < 200000; ++i) {
        F32 x = r.f32();
        if (r.below(4)) x.bits = (x.bits & 0x807fffff) | static_cast<u32>(127 - 30 + r.below(60)) << 23;
        FpEnv e;
        const u32 mxcsr = random_control(r, e);
        float in;
        std::memcpy(&in, &x, sizeof in);
        u32 saved, after, want;
        asm volatile("stmxcsr %2\n ldmxcsr %3\n vcvtps2ph $4, %4, %%xmm0\n vmovd %%xmm0, %0\n stmxcsr %1\n ldmxcsr %2"
                     : "=r"(want), "=m"(after), "=m"(saved)
                     : "m"(mxcsr), "x"(in)
                     : "xmm0");
        bad += f32_to_f16(x, e).bits != (want & 0xffff) || e.flags != (after & 0x3f);
    }
    CHECK(bad == 0);
}
#endif
