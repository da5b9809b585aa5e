// What AMD's Zen does otherwise than Intel's processors, where tests/silicon may not run (docs/decisions/0006-intel-is-the-rule.md), and what an
// undefined instruction is.
#include "guest.h"

namespace calque::test {
namespace {
constexpr const char *kIntel = "max", *kZen = "max,+zen";
}

TEST_CASE("66h before a near branch in 64-bit code: nothing on Intel, 16 bits on Zen") {
    for (const Engine e : engines()) {
        CAPTURE(static_cast<int>(e));
        Guest jump{e, Mode::long64, "66 E9 10 00 00 00", kIntel};
        jump.step();
        CHECK(jump.rip() == at::Code + 6 + 0x10);
        Guest zen{e, Mode::long64, "66 E9 10 00", kZen};
        zen.step();
        CHECK(zen.rip() == ((at::Code + 4 + 0x10) & 0xffff));
        Guest taken{e, Mode::long64, "66 74 10", kZen}, not_taken{e, Mode::long64, "66 74 10", kZen};
        taken.set_flags(2 | eflags::ZF);
        taken.step(), not_taken.step();
        CHECK(taken.rip() == ((at::Code + 3 + 0x10) & 0xffff));
        CHECK(not_taken.rip() == at::Code + 3);
        Guest call{e, Mode::long64, "66 E8 10 00", kZen};
        call.step();
        CHECK(call.rsp == at::Stack - 2);
        CHECK(call.stack(0, 2) == ((at::Code + 4) & 0xffff));
        Guest ret{e, Mode::long64, "66 C3", kZen};
        ret.put(at::Stack, 0x12345678, 8);
        ret.step();
        CHECK(ret.rsp == at::Stack + 2);
        CHECK(ret.rip() == 0x5678);
        Guest wide{e, Mode::long64, "66 48 FF E3", kZen};   // REX.W wins
        wide.rbx = 0x123456;
        wide.step();
        CHECK(wide.rip() == 0x123456);
    }
}

TEST_CASE("a repeat prefix is LOOPE's and LOOPNE's condition on Zen") {
    for (const Engine e : engines())
        for (const bool zf : {false, true}) {
            CAPTURE(static_cast<int>(e));
            const auto taken = [&](const char* hex, const char* model) {
                Guest g{e, Mode::protected32, hex, model};
                g.rcx = 5;
                g.set_flags(2 | (zf ? eflags::ZF : 0));
                g.step();
                return g.rip() != at::Code + 3;
            };
            CHECK(taken("F2 E1 10", kIntel) == zf);
            CHECK(taken("F2 E1 10", kZen) == !zf);
            CHECK(taken("F3 E0 10", kIntel) == !zf);
            CHECK(taken("F3 E0 10", kZen) == zf);
            CHECK(taken("F3 E2 10", kZen));
        }
}

TEST_CASE("0F 0D with a register is a NOP on Intel, undefined on AMD") {
    for (const Engine e : engines()) {
        Guest intel{e, Mode::long64, "0F 0D C8", kIntel}, zen{e, Mode::long64, "0F 0D C8", kZen};
        intel.step(), zen.run(2);
        CHECK(intel.rip() == at::Code + 3);
        CHECK(zen.vector() == 6);
    }
}

TEST_CASE("SYSCALL and SYSRET outside of 64-bit code are AMD's") {
    for (const Engine e : engines()) {
        for (const char* hex : {"0F 05", "0F 07"}) {
            Guest intel{e, Mode::protected32, hex, kIntel};
            intel.s().efer |= efer::SCE;
            intel.run(2);
            CHECK(intel.vector() == 6);
        }
        Guest zen{e, Mode::protected32, "0F 05", kZen};
        zen.s().efer |= efer::SCE;
        zen.s().star = u64{sel::Code32} << 32 | 0x12345;
        zen.step();
        CHECK(zen.rip() == 0x12345);
        CHECK(zen.rcx == at::Code + 2);
    }
}

TEST_CASE("an undefined instruction is fetched whole before it is one") {
    for (const Engine e : engines()) {
        CAPTURE(static_cast<int>(e));
        const auto vector = [&](const char* hex, u64 at, const char* model = kIntel) {
            Guest g{e, Mode::long64, "90", model};
            g.put(g.leaf_64(at::Code + 0x1000), 0, 8);
            g.refresh();
            g.code(hex, at);
            g.s().x.rip = at;
            g.run(2);
            return g.vector();
        };
        const u64 end = at::Code + 0x1000;
        CHECK(vector("0F 04", end - 2) == 6);
        CHECK(vector("0F", end - 1) == 14);
        CHECK(vector("0F FF", end - 2) == 14);       // UD0 has ModRM
        CHECK(vector("0F FF C0", end - 3) == 6);
        CHECK(vector("0F FF", end - 2, kZen) == 6);  // not on AMD's
        CHECK(vector("0F 78 C0", end - 3, kZen) == 14);
        CHECK(vector("0F FF 05 00", end - 4) == 14); // and a displacement
        CHECK(vector("82 C0", end - 2) == 14);       // an immediate, although not in 64-bit code
        CHECK(vector("82 C0 00", end - 3) == 6);
        CHECK(vector("F0 01 C0", end - 3) == 6);     // LOCK is not allowed
        CHECK(vector("F0 81 C0 00 00 00", end - 6) == 14);
        CHECK(vector("C4 E1 78 04 C0", end - 5) == 6);
    }
}

TEST_CASE("a block of an undefined instruction goes when any of its bytes changes") {
    for (const Engine e : engines()) {
        CAPTURE(static_cast<int>(e));
        Guest g{e, Mode::protected32, "0F 04 90", kIntel};
        g.code("C6 05 01 00 01 00 A2 CF", at::Handlers + 16 * 6);   // mov byte [10001h], 0A2h; iret
        g.step(3);
        CHECK(g.rbx == 0x756e6547);   // CPUID has run
        CHECK(g.rip() == at::Code + 2);
    }
}

TEST_CASE("alignment of vectors in VEX forms: not checked on Intel, that of 16 bytes on Zen") {
    struct Case {
        const char* code;
        u64 at;
        int zen;
    };
    const Case cases[] = {
        {"C5 FE 6F 03", at::Data + 16, -1}, {"C5 FE 6F 03", at::Data + 8, vec::AC},      // vmovdqu ymm0, [rbx]
        {"C5 F9 FC 03", at::Data + 16, -1}, {"C5 F9 FC 03", at::Data + 4, vec::AC},      // vpaddb xmm0, xmm0, [rbx]
        {"C5 FD FC 03", at::Data + 48, -1}, {"C4 E2 7D 20 03", at::Data + 24, vec::AC},  // vpaddb ymm0, ymm0, [rbx]; vpmovsxbw ymm0, [rbx]
    };
    for (const Engine e : engines())
        for (const Case& c : cases)
            for (const char* model : {kIntel, kZen}) {
                CAPTURE(c.code);
                CAPTURE(model);
                Guest g{e, Mode::user64, c.code, model};
                g.s().cr0 |= cr0::AM;
                g.s().cr4 |= cr4::OSFXSR | cr4::OSXSAVE;
                g.s().xcr0 = 7;
                g.set_flags(2 | eflags::AC);
                g.rbx = c.at;
                g.refresh();
                g.step(2);   // what is behind it is no code
                CHECK((g.vector() == vec::AC) == (model == kZen && c.zen == vec::AC));
            }
}

TEST_CASE("CALL, PUSH and POP with an operand in memory: #SS when the stack is what cannot be, else #GP") {
    struct Case {
        test::Mode mode;
        const char* code;
        u64 rbx, rsp;
        int vector;
    };
    constexpr u64 Odd = u64{1} << 47;
    const Case cases[] = {
        {Mode::user32, "FF 13", at::Data, 1, vec::SS},          {Mode::user32, "FF 13", 0xfffffffd, at::Stack, vec::GP},
        {Mode::user32, "FF 33", at::Data, 3, vec::SS},          {Mode::user32, "FF 33", 0xffffffff, at::Stack, vec::GP},
        {Mode::user32, "8F 03", at::Data, 0xffffffff, vec::SS}, {Mode::user32, "8F 03", 0xfffffffe, at::Stack, vec::GP},
        {Mode::user64, "FF 13", at::Data, Odd + 64, vec::SS},   {Mode::user64, "FF 13", Odd, at::Stack, vec::GP},
        {Mode::user64, "8F 03", at::Data, Odd, vec::SS},        {Mode::user64, "8F 03", Odd + 64, at::Stack, vec::GP},
    };
    for (const Engine e : engines())
        for (const Case& c : cases) {
            CAPTURE(c.code);
            CAPTURE(c.rsp);
            Guest g{e, c.mode, c.code, kZen};
            g.put(at::Data, at::Code, 8);
            g.rbx = c.rbx, g.rsp = c.rsp;
            g.step();
            CHECK(g.vector() == c.vector);
        }
}
}  // namespace calque::test
