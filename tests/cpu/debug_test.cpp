// A debugger's breakpoints, watchpoints, steps and events, and that the guest does not notice.
#include "cpu/debug.h"

#include "guest.h"

using namespace calque;
using namespace calque::test;
using Event = Debug::Event;

namespace {
constexpr u64 kMost = 1'000'000;
/// Runs until something stops it; the event, or none.
Event go(Guest& g, Debug& d, bool one = false) {
    d.resume(one);
    return g.run(kMost) == Cpu::Stop::debug ? d.hit().event : Event::none;
}
/// A loop of 100 rounds: dec ecx; mov [30000h], cl; add eax, ecx; jnz -> 10000h; hlt
constexpr const char* kLoop = "49 88 0D 00 00 03 00 01 C8 85 C9 75 F3 F4";
}  // namespace

TEST_CASE("debug: breakpoints stop before the instruction, each time, and leave no trace") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest plain{e, Mode::protected32, kLoop}, g{e, Mode::protected32, kLoop};
        plain.rcx = g.rcx = 100;
        CHECK(plain.run(kMost) == Cpu::Stop::halted);
        {
            Debug d{*g.cpu};
            d.set_breakpoints({at::Code + 7, 0x12345678});
            for (u64 n = 1; n <= 50; ++n) {
                CHECK(go(g, d) == Event::breakpoint);
                CHECK(d.hit().at == at::Code + 7);
                CHECK(g.rip() == at::Code + 7);
                CHECK(g.rcx == 100 - n);
                CHECK(g.cpu->icount() == 5 * n - 3);
                CHECK(g.run(kMost) == Cpu::Stop::debug);   // until it is resumed
            }
            d.set_breakpoints({});
            CHECK(go(g, d) == Event::none);
        }
        CHECK(g.s().halted);
        CHECK(g.cpu->icount() == plain.cpu->icount());
        CHECK(g.rax == plain.rax);
        CHECK(std::equal(g.memory.ram.begin(), g.memory.ram.end(), plain.memory.ram.begin()));
    }
}

TEST_CASE("debug: a step is one instruction") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::protected32, "40 F3 A4 0F 0B F4"};   // inc eax; rep movsb; ud2; hlt
        g.rcx = 5000, g.rsi = at::Data, g.rdi = at::Data + 0x4000;
        Debug d{*g.cpu};
        CHECK(go(g, d, true) == Event::step);
        CHECK(g.rip() == at::Code + 1);
        CHECK(go(g, d, true) == Event::step);
        CHECK(g.rip() == at::Code + 3);
        CHECK(g.cpu->icount() == 5001);
        CHECK(go(g, d, true) == Event::step);
        CHECK(g.rip() == at::Handlers + 16 * 6);   // the handler's first instruction
        CHECK(g.cpu->icount() == 5001);
        CHECK(go(g, d, true) == Event::step);      // it is an HLT
        CHECK(g.s().halted);
        CHECK(go(g, d, true) == Event::none);
    }
}

TEST_CASE("debug: a step at an interrupt ends at the handler") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::protected32, "40 40 40"};
        g.set_flags(eflags::IF | 2);
        g.s().apic_base = 0;   // INTR goes to the processor
        g.cpu->intr().raise();
        Debug d{*g.cpu};
        CHECK(go(g, d, true) == Event::step);
        CHECK(g.rip() == at::Handlers + 16 * 0x20);
        CHECK(g.cpu->icount() == 0);
        const auto log = d.deliveries();
        REQUIRE(log.size() == 1);
        CHECK(log[0].vector == 0x20);
        CHECK(log[0].rip == at::Code);
        CHECK(log[0].kind == Debug::Delivery::Kind::external);
    }
}

TEST_CASE("debug: a breakpoint at a repeated instruction is one") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::protected32, "40 F3 AA EB FC"};   // inc eax; rep stosb; jmp to it
        g.rcx = 300, g.rdi = at::Data;
        Debug d{*g.cpu};
        d.set_breakpoints({at::Code + 1});
        CHECK(go(g, d) == Event::breakpoint);
        CHECK(g.rcx == 300);
        CHECK(go(g, d) == Event::breakpoint);
        CHECK(g.rcx == 0);
        CHECK(g.cpu->icount() == 302);
    }
}

TEST_CASE("debug: real mode breakpoints are linear") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::real, "40 40 40 F4"};
        Debug d{*g.cpu};
        d.set_breakpoints({at::Code + 2});
        CHECK(go(g, d) == Event::breakpoint);
        CHECK(g.s().seg[CS].base + g.rip() == at::Code + 2);
    }
}

TEST_CASE("debug: watchpoints tell reads from writes, and do not stop neighbours") {
    // mov eax, [30000h]; mov [30004h], eax; inc dword [30008h]; mov al, [3000Ch]; push ecx; hlt
    constexpr const char* kCode = "A1 00 00 03 00 A3 04 00 03 00 FF 05 08 00 03 00 A0 0C 00 03 00 51 F4";
    struct Case { u32 first, last; bool read, write; int stop; bool was_read, was_written; };
    constexpr Case kCases[] = {
        {0x30000, 0x30003, true, false, 5, true, false}, {0x30003, 0x30003, true, true, 5, true, false}, {0x30000, 0x30003, false, true, -1, false, false},
        {0x30004, 0x30004, false, true, 10, false, true}, {0x30004, 0x30007, true, false, -1, false, false}, {0x30008, 0x3000b, false, true, 16, true, true},
        {0x30008, 0x3000b, true, false, 16, true, true}, {0x3000d, 0x3ffff, true, true, -1, false, false}, {0x1fffc, 0x1ffff, false, true, 22, false, true}};
    for (Engine e : engines())
        for (const Case& c : kCases)
            for (const int rounds : {0, 30}) {   // cold and translated
                CAPTURE(e);
                CAPTURE(c.first);
                CAPTURE(rounds);
                Guest g{e, Mode::protected32, kCode};
                for (int n = 0; n < rounds; ++n) g.run(6), g.s().x.rip = at::Code, g.s().halted = false, g.rsp = at::Stack;
                Debug d{*g.cpu};
                d.set_watches({{1, 2, true, true}, {c.first, c.last, c.read, c.write}});
                const Event event = go(g, d);
                CHECK(event == (c.stop < 0 ? Event::none : Event::watch));
                CHECK(g.rip() == at::Code + (c.stop < 0 ? 23 : static_cast<u32>(c.stop)));
                if (c.stop < 0) continue;
                CHECK(d.hit().at >= c.first);
                CHECK(d.hit().at <= c.last);
                CHECK(d.hit().write == c.was_written);
                CHECK(go(g, d) == Event::none);
            }
}

TEST_CASE("debug: watchpoints see string instructions, helpers and deliveries") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::protected32, "F3 AA 0F AE 06 40 0F 0B"};   // rep stosb; fxsave [esi]; inc eax; ud2
        g.rcx = 0x3000, g.rdi = at::Data, g.rsi = at::Data + 0x5000;
        g.s().cr4 |= cr4::OSFXSR, g.refresh();
        Debug d{*g.cpu};
        d.set_watches({{at::Data + 0x1800, at::Data + 0x1801, false, true}, {at::Data + 0x5000, at::Data + 0x51ff, false, true}, {at::Stack - 4, at::Stack - 1, false, true}});
        CHECK(go(g, d) == Event::watch);
        CHECK(g.rcx == 0x3000 - 0x1801);
        CHECK(d.hit().at == at::Data + 0x1800);
        CHECK(g.rip() == at::Code);
        CHECK(go(g, d) == Event::watch);
        CHECK(g.rcx == 0x3000 - 0x1802);
        CHECK(go(g, d) == Event::watch);
        CHECK(g.rip() == at::Code + 5);
        CHECK(go(g, d) == Event::watch);   // the flags that the delivery pushes
        CHECK(g.rip() == at::Handlers + 16 * 6);
        CHECK(go(g, d) == Event::none);
    }
}

TEST_CASE("debug: watched pages change nothing for the guest, and stay watched") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::long64, "48 FF 04 25 00 00 03 00 EB F6"};   // inc qword [30000h]; jmp
        g.run(1000);
        Debug d{*g.cpu};
        d.set_watches({{at::Data + 8, at::Data + 15, true, true}});   // its neighbour
        const u64 misses = g.s().mmu->stats().fills;
        CHECK(go(g, d) == Event::none);
        CHECK(g.s().mmu->stats().fills == misses);
        d.set_watches({{at::Data, at::Data, false, true}});
        for (int n = 0; n < 3; ++n) CHECK(go(g, d) == Event::watch);
        d.set_watches({});
        CHECK(go(g, d) == Event::none);
        CHECK(g.get(at::Data, 8) == (g.cpu->icount() + 1) / 2);
    }
}

TEST_CASE("debug: exceptions are held before their delivery, and then delivered") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::user64, "90 88 04 25 00 00 00 05"};   // nop; mov [5000000h], al
        Debug d{*g.cpu};
        d.set_catches({{Event::exception, 14, 14}});
        CHECK(go(g, d) == Event::exception);
        CHECK(g.rip() == at::Code + 1);
        CHECK(g.s().cpl == 3);
        CHECK(g.s().cr2 == 0);
        CHECK(d.hit().at == 14);
        CHECK(d.hit().value == 6);
        CHECK(g.cpu->icount() == 1);
        CHECK(go(g, d) == Event::none);
        CHECK(g.vector() == 14);
        CHECK(g.s().cr2 == 0x5000000);
        CHECK(d.deliveries().back().error == 6);
    }
}

TEST_CASE("debug: events stop before the instruction, once") {
    // in al, 60h; out 64h, ax; int 33h; hlt -- wrmsr; rdmsr; mov cr0, eax; hlt
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::protected32, "40 E4 60 66 E7 64 CD 33 F4"};
        g.rax = 0x1234;
        Debug d{*g.cpu};
        d.set_catches({{Event::port, 0x60, 0x6f}, {Event::software, 0x33, 0x33}});
        CHECK(go(g, d) == Event::port);
        CHECK(g.rip() == at::Code + 1);
        CHECK(d.hit().at == 0x60);
        CHECK(d.hit().read);
        CHECK(g.ports.log.empty());
        CHECK(go(g, d) == Event::port);
        CHECK(g.rip() == at::Code + 3);
        CHECK(d.hit().value == 0x12a0);
        CHECK(d.hit().size == 2);
        CHECK(g.ports.log.size() == 1);
        CHECK(go(g, d) == Event::software);
        CHECK(g.rip() == at::Code + 6);
        CHECK(g.ports.log.size() == 2);
        CHECK(go(g, d) == Event::none);
        CHECK(g.vector() == 0x33);

        Guest h{e, Mode::protected32, "0F 30 0F 32 0F 22 C0 F4"};
        Debug b{*h.cpu};
        h.rcx = 0x277, h.rax = h.rdx = 0x00070406;
        b.set_catches({{Event::msr, 0x277, 0x277}, {Event::control, 0, 0}});
        CHECK(go(h, b) == Event::msr);
        CHECK(h.rip() == at::Code);
        CHECK(b.hit().write);
        CHECK(b.hit().value == 0x0007040600070406);
        CHECK(go(h, b) == Event::msr);
        CHECK(h.rip() == at::Code + 2);
        CHECK(b.hit().read);
        CHECK(go(h, b, true) == Event::step);
        h.rax = h.s().cr0;
        CHECK(go(h, b) == Event::control);
        CHECK(h.rip() == at::Code + 4);
        CHECK(b.hit().value == h.rax);
        CHECK(go(h, b) == Event::none);
    }
}

TEST_CASE("debug: an interrupt stops at its handler") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::protected32, "40 40 40 40"};
        g.set_flags(eflags::IF | 2);
        g.s().apic_base = 0;   // INTR goes to the processor
        Debug d{*g.cpu};
        d.set_catches({{Event::interrupt, 0x20, 0x2f}});
        g.run(2);
        g.cpu->intr().raise();
        CHECK(go(g, d) == Event::interrupt);
        CHECK(d.hit().at == 0x20);
        CHECK(g.rip() == at::Handlers + 16 * 0x20);
        CHECK(go(g, d) == Event::none);
    }
}

TEST_CASE("data breakpoints of helpers' accesses trap behind their instruction") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::protected32, "0F AE 06 40 40 40 F4"};   // fxsave [esi]; inc eax ...
        g.rsi = at::Data;
        g.s().cr4 |= cr4::OSFXSR;
        g.s().dr[0] = at::Data + 0x20, g.s().dr7 = 0x400 | 1 | 1 << 16, g.s().watching = true;
        g.refresh();
        g.run(kMost);
        CHECK(g.vector() == 1);
        CHECK(g.stack(0, 4) == at::Code + 3);
    }
}
