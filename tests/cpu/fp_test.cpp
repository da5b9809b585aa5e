// x87, MMX and SSE through the whole processor. Values and fault rules: SDM vol. 1, chapters on the x87 FPU and SSE, and vol. 2.
#include "cpu/fpu/x87.h"
#include "guest.h"

using namespace calque;
using namespace calque::test;

namespace {
constexpr u64 kOne = 0x3ff0000000000000, kTwo = 0x4000000000000000, kThree = 0x4008000000000000;
constexpr u64 D = at::Data;

/// 64-bit code with RBX at the data.
struct Fp : Guest {
    Fp(Engine e, std::string_view hex, test::Mode m = test::Mode::long64) : Guest{e, m, hex} {
        rbx = D;
        s().cr0 = (s().cr0 & ~(cr0::EM | cr0::TS)) | cr0::NE;
        s().cr4 |= cr4::OSFXSR | cr4::OSXMMEXCPT;
        reset_fpu(s().fpu);
        refresh();
    }
    jit::V128& xmm(unsigned n) { return s().xmm[n]; }
    fp::F80 st(unsigned i) {
        const auto& f = s().fpu;
        const auto& r = f.reg[(f.top_tags + i) & 7];
        return {r.sig, r.se};
    }
};
}  // namespace

TEST_CASE("x87: FLD, FADD, FDIV and FSTP") {
    for (Engine e : engines()) {
        Fp g{e, "D9 E8 DD 03 DC 43 08 DE F9 DD 5B 10"};  // fld1; fld [rbx]; fadd [rbx+8]; fdivp st1; fstp [rbx+16]
        g.put(D, kOne, 8), g.put(D + 8, kTwo, 8);
        g.step(5);
        CHECK(g.get(D + 16, 8) == 0x3fd5555555555555);
        CHECK((g.s().fpu.top_tags & 0xff07) == 0);
        CHECK((g.s().fpu.sw & 0x3f) == fp::PE);
    }
}

TEST_CASE("x87: precision control rounds to double") {
    for (Engine e : engines()) {
        Fp g{e, "D9 2B D9 E8 DC 73 08"};  // fldcw [rbx]; fld1; fdiv [rbx+8]
        g.put(D, 0x27f, 2), g.put(D + 8, kThree, 8);
        g.step(3);
        CHECK(g.st(0) == fp::F80{0xaaaaaaaaaaaaa800, 0x3ffd});
    }
}

TEST_CASE("x87: an unmasked exception is delivered at the next waiting instruction") {
    for (Engine e : engines()) {
        Fp g{e, "D9 2B D9 E8 D9 EE DE F9 0F 1F 00 D9 E8"};  // fldcw; fld1; fldz; fdivp; nop; fld1
        g.put(D, 0x37b, 2);
        g.step(5);
        CHECK(g.vector() == -1);
        CHECK((g.s().fpu.sw & (fsw::ES | fp::ZE)) == (fsw::ES | fp::ZE));
        CHECK(g.st(1) == fp::F80{u64{1} << 63, 0x3fff});  // operands are kept
        g.step(2);
        CHECK(g.vector() == 16);
        CHECK(g.s().fpu.ip == at::Code + 6);
    }
}

TEST_CASE("x87: a store that faults changes nothing") {
    for (Engine e : engines()) {
        Fp g{e, "D9 E8 DD 1B"};
        g.put(g.leaf_64(D), 0, 8);
        g.refresh();
        g.step(3);
        CHECK(g.vector() == 14);
        CHECK(g.s().fpu.top_tags == 0x8007);
    }
}

TEST_CASE("x87: stack overflow and underflow") {
    for (Engine e : engines()) {
        Fp g{e, "D8 C1"};  // fadd st, st1 with everything empty
        g.step();
        CHECK((g.s().fpu.sw & (fsw::SF | fsw::C1 | fp::IE)) == (fsw::SF | fp::IE));
        CHECK(g.st(0) == fp::kDefaultNan80);
        Fp h{e, "D9 E8 D9 E8 D9 E8 D9 E8 D9 E8 D9 E8 D9 E8 D9 E8 D9 E8"};
        h.step(9);
        CHECK((h.s().fpu.sw & (fsw::SF | fsw::C1 | fp::IE)) == (fsw::SF | fsw::C1 | fp::IE));
    }
}

TEST_CASE("x87: FCOMI sets ZF PF CF and clears the others; FCMOV reads them") {
    for (Engine e : engines()) {
        Fp g{e, "D9 EE D9 E8 DB F1 DA C1"};  // fldz; fld1; fcomi st1; fcmovb st1
        g.set_flags(2 | eflags::Arithmetic);
        g.step(3);
        CHECK((g.flags() & eflags::Arithmetic) == 0);
        g.step();
        CHECK(g.st(0) == fp::F80{u64{1} << 63, 0x3fff});
    }
}

TEST_CASE("x87: FNSTENV and FNSAVE layouts") {
    for (Engine e : engines()) {
        Fp g{e, "D9 E8 D9 33"};
        g.step(2);
        CHECK(g.get(D, 2) == 0x37f);
        CHECK(g.get(D + 4, 2) == 0x3800);
        CHECK(g.get(D + 8, 2) == 0x3fff);          // R7 valid, the rest empty
        CHECK(g.get(D + 12, 4) == at::Code);
        CHECK(g.s().fpu.cw == 0x37f);
        Fp h{e, "D9 E8 66 DD 33"};                 // 16-bit form
        h.step(2);
        CHECK(h.get(D + 4, 2) == 0x3fff);
        CHECK(h.get(D + 14, 8) == u64{1} << 63);
        CHECK(h.get(D + 22, 2) == 0x3fff);
        CHECK(h.s().fpu.top_tags == 0);            // initialized afterwards
    }
}

TEST_CASE("x87: packed decimal and extended memory operands") {
    for (Engine e : engines()) {
        Fp g{e, "DF 2B DF 73 10 DB 2B DB 7B 30"};  // fild m64; fbstp [rbx+16]; fld m80; fstp m80 [rbx+48]
        g.put(D, 1234567, 8);
        g.step(2);
        CHECK(g.get(D + 16, 8) == 0x1234567);
        g.put(D, 0x8123456789abcdef, 8), g.put(D + 8, 0xc001, 2);
        g.step(2);
        CHECK(g.get(D + 48, 8) == 0x8123456789abcdef);
        CHECK(g.get(D + 56, 2) == 0xc001);
    }
}

TEST_CASE("CR0.TS and EM give #NM, CR4.OSFXSR decides whether SSE exists") {
    struct Row {
        const char* code;
        u64 cr0, cr4_clear;
        int vector;
    };
    const Row rows[] = {
        {"D9 E8", cr0::TS, 0, 7},       {"D9 E8", cr0::EM, 0, 7},  {"9B", cr0::TS, 0, -1},          {"9B", cr0::TS | cr0::MP, 0, 7},
        {"0F FC C1", cr0::TS, 0, 7},    {"0F FC C1", cr0::EM, 0, 6}, {"66 0F FC C1", cr0::TS, 0, 7}, {"66 0F FC C1", 0, cr4::OSFXSR, 6},
        {"0F 58 C1", cr0::EM, 0, 6},    {"0F AE 03", cr0::TS, 0, 7}, {"0F AE 03", 0, cr4::OSFXSR, -1},
    };
    for (Engine e : engines())
        for (const Row& r : rows) {
            CAPTURE(r.code);
            Fp g{e, r.code};
            g.s().cr0 = (g.s().cr0 & ~cr0::MP) | r.cr0;
            g.s().cr4 &= ~r.cr4_clear;
            g.refresh();
            g.step(1);
            if (r.vector >= 0) g.step(1);
            CHECK(g.vector() == r.vector);
        }
}

TEST_CASE("SSE: aligned operands raise #GP when they are not, others do not") {
    for (Engine e : engines()) {
        Fp g{e, "0F 28 43 08"};  // movaps xmm0, [rbx+8]
        g.step(2);
        CHECK(g.vector() == 13);
        Fp h{e, "0F 10 43 08 F2 0F 58 43 04"};  // movups; addsd xmm0, [rbx+4]
        h.put(D + 8, 0x1122334455667788, 8);
        h.step(2);
        CHECK(h.vector() == -1);
        Fp k{e, "66 0F FE 43 04"};  // paddd
        k.step(2);
        CHECK(k.vector() == 13);
    }
}

TEST_CASE("SSE: scalar loads clear, register moves merge, arithmetic keeps the upper part") {
    for (Engine e : engines()) {
        Fp g{e, "F2 0F 10 03 F2 0F 10 C1 F2 0F 58 43 08"};
        g.xmm(0) = {7, 7};
        g.xmm(1) = {kTwo, 9};
        g.put(D, kOne, 8), g.put(D + 8, kOne, 8);
        g.step();
        CHECK(g.xmm(0).lo == kOne);
        CHECK(g.xmm(0).hi == 0);
        g.xmm(0).hi = 5;
        g.step(2);
        CHECK(g.xmm(0).lo == kThree);
        CHECK(g.xmm(0).hi == 5);
    }
}

TEST_CASE("SSE: sticky flags, and #XM once an exception is unmasked") {
    for (Engine e : engines()) {
        Fp g{e, "0F AE 13 0F 5E C1 0F AE 5B 08 0F AE 53 10 0F 5E C1"};  // ldmxcsr; divps; stmxcsr; ldmxcsr; divps
        g.put(D, 0x1f80, 4), g.put(D + 16, 0x1d80, 4);
        g.xmm(0) = {0x3f8000003f800000, 0x3f8000003f800000};
        g.xmm(1) = {0x4000000000000000, 0x4000000040000000};
        g.step(3);
        CHECK(g.get(D + 8, 4) == 0x1f84);
        g.xmm(0) = {0x3f8000003f800000, 0x3f8000003f800000};
        g.step(3);
        CHECK(g.vector() == 19);
        CHECK(g.xmm(0).lo == 0x3f8000003f800000);
        CHECK(g.s().mxcsr == 0x1d84);
        Fp h{e, "0F AE 13"};
        h.put(D, 0x11f80, 4);
        h.step(2);
        CHECK(h.vector() == 13);
    }
}

TEST_CASE("SSE: conversions") {
    for (Engine e : engines()) {
        Fp g{e, "F2 0F 2C C0 F2 48 0F 2D C8 F2 0F 2A D1 F3 0F 5A D9"};
        g.xmm(0) = {0x4004000000000000, 0};                        // 2.5
        g.xmm(1) = {0xbfc00000, 0};                                // -1.5f
        g.step(2);
        CHECK(g.rax == 2);
        CHECK(g.rcx == 2);
        g.rcx = 0xfffffff6;                                        // -10
        g.step(2);
        CHECK(g.xmm(2).lo == 0xc024000000000000);
        CHECK(g.xmm(3).lo == 0xbff8000000000000);
    }
}

TEST_CASE("SSE: COMISD and integer vector operations") {
    for (Engine e : engines()) {
        Fp g{e, "66 0F 2F C1 66 0F 74 D3 66 0F D7 C2 66 0F 70 E2 1B 66 0F 73 FB 03"};
        g.xmm(0) = {kOne, 0}, g.xmm(1) = {kTwo, 0};
        g.xmm(2) = {0x0011223344556677, 0x8899aabbccddeeff}, g.xmm(3) = {0x0011003300550077, 0x8800aa00cc00ee00};
        g.set_flags(2 | eflags::Arithmetic);
        g.step(2);
        CHECK((g.flags() & eflags::Arithmetic) == eflags::CF);
        g.step();
        CHECK(g.rax == 0xaad5);
        g.step();
        CHECK(g.xmm(4).lo == 0xff00ff00ff00ff00);
        g.step();
        CHECK(g.xmm(3).lo == 0x3300550077000000);
    }
}

TEST_CASE("MMX: results mark the x87 registers, EMMS empties them") {
    for (Engine e : engines()) {
        Fp g{e, "D9 E8 0F 6F 03 0F DD 43 08 0F 77"};  // fld1; movq mm0, [rbx]; paddusw mm0, [rbx+8]; emms
        g.put(D, 0xfffe0001ffff8000, 8), g.put(D + 8, 0x0004000200018000, 8);
        g.step(3);
        CHECK(g.s().fpu.reg[0].sig == 0xffff0003ffffffff);
        CHECK(g.s().fpu.reg[0].se == 0xffff);
        CHECK(g.s().fpu.top_tags == 0xff00);
        g.step();
        CHECK(g.s().fpu.top_tags == 0);
    }
}

TEST_CASE("FXSAVE and FXRSTOR round trip") {
    for (Engine e : engines()) {
        Fp g{e, "D9 E8 D9 EB 48 0F AE 03 DB E3 0F 57 C0 48 0F AE 0B"};
        g.xmm(0) = {1, 2}, g.xmm(15) = {3, 4};
        g.step(3);
        CHECK(g.get(D, 2) == 0x37f);
        CHECK(g.get(D + 2, 2) == 0x3000);
        CHECK(g.get(D + 4, 1) == 0xc0);
        CHECK(g.get(D + 8, 8) == at::Code + 2);
        CHECK(g.get(D + 24, 4) == 0x1f80);
        CHECK(g.get(D + 32, 8) == 0xc90fdaa22168c235);
        CHECK(g.get(D + 160, 8) == 1);
        CHECK(g.get(D + 160 + 15 * 16 + 8, 8) == 4);
        g.step(3);
        CHECK(g.xmm(0).hi == 2);
        CHECK(g.s().fpu.top_tags == 0xc006);
        CHECK(g.st(1) == fp::F80{u64{1} << 63, 0x3fff});
        Fp h{e, "0F AE 4B 08"};
        h.step(2);
        CHECK(h.vector() == 13);  // not aligned
    }
}

TEST_CASE("XSAVE writes what is asked for, XRSTOR initializes what is absent") {
    for (Engine e : engines()) {
        Fp g{e, "48 0F AE 23 48 0F AE 2B"};
        g.s().cr4 |= cr4::OSXSAVE;
        g.s().xcr0 = 3;
        g.refresh();
        g.rax = 1, g.rdx = 0;
        g.xmm(3) = {5, 6};
        g.put(D + 24, 0x1f80, 4);
        g.step();
        CHECK(g.get(D + 512, 8) == 1);
        CHECK(g.get(D + 160 + 48, 8) == 0);
        g.rax = 3;
        g.step();
        CHECK(g.xmm(3).lo == 0);
        g.s().cr4 &= ~cr4::OSXSAVE;
        g.refresh();
        g.s().x.rip = at::Code;
        g.step(2);
        CHECK(g.vector() == 6);
    }
}

TEST_CASE("32-bit and 16-bit code use the same rules") {
    for (Engine e : engines())
        for (test::Mode m : {test::Mode::protected32, test::Mode::user32}) {
            Fp g{e, "DD 03 D9 FA DD 1B F2 0F 51 43 08 F2 0F 11 43 10", m};  // fld; fsqrt; fstp; sqrtsd; movsd
            g.put(D, 0x4010000000000000, 8), g.put(D + 8, 0x4022000000000000, 8);
            g.step(5);
            CHECK(g.vector() == -1);
            CHECK(g.get(D, 8) == kTwo);
            CHECK(g.get(D + 16, 8) == kThree);
        }
}
