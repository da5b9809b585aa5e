#include "devices/pci/pci_function.h"

#include <doctest/doctest.h>

#include "device_suite.h"

using namespace calque;

namespace {
struct Card final : PciFunction {
    Card() : PciFunction{{.vendor = 0x1234, .device = 0x5678, .class_code = 0x030000, .revision = 2,
                          .subsystem_vendor = 0xaaaa, .subsystem = 0xbbbb, .interrupt_pin = 1}} {
        set_bar(0, {.size = 1 << 20, .prefetchable = true});
        set_bar(1, {.size = 32, .io = true});
        set_bar(6, {.size = 65536});
        config_register(0x40, 2, 0x1111, 0x00f0);
    }
    using PciFunction::set_intx;
    void config_changed(u8 reg, unsigned size) override { last_reg = reg, last_size = size; }
    unsigned last_reg = 0, last_size = 0;
};

struct Windows final : PciWindows {
    void bar_moved(PciFunction&, unsigned bar, bool io, bool enabled, u64 base, u64 size) override {
        last = {bar, io, enabled, base, size};
        ++calls;
    }
    struct { unsigned bar; bool io, enabled; u64 base, size; } last{};
    unsigned calls = 0;
};
}  // namespace

TEST_CASE("PCI function: identity is read-only") {
    Card c;
    CHECK(c.config_read(0, 4) == 0x56781234);
    CHECK(c.config_read(8, 4) == 0x03000002);
    CHECK(c.config_read(0x2c, 4) == 0xbbbbaaaa);
    CHECK(c.config_read(0x3d, 1) == 1);
    for (unsigned r = 0; r < 256; r += 4) c.config_write(static_cast<u8>(r), 0, 4);
    CHECK(c.config_read(0, 4) == 0x56781234);
    c.config_write(0x3c, 0x55, 1);
    CHECK(c.config_read(0x3c, 2) == 0x0155);
    c.config_write(0x40, 0xffff, 2);
    CHECK(c.config_read(0x40, 2) == 0x11f1);
    CHECK(c.last_reg == 0x40);
    CHECK(c.last_size == 2);
}

TEST_CASE("PCI function: BARs are measured, placed and announced") {
    Card c;
    Windows w;
    c.attach(&w, nullptr);
    c.config_write(0x10, ~0u, 4);
    CHECK(c.config_read(0x10, 4) == 0xfff00008);
    c.config_write(0x14, ~0u, 4);
    CHECK(c.config_read(0x14, 4) == 0xffffffe1);
    c.config_write(0x18, ~0u, 4);
    CHECK(c.config_read(0x18, 4) == 0);
    c.config_write(0x30, ~0u, 4);
    CHECK(c.config_read(0x30, 4) == 0xffff0001);
    c.config_write(4, 3, 2);
    CHECK(w.calls == 0);  // all windows still stand at their measuring addresses
    c.config_write(0x10, 0xfd012345, 4);
    CHECK(w.last.bar == 0);
    CHECK(w.last.enabled);
    CHECK(w.last.base == 0xfd000000);
    CHECK(w.last.size == 1 << 20);
    c.config_write(0x14, 0xc047, 4);
    CHECK(w.last.bar == 1);
    CHECK(w.last.io);
    CHECK(w.last.base == 0xc040);
    c.config_write(0x30, 0xfe000001, 4);
    CHECK(w.last.bar == 6);
    CHECK(w.last.base == 0xfe000000);
    c.config_write(0x30, 0xfe000000, 4);
    CHECK_FALSE(w.last.enabled);
    c.config_write(4, 2, 2);  // I/O off
    CHECK(w.last.bar == 1);
    CHECK_FALSE(w.last.enabled);
    const unsigned calls = w.calls;
    c.config_write(4, 2, 2);
    CHECK(w.calls == calls);
    c.reset();
    CHECK(w.last.bar == 0);
    CHECK_FALSE(w.last.enabled);
}

TEST_CASE("PCI function: INTx follows the level, the status bit mirrors it, the disable bit masks the pin") {
    Card c;
    Wire intx;
    c.attach(nullptr, &intx);
    c.set_intx(true);
    CHECK(intx.high());
    CHECK((c.config_read(6, 2) & 8) == 8);
    c.config_write(4, 0x400, 2);
    CHECK(intx.low());
    CHECK((c.config_read(6, 2) & 8) == 8);
    c.config_write(4, 0, 2);
    CHECK(intx.high());
    c.set_intx(false);
    CHECK(intx.low());
    CHECK((c.config_read(6, 2) & 8) == 0);
}

TEST_CASE("PCI function: state") {
    Card a, b;
    Windows w;
    Wire intx;
    b.attach(&w, &intx);
    a.config_write(0x10, 0xe0000000, 4);
    a.config_write(4, 2, 2);
    a.set_intx(true);
    check_save_load(a, b);
    CHECK(w.last.base == 0xe0000000);
    CHECK(intx.high());
    check_damaged_state(b, [&] {
        CHECK(b.config_read(0, 4) == 0x56781234);
        b.config_write(0x10, 0xe0000000, 4);
    });
}
