#include "devices/timer/mc146818.h"

#include "device_suite.h"

using namespace calque;

namespace {
constexpr i64 kEpoch = 951782399;  // Monday 2000-02-28 23:59:59
struct Rig {
    Clock clock;
    Wire irq;
    Mc146818 rtc{clock, irq, kEpoch};
    u8 get(u8 i) { return rtc.write(0, i), rtc.read(1); }
    void set(u8 i, u8 v) { rtc.write(0, i), rtc.write(1, v); }
    std::string date() {
        char s[40];
        std::snprintf(s, sizeof s, "%02x%02x-%02x-%02x %02x:%02x:%02x %x", get(0x32), get(9), get(8), get(7), get(4), get(2), get(0), get(6));
        return s;
    }
};
}  // namespace

TEST_CASE("RTC: shows the epoch and counts over leap days and centuries") {
    Rig r;
    CHECK(r.date() == "2000-02-28 23:59:59 2");
    r.clock.advance(kSecond);
    CHECK(r.date() == "2000-02-29 00:00:00 3");
    r.clock.advance(kSecond * 86400);
    CHECK(r.date() == "2000-03-01 00:00:00 4");
    CHECK(r.get(0x0d) == 0x80);
    r.set(0x0b, 0x82);
    for (auto [i, v] : {std::pair{0x32, 0x19}, {9, 0x99}, {8, 0x12}, {7, 0x31}, {4, 0x23}, {2, 0x59}, {0, 0x58}, {6, 6}})
        r.set(static_cast<u8>(i), static_cast<u8>(v));
    r.clock.advance(5 * kSecond);
    CHECK(r.date() == "1999-12-31 23:59:58 6");
    r.set(0x0b, 0x02);
    r.clock.advance(2 * kSecond);
    CHECK(r.date() == "2000-01-01 00:00:00 7");
}

TEST_CASE("RTC: binary and 12-hour forms") {
    Rig r;
    r.set(0x0b, 0x86);
    r.set(9, 99), r.set(8, 12), r.set(7, 31), r.set(4, 23), r.set(2, 59), r.set(0, 59);
    r.set(0x0b, 0x06);
    r.clock.advance(kSecond);
    CHECK(r.get(9) == 0);
    CHECK(r.get(0x32) == 0x21);
    CHECK(r.get(4) == 0);
    r.set(0x0b, 0x80);  // BCD, 12 hours
    r.set(4, 0x11), r.set(2, 0x59), r.set(0, 0x59);
    r.set(0x0b, 0x00);
    r.clock.advance(kSecond);
    CHECK(r.get(4) == 0x92);  // 12 pm
    r.clock.advance(3600 * kSecond);
    CHECK(r.get(4) == 0x81);
    r.clock.advance(11 * 3600 * kSecond);
    CHECK(r.get(4) == 0x12);  // 12 am
}

TEST_CASE("RTC: update in progress precedes the update") {
    Rig r;
    CHECK(r.get(10) == 0x26);
    r.clock.advance(kSecond - 2'229'000);
    CHECK(r.get(10) == 0x26);
    r.clock.advance(2000);
    CHECK(r.get(10) == 0xa6);
    CHECK(r.get(0) == 0x59);
    r.clock.advance(2'227'000);
    CHECK(r.get(10) == 0x26);
    CHECK(r.get(0) == 0x00);
}

TEST_CASE("RTC: update-ended and alarm interrupts") {
    Rig r;
    r.set(0x0b, 0x12);
    r.clock.advance(kSecond);
    CHECK(r.irq.high());
    CHECK(r.get(12) == 0xf0);  // also periodic, and the alarm of 00:00:00; flags rise without being enabled
    CHECK(r.irq.low());
    CHECK(r.get(12) == 0);
    r.set(5, 0xff), r.set(3, 0x01), r.set(1, 0x30);
    r.set(0x0b, 0x22);
    r.clock.advance(89 * kSecond);
    CHECK(r.irq.low());
    r.clock.advance(kSecond);
    CHECK(r.irq.high());
    CHECK(r.get(12) == 0xf0);
    r.set(0x0b, 0x02);
    r.clock.advance(3600 * kSecond);
    CHECK(r.irq.low());
    CHECK(r.get(12) == 0x70);
    CHECK(r.clock.next_deadline() == kNever);
}

TEST_CASE("RTC: periodic interrupt at 1024 Hz, and none lost at its own rate") {
    Rig r;
    r.set(0x0b, 0x42);
    unsigned count = 0;
    for (unsigned i = 0; i < 10000; ++i) {
        r.clock.advance(100'000);
        if (r.irq.high()) {
            CHECK((r.get(12) & 0x40) == 0x40);
            ++count;
        }
    }
    CHECK(count == 1024);
    r.set(10, 0x20);
    r.clock.advance(kSecond);
    CHECK(r.irq.low());
    r.set(10, 0x2f);  // 2 Hz
    const unsigned before = r.irq.rising_edges();
    r.clock.advance(kSecond / 2 + 1);
    CHECK(r.irq.rising_edges() == before + 1);
}

TEST_CASE("RTC: divider reset stops the clock; release starts half a second before an update") {
    Rig r;
    r.set(10, 0x70);
    r.clock.advance(10 * kSecond);
    CHECK(r.get(0) == 0x59);
    r.set(10, 0x26);
    r.clock.advance(kSecond / 2 - 1);
    CHECK(r.get(0) == 0x59);
    r.clock.advance(1);
    CHECK(r.get(0) == 0x00);
}

TEST_CASE("RTC: RAM survives reset, ports 72h and 73h reach the upper half") {
    Rig r;
    r.rtc.set_cmos(0x10, 0x40), r.rtc.set_cmos(0x90, 0x77);
    r.set(0x0b, 0x72);
    r.rtc.reset();
    CHECK(r.get(0x0b) == 0x02);
    CHECK(r.get(0x10) == 0x40);
    r.rtc.write(2, 0x10);
    CHECK(r.rtc.read(3) == 0x77);
    r.rtc.write(3, 0x78);
    CHECK(r.rtc.cmos(0x90) == 0x78);
    r.rtc.write(0, 0x8f);
    CHECK(r.rtc.nmi_masked());
}

TEST_CASE("RTC: state") {
    Rig a, b;
    a.set(0x0b, 0x72), a.set(0x0a, 0x29);
    a.clock.advance(123'456'789), b.clock.advance(123'456'789);
    check_save_load(a.rtc, b.rtc);
    a.clock.advance(5 * kSecond), b.clock.advance(5 * kSecond);
    CHECK(a.date() == b.date());
    CHECK(saved_state(a.rtc) == saved_state(b.rtc));
    check_damaged_state(b.rtc, [&] { b.clock.advance(kSecond * 3 / 2), b.date(), b.set(0x0a, 0x26); });
}
