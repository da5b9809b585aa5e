#include "device_suite.h"
#include "devices/input/i8042.h"
#include "devices/input/ps2_keyboard.h"
#include "devices/input/ps2_mouse.h"
#include "support/keys.h"

using namespace calque;

namespace {
struct Counter final : EdgeLine {
    void trigger() override { ++count; }
    unsigned count = 0;
};
using Bytes = std::vector<unsigned>;
struct Rig {
    Clock clock;
    Wire irq1, irq12, a20;
    Counter reset;
    Ps2Keyboard keyboard{clock};
    Ps2Mouse mouse{clock};
    I8042 kbc{clock, {irq1, irq12, a20, reset}, keyboard, mouse};
    Rig() {
        kbc.reset(), keyboard.reset(), mouse.reset();
        cmd(0x60), data(0x47);  // both ports and interrupts on, translation
        clock.advance(50'000'000);
        all();
    }
    void cmd(u8 c) { kbc.command_port().io_write(0, c, 1); }
    void data(u8 c) { kbc.data_port().io_write(0, c, 1); }
    u8 status() { return static_cast<u8>(kbc.command_port().io_read(0, 1)); }
    u8 get() { return static_cast<u8>(kbc.data_port().io_read(0, 1)); }
    /// Everything that comes within the next half second; bytes from the mouse have bit 8 set.
    Bytes all(Time wait = kSecond / 2) {
        Bytes r;
        for (Time t = 0; t < wait; t += 1'000'000) {
            while (status() & 1) {
                const unsigned aux = (status() & 0x20) ? 0x100 : 0;
                r.push_back(get() | aux);
            }
            clock.advance(1'000'000);
        }
        return r;
    }
    Bytes keyboard_says(u8 c) { return data(c), all(20'000'000); }
    Bytes mouse_says(u8 c) { return cmd(0xd4), data(c), all(20'000'000); }
    void mode(u8 command_byte) { cmd(0x60), data(command_byte); }
};
}  // namespace

TEST_CASE("8042: self-tests, command byte, RAM") {
    Rig r;
    r.cmd(0xaa);
    CHECK(r.status() == 0x1d);
    CHECK(r.get() == 0x55);
    CHECK(r.status() == 0x1c);
    r.cmd(0xab);
    CHECK(r.get() == 0);
    r.cmd(0xa9);
    CHECK(r.get() == 0);
    r.cmd(0x20);
    CHECK(r.get() == 0x47);
    r.cmd(0xa7), r.cmd(0xad), r.cmd(0x20);
    CHECK(r.get() == 0x77);
    r.cmd(0x65), r.data(0x99);
    CHECK((r.status() & 8) == 0);
    r.cmd(0x25);
    CHECK(r.get() == 0x99);
    r.cmd(0xa4);
    CHECK(r.get() == 0xf1);
    CHECK(r.irq1.rising_edges() == 1);  // only the keyboard's self-test result
}

TEST_CASE("8042: A20 and reset") {
    Rig r;
    CHECK(r.a20.high());
    r.cmd(0xd1), r.data(0xdd);
    CHECK(r.a20.low());
    r.cmd(0xd0);
    CHECK((r.get() & 3) == 1);
    r.cmd(0xdf);
    CHECK(r.a20.high());
    CHECK(r.reset.count == 0);
    r.cmd(0xfe);
    CHECK(r.reset.count == 1);
    r.cmd(0xd1), r.data(0x02);
    CHECK(r.reset.count == 2);
}

TEST_CASE("8042: loops raise interrupts, bytes are paced") {
    Rig r;
    r.cmd(0xd3), r.data(0x5a);
    CHECK(r.irq12.high());
    CHECK((r.status() & 0x21) == 0x21);
    CHECK(r.get() == 0x5a);
    CHECK(r.irq12.low());
    r.cmd(0xd2), r.data(0x5b);
    CHECK(r.irq1.high());
    CHECK(r.get() == 0x5b);
    r.keyboard.key(kKeyA, true);
    CHECK((r.status() & 1) == 0);
    r.clock.advance(700'000);
    CHECK(r.irq1.high());
    r.cmd(0x20);  // the answer waits behind the key
    CHECK(r.get() == 0x1e);
    CHECK(r.irq1.low());
    CHECK(r.get() == 0x47);
}

TEST_CASE("keyboard: sets 1, 2 and 3") {
    Rig r;
    const auto press = [&](u8 k) { return r.keyboard.key(k, true), r.keyboard.key(k, false), r.all(50'000'000); };
    CHECK(press(kKeyA) == Bytes{0x1e, 0x9e});
    CHECK(press(kKeyUp) == Bytes{0xe0, 0x48, 0xe0, 0xc8});
    CHECK(press(kKeyF7) == Bytes{0x41, 0xc1});
    CHECK(press(kKeyPause) == Bytes{0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5});
    CHECK(press(kKeyPrintScreen) == Bytes{0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa});
    r.mode(0x07);
    CHECK(press(kKeyA) == Bytes{0x1c, 0xf0, 0x1c});
    CHECK(press(kKeyRightCtrl) == Bytes{0xe0, 0x14, 0xe0, 0xf0, 0x14});
    CHECK(press(kKeyF7) == Bytes{0x83, 0xf0, 0x83});
    CHECK(r.keyboard_says(0xf0) == Bytes{0xfa});
    CHECK(r.keyboard_says(0x01) == Bytes{0xfa});
    CHECK(press(kKeyEscape) == Bytes{0x01, 0x81});
    CHECK(press(kKeyKpEnter) == Bytes{0xe0, 0x1c, 0xe0, 0x9c});
    r.keyboard_says(0xf0), r.keyboard_says(3);
    CHECK(press(kKeyEscape) == Bytes{0x08});
    CHECK(press(kKeyLeftShift) == Bytes{0x12, 0xf0, 0x12});
    r.keyboard_says(0xf0);
    CHECK(r.keyboard_says(0) == Bytes{0xfa, 0x03});
    CHECK(r.keyboard_says(0xf8) == Bytes{0xfa});
    CHECK(press(kKeyEscape) == Bytes{0x08, 0xf0, 0x08});
    CHECK(r.keyboard_says(0xfd) == Bytes{0xfa});
    CHECK(r.keyboard_says(0x08) == Bytes{0xfa});
    CHECK(r.keyboard_says(0xf4) == Bytes{0xfa});
    CHECK(press(kKeyEscape) == Bytes{0x08});
}

TEST_CASE("keyboard: commands") {
    Rig r;
    CHECK(r.keyboard_says(0xee) == Bytes{0xee});
    CHECK(r.keyboard_says(0xf2) == Bytes{0xfa, 0xab, 0x41});
    CHECK(r.keyboard_says(0xff) == Bytes{0xfa, 0xaa});
    CHECK(r.keyboard_says(0x12) == Bytes{0xfe});
    r.keyboard_says(0xed);
    CHECK(r.keyboard_says(0x07) == Bytes{0xfa});
    CHECK(r.keyboard.leds() == 7);
    r.keyboard_says(0xed);
    CHECK(r.keyboard_says(0xee) == Bytes{0xee});
    CHECK(r.keyboard_says(0xfe) == Bytes{0xee});
    CHECK(r.keyboard_says(0xf5) == Bytes{0xfa});
    r.keyboard.key(kKeyA, true), r.keyboard.key(kKeyA, false);
    CHECK(r.all() == Bytes{});
    CHECK(r.keyboard_says(0xf4) == Bytes{0xfa});
}

TEST_CASE("keyboard: typematic") {
    Rig r;
    r.keyboard_says(0xf3), r.keyboard_says(0x00);  // 30 a second after 250 ms
    r.keyboard.key(kKeyA, true);
    r.keyboard.key(kKeyA, true);
    CHECK(r.all(240'000'000) == Bytes{0x1e});
    CHECK(r.all(kSecond).size() == 30);
    r.keyboard.key(kKeyA, false);
    CHECK(r.all() == Bytes{0x9e});
    CHECK(r.clock.next_deadline() == kNever);
}

TEST_CASE("keyboard: the queue is bounded and says so") {
    Rig r;
    r.mode(0x77);
    for (unsigned i = 0; i < 100; ++i) r.keyboard.key(static_cast<u8>(kKeyA + i % 26), i % 52 < 26);
    r.mode(0x07);
    const Bytes b = r.all();
    CHECK(b.size() <= 17);
    CHECK(b.back() == 0);
}

TEST_CASE("mouse: identification and status") {
    Rig r;
    CHECK(r.mouse_says(0xff) == Bytes{0x1fa, 0x1aa, 0x100});
    CHECK(r.mouse_says(0xf2) == Bytes{0x1fa, 0x100});
    CHECK(r.mouse_says(0xe9) == Bytes{0x1fa, 0x100, 0x102, 0x164});
    const auto rate = [&](u8 v) { r.mouse_says(0xf3), r.mouse_says(v); };
    rate(200), rate(100), rate(80);
    CHECK(r.mouse_says(0xf2) == Bytes{0x1fa, 0x103});
    rate(200), rate(200), rate(80);
    CHECK(r.mouse_says(0xf2) == Bytes{0x1fa, 0x104});
    CHECK(r.mouse_says(0xe8) == Bytes{0x1fa});
    CHECK(r.mouse_says(3) == Bytes{0x1fa});
    CHECK(r.mouse_says(0xf4) == Bytes{0x1fa});
    CHECK(r.mouse_says(0xe7) == Bytes{0x1fa});
    r.mouse.button(0, true);
    r.all();
    CHECK(r.mouse_says(0xe9) == Bytes{0x1fa, 0x134, 0x103, 0x150});
    CHECK(r.mouse_says(0x11) == Bytes{0x1fe});
}

TEST_CASE("mouse: packets, wheel and buttons") {
    Rig r;
    r.mouse.move(5, 5, 0);
    CHECK(r.all() == Bytes{});  // not enabled
    r.mouse_says(0xf4);
    r.mouse.move(3, 4, 1);
    CHECK(r.all() == Bytes{0x128, 0x103, 0x1fc});  // y counts upwards
    r.mouse.move(-300, 0, 0);
    CHECK(r.all() == Bytes{0x118, 0x101, 0x100, 0x118, 0x1d3, 0x100});
    r.mouse.button(0, true), r.mouse.button(0, false);
    CHECK(r.all() == Bytes{0x109, 0x100, 0x100, 0x108, 0x100, 0x100});
    r.mouse_says(0xf5);
    const auto rate = [&](u8 v) { r.mouse_says(0xf3), r.mouse_says(v); };
    rate(200), rate(100), rate(80);
    r.mouse_says(0xf4);
    r.mouse.move(0, 0, 1);
    CHECK(r.all() == Bytes{0x108, 0x100, 0x100, 0x1ff});  // away from the user is negative
    rate(200), rate(200), rate(80);
    r.mouse.button(3, true), r.mouse.move(0, 0, -2);
    CHECK(r.all() == Bytes{0x108, 0x100, 0x100, 0x110, 0x108, 0x100, 0x100, 0x112});
}

TEST_CASE("mouse: sample rate, remote mode, wrap mode") {
    Rig r;
    r.mouse_says(0xf4);
    r.mouse_says(0xf3), r.mouse_says(10);
    for (unsigned i = 0; i < 100; ++i) r.mouse.move(1, 0, 0), r.clock.advance(10'000'000), r.all(1'000'000);
    r.all();
    r.mouse.move(1, 0, 0), r.mouse.move(1, 0, 0);
    CHECK(r.all() == Bytes{0x108, 0x101, 0x100, 0x108, 0x101, 0x100});
    r.mouse_says(0xf0);
    r.mouse.move(9, 0, 0);
    CHECK(r.all() == Bytes{});
    CHECK(r.mouse_says(0xeb) == Bytes{0x1fa, 0x108, 0x109, 0x100});
    r.mouse_says(0xee);
    CHECK(r.mouse_says(0xf4) == Bytes{0x1f4});
    CHECK(r.mouse_says(0xec) == Bytes{0x1fa});
    for (int i = 0; i < 1000; ++i) r.mouse.move(1 << 30, -(1 << 30), 1 << 30);
}

TEST_CASE("keyboard and mouse: state") {
    Rig a, b;
    a.mouse_says(0xf4), a.mouse.move(700, 3, 0), a.mouse.button(1, true), a.keyboard.key(kKeyB, true), a.cmd(0x60);
    b.clock.advance_to(a.clock.now());
    check_save_load(a.keyboard, b.keyboard);
    check_save_load(a.mouse, b.mouse);
    check_save_load(a.kbc, b.kbc);
    a.data(0x07), b.data(0x07);
    CHECK(a.all() == b.all());
    const auto use = [&] { b.all(5'000'000), b.mouse.move(1, 1, 1), b.keyboard.key(kKeyC, true), b.keyboard.key(kKeyC, false), b.mouse_says(0xeb), b.keyboard_says(0xf2); };
    check_damaged_state(b.keyboard, use);
    check_damaged_state(b.mouse, use);
    check_damaged_state(b.kbc, use);
}
