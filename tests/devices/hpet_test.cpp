#include "devices/timer/hpet.h"

#include "device_suite.h"

using namespace calque;

namespace {
struct Rig {
    Clock clock;
    Wire irq0, irq8;
    std::array<Wire, 24> pins;
    Hpet hpet{clock, make_pins()};
    Hpet::Pins make_pins() {
        Hpet::Pins p{irq0, irq8, {}};
        for (unsigned i = 0; i < 24; ++i) p.ioapic[i] = &pins[i];
        return p;
    }
    u64 get(u64 reg) { return hpet.mmio_read(reg, 8); }
    void set(u64 reg, u64 v) { hpet.mmio_write(reg, v, 8); }
    void set32(u64 reg, u64 v) { hpet.mmio_write(reg, v, 4); }
};
}  // namespace

TEST_CASE("HPET: capabilities and counter") {
    Rig r;
    CHECK(r.hpet.mmio_read(4, 4) == 10'000'000);
    CHECK(r.hpet.mmio_read(0, 4) == 0x8086a201);
    r.clock.advance(1000);
    CHECK(r.get(0xf0) == 0);
    r.set(0xf0, 0x1'0000'0000);
    r.set32(0x10, 1);
    r.clock.advance(12345);
    CHECK(r.get(0xf0) == 0x1'0000'0000 + 1234);
    CHECK(r.hpet.mmio_read(0xf4, 4) == 1);
    r.set32(0x10, 0);
    r.clock.advance(1000);
    CHECK(r.hpet.mmio_read(0xf0, 4) == 1234);
    CHECK((r.get(0x100) & 0xff) == 0x30);
}

TEST_CASE("HPET: one-shot edge interrupt") {
    Rig r;
    r.set32(0x140, 1 << 2 | 21 << 9);
    r.set(0x148, 100);
    r.set32(0x10, 1);
    r.clock.advance(999);
    CHECK(r.pins[21].low());
    r.clock.advance(1);
    CHECK(r.pins[21].high());
    CHECK(r.get(0x20) == 0);
    r.set(0x148, r.get(0xf0) + 10);
    r.clock.advance(1'000'000);
    CHECK(r.pins[21].rising_edges() == 2);
    CHECK(r.clock.next_deadline() == kNever);
}

TEST_CASE("HPET: only offered routes are taken up") {
    Rig r;
    CHECK(r.hpet.mmio_read(0x104, 4) == 0x00f00000);
    r.set32(0x100, 23 << 9);
    CHECK((r.get(0x100) >> 9 & 31) == 23);
    r.set32(0x100, 5 << 9);
    CHECK((r.get(0x100) >> 9 & 31) == 23);
}

TEST_CASE("HPET: level interrupt holds until its status is cleared") {
    Rig r;
    r.set32(0x140, 1 << 1 | 1 << 2 | 20 << 9);
    r.set(0x148, 100);
    r.set32(0x10, 1);
    r.clock.advance(1000);
    CHECK(r.pins[20].high());
    CHECK(r.get(0x20) == 4);
    r.set32(0x20, 3);
    CHECK(r.pins[20].high());
    r.set32(0x20, 4);
    CHECK(r.pins[20].low());
}

TEST_CASE("HPET: periodic with accumulator set, as operating systems do it") {
    Rig r;
    r.set32(0x10, 3);  // legacy replacement
    r.set32(0x100, 1 << 2 | 1 << 3 | 1 << 6 | 1 << 8);
    r.set32(0x108, 500);
    r.set32(0x108, 1000);
    r.clock.advance(5000);
    CHECK(r.irq0.rising_edges() == 1);
    r.clock.advance(9999);
    CHECK(r.irq0.rising_edges() == 1);
    r.clock.advance(1);
    CHECK(r.irq0.rising_edges() == 2);
    CHECK(r.get(0x108) == 2500);
    r.clock.advance(kSecond);
    CHECK(r.irq0.rising_edges() == 2 + 100'000);
}

TEST_CASE("HPET: legacy replacement cuts off 8254 and RTC") {
    Rig r;
    r.hpet.pit_in().raise();
    CHECK(r.irq0.high());
    r.set32(0x10, 2);
    CHECK(r.irq0.low());
    r.hpet.rtc_in().raise();
    CHECK(r.irq8.low());
    r.set32(0x10, 0);
    CHECK(r.irq0.high());
    CHECK(r.irq8.high());
}

TEST_CASE("HPET: 32-bit one-shot matches again after the wrap; absurd periods do not hang") {
    Rig r;
    r.set32(0x140, 1 << 2 | 1 << 8 | 21 << 9);
    r.set(0x148, 100);
    r.set32(0x10, 1);
    r.clock.advance(43 * kSecond);
    CHECK(r.pins[21].rising_edges() == 2);
    r.set32(0x140, 1 << 2 | 1 << 3 | 1 << 6 | 21 << 9);
    r.set(0x148, 1);
    r.clock.advance(1'000'000);
    CHECK(r.pins[21].rising_edges() <= 1003);
    r.set32(0x140, 1 << 2 | 1 << 3 | 1 << 6 | 31 << 9);
    r.set(0x148, 0);
    r.clock.advance(1'000'000);
}

TEST_CASE("HPET: a match that nobody noticed stays in the past when its state is loaded") {
    Rig a, b;
    a.set(0x148, 100), a.set32(0x10, 1);
    a.clock.advance(5000), b.clock.advance(5000);
    check_save_load(a.hpet, b.hpet);
    for (Rig* r : {&a, &b}) {
        r->set32(0x140, 1 << 2 | 21 << 9);
        r->clock.advance(5000);
        CHECK(r->pins[21].low());
    }
}

TEST_CASE("HPET: state") {
    Rig a, b;
    a.set32(0x10, 3), a.set32(0x100, 0x4c), a.set(0x108, 777), a.set32(0x140, 6 | 22 << 9), a.set(0x148, 10);
    a.clock.advance(12345), b.clock.advance(12345);
    check_save_load(a.hpet, b.hpet);
    CHECK(b.pins[22].high());
    const unsigned edges = a.irq0.rising_edges();
    load_state(a.hpet, saved_state(a.hpet));
    CHECK(a.irq0.rising_edges() == edges);  // loading makes no interrupt
    const unsigned x = a.irq0.rising_edges(), y = b.irq0.rising_edges();
    a.clock.advance(99999), b.clock.advance(99999);
    CHECK(a.irq0.rising_edges() - x == b.irq0.rising_edges() - y);
    check_damaged_state(b.hpet, [&] { b.clock.advance(1000), b.get(0xf0), b.set32(0x20, 7); });
}
