#include "devices/irq/ioapic.h"

#include "device_suite.h"

using namespace calque;

namespace {
struct Bus final : ApicBus {
    struct Message {
        u8 dest;
        bool logical;
        ApicDelivery mode;
        u8 vector;
        bool level;
        bool operator==(const Message&) const = default;
    };
    void deliver(u8 dest, bool logical, ApicDelivery mode, u8 vector, bool level) override {
        log.push_back({dest, logical, mode, vector, level});
    }
    std::vector<Message> log;
};

struct Rig {
    Bus bus;
    IoApic chip{bus};
    u32 get(u8 reg) { return chip.mmio_write(0, reg, 4), static_cast<u32>(chip.mmio_read(0x10, 4)); }
    void set(u8 reg, u32 v) { chip.mmio_write(0, reg, 4), chip.mmio_write(0x10, v, 4); }
    void entry(u8 n, u64 v) { set(static_cast<u8>(0x11 + 2 * n), static_cast<u32>(v >> 32)), set(static_cast<u8>(0x10 + 2 * n), static_cast<u32>(v)); }
};
}  // namespace

TEST_CASE("I/O APIC: identification and reset values") {
    Rig r;
    CHECK(r.get(1) == 0x00170011);
    CHECK(r.get(0) == 0);
    r.set(0, 0xff000000);
    CHECK(r.get(0) == 0x0f000000);
    CHECK(r.get(2) == 0x0f000000);
    for (u8 n = 0; n < 24; ++n) CHECK(r.get(static_cast<u8>(0x10 + 2 * n)) == 0x10000);
    CHECK(r.get(0x40) == 0);
    r.set(0x3f, 0xffffffff), r.set(0x3e, 0xffffffff);
    CHECK(r.get(0x3f) == 0xff000000);
    CHECK(r.get(0x3e) == 0x1afff);
}

TEST_CASE("I/O APIC: an edge is delivered once, and lost while masked") {
    Rig r;
    r.chip.pin(4).raise();
    r.entry(4, 0x0200000000000830);
    CHECK(r.bus.log.empty());
    r.chip.pin(4).lower(), r.chip.pin(4).raise(), r.chip.pin(4).raise();
    REQUIRE(r.bus.log.size() == 1);
    CHECK(r.bus.log[0] == Bus::Message{2, true, ApicDelivery::fixed, 0x30, false});
}

TEST_CASE("I/O APIC: a level is delivered, held by remote IRR, and delivered again after EOI") {
    Rig r;
    r.entry(16, 0x8141);
    r.chip.pin(16).raise();
    REQUIRE(r.bus.log.size() == 1);
    CHECK(r.bus.log[0] == Bus::Message{0, false, ApicDelivery::lowest_priority, 0x41, true});
    CHECK(r.get(0x30) == 0xc141);
    r.chip.pin(16).lower(), r.chip.pin(16).raise();
    CHECK(r.bus.log.size() == 1);
    r.chip.eoi(0x40);
    CHECK(r.bus.log.size() == 1);
    r.chip.eoi(0x41);
    CHECK(r.bus.log.size() == 2);
    r.chip.pin(16).lower();
    r.chip.eoi(0x41);
    CHECK(r.bus.log.size() == 2);
    CHECK(r.get(0x30) == 0x8141);
}

TEST_CASE("I/O APIC: a level that is unmasked late is delivered then; edge mode clears remote IRR") {
    Rig r;
    r.chip.pin(9).raise();
    r.entry(9, 0x18050);
    CHECK(r.bus.log.empty());
    r.entry(9, 0x8050);
    CHECK(r.bus.log.size() == 1);
    r.entry(9, 0x10050);
    CHECK(r.get(0x22) == 0x10050);
    r.entry(9, 0x8050);
    CHECK(r.bus.log.size() == 2);
}

TEST_CASE("I/O APIC: state") {
    Rig a, b;
    a.entry(16, 0x8141), a.chip.pin(16).raise(), a.set(0, 0x02000000);
    check_save_load(a.chip, b.chip);
    CHECK(b.get(0x30) == 0xc141);
    b.chip.eoi(0x41);
    CHECK(b.bus.log.size() == 1);
    check_damaged_state(b.chip, [&] { b.chip.pin(23).raise(), b.chip.eoi(0x41), b.chip.mmio_read(0x10, 4); });
}
