// Control registers, MSRs, CPUID, SMM, the local APIC, reset. Expected values: SDM vol. 2 to 4, APM vol. 2.
#include "guest.h"
#include "support/state_io.h"

using namespace calque;
using namespace calque::test;

TEST_CASE("state after reset") {
    Guest g{Engine::interp, Mode::protected32, ""};
    g.cpu->reset();
    CHECK(g.s().cr0 == 0x60000010);
    CHECK(g.rip() == 0xfff0);
    CHECK(g.s().seg[CS].base == 0xffff0000);
    CHECK(g.s().seg[CS].selector == 0xf000);
    CHECK(g.flags() == 2);
    CHECK(g.rdx == g.model.signature);
    CHECK(g.s().dr7 == 0x400);
    CHECK(g.s().mxcsr == 0x1f80);
    CHECK(g.s().apic_base == 0xfee00900);
}

TEST_CASE("entering long mode from real mode, and what is refused") {
    for (Engine e : engines()) {
        // mov cr4, ecx; mov ecx, EFER; wrmsr; mov cr0, ebx
        Guest g{e, Mode::protected32, "0F 22 E1 B9 80 00 00 C0 0F 30 0F 22 C3 EA 00 20 01 00 28 00"};
        g.page_tables_64();
        g.s().cr0 &= ~cr0::PG;
        g.refresh();
        g.rcx = cr4::PAE, g.rax = efer::LME, g.rdx = 0, g.rbx = cr0::PG | cr0::PE;
        g.code("48 B8 88 77 66 55 44 33 22 11", 0x12000);
        g.step(4);
        CHECK(g.s().long_active());
        g.step(2);
        CHECK(g.rax == 0x1122334455667788);
        Guest h{e, Mode::protected32, "0F 22 C0"};
        h.rax = cr0::PG;   // without PE
        h.step();
        CHECK(h.vector() == 13);
        Guest k{e, Mode::long64, "0F 22 E0"};
        k.rax = 0;   // clearing PAE in long mode
        k.step();
        CHECK(k.vector() == 13);
        Guest m{e, Mode::user32, "0F 22 C0"};
        m.step();
        CHECK(m.vector() == 13);
    }
}

TEST_CASE("MSRs: unknown ones fault, EFER is checked, the time stamp counter counts instructions") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "0F 32"};
        g.rcx = 0x12345;
        g.step();
        CHECK(g.vector() == 13);
        Guest h{e, Mode::long64, "0F 30"};
        h.rcx = 0xc0000080, h.rax = 1u << 20;
        h.step();
        CHECK(h.vector() == 13);
        Guest t{e, Mode::protected32, "90 0F 31 89 C3 90 90 0F 31"};
        t.step(6);
        CHECK(t.rax - t.rbx == 4);
        Guest d{e, Mode::user32, "0F 31"};
        d.s().cr4 |= cr4::TSD;
        d.step();
        CHECK(d.vector() == 13);
    }
}

TEST_CASE("models and features") {
    CHECK(parse_cpu_model("default"));
    CHECK(!parse_cpu_model("no-such-model"));
    CHECK(!parse_cpu_model("default,+warp"));
    const auto m = parse_cpu_model("pentium3,-sse,+nx");
    REQUIRE(m);
    CHECK(!m->has(Isa::sse));
    CHECK(m->has(Isa::nx));
    Guest g{Engine::interp, Mode::protected32, "0F A2"};
    g.rax = 0;
    g.step();
    CHECK(g.rbx == 0x756e6547);
    const auto l = cpuid(g.s(), 0x15, 0);
    CHECK(l.ecx == 1'000'000'000);
    Guest p{Engine::interp, Mode::protected32, "0F 31", "486"};   // no RDTSC
    p.step();
    CHECK(p.vector() == 6);
}

TEST_CASE("SMI saves the state, RSM brings it back, SMBASE moves") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "48 FF C0 48 FF C0"};
        // In SMM: mov dword [cs:ff00h], 50000h (the new SMBASE); rsm
        g.code("2E 66 C7 06 00 FF 00 00 05 00 0F AA", 0x38000);
        g.rbx = 0x123456789abcdef0;
        g.step();
        g.cpu->smi().pulse();
        g.step();
        CHECK(g.s().smm);
        CHECK(g.smm.high());
        CHECK(g.s().seg[CS].base == 0x30000);
        CHECK(g.get(0x3fefc, 4) == 0x20064);
        CHECK(g.get(0x3ffe0, 8) == g.rbx);
        CHECK(g.get(0x3ff78, 8) == at::Code + 3);
        g.step();
        CHECK(!g.s().smm);
        CHECK(g.smm.low());
        CHECK(g.s().smbase == 0x50000);
        CHECK(g.s().code64());
        g.step();
        CHECK(g.rax == 2);
        Guest r{e, Mode::protected32, "0F AA"};
        r.step();
        CHECK(r.vector() == 6);
    }
}

namespace {
constexpr u32 Apic = 0xfee00000;
void apic_write(Guest& g, u32 reg, u32 v) { g.cpu->apic().mmio_write(reg, v, 4); }
u32 apic_read(Guest& g, u32 reg) { return static_cast<u32>(g.cpu->apic().mmio_read(reg, 4)); }
}  // namespace

TEST_CASE("local APIC: what arrives stands in IRR and TMR") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "90 90 90"};
        apic_write(g, 0xf0, 0x1ff);
        g.cpu->apic_bus().deliver(0, false, ApicDelivery::fixed, 0x41, false);
        g.cpu->apic_bus().deliver(0, false, ApicDelivery::fixed, 0x51, true);
        CHECK(apic_read(g, 0x220) == (1u << 1 | 1u << 17));   // IRR 40h..5Fh
        CHECK(apic_read(g, 0x1a0) == 1u << 17);               // TMR
        apic_write(g, 0x300, 0x40071);                        // self
        CHECK(apic_read(g, 0x230) == 1u << 17);
    }
}

TEST_CASE("local APIC page: reached by loads and stores of guest code") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "8B 83 30 00 00 00 C7 83 80 00 00 00 20 00 00 00 8B 8B 80 00 00 00"};
        g.rbx = Apic;
        g.step(3);
        CHECK(g.rax == 0x50014);
        CHECK(g.rcx == 0x20);
        CHECK(g.memory.device.empty());
    }
}

TEST_CASE("local APIC: vectors are taken by priority against TPR and ISR") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "90 90 90"};
        apic_write(g, 0xf0, 0x1ff);
        apic_write(g, 0x80, 0x50);
        g.set_flags(0x202);
        for (const u8 v : {0x41, 0x51, 0x61}) g.cpu->apic_bus().deliver(0, false, ApicDelivery::fixed, v, false);
        g.step();
        CHECK(g.vector() == 0x61);
        CHECK(apic_read(g, 0x130) == 2);
        CHECK(apic_read(g, 0xa0) == 0x60);
        apic_write(g, 0xb0, 0);
        CHECK(apic_read(g, 0x130) == 0);
        g.set_flags(0x202);
        CHECK(g.run(1) == Cpu::Stop::halted);   // 41h and 51h are not above TPR class 5
        apic_write(g, 0x80, 0x40);
        g.step();
        CHECK(g.vector() == 0x51);
    }
}

TEST_CASE("local APIC: INTR needs LINT0 as ExtINT; the timer fires on the clock") {
    for (Engine e : engines()) {
        Guest g{e, Mode::protected32, "90 90 F4"};
        g.set_flags(0x202);
        g.cpu->intr().raise();
        g.step(2);
        CHECK(g.rip() == at::Code + 2);   // LINT0 is masked after reset
        g.cpu->apic().virtual_wire();
        g.step();
        CHECK(g.vector() == 0x20);

        Guest t{e, Mode::protected32, "90 90 F4"};
        t.set_flags(0x202);
        apic_write(t, 0xf0, 0x1ff);
        apic_write(t, 0x3e0, 0xb);       // divide by 1
        apic_write(t, 0x320, 0x20070);   // periodic, vector 70h
        apic_write(t, 0x380, 1000);
        CHECK(t.clock.next_deadline() == 1000);
        t.clock.advance_to(300);
        CHECK(apic_read(t, 0x390) == 700);
        t.clock.advance_to(1000);
        CHECK(t.clock.next_deadline() == 2000);
        t.step();
        CHECK(t.vector() == 0x70);
        apic_write(t, 0x320, 0x40071);   // TSC deadline
        t.cpu->apic().set_tsc_deadline(5000);
        CHECK(t.clock.next_deadline() == 5000 - t.s().tsc_offset);
    }
}

TEST_CASE("x2APIC: modes and registers by MSR") {
    Guest g{Engine::interp, Mode::protected32, ""};
    LocalApic& a = g.cpu->apic();
    u64 v;
    CHECK(!a.read_msr(0x802, v));
    CHECK(!a.write_base(0xfee00500));        // EXTD without EN
    CHECK(a.write_base(0xfee00d00));
    CHECK(!a.write_base(0xfee00900));        // back needs a detour by disabled
    CHECK(a.read_msr(0x803, v));
    CHECK(v == 0x50014);
    CHECK(a.read_msr(0x80d, v));
    CHECK(v == 1);
    CHECK(!a.write_msr(0x80b, 1));
    CHECK(a.write_msr(0x80f, 0x1ff));
    CHECK(a.write_msr(0x83f, 0x44));
    CHECK(a.has_vector());
}

TEST_CASE("saved state is the same after loading") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "48 FF C0 90 90"};
        g.step(2);
        auto save = StateIO::saver();
        g.cpu->save_state(save);
        Guest h{e, Mode::real, ""};
        auto load = StateIO::loader(save.bytes());
        h.cpu->save_state(load);
        CHECK(load.ok());
        auto again = StateIO::saver();
        h.cpu->save_state(again);
        CHECK(again.bytes() == save.bytes());
        CHECK(h.rip() == at::Code + 4);
        CHECK(h.s().code64());
        // Damaged state is survived.
        auto bytes = save.bytes();
        for (size_t i = 4; i < bytes.size(); i += 3) bytes[i] ^= 0xff;
        auto bad = StateIO::loader(bytes);
        h.cpu->save_state(bad);
        h.run(100);
    }
}

TEST_CASE("MOV from CR8 and DR access") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "44 0F 22 C0 44 0F 20 C3"};
        g.rax = 5;
        g.step(2);
        CHECK(g.rbx == 5);
        CHECK(apic_read(g, 0x80) == 0x50);
        Guest d{e, Mode::protected32, "0F 23 F8 0F 21 FB 0F 21 E1"};
        d.rax = 0x2001;   // general detect
        d.step(2);
        CHECK(d.vector() == 1);
        CHECK((d.s().dr6 & 0x2000) != 0);
        CHECK((d.s().dr7 & 0x2000) == 0);
    }
}

TEST_CASE("FSGSBASE, SWAPGS, XSETBV") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "F3 48 0F AE D0 F3 48 0F AE C3 0F 01 F8 F3 48 0F AE C9"};   // wrfsbase rax; rdfsbase rbx; swapgs; rdgsbase rcx
        g.s().cr4 |= cr4::FSGSBASE;
        g.rax = 0x7fff12345678, g.s().kernel_gs_base = 0xffff888812345678;
        g.step(4);
        CHECK(g.rbx == 0x7fff12345678);
        CHECK(g.rcx == 0xffff888812345678);
        Guest h{e, Mode::long64, "F3 48 0F AE D0"};
        h.step();
        CHECK(h.vector() == 6);
    }
}

TEST_CASE("arithmetic helpers") {
    for (Engine e : engines()) {
        Guest g{e, Mode::long64, "48 F7 F3"};
        g.rdx = 1, g.rax = 0, g.rbx = 3;
        g.step();
        CHECK(g.rax == 0x5555555555555555);
        CHECK(g.rdx == 1);
        Guest h{e, Mode::long64, "48 F7 FB"};
        h.rdx = ~u64{0}, h.rax = u64{1} << 63, h.rbx = ~u64{0};   // -2^63 / -1
        h.step();
        CHECK(h.vector() == 0);
        Guest c{e, Mode::long64, "48 0F C7 0E"};
        c.rsi = 0x31000, c.put(0x31000, 5, 8), c.put(0x31008, 6, 8);
        c.rax = 5, c.rdx = 6, c.rbx = 7, c.rcx = 8;
        c.step();
        CHECK(c.get(0x31008, 8) == 8);
        CHECK((c.flags() & eflags::ZF) != 0);
        Guest n{e, Mode::protected32, "C8 10 00 02"};
        n.rbp = 0x31000, n.put(0x30ffc, 0xabc, 4);
        n.step();
        CHECK(n.rbp == at::Stack - 4);
        CHECK(n.rsp == at::Stack - 12 - 16);
        CHECK(n.get(at::Stack - 8, 4) == 0xabc);
        CHECK(n.get(at::Stack - 12, 4) == at::Stack - 4);
    }
}
