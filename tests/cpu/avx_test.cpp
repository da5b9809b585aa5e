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

/// RBX at the data, on a processor that has everything.
struct Avx : Guest {
    Avx(Engine e, std::string_view hex, test::Mode m = test::Mode::long64) : Guest{e, m, hex, "max"} {
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

/// op ymm1, ymm2, ymm3 or a part of it.
struct Row {
    const char *name, *code;
    V128 lo, hi;   // of the result
};
// What is in the registers: elements that name themselves.
constexpr V128 kA{0xa1a1a1a1a0a0a0a0, 0xa3a3a3a3a2a2a2a2}, kAHigh{0xa5a5a5a5a4a4a4a4, 0xa7a7a7a7a6a6a6a6};
constexpr V128 kB{0xb1b1b1b1b0b0b0b0, 0xb3b3b3b3b2b2b2b2}, kBHigh{0xb5b5b5b5b4b4b4b4, 0xb7b7b7b7b6b6b6b6};
constexpr V128 kNone{0, 0};

const Row kRows[] = {
    {"vbroadcastss xmm1, xmm2", "C4 E2 79 18 CA", {0xa0a0a0a0a0a0a0a0, 0xa0a0a0a0a0a0a0a0}, kNone},
    {"vbroadcastss ymm1, xmm2", "C4 E2 7D 18 CA", {0xa0a0a0a0a0a0a0a0, 0xa0a0a0a0a0a0a0a0}, {0xa0a0a0a0a0a0a0a0, 0xa0a0a0a0a0a0a0a0}},
    {"vbroadcastsd ymm1, xmm2", "C4 E2 7D 19 CA", {kA.lo, kA.lo}, {kA.lo, kA.lo}},
    {"vbroadcastss ymm1, [rbx+4]", "C4 E2 7D 18 4B 04", {0xb1b1b1b1b1b1b1b1, 0xb1b1b1b1b1b1b1b1}, {0xb1b1b1b1b1b1b1b1, 0xb1b1b1b1b1b1b1b1}},
    {"vbroadcastsd ymm1, [rbx+8]", "C4 E2 7D 19 4B 08", {kB.hi, kB.hi}, {kB.hi, kB.hi}},
    {"vbroadcastf128 ymm1, [rbx+8]", "C4 E2 7D 1A 4B 08", {kB.hi, kBHigh.lo}, {kB.hi, kBHigh.lo}},
    {"vbroadcasti128 ymm1, [rbx+8]", "C4 E2 7D 5A 4B 08", {kB.hi, kBHigh.lo}, {kB.hi, kBHigh.lo}},
    {"vinserti128 ymm1, ymm2, xmm3, 1", "C4 E3 6D 38 CB 01", kA, kB},
    {"vextracti128 xmm1, ymm3, 1", "C4 E3 7D 39 D9 01", kBHigh, kNone},
    {"vperm2i128 ymm1, ymm2, ymm3, 83h", "C4 E3 6D 46 CB 83", kBHigh, kNone},
    // All of B's elements are negative, so that nothing is left out.
    {"vpmaskmovd ymm1, ymm3, [rbx]", "C4 E2 65 8C 0B", kB, kBHigh},
    {"vpmaskmovq xmm1, xmm3, [rbx+8]", "C4 E2 E1 8C 4B 08", {kB.hi, kBHigh.lo}, kNone},
    {"vinsertf128 ymm1, ymm2, xmm3, 0", "C4 E3 6D 18 CB 00", kB, kAHigh},
    {"vinsertf128 ymm1, ymm2, [rbx+8], 1", "C4 E3 6D 18 4B 08 01", kA, {kB.hi, kBHigh.lo}},
    {"vextractf128 xmm1, ymm3, 1", "C4 E3 7D 19 D9 01", kBHigh, kNone},
    {"vperm2f128 ymm1, ymm2, ymm3, 12h", "C4 E3 6D 06 CB 12", kB, kAHigh},
    {"vperm2f128 ymm1, ymm2, ymm3, 38h", "C4 E3 6D 06 CB 38", kNone, kBHigh},
    {"vpermilps ymm1, ymm2, 1Bh", "C4 E3 7D 04 CA 1B", {0xa2a2a2a2a3a3a3a3, 0xa0a0a0a0a1a1a1a1}, {0xa6a6a6a6a7a7a7a7, 0xa4a4a4a4a5a5a5a5}},
    {"vpermilpd ymm1, ymm2, 06h", "C4 E3 7D 05 CA 06", {kA.lo, kA.hi}, {kAHigh.hi, kAHigh.lo}},
    // Of B's elements the bits 0 and 1, or bit 1, are 0, 1, 2, 3 and 0, 1, 0, 1 (b0b1b2b3 and their like).
    {"vpermilps ymm1, ymm2, ymm3", "C4 E2 6D 0C CB", kA, kAHigh},
    {"vpermilpd ymm1, ymm2, ymm3", "C4 E2 6D 0D CB", kA, kAHigh},
};
}  // namespace

TEST_CASE("AVX's own moves") {
    for (Engine e : engines())
        for (const Row& r : kRows) {
            CAPTURE(r.name);
            Avx g{e, r.code};
            g.set(1, {k1s, k1s}, {k1s, k1s}), g.set(2, kA, kAHigh), g.set(3, kB, kBHigh);
            for (unsigned i = 0; i < 2; ++i) g.put(D + 16 * i, i ? kBHigh.lo : kB.lo, 8), g.put(D + 16 * i + 8, i ? kBHigh.hi : kB.hi, 8);
            g.step();
            CHECK(g.vector() == -1);
            g.check(1, r.lo, r.hi);
        }
}

TEST_CASE("VPERMILPS and VPERMILPD choose by the low bits of each element, and by bit 1") {
    for (Engine e : engines()) {
        Avx g{e, "C4 E2 6D 0C CB C4 E2 6D 0D E5"};   // vpermilps ymm1, ymm2, ymm3; vpermilpd ymm4, ymm2, ymm5
        g.set(2, kA, kAHigh);
        g.set(3, floats(7, 2, 1, 4), floats(0xfffffffe, 0, 3, 3));
        g.set(5, {2, 1}, {1, k1s});
        g.step(2);
        g.check(1, {0xa2a2a2a2a3a3a3a3, 0xa0a0a0a0a1a1a1a1}, {0xa4a4a4a4a6a6a6a6, 0xa7a7a7a7a7a7a7a7});
        g.check(4, {kA.hi, kA.lo}, {kAHigh.lo, kAHigh.hi});
    }
}

TEST_CASE("VEXTRACTF128 stores 16 bytes") {
    for (Engine e : engines()) {
        Avx g{e, "C4 E3 7D 19 53 04 01"};   // vextractf128 [rbx+4], ymm2, 1
        g.set(2, kA, kAHigh);
        g.step();
        CHECK(g.get(D + 4, 8) == kAHigh.lo);
        CHECK(g.get(D + 12, 8) == kAHigh.hi);
        CHECK(g.get(D + 20, 4) == 0);
    }
}

TEST_CASE("VTESTPS and VTESTPD look at sign bits only") {
    constexpr u64 kNoSigns = 0x7fffffff7fffffff;
    struct Case {
        const char* code;
        V128 a, a_high, b, b_high;
        u32 flags;
    };
    const Case cases[] = {
        {"C4 E2 7D 0E CA", {k1s, 0}, {0, 0}, {kNoSigns, kNoSigns}, {kNoSigns, kNoSigns}, eflags::ZF | eflags::CF},
        {"C4 E2 7D 0E CA", {0, 0}, {1u << 31, 0}, {0, 0}, {k1s, 0}, 0},
        {"C4 E2 7D 0E CA", {0, 0}, {1u << 31, 0}, {0, 0}, {1u << 31, 0}, eflags::CF},
        {"C4 E2 79 0E CA", {1u << 31, 0}, {k1s, k1s}, {k1s, 0}, {k1s, 0}, 0},
        {"C4 E2 79 0E CA", {0, 0}, {k1s, k1s}, {k1s, 0}, {k1s, 0}, eflags::ZF},
        {"C4 E2 7D 0F CA", {1u << 31, 0}, {0, 0}, {1u << 31, kNoSigns}, {0, 0}, eflags::ZF | eflags::CF},
        {"C4 E2 7D 0F CA", {0, 0}, {0, k1s}, {0, 0}, {0, k1s}, eflags::CF},
    };
    for (Engine e : engines())
        for (const Case& c : cases) {
            CAPTURE(c.code);
            Avx g{e, c.code};
            g.set(1, c.a, c.a_high), g.set(2, c.b, c.b_high);
            g.set_flags(2 | eflags::Arithmetic);
            g.step();
            CHECK((g.flags() & eflags::Arithmetic) == c.flags);
        }
}

TEST_CASE("VMASKMOV accesses only what its mask names") {
    for (Engine e : engines()) {
        Avx g{e, "C4 E2 6D 2C 0B C4 E2 6D 2E 1B C4 E2 69 2D 23"};   // vmaskmovps ymm1, ymm2, [rbx]; vmaskmovps [rbx], ymm2, ymm3; vmaskmovpd xmm4, xmm2, [rbx]
        const u64 at = D + 4096 - 8;   // of eight elements two are in the first page
        g.rbx = at;
        g.put(at, kA.lo, 8);
        g.put(g.leaf_64(D + 4096), 0, 8);
        g.refresh();
        g.set(1, {k1s, k1s}, {k1s, k1s}), g.set(2, floats(0x7fffffff, 0x80000000, 0, 1), kNone), g.set(3, kB, kBHigh);
        g.step();
        CHECK(g.vector() == -1);
        g.check(1, {kA.lo & 0xffffffff00000000, 0}, kNone);
        g.step();
        CHECK(g.vector() == -1);
        CHECK(g.get(at, 8) == ((kB.lo & 0xffffffff00000000) | (kA.lo & 0xffffffff)));
        g.low(2) = {k1s, k1s};
        g.step(2);
        CHECK(g.vector() == 14);
        CHECK(g.s().cr2 == D + 4096);
    }
}

TEST_CASE("VMASKMOV: elements behind the last address of the address size are at the first ones") {
    for (Engine e : engines()) {
        Avx g{e, "67 C4 E2 69 2C 0B", test::Mode::protected32};   // vmaskmovps xmm1, xmm2, [bp+di]
        g.s().gpr[RBP] = 0xfff0, g.rdi = 0xc;
        g.put(0, 0x12345678, 4);
        g.set(1, {k1s, k1s}, {k1s, k1s}), g.set(2, {u64{1} << 63, 0}, kNone);
        g.step();
        g.check(1, {u64{0x12345678} << 32, 0}, kNone);
    }
}

TEST_CASE("a masked store writes nothing when a part of it faults") {
    for (Engine e : engines()) {
        Avx g{e, "C4 E2 69 2E 1B"};   // vmaskmovps [rbx], xmm2, xmm3
        const u64 at = D + 4096 - 8;
        g.rbx = at;
        g.put(g.leaf_64(D + 4096), 0, 8);
        g.refresh();
        g.set(2, {k1s, k1s}, kNone), g.set(3, kB, kBHigh);
        g.step(2);
        CHECK(g.vector() == 14);
        CHECK(g.get(at, 8) == 0);
    }
}

TEST_CASE("VZEROUPPER and VZEROALL reach eight registers outside of 64-bit code") {
    for (Engine e : engines())
        for (const test::Mode m : {test::Mode::long64, test::Mode::protected32}) {
            Avx g{e, "C5 F8 77 C5 FC 77", m};
            for (unsigned n = 0; n < 16; ++n) g.set(n, kA, kAHigh);
            const V128 above = m == test::Mode::long64 ? kNone : kAHigh, low_above = m == test::Mode::long64 ? kNone : kA;
            g.step();
            g.check(0, kA, kNone), g.check(7, kA, kNone), g.check(8, kA, above), g.check(15, kA, above);
            g.step();
            g.check(0, kNone, kNone), g.check(7, kNone, kNone), g.check(8, low_above, above);
        }
}

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

TEST_CASE("FMA rounds once") {
    for (Engine e : engines()) {
        // vfmadd213sd xmm1, xmm2, xmm3; vfmsub231ps ymm4, ymm5, ymm6; vfnmadd132sd xmm7, xmm3, xmm2
        Avx g{e, "C4 E2 E9 A9 CB C4 E2 55 BA E6 C4 E2 E1 9D FA"};
        const u64 above_one = kOneD + 1;   // squared: 1 + 2^-51 + 2^-104
        g.set(1, {above_one, 5}, kAHigh), g.set(2, {above_one, 6}, kAHigh), g.set(3, {0xbff0000000000002, 7}, kAHigh), g.set(7, {above_one, 8}, kAHigh);
        g.set(4, floats(kOne, kTwo, kOne, kTwo), floats(kOne, kOne, kOne, kOne));
        g.set(5, floats(kThree, kThree, kTwo, kOne), floats(kTwo, kTwo, kTwo, kTwo));
        g.set(6, floats(kTwo, kOne, kTwo, kOne), floats(kTwo, kTwo, kTwo, kTwo));
        g.step();
        g.check(1, {0x3970000000000000, 5}, kNone);   // 2^-104, exactly
        CHECK(g.s().mxcsr == 0x1f80);
        g.step();
        g.check(4, floats(0x40a00000, kOne, kThree, 0xbf800000), floats(kThree, kThree, kThree, kThree));
        g.step();
        g.check(7, {0xc000000000000002, 8}, kNone);   // -(1 + 2^-51 + 2^-104) - (1 + 2^-51), rounded
        CHECK(g.s().mxcsr == 0x1fa0);
    }
}

TEST_CASE("VFMADDSUB subtracts in even lanes, VFMSUBADD in odd ones") {
    for (Engine e : engines()) {
        Avx g{e, "C4 E2 6D 96 CB C4 E2 E9 B7 E3"};   // vfmaddsub132ps ymm1, ymm2, ymm3; vfmsubadd231pd xmm4, xmm2, xmm3
        g.set(1, floats(kOne, kOne, kOne, kOne), floats(kTwo, kTwo, kTwo, kTwo));
        g.set(2, floats(kOne, kOne, kOne, kOne), floats(kOne, kOne, kOne, kOne));
        g.set(3, floats(kTwo, kTwo, kTwo, kTwo), floats(kOne, kOne, kOne, kOne));
        g.step();
        g.check(1, floats(kOne, kThree, kOne, kThree), floats(kOne, kThree, kOne, kThree));
        g.set(2, {kOneD, kOneD}, kNone), g.set(3, {kTwoD, kTwoD}, kNone), g.set(4, {kOneD, kOneD}, kAHigh);
        g.step();
        g.check(4, {0x4008000000000000, kOneD}, kNone);
    }
}

TEST_CASE("FMA: NaNs in the order of factors and addend; infinity times zero is invalid unless there is one") {
    constexpr u64 kNan = 0x7ff8000000000000, kSignaling = 0x7ff0000000000000, kInfinity = 0x7ff0000000000000;
    struct Case {
        const char* code;
        u64 a, b, c, result;   // of the operands in their order
        u32 flags;
    };
    const Case cases[] = {
        {"C4 E2 E9 99 CB", kNan | 1, kNan | 2, kNan | 3, kNan | 1, 0},          // 132: 1 * 3 + 2
        {"C4 E2 E9 99 CB", kOneD, kNan | 2, kNan | 3, kNan | 3, 0},
        {"C4 E2 E9 A9 CB", kNan | 1, kNan | 2, kNan | 3, kNan | 2, 0},          // 213: 2 * 1 + 3
        {"C4 E2 E9 A9 CB", kNan | 1, kOneD, kSignaling | 3, kNan | 1, 1},
        {"C4 E2 E9 B9 CB", kSignaling | 1, kNan | 2, kOneD, kNan | 2, 1},       // 231: 2 * 3 + 1
        {"C4 E2 E9 B9 CB", kOneD, kInfinity, 0, 0xfff8000000000000, 1},
        {"C4 E2 E9 B9 CB", kNan | 1, kInfinity, 0, kNan | 1, 0},
        {"C4 E2 E9 BD CB", kInfinity, kInfinity, kOneD, 0xfff8000000000000, 1},  // vfnmadd231sd
    };
    for (Engine e : engines())
        for (const Case& c : cases) {
            CAPTURE(c.code);
            Avx g{e, c.code};
            g.low(1) = {c.a, 0}, g.low(2) = {c.b, 0}, g.low(3) = {c.c, 0};
            g.step();
            CHECK(g.low(1).lo == c.result);
            CHECK(g.s().mxcsr == (0x1f80 | c.flags));
        }
}

TEST_CASE("VCVTPH2PS: denormals are numbers and raise nothing") {
    for (Engine e : engines()) {
        Avx g{e, "C4 E2 7D 13 CA C4 E2 79 13 0B"};   // vcvtph2ps ymm1, xmm2; vcvtph2ps xmm1, [rbx]
        g.s().mxcsr = 0x9fc0;   // FTZ and DAZ
        g.refresh();
        g.low(2) = {0x8001000103ff3c00, 0x7e017c0080007bff};
        g.step();
        g.check(1, floats(kOne, 0x387fc000, 0x33800000, 0xb3800000), floats(0x477fe000, 0x80000000, 0x7f800000, 0x7fc02000));
        CHECK(g.s().mxcsr == 0x9fc0);
        g.put(D, 0x7c013c00, 4);   // a signaling NaN
        g.step();
        g.check(1, floats(kOne, 0x7fc02000, 0, 0), kNone);
        CHECK(g.s().mxcsr == 0x9fc1);
    }
}

TEST_CASE("VCVTPS2PH: the immediate rounds; underflow gives denormals under FTZ too") {
    for (Engine e : engines()) {
        // vcvtps2ph xmm1, ymm2, 0; vcvtps2ph [rbx], xmm2, 2; vcvtps2ph xmm1, xmm2, 4
        Avx g{e, "C4 E3 7D 1D D1 00 C4 E3 79 1D 13 02 C4 E3 79 1D D1 04"};
        g.s().mxcsr = 0x9f80;   // FTZ
        g.refresh();
        // 1 + 2^-11 (half way), 65520 (half way to overflow), 2^-24, 2^-26; 2, infinity, -0, NaN
        g.set(2, floats(0x3f801000, 0x477ff000, 0x33800000, 0x32800000), floats(kTwo, 0x7f800000, 0x80000000, 0x7fc02000));
        g.set(1, {k1s, k1s}, {k1s, k1s});
        g.step();
        g.check(1, {0x000000017c003c00, 0x7e0180007c004000}, kNone);
        CHECK(g.s().mxcsr == (0x9f80 | 0x38));
        g.put(D, k1s, 8), g.put(D + 8, k1s, 8);
        g.step();
        CHECK(g.get(D, 8) == 0x000100017c003c01);
        CHECK(g.get(D + 8, 8) == k1s);
        g.s().mxcsr = 0x7f80;   // towards zero
        g.refresh();
        g.step();
        g.check(1, {0x000000017bff3c00, 0}, kNone);
    }
}
