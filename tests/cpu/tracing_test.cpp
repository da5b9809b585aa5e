// Running by single instructions, and stopping at exceptions instead of delivering them.
#include "guest.h"

using namespace calque;
using namespace calque::test;

namespace {
constexpr u64 kMost = 1'000'000;
u64 steps(Guest& g, u64 n) {
    const u64 before = g.cpu->instructions();
    g.cpu->run_instructions(n, g.cpu->icount() + kMost);
    return g.cpu->instructions() - before;
}
}  // namespace

TEST_CASE("run_instructions: a repeated string instruction is one") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::protected32, "F3 A4 40 F3 AA F2 AE 40"};   // rep movsb; inc eax; rep stosb; repne scasb; inc eax
        g.rcx = 5000, g.rsi = at::Data, g.rdi = at::Data + 0x4000;
        CHECK(steps(g, 1) == 1);
        CHECK(g.rip() == at::Code + 2);
        CHECK(g.rcx == 0);
        CHECK(g.cpu->icount() == 5000);
        g.rcx = 0;
        CHECK(steps(g, 2) == 2);   // nothing to repeat
        CHECK(g.rip() == at::Code + 5);
        CHECK(g.cpu->icount() == 5002);
        g.rcx = 100, g.rdi = at::Data, g.put(at::Data + 7, 1, 1);
        CHECK(steps(g, 2) == 2);
        CHECK(g.rip() == at::Code + 8);
        CHECK(g.rcx == 92);
    }
}

TEST_CASE("run_instructions: an instruction that faults is one, with the delivery") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::protected32, "40 0F 0B"};   // inc eax; ud2
        CHECK(steps(g, 2) == 2);
        CHECK(g.rip() == at::Handlers + 16 * 6);
        CHECK(g.cpu->icount() == 1);
        CHECK(g.s().tracing.exceptions == 1);
        CHECK(g.s().tracing.last.vector == vec::UD);
        CHECK(steps(g, 5) == 1);   // the handler is an HLT
        CHECK(g.s().halted);
        Guest h{e, Mode::protected32, "F3 A4"};
        h.rcx = 10, h.rsi = at::Data, h.rdi = 0xffffff, h.s().seg[ES].limit = at::Data + 4;
        h.rdi = at::Data, h.refresh();
        CHECK(steps(h, 1) == 1);   // five iterations, then #GP
        CHECK(h.rip() == at::Handlers + 16 * 13);
        CHECK(h.rcx == 5);
        CHECK(h.cpu->icount() == 5);
    }
}

TEST_CASE("run_instructions: a trap between two iterations ends the instruction") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::protected32, "F3 AA"};
        g.rcx = 3, g.rdi = at::Data, g.set_flags(eflags::TF | 2);
        CHECK(steps(g, 1) == 1);
        CHECK(g.rip() == at::Handlers + 16);
        CHECK(g.rcx == 2);
    }
}

TEST_CASE("run_instructions: gives up after so many retired") {
    Guest g{Engine::interp, Mode::protected32, "EB FE"};
    CHECK(g.cpu->run_instructions(~u64{0}, 1000) == Cpu::Stop::deadline);
    CHECK(g.cpu->icount() == 1000);
    Guest h{Engine::interp, Mode::protected32, "F3 AC"};   // rep lodsb
    h.rcx = 0xffffffff;
    CHECK(h.cpu->run_instructions(1, 200000) == Cpu::Stop::deadline);
    CHECK(h.cpu->icount() == 200000);
    CHECK(h.cpu->instructions() == 0);
}

TEST_CASE("stop_at_vector: exceptions stop where they would be delivered") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::user64, "90 88 04 25 00 00 00 05"};   // nop; mov [5000000h], al
        g.cpu->stop_at_vector(vec::PF);
        CHECK(g.cpu->run_instructions(5, kMost) == Cpu::Stop::exception);
        CHECK(g.rip() == at::Code + 1);
        CHECK(g.s().exception.vector == vec::PF);
        CHECK(g.s().exception.error == 6);
        CHECK(g.s().exception.address == 0x5000000);
        CHECK(g.s().cr2 == 0x5000000);
        CHECK(g.cpu->instructions() == 2);
        g.cpu->stop_at_vector(-1);
        CHECK(steps(g, 1) == 1);
        CHECK(g.rip() == at::Handlers + 16 * 14);
    }
}

TEST_CASE("stop_at_vector: software interrupts and double faults stop too") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::protected32, "CC CD 30 0F 0B"};   // int3; int 30h; ud2
        g.cpu->stop_at_vector(vec::BP);
        CHECK(g.cpu->run_instructions(1, kMost) == Cpu::Stop::exception);
        CHECK(g.rip() == at::Code + 1);
        g.cpu->stop_at_vector(0x30);
        CHECK(g.cpu->run_instructions(9, kMost) == Cpu::Stop::exception);
        CHECK(g.rip() == at::Code + 3);
        CHECK(g.cpu->instructions() == 2);
        g.s().idtr.limit = 0;
        g.cpu->stop_at_vector(vec::DF);   // #UD, then #GP for the missing gate: no double fault. That of the #GP's own gate is one.
        CHECK(g.cpu->run_instructions(1, kMost) == Cpu::Stop::exception);
        CHECK(g.s().exception.vector == vec::DF);
        CHECK(!g.s().shut_down);
    }
}
