// x87 errors the old way, with CR0.NE = 0: FERR#, an interrupt, IGNNE#. SDM vol. 1, "Guidelines for Writing x87 FPU Exception Handlers".
#include "tests/cpu/guest.h"

using namespace calque;
using namespace calque::test;

namespace {
// FLD1; FLDZ; FDIVP; NOP; FWAIT; HLT, with division by zero unmasked
constexpr auto kDivide = "D9 E8 D9 EE DE F9 90 9B F4";
constexpr u32 kWait = at::Code + 7, kEnd = at::Code + 9;

void divide(Guest& g, bool ne) {
    g.s().fpu = {};
    g.s().fpu.cw = 0x37b;
    g.s().cr0 = ne ? g.s().cr0 | cr0::NE : g.s().cr0 & ~u64{cr0::NE};
    refresh_mode(g.s());
}
}  // namespace

TEST_CASE("x87 error, CR0.NE = 1: the next waiting instruction is #MF") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, kDivide};
        divide(g, true);
        g.run(10);
        CHECK(g.vector() == 16);
        CHECK(g.ferr.count == 0);
    }
}

TEST_CASE("x87 error, CR0.NE = 0: the next waiting instruction waits for an interrupt") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, kDivide};
        divide(g, false);
        const u64 before = g.cpu->icount();
        CHECK(g.run(10) == Cpu::Stop::halted);
        CHECK(g.rip() == kWait);
        CHECK(g.cpu->icount() - before == 4);
        CHECK(g.ferr.count == 1);
        CHECK(g.vector() == -1);
        g.set_flags(g.flags() | eflags::IF);
        g.s().apic_base = 0;
        g.ack.intr = &g.cpu->intr();
        g.cpu->intr().raise();
        g.run(10);
        CHECK(g.vector() == 0x20);
        CHECK(g.stack(0, 4) == kWait);
    }
}

TEST_CASE("x87 error, CR0.NE = 0: IGNNE# lets instructions go on until the error is cleared") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, kDivide};
        divide(g, false);
        g.run(10);
        g.cpu->ignne().trigger();
        g.s().halted = false;
        CHECK(g.run(10) == Cpu::Stop::halted);
        CHECK(g.rip() == kEnd);
        CHECK(g.ferr.count == 1);
        // FNCLEX and the division again
        g.s().halted = false;
        g.code("DB E2 D9 E8 D9 EE DE F9 9B F4", kEnd);
        CHECK(g.run(10) == Cpu::Stop::halted);
        CHECK(g.rip() == kEnd + 8);
        CHECK(g.ferr.count == 2);
    }
}

TEST_CASE("x87 error, CR0.NE = 0: IGNNE# without an error is not remembered") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, kDivide};
        divide(g, false);
        g.cpu->ignne().trigger();
        CHECK(g.run(10) == Cpu::Stop::halted);
        CHECK(g.rip() == kWait);
    }
}

TEST_CASE("x87 error, CR0.NE = 0: a fault of the operand comes after the wait") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "D9 E8 D9 EE DE F9 D9 05 00 00 00 F0"};   // FLD of memory that is not mapped
        divide(g, false);
        g.page_tables_32();
        g.refresh();
        CHECK(g.run(10) == Cpu::Stop::halted);
        CHECK(g.rip() == at::Code + 6);
        CHECK(g.vector() == -1);
        g.cpu->ignne().trigger();
        g.s().halted = false;
        g.run(10);
        CHECK(g.vector() == 14);
    }
}
