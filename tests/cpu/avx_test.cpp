// AVX's own instructions, FMA3, F16C and the floating point of SSE4.1: values worked out from the manual's operations (SDM vol. 2). On x86
// hosts tests/silicon compares them with the processor itself.
#include "guest.h"

using namespace calque;
using namespace calque::test;

namespace {
using jit::V128;
constexpr u64 D = at::Data, k1s = ~u64{0};
constexpr u32 kOne = 0x3f800000, kTwo = 0x40000000, kThree = 0x40400000;
constexpr u64 kOneD = 0x3ff0000000000000, kTwoD = 0x4000000000000000;

constexpr V128 floats(u32 a, u32 b, u32 c, u32 d) { return {a | u64{b} << 32, c | u64{d} << 32}; }

CpuModel everything() {
    CpuModel m = *parse_cpu_model("max");
    for (const Isa f : {Isa::avx, Isa::avx2, Isa::fma, Isa::f16c}) m.features.add(f);
    return m;
}

/// RBX at the data, on a processor that has everything.
struct Avx : Guest {
    Avx(Engine e, std::string_view hex, test::Mode m = test::Mode::long64) : Guest{e, m, hex, everything()} {
        rbx = D;
        s().cr4 |= cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE;
        s().xcr0 = 7;
        refresh();
    }
    V128& low(unsigned n) { return s().xmm[n]; }
    V128& high(unsigned n) { return s().ymm_high[n]; }
    void set(unsigned n, V128 lo, V128 hi) { low(n) = lo, high(n) = hi; }
    void check(unsigned n, V128 lo, V128 hi) {
        CHECK(low(n).lo == lo.lo);
        CHECK(low(n).hi == lo.hi);
        CHECK(high(n).lo == hi.lo);
        CHECK(high(n).hi == hi.hi);
    }
};

// What is in a register: elements that name themselves.
constexpr V128 kA{0xa1a1a1a1a0a0a0a0, 0xa3a3a3a3a2a2a2a2}, kAHigh{0xa5a5a5a5a4a4a4a4, 0xa7a7a7a7a6a6a6a6};
constexpr V128 kNone{0, 0};

}  // namespace

TEST_CASE("ROUNDPS: modes of its own or MXCSR's, and PE only without bit 3") {
    // 2.5, -2.5, 3.5, -0.25
    const V128 in = floats(0x40200000, 0xc0200000, 0x40600000, 0xbe800000);
    struct Case {
        const char* code;
        u32 mxcsr;
        V128 out;
        u32 flags;
    };
    const Case cases[] = {
        {"66 0F 3A 08 CA 00", 0x1f80, floats(kTwo, 0xc0000000, 0x40800000, 0x80000000), 0x20},
        {"66 0F 3A 08 CA 01", 0x1f80, floats(kTwo, 0xc0400000, kThree, 0xbf800000), 0x20},
        {"66 0F 3A 08 CA 02", 0x1f80, floats(kThree, 0xc0000000, 0x40800000, 0x80000000), 0x20},
        {"66 0F 3A 08 CA 0B", 0x1f80, floats(kTwo, 0xc0000000, kThree, 0x80000000), 0},
        {"66 0F 3A 08 CA 04", 0x3f80, floats(kTwo, 0xc0400000, kThree, 0xbf800000), 0x20},
    };
    for (Engine e : engines())
        for (const Case& c : cases) {
            CAPTURE(c.code);
            Avx g{e, c.code};
            g.s().mxcsr = c.mxcsr;
            g.set(1, {k1s, k1s}, kAHigh), g.low(2) = in;
            g.step();
            g.check(1, c.out, kAHigh);   // a legacy instruction leaves the upper half alone
            CHECK(g.s().mxcsr == (c.mxcsr | c.flags));
        }
}

TEST_CASE("ROUNDSD takes the rest from its destination, VROUNDSD from its first source; an unmasked PE is #XM") {
    for (Engine e : engines()) {
        Avx g{e, "66 0F 3A 0B CA 09 C4 E3 69 0B CB 0A C4 E3 69 0B CB 02"};
        g.set(1, {7, 8}, kAHigh), g.set(2, {0x4004000000000000, 9}, kAHigh), g.set(3, {0xc004000000000000, 10}, kAHigh);   // 2.5, -2.5
        g.step();
        g.check(1, {kTwoD, 8}, kAHigh);
        g.step();
        g.check(1, {0xc000000000000000, 9}, kNone);
        g.s().mxcsr = 0x0f80;
        g.refresh();
        g.low(1) = {7, 8};
        g.step(2);
        CHECK(g.vector() == 19);
        CHECK(g.s().mxcsr == 0x0fa0);
        CHECK(g.low(1).lo == 7);
    }
}

TEST_CASE("DPPS and DPPD: only what the immediate takes is multiplied and raises anything") {
    for (Engine e : engines()) {
        Avx g{e, "66 0F 3A 40 CA 75 66 0F 3A 41 DC 31"};   // dpps xmm1, xmm2, 75h; dppd xmm3, xmm4, 31h
        g.low(1) = floats(kOne, kTwo, kThree, 0x7f800001), g.low(2) = floats(kThree, kTwo, kOne, 1);   // 3 + 4 + 3
        g.low(3) = {kOneD, kTwoD}, g.low(4) = {kTwoD, kTwoD};                                      // 2 + 4
        g.step(2);
        CHECK(g.s().mxcsr == 0x1f80);
        g.check(1, floats(0x41200000, 0, 0x41200000, 0), kNone);
        g.check(3, {0x4018000000000000, 0}, kNone);
    }
}

TEST_CASE("DPPS adds neighbours first") {
    for (Engine e : engines()) {
        Avx g{e, "66 0F 3A 40 CA F1"};
        // 2^24 + 1 is rounded to even, so that 1 is left; in another order the sum would be 2.
        g.low(1) = floats(0x4b800000, kOne, 0xcb800000, kOne), g.low(2) = floats(kOne, kOne, kOne, kOne);
        g.step();
        CHECK(g.low(1).lo == kOne);
        CHECK(g.s().mxcsr == 0x1fa0);
    }
}
