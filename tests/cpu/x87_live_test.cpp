// The x87 while the JIT keeps it in the host's registers: everything else that looks at it, in the same block as the instructions that use it.
// Values and fault rules: SDM vol. 1, "Programming with the x87 FPU", and vol. 2.
#include <tuple>

#include "cpu/fpu/x87.h"
#include "guest.h"

using namespace calque;
using namespace calque::test;

namespace {
constexpr u64 D = at::Data;
constexpr fp::F80 kOne{u64{1} << 63, 0x3fff}, kPi{0xc90fdaa22168c235, 0x4000}, kPiAndOne{0x8487ed5110b4611a, 0x4001};

/// RBX at the data.
struct Live : Guest {
    Live(Engine e, std::string_view hex, test::Mode m = test::Mode::long64) : Guest{e, m, hex} {
        rbx = D;
        s().cr0 = (s().cr0 & ~(cr0::EM | cr0::TS)) | cr0::NE;
        s().cr4 |= cr4::OSFXSR | cr4::OSXMMEXCPT;
        reset_fpu(s().fpu);
        refresh();
    }
    FpuState& fpu() { return s().fpu; }
    fp::F80 st(unsigned i) {
        const auto& r = fpu().reg[(fpu().top_tags + i) & 7];
        return {r.sig, r.se};
    }
    void forbid(u64 page) {
        put(leaf_64(page), 0, 8);
        refresh();
    }
};
}  // namespace

TEST_CASE("x87 kept in the host: a load that faults leaves the registers of the instructions before it") {
    for (Engine e : engines()) {
        Live g{e, "D9 E8 D9 EB D8 C1 DC 83 00 10 00 00"};  // fld1; fldpi; fadd st1; fadd qword [rbx + 1000h]
        g.forbid(D + 0x1000);
        g.step(8);
        CHECK(g.vector() == 14);
        CHECK(g.fpu().top_tags == 0xc006);
        CHECK(g.st(0) == kPiAndOne);
        CHECK(g.st(1) == kOne);
        CHECK(g.fpu().ip == at::Code + 4);
    }
}

TEST_CASE("x87 kept in the host: a store that faults keeps the flags of its conversion to itself") {
    for (Engine e : engines()) {
        Live g{e, "D9 E8 D9 EB D9 9B 00 10 00 00"};  // fld1; fldpi; fstp dword [rbx + 1000h]
        g.forbid(D + 0x1000);
        g.step(8);
        CHECK(g.vector() == 14);
        CHECK(g.fpu().top_tags == 0xc006);
        CHECK(g.fpu().sw == 0);
        CHECK(g.st(0) == kPi);
    }
}

TEST_CASE("x87 kept in the host: an access across two pages, of which the second is missing") {
    for (Engine e : engines()) {
        Live g{e, "D9 EB DD 93 FC 0F 00 00"};  // fldpi; fst qword [rbx + FFCh]
        g.forbid(D + 0x1000);
        g.step(8);
        CHECK(g.vector() == 14);
        CHECK(g.get(D + 0xffc, 4) == 0);
        CHECK(g.fpu().sw == 0);
        Live h{e, "D9 EB DD 93 FC 0F 00 00 DC 83 FC 0F 00 00"};
        h.step(3);
        CHECK(h.get(D + 0xffc, 8) == 0x400921fb54442d18);
        CHECK(h.fpu().sw == fp::PE);
    }
}

TEST_CASE("x87 kept in the host: MMX registers are its significands") {
    for (Engine e : engines()) {
        Live g{e, "D9 E8 D9 EB 48 0F 7E F0 DD C6 DB F0"};  // fld1; fldpi; movq rax, mm6; ffree st6; fcomi st0
        g.step(3);
        CHECK(g.rax == kPi.sig);
        CHECK(g.fpu().top_tags == 0xff00);
        g.step(2);
        CHECK(g.fpu().top_tags == 0xbf00);
        Live h{e, "48 0F 6E C0 D9 C0 0F 77 D9 E8"};  // movq mm0, rax; fld st0 (the stack is full); emms; fld1
        h.rax = 7;
        h.step(2);
        CHECK((h.fpu().sw & (fsw::SF | fsw::C1 | fp::IE)) == (fsw::SF | fsw::C1 | fp::IE));
        h.step(2);
        CHECK(h.fpu().top_tags == 0x8007);  // the first MMX instruction has made TOP 0
        CHECK(h.fpu().reg[0].sig == 7);
        CHECK(h.fpu().reg[0].se == 0xffff);
        CHECK(h.st(0) == kOne);
    }
}

TEST_CASE("x87 kept in the host: FLDCW rounds what follows it, and a mask it takes away counts at once") {
    for (Engine e : engines()) {
        // fnstcw [rbx]; fldcw [rbx+2]; fldpi; fist dword [rbx+4]; fldcw [rbx]; fist dword [rbx+8]; fnstcw [rbx+12]
        Live g{e, "D9 EB D9 3B D9 6B 02 DB 53 04 D9 2B DB 53 08 D9 7B 0C"};
        g.put(D + 2, 0xb7f, 2);  // upwards
        g.step(7);
        CHECK(g.get(D + 4, 4) == 4);
        CHECK(g.get(D + 8, 4) == 3);
        CHECK(g.get(D + 12, 2) == 0x37f);
        Live h{e, "D9 E8 D9 EE D9 2B DE F9 D9 E8"};  // fld1; fldz; fldcw [rbx]; fdivp; fld1
        h.put(D, 0x37b, 2);
        h.step(4);
        CHECK(h.fpu().sw == (fsw::ES | fsw::B | fp::ZE));
        CHECK(h.st(1) == kOne);
        h.step(2);
        CHECK(h.vector() == 16);
    }
}

TEST_CASE("x87 kept in the host: the status word in AX") {
    for (Engine e : engines()) {
        Live g{e, "D9 EE D9 E8 D8 D9 DF E0 D9 E5 DD 3B"};  // fldz; fld1; fcomp st1; fnstsw ax; fxam; fnstsw [rbx]
        g.step(6);
        CHECK((g.rax & 0xffff) == 0x3800);
        CHECK(g.get(D, 2) == (0x3800 | fsw::C3));
    }
}

TEST_CASE("x87 kept in the host: helpers and device accesses between its instructions") {
    for (Engine e : engines()) {
        Live g{e, "D9 E8 0F A2 D9 EB D9 FE DE C1 DD 1B"};  // fld1; cpuid; fldpi; fsin; faddp; fstp [rbx]
        g.step(2);
        g.rbx = D;
        g.step(4);
        CHECK(g.get(D, 8) == 0x3ff0000000000000);
        Live h{e, "DD 00 DE C1 DD 18", test::Mode::protected32};  // fld qword [eax]; faddp; fstp qword [eax]
        h.rax = at::Device;
        h.memory.device_value = 0x4000000000000000;
        h.fpu().reg[7].sig = kOne.sig, h.fpu().reg[7].se = kOne.se, h.fpu().top_tags = 0x8007;
        h.step(3);
        REQUIRE(h.memory.device.size() == 2);
        CHECK(h.memory.device[1] == TestMemory::Access{at::Device, 0x4008000000000000, 8, true});
        CHECK(h.fpu().top_tags == 0);
    }
}

TEST_CASE("x87 kept in the host: a store over the code behind it") {
    for (Engine e : engines()) {
        Live g{e, "D9 E8 DD 1D 00 00 00 00 D9 EB D9 EB D9 EB D9 EB D9 EB"};  // fld1; fstp qword [rip]; fldpi...
        g.step(2);
        CHECK(g.get(at::Code + 8, 8) == 0x3ff0000000000000);
        CHECK(g.fpu().top_tags == 0);
        g.step(1);  // add [rax], al
        CHECK(g.rip() == at::Code + 10);
    }
}

TEST_CASE("x87 kept in the host: FXSAVE, FNSTENV and FNSAVE see it") {
    for (Engine e : engines()) {
        Live g{e, "D9 E8 D9 EB 0F AE 03 D9 C9 D9 B3 00 02 00 00 D8 C1 DD B3 40 02 00 00 D9 E8"};
        g.step(3);  // fld1; fldpi; fxsave [rbx]
        CHECK(g.get(D + 2, 2) == 0x3000);
        CHECK(g.get(D + 4, 1) == 0xc0);
        CHECK(g.get(D + 32, 8) == kPi.sig);
        g.step(2);  // fxch; fnstenv [rbx+200h], which masks everything
        CHECK(g.get(D + 0x204, 2) == 0x3000);
        CHECK(g.get(D + 0x208, 2) == 0x0fff);
        g.step(2);  // fadd st1; fnsave [rbx+240h]
        CHECK(g.get(D + 0x240 + 28, 8) == kPiAndOne.sig);
        CHECK(g.fpu().top_tags == 0);
        g.step();
        CHECK(g.fpu().top_tags == 0x8007);
        CHECK(g.fpu().sw == 0);
    }
}

TEST_CASE("x87 kept in the host: its exceptions come before the segment limit") {
    for (Engine e : engines()) {
        const auto run = [&](std::string_view code, u16 cw, u16 sw, u64 count) {
            Live g{e, code, test::Mode::protected32};
            g.s().seg[DS].limit = 0xf;
            update_segment(g.s(), DS);
            g.refresh();
            g.fpu().cw = cw;
            g.step();
            g.fpu().sw |= sw;
            g.step(count);
            return std::tuple{g.vector(), g.fpu().sw, g.fpu().top_tags};
        };
        constexpr auto full = "D9 EB DD 1D 10 00 00 00 D9 EB", empty = "90 DD 1D 10 00 00 00 D9 EB";  // fldpi or nop; fstp qword [10h]; fldpi
        CHECK(run(full, 0x37f, 0, 2) == std::tuple{13, u16{0}, 0x8007u});
        constexpr u16 zero_divide = fsw::ES | fsw::B | fp::ZE;
        CHECK(run(full, 0x37b, zero_divide, 2) == std::tuple{16, zero_divide, 0x8007u});
        // A store whose exception is not masked ends before it looks at its operand.
        constexpr u16 underflow = fsw::ES | fsw::B | fsw::SF | fp::IE;
        CHECK(run(empty, 0x37e, 0, 1) == std::tuple{-1, underflow, 0u});
        CHECK(run(empty, 0x37e, 0, 3) == std::tuple{16, underflow, 0u});
    }
}
