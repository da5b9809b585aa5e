#include "devices/timer/i8254.h"

#include "device_suite.h"

using namespace calque;

namespace {
struct Rig {
    Clock clock;
    Wire out0;
    I8254 pit{clock, out0};
    u64 tick = 0;
    Rig() { pit.gate(2).lower(), pit.gate(2).raise(); }
    void ticks(u64 n) {
        tick += n;
        clock.advance_to((tick * kSecond + I8254::kHz - 1) / I8254::kHz);
    }
    void program(unsigned n, unsigned mode, unsigned count, bool bcd = false) {
        pit.write(3, static_cast<u8>(n << 6 | 0x30 | mode << 1 | bcd));
        pit.write(static_cast<u16>(n), static_cast<u8>(count)), pit.write(static_cast<u16>(n), static_cast<u8>(count >> 8));
    }
    unsigned read(unsigned n) {
        pit.write(3, static_cast<u8>(n << 6));
        const unsigned low = pit.read(static_cast<u16>(n));
        return low | pit.read(static_cast<u16>(n)) << 8;
    }
    std::string wave(unsigned n, unsigned length) {
        std::string s;
        for (unsigned i = 0; i < length; ++i) {
            s += pit.out(n) ? 'H' : 'l';
            if (n == 0) CHECK(out0.high() == pit.out(0));
            ticks(1);
        }
        return s;
    }
};
}  // namespace

TEST_CASE("8254 mode 0: OUT rises N+1 clocks after the count is written") {
    Rig r;
    r.program(0, 0, 4);
    CHECK(r.wave(0, 8) == "lllllHHH");
    CHECK(r.read(0) == 0xfffd);  // it counts on
    r.pit.write(0, 3);           // the first byte stops it, OUT falls
    CHECK(r.out0.low());
    const unsigned frozen = r.read(0);
    r.ticks(10);
    CHECK(r.read(0) == frozen);
    r.pit.write(0, 0);
    CHECK(r.wave(0, 6) == "llllHH");
}

TEST_CASE("8254 mode 0: GATE low suspends counting") {
    Rig r;
    r.program(2, 0, 4);
    r.ticks(3);
    CHECK(r.read(2) == 2);
    r.pit.gate(2).lower();
    r.ticks(100);
    CHECK(r.read(2) == 2);
    r.pit.gate(2).raise();
    CHECK(r.wave(2, 4) == "llHH");
}

TEST_CASE("8254 mode 1: one-shot, retriggerable") {
    Rig r;
    r.program(2, 1, 3);
    CHECK(r.wave(2, 5) == "HHHHH");
    r.pit.gate(2).lower(), r.pit.gate(2).raise();
    CHECK(r.wave(2, 6) == "HlllHH");
    r.pit.gate(2).lower(), r.pit.gate(2).raise();
    CHECK(r.wave(2, 3) == "Hll");
    r.pit.gate(2).lower(), r.pit.gate(2).raise();
    CHECK(r.wave(2, 6) == "llllHH");
}

TEST_CASE("8254 mode 2: OUT is low for the last clock of each period") {
    Rig r;
    r.program(0, 2, 4);
    CHECK(r.wave(0, 10) == "HHHHlHHHlH");
    CHECK(r.read(0) == 3);
    r.program(0, 2, 2);
    CHECK(r.wave(0, 6) == "HHlHlH");
}

TEST_CASE("8254 mode 2: a new count takes effect after the running period") {
    Rig r;
    r.program(0, 2, 4);
    r.ticks(2);
    r.pit.write(0, 3), r.pit.write(0, 0);
    CHECK(r.wave(0, 10) == "HHlHHlHHlH");
}

TEST_CASE("8254 mode 2: GATE") {
    Rig r;
    r.program(2, 2, 3);
    r.ticks(3);
    CHECK_FALSE(r.pit.out(2));
    r.pit.gate(2).lower();
    CHECK(r.wave(2, 3) == "HHH");
    r.pit.gate(2).raise();
    CHECK(r.wave(2, 7) == "HHHlHHl");
}

TEST_CASE("8254 mode 3: square wave, even and odd") {
    Rig r;
    r.program(0, 3, 4);
    CHECK(r.wave(0, 10) == "HHHllHHllH");
    r.program(0, 3, 5);
    CHECK(r.wave(0, 12) == "HHHHllHHHllH");
    r.program(2, 3, 6);
    r.ticks(1);
    CHECK(r.read(2) == 6);
    r.ticks(1);
    CHECK(r.read(2) == 4);
    r.ticks(2);
    CHECK(r.read(2) == 6);
    CHECK_FALSE(r.pit.out(2));
}

TEST_CASE("8254 mode 4 and 5: strobes") {
    Rig r;
    r.program(0, 4, 3);
    CHECK(r.wave(0, 7) == "HHHHlHH");
    r.program(2, 5, 3);
    CHECK(r.wave(2, 6) == "HHHHHH");
    r.pit.gate(2).lower(), r.pit.gate(2).raise();
    CHECK(r.wave(2, 7) == "HHHHlHH");
}

TEST_CASE("8254: BCD") {
    Rig r;
    r.program(2, 2, 0x0100, true);
    r.ticks(2);
    CHECK(r.read(2) == 0x0099);
    r.program(2, 0, 0x0000, true);
    r.ticks(2);
    CHECK(r.read(2) == 0x9999);
}

TEST_CASE("8254: latched counts and statuses") {
    Rig r;
    r.program(2, 2, 0x1234);
    r.pit.write(3, 0xe8);  // read back: status of counter 2
    CHECK(r.pit.read(2) == 0xf4);  // OUT, null count, both bytes, mode 2
    r.ticks(5);
    r.pit.write(3, 0xc8);  // count and status
    r.ticks(5);
    r.pit.write(3, 0xc8);  // ignored: the first latch holds
    CHECK(r.pit.read(2) == 0xb4);
    CHECK(r.pit.read(2) == 0x30);
    CHECK(r.pit.read(2) == 0x12);
    CHECK(r.pit.read(2) == 0x2b);  // unlatched
    CHECK(r.pit.read(2) == 0x12);
    r.pit.write(3, 0x98);  // LSB only, mode 4
    r.pit.write(2, 10);
    r.ticks(1);
    CHECK(r.pit.read(2) == 10);
    CHECK(r.pit.read(2) == 10);
    r.pit.write(3, 0xae);  // MSB only, mode 7 = 3
    r.pit.write(2, 1);
    r.ticks(1);
    CHECK(r.pit.read(2) == 1);
    r.pit.write(3, 0xe8);
    CHECK(r.pit.read(2) == 0xa6);
    CHECK(r.pit.read(3) == 0xff);
}

TEST_CASE("8254: no tick is lost over an hour of machine time") {
    Rig r;
    r.program(0, 2, 11932);
    const unsigned before = r.out0.rising_edges();
    r.clock.advance(3600 * kSecond);
    CHECK(r.out0.rising_edges() - before == 3600ull * I8254::kHz / 11932);
}

TEST_CASE("8254: illegal count 1 does not hang") {
    Rig r;
    for (unsigned mode = 0; mode < 6; ++mode) {
        r.program(0, mode, 1);
        r.ticks(1000);
        r.pit.write(0, 2), r.pit.write(0, 0);
        r.ticks(10);
        r.pit.write(0, 1), r.pit.write(0, 0);
        r.ticks(1000);
    }
    r.program(0, 2, 0);
    r.ticks(1);
    CHECK(r.read(0) == 0);
    r.ticks(1);
    CHECK(r.read(0) == 0xffff);
}

TEST_CASE("8254: state") {
    Rig a, b;
    a.ticks(100), b.ticks(100);
    a.program(0, 3, 1001), a.program(2, 1, 77), a.pit.write(3, 0xe2);
    a.ticks(555), b.ticks(555);
    check_save_load(a.pit, b.pit);
    CHECK(a.wave(0, 700) == b.wave(0, 700));
    check_damaged_state(b.pit, [&] { b.ticks(5), b.pit.read(0), b.pit.gate(2).lower(), b.pit.gate(2).raise(), b.pit.out(2); });
}
