// The host bridge, the ISA bridge and configuration mechanism 1.
#include <map>

#include "device_suite.h"
#include "devices/pci/i440fx.h"
#include "devices/pci/pci_host.h"
#include "devices/pci/piix3.h"

using namespace calque;

namespace {
struct Memory final : I440fxMemory {
    void pam_changed(u32 base, u32 size, bool r, bool w) override { pam[base] = {size, r, w}; }
    void smram_changed(bool enabled, bool open, bool closed) override { smram = {enabled, open, closed}; }
    std::map<u32, std::array<u32, 3>> pam;
    std::array<bool, 3> smram{};
};
struct NoWindows final : PciWindows {
    void bar_moved(PciFunction&, unsigned, bool, bool, u64, u64) override {}
};
struct Counter final : EdgeLine {
    void trigger() override { ++count; }
    unsigned count = 0;
};
struct Bridge {
    std::array<Wire, 16> irq;
    std::array<Wire, 4> apic;
    Counter hard, soft;
    Piix3 chip{pins()};
    Piix3::Pins pins() {
        Piix3::Pins p{{}, {}, hard, soft};
        for (unsigned i = 0; i < 16; ++i) p.irq[i] = &irq[i];
        for (unsigned i = 0; i < 4; ++i) p.apic_pirq[i] = &apic[i];
        return p;
    }
};
struct Card final : PciFunction {
    explicit Card(u8 pin) : PciFunction{{.vendor = 0x1234, .device = 1, .class_code = 0x020000, .interrupt_pin = pin}} {}
    using PciFunction::set_intx;
};
}  // namespace

TEST_CASE("i440FX: shadow RAM registers") {
    Memory m;
    I440fx c{m, 512 * kMiB};
    c.reset();
    CHECK(c.config_read(0, 4) == 0x12378086);
    CHECK(m.pam.size() == 13);
    c.config_write(0x59, 0x30, 1);
    CHECK(m.pam[0xf0000] == std::array<u32, 3>{0x10000, 1, 1});
    c.config_write(0x5a, 0x2110, 2);
    CHECK(m.pam[0xc0000] == std::array<u32, 3>{0x4000, 0, 0});
    CHECK(m.pam[0xc4000] == std::array<u32, 3>{0x4000, 1, 0});
    CHECK(m.pam[0xc8000] == std::array<u32, 3>{0x4000, 1, 0});
    CHECK(m.pam[0xcc000] == std::array<u32, 3>{0x4000, 0, 1});
    c.config_write(0x5f, 0x03, 1);
    CHECK(m.pam[0xe8000] == std::array<u32, 3>{0x4000, 1, 1});
    CHECK(c.config_read(0x60, 1) == 16);
    CHECK(c.config_read(0x63, 1) == 64);
    CHECK(c.config_read(0x67, 1) == 64);
    c.reset();
    CHECK(m.pam[0xf0000] == std::array<u32, 3>{0x10000, 0, 0});
}

TEST_CASE("i440FX: SMRAM opens, closes and locks") {
    Memory m;
    I440fx c{m, 64 * kMiB};
    c.reset();
    CHECK(c.config_read(0x72, 1) == 0x02);
    c.config_write(0x72, 0x4a, 1);
    CHECK(m.smram == std::array{true, true, false});
    c.config_write(0x72, 0x0a, 1);
    CHECK(m.smram == std::array{true, false, false});
    c.config_write(0x72, 0x7a, 1);
    CHECK(c.config_read(0x72, 1) == 0x3a);
    CHECK(m.smram == std::array{true, false, true});
    c.config_write(0x72, 0x4a, 1);
    CHECK(c.config_read(0x72, 1) == 0x3a);
    Memory n;
    I440fx d{n, 64 * kMiB};
    check_save_load(c, d);
    CHECK(n.smram == m.smram);
    d.config_write(0x72, 0x4a, 1);
    CHECK(d.config_read(0x72, 1) == 0x3a);
    c.reset();
    CHECK(c.config_read(0x72, 1) == 0x02);
    check_damaged_state(d, [&] { d.config_write(0x59, 0xff, 1); });
}

TEST_CASE("PIIX3: PIRQ routing is wired-OR with ISA interrupts") {
    Bridge b;
    b.chip.reset();
    CHECK(b.chip.config_read(0x60, 4) == 0x80808080);
    b.chip.pirq(0).raise();
    CHECK(b.apic[0].high());
    for (auto& w : b.irq) CHECK(w.low());
    b.chip.config_write(0x60, 0x0b, 1);
    CHECK(b.irq[11].high());
    b.chip.config_write(0x61, 0x0b, 1);
    b.chip.pirq(1).raise(), b.chip.pirq(0).lower();
    CHECK(b.irq[11].high());
    b.chip.isa_irq(11).raise(), b.chip.pirq(1).lower();
    CHECK(b.irq[11].high());
    b.chip.isa_irq(11).lower();
    CHECK(b.irq[11].low());
    b.chip.pirq(0).raise();
    b.chip.config_write(0x60, 0x0a, 1);
    CHECK(b.irq[11].low());
    CHECK(b.irq[10].high());
    b.chip.config_write(0x60, 0x01, 1);
    CHECK(b.irq[1].low());
    b.chip.config_write(0x60, 0x0a, 1);
    Bridge c;
    check_save_load(b.chip, c.chip);
    CHECK(c.irq[10].high());
    CHECK(c.apic[0].high());
    check_damaged_state(c.chip, [&] { c.chip.pirq(0).raise(), c.chip.pirq(0).lower(); });
}

TEST_CASE("PIIX3: CF9 resets on the rising edge of RCPU") {
    Bridge b;
    PortDevice& cf9 = b.chip.reset_control();
    cf9.io_write(0, 2, 1);
    CHECK(b.hard.count == 0);
    cf9.io_write(0, 6, 1), cf9.io_write(0, 6, 1);
    CHECK(b.hard.count == 1);
    CHECK(cf9.io_read(0, 1) == 6);
    cf9.io_write(0, 0, 1), cf9.io_write(0, 4, 1);
    CHECK(b.soft.count == 1);
}

TEST_CASE("PCI host: configuration mechanism 1") {
    NoWindows none;
    Bridge b;
    PciHost host{none, {&b.chip.pirq(0), &b.chip.pirq(1), &b.chip.pirq(2), &b.chip.pirq(3)}};
    Card card{1};
    host.attach(1, 0, b.chip);
    host.attach(3, 0, card);
    host.set_reset_control(b.chip.reset_control());
    const auto select = [&](u32 v) { host.io_write(0, v, 4); };
    select(0x80000800);
    CHECK(host.io_read(4, 4) == 0x70008086);
    CHECK(host.io_read(6, 2) == 0x7000);
    CHECK(host.io_read(5, 1) == 0x80);
    CHECK((host.io_read(6, 4) & 0xffff) == 0x7000);
    select(0x80000804);
    CHECK(host.io_read(4, 2) == 7);
    select(0x00000800);
    CHECK(host.io_read(4, 4) == ~0u);
    select(0x80010800);
    CHECK(host.io_read(4, 4) == ~0u);
    select(0x80000900);
    CHECK(host.io_read(4, 4) == ~0u);
    select(0x8000183c);
    host.io_write(4, 0x0b, 1);
    CHECK(host.io_read(4, 4) == 0x010b);
    CHECK(host.io_read(0, 4) == 0x8000183c);
    host.io_write(1, 2, 1), host.io_write(1, 6, 1);
    CHECK(b.hard.count == 1);
    CHECK(host.io_read(1, 1) == 6);
    CHECK(host.io_read(0, 4) == 0x8000183c);
    PciHost other{none, {&nc(), &nc(), &nc(), &nc()}};
    check_save_load(host, other);
}

TEST_CASE("PCI host: INTA# of device d goes to PIRQ d-1, shared lines are wired-OR") {
    NoWindows none;
    std::array<Wire, 4> p;
    PciHost host{none, {&p[0], &p[1], &p[2], &p[3]}};
    Card a{1}, b{1}, c{4};
    host.attach(3, 0, a), host.attach(7, 0, b), host.attach(3, 1, c);
    a.set_intx(true), b.set_intx(true);
    CHECK(p[2].high());
    a.set_intx(false);
    CHECK(p[2].high());
    b.set_intx(false);
    CHECK(p[2].low());
    c.set_intx(true);
    CHECK(p[1].high());
}
