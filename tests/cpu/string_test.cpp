// Expected values: SDM vol. 2 (REP, MOVS, ...), and the counting rule in docs/architecture.md.
#include "guest.h"

using namespace calque;
using namespace calque::test;

TEST_CASE("each iteration counts as one instruction; none counts as one") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "F3 AA F3 AA 40"};
        g.rcx = 10, g.rdi = 0x31000, g.rax = 0x5a;
        g.step(4);
        CHECK(g.rip() == at::Code);
        CHECK(g.rcx == 6);
        CHECK(g.rdi == 0x31004);
        CHECK(g.cpu->icount() == 4);
        g.step(6);
        CHECK(g.rip() == at::Code + 2);
        CHECK(g.rcx == 0);
        g.step(1);
        CHECK(g.rip() == at::Code + 4);
        CHECK(g.cpu->icount() == 11);
        CHECK(g.get(0x31008, 4) == 0x5a5a);
    }
}

TEST_CASE("REP MOVS: sizes, directions, pages, overlap") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "F3 A5 F4"};
        for (u32 i = 0; i < 4096; ++i) g.put(0x30f00 + 4 * i, i * 7, 4);
        g.rcx = 3000, g.rsi = 0x30f00, g.rdi = 0x40a02;
        CHECK(g.run(10000) == Cpu::Stop::halted);
        CHECK(g.cpu->icount() == 3001);
        for (u32 i = 0; i < 3000; ++i) REQUIRE(g.get(0x40a02 + 4 * i, 4) == i * 7);
        CHECK(g.rsi == 0x30f00 + 12000);

        Guest d{e, Mode::protected32, "FD F3 A4 F4"};
        for (u32 i = 0; i < 9000; ++i) d.put(0x30000 + i, i * 3, 1);
        d.rcx = 9000, d.rsi = 0x30000 + 8999, d.rdi = 0x40010 + 8999;
        d.run(10000);
        for (u32 i = 0; i < 9000; ++i) REQUIRE(d.get(0x40010 + i, 1) == (i * 3 & 0xff));
        CHECK(d.rsi == 0x2ffff);

        Guest o{e, Mode::protected32, "F3 A4 F4"};
        o.put(0x31000, 0x030201, 4);
        o.rcx = 5000, o.rsi = 0x31000, o.rdi = 0x31003;
        o.run(10000);
        for (u32 i = 0; i < 5003; ++i) REQUIRE(o.get(0x31000 + i, 1) == i % 3 + 1);
    }
}

TEST_CASE("a fault in the middle leaves the registers at the element that faults") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "F3 48 AB"};
        g.put(g.leaf_64(0x33000), 0, 8);
        g.refresh();
        g.rcx = 2000, g.rdi = 0x31004;
        g.step(2000);
        CHECK(g.vector() == 14);
        CHECK(g.s().cr2 == 0x33000);
        CHECK(g.rdi == 0x32ffc);   // the element that crosses
        CHECK(g.rcx == 2000 - (0x32ffc - 0x31004) / 8);
        CHECK(g.stack(1, 8) == at::Code);
        CHECK(g.cpu->icount() == (0x32ffc - 0x31004) / 8 + 1);
    }
}

TEST_CASE("16-bit addresses wrap at 64 KiB") {
    for (Engine e : engines()) {
        Guest g{e, Mode::real, "F3 AA F4"};
        g.rcx = 0x20, g.rdi = 0xfff8, g.rax = 0x77;
        g.s().seg[ES] = {0x3000, 0x9300, 0xffff, 0x30000};
        g.refresh();
        g.run(100);
        CHECK(g.rdi == 0x18);
        CHECK(g.get(0x3ffff, 1) == 0x77);
        CHECK(g.get(0x30017, 1) == 0x77);
        CHECK(g.get(0x40000, 1) == 0);
    }
}

TEST_CASE("REPE CMPS and REPNE SCAS stop where the condition ends") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "F3 A6 F4"};
        for (u32 i = 0; i < 8000; ++i) g.put(0x31000 + i, i & 0xff, 1), g.put(0x41000 + i, i & 0xff, 1);
        g.put(0x41000 + 5000, 0xff, 1);
        g.rcx = 8000, g.rsi = 0x31000, g.rdi = 0x41000;
        g.run(10000);
        CHECK(g.rcx == 8000 - 5001);
        CHECK(g.rsi == 0x31000 + 5001);
        CHECK((g.flags() & (eflags::ZF | eflags::CF)) == eflags::CF);
        CHECK(g.cpu->icount() == 5002);
        Guest h{e, Mode::protected32, "F2 AF F4"};
        h.put(0x31000 + 4 * 1500, 0xabcd, 4);
        h.rcx = ~u64{0} >> 32, h.rdi = 0x31000, h.rax = 0xabcd;
        h.run(10000);
        CHECK(h.rdi == 0x31000 + 4 * 1501);
        CHECK((h.flags() & eflags::ZF) != 0);
    }
}

TEST_CASE("REP INS and OUTS look at the port once an iteration, at its time") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "F3 6C F3 6E F4"};
        g.rcx = 4, g.rdx = 0x1f0, g.rdi = 0x31000, g.rsi = 0x31000;
        g.step(4);
        CHECK(g.get(0x31000, 4) == 0xa3a2a1a0);
        CHECK(g.ports.log.size() == 4);
        for (unsigned i = 0; i < 4; ++i) CHECK(g.ports.log[i].when == i);
        g.rcx = 2;
        g.step(3);
        REQUIRE(g.ports.log.size() == 6);
        CHECK(g.ports.log[5].value == 0xa1);
        CHECK(g.ports.log[5].when == 5);
    }
}

TEST_CASE("an interrupt raised by a port is taken between iterations") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "F3 6E F4"};
        g.s().apic_base = 0;
        g.set_flags(0x202);
        g.rcx = 10, g.rdx = 0x80, g.rsi = 0x31000;
        unsigned n = 0;
        g.ports.on_out = [&](u16, u32) { if (++n == 3) g.cpu->intr().raise(); };
        g.step(4);
        CHECK(g.vector() == 0x20);
        CHECK(g.rcx == 7);
        CHECK(g.stack(0, 4) == at::Code);
        CHECK((g.stack(2, 4) & eflags::RF) != 0);
    }
}

TEST_CASE("string instructions over code pages and devices") {
    for (Engine e : engines()) {
        // Overwrites the instruction after itself: nop becomes inc eax.
        Guest g{e, Mode::protected32, "90 90 F3 AA 90 90 F4"};
        g.step(2);
        g.s().x.rip = at::Code;
        g.rcx = 2, g.rdi = at::Code + 4, g.rax = 0x40;
        g.run(100);
        CHECK(g.rax == 0x42);
        Guest d{e, Mode::protected32, "F3 A5 F4"};
        d.rcx = 3, d.rsi = static_cast<u32>(at::Device), d.rdi = 0x31000;
        d.run(10);
        CHECK(d.memory.device.size() == 3);
        CHECK(d.get(0x31008, 4) == 0x55667788);
    }
}

TEST_CASE("port permission: IOPL and the TSS bitmap") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user32, "E4 61"};
        g.put(at::Tss + 0x66, 0x68, 2);
        g.put(at::Tss + 0x68 + 0x61 / 8, 1 << (0x61 & 7), 1);
        g.step();
        CHECK(g.vector() == 13);
        Guest h{e, Mode::user32, "E4 61"};
        h.put(at::Tss + 0x66, 0x68, 2);
        h.step();
        CHECK((h.rax & 0xff) == 0xa0);
        Guest k{e, Mode::user32, "E4 61"};
        k.put(at::Tss + 0x66, 0x2068, 2);   // beyond the limit
        k.step();
        CHECK(k.vector() == 13);
        Guest m{e, Mode::user32, "E5 61"};
        m.set_flags(2 | eflags::IOPL);
        m.step();
        CHECK(m.rax == 0xa0);
    }
}
