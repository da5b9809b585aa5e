#include "devices/timer/piix4_pm.h"

#include "device_suite.h"

using namespace calque;

namespace {
struct Counter final : EdgeLine {
    void trigger() override { ++count; }
    unsigned count = 0;
};
struct Windows final : PciWindows {
    void bar_moved(PciFunction&, unsigned bar, bool, bool enabled, u64 base, u64) override { at[bar] = enabled ? base : 0; }
    std::array<u64, 9> at{};
};
struct Rig {
    Clock clock;
    Wire sci;
    Counter smi, off;
    Windows windows;
    Piix4Pm pm{clock, {sci, smi, off}};
    Rig() {
        pm.attach(&windows, nullptr);
        pm.reset();
        pm.config_write(0x40, 0xb001, 4);
        pm.config_write(0x80, 1, 1);
    }
    u64 get(unsigned reg, unsigned size = 2) { return pm.bar_read(7, reg, size); }
    void set(unsigned reg, u64 v, unsigned size = 2) { pm.bar_write(7, reg, v, size); }
};
}  // namespace

TEST_CASE("PIIX4 PM: identity and windows") {
    Rig r;
    CHECK(r.pm.config_read(0, 4) == 0x71138086);
    CHECK(r.windows.at[7] == 0xb000);
    r.pm.config_write(0x90, 0xb101, 4), r.pm.config_write(0xd2, 9, 1);
    CHECK(r.windows.at[8] == 0);
    r.pm.config_write(4, 1, 2);
    CHECK(r.windows.at[8] == 0xb100);
    r.pm.config_write(0x80, 0, 1);
    CHECK(r.windows.at[7] == 0);
    r.pm.config_write(0x40, 0xffffffff, 4);
    CHECK(r.pm.config_read(0x40, 4) == 0xffc1);
}

TEST_CASE("PIIX4 PM: timer counts 3.579545 MHz in 24 bits and interrupts on bit 23") {
    Rig r;
    r.clock.advance(kSecond);
    CHECK(r.get(8, 4) == 3579545);
    r.set(4, 1), r.set(2, 1);
    r.clock.advance(kSecond);
    CHECK(r.sci.low());
    CHECK(r.get(0) == 0);
    r.clock.advance(kSecond);
    CHECK(r.sci.high());
    CHECK(r.get(0) == 1);
    r.set(0, 1);
    CHECK(r.sci.low());
    r.clock.advance(2 * kSecond);
    CHECK(r.get(8, 4) == 5 * 3579545 - 0x1000000);
    CHECK(r.sci.high());
    r.set(2, 0);
    r.set(0, 1);
    CHECK(r.clock.next_deadline() == kNever);
    r.clock.advance(3 * kSecond);
    CHECK(r.get(0) == 1);  // the status rises without being enabled
}

TEST_CASE("PIIX4 PM: power button and soft off") {
    Rig r;
    CHECK_FALSE(r.pm.press_power_button());
    r.set(0, 0x100);
    r.set(4, 1), r.set(2, 0x120);
    CHECK(r.pm.press_power_button());
    CHECK(r.sci.high());
    CHECK(r.get(0) == 0x100);
    r.set(0, 0x100);
    CHECK(r.sci.low());
    r.set(4, 0x2001 | 1 << 10);
    CHECK(r.off.count == 0);
    CHECK(r.get(0) == 0x8000);
    CHECK(r.get(4) == 0x0401);  // SUS_EN reads zero
    r.set(4, 0x2001);
    CHECK(r.off.count == 1);
}

TEST_CASE("PIIX4 PM: general purpose events") {
    Rig r;
    r.set(4, 1);
    r.pm.raise_gpe(2);
    CHECK(r.sci.low());
    r.set(0x0e, 0x0004);
    CHECK(r.sci.high());
    r.set(0x0c, 0xffff);
    CHECK(r.sci.low());
}

TEST_CASE("PIIX4 PM: APMC raises SMI only when enabled, and switches ACPI on") {
    Rig r;
    PortDevice& apm = r.pm.apm();
    r.pm.set_acpi_commands(0xf1, 0xf0);
    apm.io_write(0, 0x12, 1), apm.io_write(1, 0x34, 1);
    CHECK(apm.io_read(0, 2) == 0x3412);
    CHECK(r.smi.count == 0);
    r.pm.config_write(0x58, 1u << 25, 4);
    apm.io_write(0, 0, 1);
    CHECK(r.smi.count == 0);
    r.set(0x28, 1, 4);
    apm.io_write(0, 0xf1, 1);
    CHECK(r.smi.count == 1);
    CHECK(r.get(0x18) == 0x20);
    CHECK(r.get(4) == 1);
    apm.io_write(0, 0xf0, 1);
    CHECK(r.get(4) == 0);
}

TEST_CASE("PIIX4 PM: SMBus without devices") {
    Rig r;
    r.pm.bar_write(8, 4, 0xa1, 1);
    r.pm.bar_write(8, 2, 0x48, 1);
    CHECK(r.pm.bar_read(8, 0, 1) == 4);
    CHECK(r.pm.bar_read(8, 2, 1) == 8);
    r.pm.bar_write(8, 0, 0x1e, 1);
    CHECK(r.pm.bar_read(8, 0, 1) == 0);
    for (unsigned i = 0; i < 100; ++i) r.pm.bar_write(8, 7, i, 1);
}

TEST_CASE("PIIX4 PM: state") {
    Rig a, b;
    a.set(4, 1), a.set(2, 0x101), a.pm.press_power_button(), a.set(0x28, 1, 4), a.pm.config_write(0x40, 0xc001, 4);
    a.clock.advance(5 * kSecond), b.clock.advance(5 * kSecond);
    check_save_load(a.pm, b.pm);
    CHECK(b.sci.high());
    CHECK(b.windows.at[7] == 0xc000);
    check_damaged_state(b.pm, [&] { b.clock.advance(kSecond), b.get(0), b.set(0, 0xffff), b.pm.bar_read(8, 7, 4); });
}
