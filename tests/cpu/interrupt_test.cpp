// Expected values: SDM vol. 3A, chapter "Interrupt and Exception Handling".
#include <cstring>
#include <string>

#include "guest.h"

using namespace calque;
using namespace calque::test;

TEST_CASE("real mode: INT pushes FLAGS, CS and IP and clears IF and TF") {
    for (Engine e : engines()) {
        Guest g{e, Mode::real, "CD 21"};
        g.set_flags(0x202 | eflags::CF);
        g.step();
        CHECK(g.rip() == at::Handlers + 0x210);
        CHECK(g.s().seg[CS].base == 0);
        CHECK(g.stack(0, 2) == 2);
        CHECK(g.stack(1, 2) == 0x1000);
        CHECK(g.stack(2, 2) == 0x203);
        CHECK((g.flags() & eflags::IF) == 0);
        CHECK(g.cpu->icount() == 1);
    }
}

TEST_CASE("real mode: #DE returns to the instruction, without error code; IVT beyond the limit ends in shutdown") {
    for (Engine e : engines()) {
        Guest g{e, Mode::real, "F7 F3"};
        g.step();
        CHECK(g.vector() == 0);
        CHECK(g.stack(0, 2) == 0);
        CHECK(g.rsp == 0xfff0 - 6);
        Guest h{e, Mode::real, "F7 F3"};
        h.s().idtr.limit = 0;
        CHECK(h.run(10) == Cpu::Stop::shut_down);
        CHECK(h.cpu->icount() == 0);
    }
}

TEST_CASE("INT n from user code needs a gate with DPL 3, and switches stacks") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user32, "CD 30"};
        g.step();
        CHECK(g.rip() == at::Handlers + 0x300);
        CHECK(g.s().cpl == 0);
        CHECK(g.rsp == at::Stack0 - 20);
        CHECK(g.s().seg[SS].selector == sel::Data32);
        CHECK(g.stack(0, 4) == at::Code + 2);
        CHECK(g.stack(1, 4) == sel::UserCode32);
        CHECK(g.stack(3, 4) == at::Stack);
        CHECK(g.stack(4, 4) == sel::UserData);
        Guest h{e, Mode::user32, "CD 20"};
        h.step();
        CHECK(h.vector() == 13);
        CHECK(h.stack(0, 4) == 0x20 * 8 + 2);
        CHECK(h.stack(1, 4) == at::Code);   // a fault: at the INT
    }
}

TEST_CASE("64-bit delivery aligns the stack, nulls SS, uses the IST") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user64, "CD 30"};
        g.rsp = at::Stack - 3;
        g.put(at::Tss + 4, at::Stack0 + 8, 8);
        g.step();
        CHECK(g.rip() == at::Handlers + 0x300);
        CHECK(g.rsp == at::Stack0 - 40);
        CHECK(g.s().seg[SS].selector == 0);
        CHECK(g.stack(3, 8) == at::Stack - 3);
        CHECK(g.stack(4, 8) == sel::UserData);
        Guest h{e, Mode::long64, "CD 30"};
        h.put(at::Idt + 0x30 * 16 + 4, (at::Handlers & 0xffff0000) | 0xee02, 4);
        h.put(at::Tss + 44, at::Stack0, 8);
        h.step();
        CHECK(h.rsp == at::Stack0 - 40);
        CHECK(h.s().seg[SS].selector == sel::Data32);   // no change of level: SS stays
    }
}

TEST_CASE("faults push RF, a double fault has error code 0, a third shuts down") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "0F 0B"};
        g.step();
        CHECK(g.vector() == 6);
        CHECK((g.stack(2, 4) & eflags::RF) != 0);
        // #GP whose gate is not present: #NP while delivering #GP is a double fault.
        Guest h{e, Mode::protected32, "CD 20"};
        h.enter(Mode::user32);
        h.gate(13, sel::Code32, at::Handlers, 0x0e);
        h.step();
        CHECK(h.vector() == 8);
        CHECK(h.stack(0, 4) == 0);
        Guest k{e, Mode::user32, "CD 20"};
        k.gate(13, sel::Code32, at::Handlers, 0x0e);
        k.gate(8, sel::Code32, at::Handlers, 0x0e);
        CHECK(k.run(5) == Cpu::Stop::shut_down);
    }
}

TEST_CASE("benign then contributory is served in turn: #NP for an INT's gate has EXT clear") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user32, "CD 30"};
        g.gate(0x30, sel::Code32, at::Handlers, 0x6e);
        g.step();
        CHECK(g.vector() == 11);
        CHECK(g.stack(0, 4) == 0x30 * 8 + 2);
        // The same gate for an external interrupt: EXT set.
        Guest h{e, Mode::user32, "90 90"};
        h.gate(0x30, sel::Code32, at::Handlers, 0x6e);
        h.set_flags(0x202);
        h.s().apic_base = 0;
        h.ack.vector = 0x30;
        h.cpu->intr().raise();
        h.step();
        CHECK(h.vector() == 11);
        CHECK(h.stack(0, 4) == 0x30 * 8 + 3);
    }
}

TEST_CASE("a page fault while delivering a page fault is a double fault, and CR2 is the second address") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "8B 03"};
        g.put(at::Idt + 8 * 16 + 4, (at::Handlers & 0xffff0000) | 0x8e01, 4);
        g.put(at::Tss + 36, at::Stack0, 8);
        g.put(g.leaf_64(0x31000), 0, 8);
        g.refresh();
        g.rbx = 0x31000, g.rsp = 0x31800;
        g.step();
        CHECK(g.vector() == 8);
        CHECK(g.s().cr2 == 0x317f8);
    }
}

namespace {
std::unique_ptr<Guest> with_intr(Engine e, const char* code, u32 flags = 0x202) {
    auto g = std::make_unique<Guest>(e, Mode::protected32, code);
    g->s().apic_base = 0;   // INTR goes to the processor
    g->set_flags(flags);
    return g;
}
}  // namespace

TEST_CASE("INTR is taken at the instruction at which it is raised, when IF is set") {
    for (Engine e : engines()) {
        auto g = with_intr(e, "40 40 E6 80 40 40 40");   // inc; inc; out 80h, al; inc...
        g->ports.on_out = [&](u16, u32) { g->cpu->intr().raise(); };
        g->step(20);
        CHECK(g->vector() == 0x20);
        CHECK(g->rax == 2);
        CHECK(g->stack(0, 4) == at::Code + 4);
        CHECK(g->cpu->icount() == 4);   // three, and the handler's HLT
        CHECK(g->ports.log[0].when == 2);
        auto h = with_intr(e, "40 40 E6 80 40 40 F4", 2);
        h->ports.on_out = [&](u16, u32) { h->cpu->intr().raise(); };
        CHECK(h->run(20) == Cpu::Stop::halted);
        CHECK(h->rax == 4);
    }
}

TEST_CASE("STI holds interrupts off for one instruction, MOV SS too") {
    for (Engine e : engines()) {
        auto g = with_intr(e, "FB 40 40 40", 2);
        g->cpu->intr().raise();
        g->step(10);
        CHECK(g->vector() == 0x20);
        CHECK(g->rax == 1);
        // Also across the end of a slice.
        auto k = with_intr(e, "FB 40 40 40", 2);
        k->step(1);
        k->cpu->intr().raise();
        k->step(10);
        CHECK(k->rax == 1);
        auto h = with_intr(e, "8E D1 40 40 40");   // mov ss, cx
        h->rcx = sel::Data32;
        h->step(1);
        h->cpu->intr().raise();
        h->step(10);
        CHECK(h->vector() == 0x20);
        CHECK(h->rax == 1);
    }
}

TEST_CASE("HLT waits, an interrupt ends it, RIP is behind it") {
    for (Engine e : engines()) {
        auto g = with_intr(e, "F4 40");
        CHECK(g->run(10) == Cpu::Stop::halted);
        CHECK(g->cpu->icount() == 1);
        g->cpu->intr().raise();
        g->step(1);
        CHECK(g->vector() == 0x20);
        CHECK(g->stack(0, 4) == at::Code + 1);
    }
}

TEST_CASE("NMI is blocked until IRET") {
    for (Engine e : engines()) {
        auto g = with_intr(e, "40 40 40 40");
        g->code("40 CF", at::Handlers + 0x20);   // inc eax; iret
        g->cpu->nmi().pulse();
        g->cpu->nmi().pulse();
        g->step(2);
        CHECK(g->rip() == at::Code);
        g->cpu->nmi().pulse();
        g->step(1);
        CHECK(g->rip() == at::Handlers + 0x21);
        g->cpu->nmi().pulse();   // stays pending
        g->step(1);              // IRET, and there it is
        CHECK(g->rip() == at::Handlers + 0x20);
        CHECK(g->stack(0, 4) == at::Code);
    }
}

TEST_CASE("TF: #DB after the next instruction, with BS in DR6") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "9D 40 40 40"};   // popf; inc...
        g.put(at::Stack - 4, 0x102, 4);
        g.rsp = at::Stack - 4;
        g.step(3);
        CHECK(g.vector() == 1);
        CHECK(g.rax == 1);
        CHECK(g.stack(0, 4) == at::Code + 2);
        CHECK((g.s().dr6 & 0xe00f) == 0x4000);
        CHECK((g.stack(2, 4) & eflags::RF) == 0);
        CHECK((g.stack(2, 4) & eflags::TF) != 0);
    }
}

TEST_CASE("instruction breakpoints are faults, RF lets the instruction go on") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "40 40 40 F4"};
        g.s().dr[0] = at::Code + 1, g.s().dr7 = 0x401;
        g.code("43 CF", at::Handlers + 0x10);
        CHECK(g.run(20) == Cpu::Stop::halted);
        CHECK(g.rax == 3);
        CHECK(g.rbx == 1);
        CHECK((g.s().dr6 & 0xe00f) == 1);
        CHECK(g.cpu->icount() == 6);
    }
}

TEST_CASE("data breakpoints are traps after the access, on any store in a block") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "40 89 03 40 40"};
        g.s().dr[1] = 0x31000, g.s().dr7 = 0x400 | 4 | 0xd0u << 16;   // 4 bytes, writes
        g.s().watching = true;
        g.rbx = 0x31002;
        g.step(3);
        CHECK(g.vector() == 1);
        CHECK(g.stack(0, 4) == at::Code + 3);
        CHECK((g.s().dr6 & 15) == 2);
        CHECK(g.rax == 1);
    }
}

TEST_CASE("virtual-8086 mode: faults go to ring 0 with the 8086 frame") {
    for (Engine e : engines()) {
        Guest g{e, Mode::vm86, "CD 21"};
        g.step();
        CHECK(g.vector() == 13);   // IOPL 0
        CHECK(g.s().cpl == 0);
        CHECK(!g.s().vm86());
        CHECK(g.stack(0, 4) == 0);
        CHECK(g.stack(1, 4) == 0);
        CHECK(g.stack(2, 4) == 0x1000);
        CHECK((g.stack(3, 4) & eflags::VM) != 0);
        CHECK(g.stack(4, 4) == 0xfff0);
        for (unsigned n = 5; n < 10; ++n) CHECK(g.stack(n, 4) == 0x1000);   // SS ES DS FS GS
        CHECK(g.s().seg[DS].selector == 0);
        Guest h{e, Mode::vm86, "CD 40"};
        h.set_flags(2 | eflags::VM | eflags::IOPL);
        h.step(1);
        CHECK(h.rip() == at::Handlers + 0x400);
        CHECK(h.s().cpl == 0);
    }
}

TEST_CASE("VME: INT n by the redirection bitmap, IF is VIF") {
    for (Engine e : engines()) {
        Guest g{e, Mode::vm86, "FB CD 21"};
        g.s().cr4 |= cr4::VME;
        g.refresh();
        g.put(at::Tss + 0x66, 0x88, 2);
        g.step(2);
        CHECK(g.own_vector() == -1);
        CHECK(g.s().vm86());
        CHECK(g.rip() + g.s().seg[CS].base == at::OwnHandlers + 0x210);
        CHECK((g.stack(2, 2) & 0x3200) == 0x3200);   // IOPL 3, IF from VIF
        CHECK((g.flags() & eflags::VIF) == 0);
        Guest h{e, Mode::vm86, "CD 21"};
        h.s().cr4 |= cr4::VME;
        h.refresh();
        h.put(at::Tss + 0x66, 0x88, 2);
        h.put(at::Tss + 0x68 + 4, 2, 1);   // bit 21h: to the monitor
        h.step(1);
        CHECK(h.vector() == 13);
    }
}

TEST_CASE("IRET to virtual-8086 mode and back keeps everything") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "CF"};
        g.code("CD 50", 0x12340 + 0x56);
        const u32 frame[] = {0x56, 0x1234, eflags::VM | 0x3202, 0xabc0, 0x2000, 0x11, 0x22, 0x33, 0x44};
        g.rsp = at::Stack - sizeof frame;
        for (unsigned i = 0; i < 9; ++i) g.put(at::Stack - sizeof frame + 4 * i, frame[i], 4);
        g.step();
        CHECK(g.s().vm86());
        CHECK(g.s().cpl == 3);
        CHECK(g.rip() == 0x56);
        CHECK(g.s().seg[CS].base == 0x12340);
        CHECK(g.s().seg[GS].selector == 0x44);
        CHECK(g.rsp == 0xabc0);
        g.step();
        CHECK(g.rip() == at::Handlers + 0x500);
        CHECK(g.stack(0, 4) == 0x58);
        CHECK(g.stack(8, 4) == 0x44);
    }
}

TEST_CASE("INT3 and INTO push the next RIP; INTO does nothing without OF") {
    for (Engine e : engines()) {
        Guest g{e, Mode::user32, "CE CC"};
        g.step(2);
        CHECK(g.rip() == at::Handlers + 0x30);
        CHECK(g.stack(0, 4) == at::Code + 2);
        Guest h{e, Mode::user32, "CE"};
        h.set_flags(2 | eflags::OF);
        h.step();
        CHECK(h.rip() == at::Handlers + 0x40);
        CHECK(h.stack(0, 4) == at::Code + 1);
    }
}

TEST_CASE("compatibility mode: the system's tables and stack may lie above 4 GiB") {
    constexpr u64 high = 0xffffff8000000000;
    for (Engine e : engines()) {
        Guest g{e, Mode::user64, "48 CB"};   // a far return to 32-bit code
        u64 tables;
        std::memcpy(&tables, &g.memory.ram[at::Tables], 8);
        g.put(at::Tables + 511 * 8, tables, 8);
        g.put(at::Tss + 4, high + at::Stack0, 8);
        g.put(at::Data, 0x30cd, 2);          // INT 30h
        g.put(at::Stack, at::Data, 8);
        g.put(at::Stack + 8, sel::UserCode32, 8);
        g.s().idtr.base += high, g.s().gdtr.base += high, g.s().tr.base += high;
        g.step();
        REQUIRE(g.rip() == at::Data);
        REQUIRE(g.s().long_active());
        REQUIRE_FALSE(g.s().code64());
        g.step();
        CHECK(g.rip() == at::Handlers + 0x300);
        CHECK(g.rsp == high + at::Stack0 - 40);
        CHECK(g.s().code64());
    }
}

TEST_CASE("an interrupt that a helper's store raises in a device comes at the next instruction") {
    using namespace std::string_literals;
    for (const std::string& store : {"0F AE 03"s, "0F AE 23"s, "DD 33"s, "D9 33"s, "DF 33"s, "0F F7 C9"s, "66 0F F7 C9"s, "C4 E2 75 8E 0B"s, "0F C7 0B"s}) {
        for (Engine e : engines()) {
            CAPTURE(store);
            Guest g{e, Mode::protected32, "90 " + store + " 46 46 46 F4", "default,-apic,-x2apic,-tsc-deadline"};
            const unsigned length = static_cast<unsigned>(store.size() + 1) / 3;
            g.s().cr0 = (g.s().cr0 & ~(cr0::EM | cr0::TS)) | cr0::NE;
            g.s().cr4 |= cr4::OSFXSR | cr4::OSXSAVE;
            g.s().xcr0 = 7;
            g.s().xmm[1] = {~u64{0}, ~u64{0}};
            g.s().fpu.reg[1].sig = ~u64{0};
            g.set_flags(0x202);
            g.refresh();
            g.rax = 7, g.rdx = 0, g.rbx = g.rdi = static_cast<u32>(at::Device);
            g.memory.on_device_write = [&] { g.cpu->intr().raise(); };
            g.ack.intr = &g.cpu->intr();
            g.step(12);
            CHECK(g.vector() == 0x20);
            CHECK(g.stack(0, 4) == at::Code + 1 + length);
            CHECK(g.rsi == 0);
            CHECK(g.memory.device.back().write);
        }
    }
}
