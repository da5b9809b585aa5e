#include <string>

#include "device_suite.h"
#include "devices/serial/parallel.h"
#include "devices/serial/uart16550.h"

using namespace calque;

namespace {
struct Sink final : CharSink {
    void put(u8 c) override { text += static_cast<char>(c); }
    std::string text;
};
constexpr Time kChar = 10 * kSecond / 115200;  // 8N1
struct Rig {
    Clock clock;
    Wire irq;
    Sink sink;
    Uart16550 uart{clock, irq, sink};
    Rig() {
        uart.reset();
        uart.write(3, 0x83), uart.write(0, 1), uart.write(1, 0), uart.write(3, 3);
        uart.write(4, 0x0b);
    }
    void fifo(u8 trigger = 0) { uart.write(2, static_cast<u8>(trigger << 6 | 7)); }
};
}  // namespace

TEST_CASE("16550: registers after reset, divisor latch, scratch") {
    Rig r;
    CHECK(r.uart.read(5) == 0x60);
    CHECK(r.uart.read(2) == 0x01);
    CHECK(r.uart.read(6) == 0xb0);
    r.uart.write(7, 0x5a);
    CHECK(r.uart.read(7) == 0x5a);
    r.uart.write(3, 0x80), r.uart.write(1, 0x12);
    CHECK(r.uart.read(0) == 1);
    CHECK(r.uart.read(1) == 0x12);
    r.uart.write(3, 3), r.uart.write(1, 0xff);
    CHECK(r.uart.read(1) == 0x0f);
    r.fifo();
    CHECK((r.uart.read(2) & 0xc0) == 0xc0);
}

TEST_CASE("16550: transmission takes the time of its bits") {
    Rig r;
    r.uart.write(0, 'a');
    CHECK(r.uart.read(5) == 0x20);  // in the shift register: holding register free
    r.uart.write(0, 'b');
    CHECK(r.uart.read(5) == 0x00);
    r.uart.write(0, 'c');  // lost
    r.clock.advance(kChar - 1);
    CHECK(r.sink.text == "");
    r.clock.advance(1000);
    CHECK(r.sink.text == "a");
    CHECK(r.uart.read(5) == 0x20);
    r.clock.advance(kChar + 1000);
    CHECK(r.sink.text == "ab");
    CHECK(r.uart.read(5) == 0x60);
}

TEST_CASE("16550: THRE interrupt, with and without FIFO") {
    Rig r;
    r.uart.write(1, 2);
    CHECK(r.irq.high());
    CHECK(r.uart.read(2) == 0x02);
    CHECK(r.irq.low());
    CHECK(r.uart.read(2) == 0x01);
    r.fifo();
    for (unsigned i = 0; i < 18; ++i) r.uart.write(0, static_cast<u8>('a' + i));
    CHECK(r.irq.low());
    CHECK(r.uart.read(5) == 0);
    r.clock.advance(16 * kChar + 1000);
    CHECK(r.irq.high());
    r.clock.advance(2 * kChar);
    CHECK(r.sink.text == "abcdefghijklmnopq");
    CHECK(r.uart.read(2) == 0xc2);
}

TEST_CASE("16550: received data, trigger levels and timeout") {
    Rig r;
    r.uart.write(1, 1);
    CHECK(r.uart.receive_space() == 1);
    CHECK(r.uart.receive('x'));
    CHECK_FALSE(r.uart.receive('y'));
    CHECK(r.irq.high());
    CHECK(r.uart.read(2) == 0x04);
    CHECK(r.uart.read(5) == 0x61);
    CHECK(r.uart.read(0) == 'x');
    CHECK(r.irq.low());
    r.fifo(1);  // four
    for (char c : {'1', '2', '3'}) r.uart.receive(static_cast<u8>(c));
    CHECK(r.irq.low());
    r.clock.advance(4 * kChar + 1000);
    CHECK(r.irq.high());
    CHECK(r.uart.read(2) == 0xcc);
    CHECK(r.uart.read(0) == '1');
    CHECK(r.irq.low());
    r.uart.receive('4'), r.uart.receive('5');
    CHECK(r.uart.read(2) == 0xc4);
    CHECK(r.uart.receive_space() == 12);
    r.fifo(3);
    CHECK(r.uart.receive_space() == 16);
    CHECK(r.uart.read(5) == 0x60);
}

TEST_CASE("16550: break shows as line status") {
    Rig r;
    r.fifo();
    r.uart.write(1, 4);
    r.uart.receive('a');
    r.uart.receive_break();
    CHECK(r.irq.low());
    CHECK(r.uart.read(5) == 0xe1);
    CHECK(r.uart.read(0) == 'a');
    CHECK(r.irq.high());
    CHECK(r.uart.read(2) == 0xc6);
    CHECK(r.uart.read(5) == 0xf9);
    CHECK(r.irq.low());
    CHECK(r.uart.read(5) == 0x61);
}

TEST_CASE("16550: OUT2 gates the interrupt") {
    Rig r;
    r.uart.write(1, 1), r.uart.receive('x');
    CHECK(r.irq.high());
    r.uart.write(4, 3);
    CHECK(r.irq.low());
}

TEST_CASE("16550: loopback") {
    Rig r;
    r.uart.write(4, 0x1a);  // RTS, OUT2
    CHECK((r.uart.read(6) & 0xf0) == 0x90);
    CHECK(r.uart.receive_space() == 0);
    r.uart.write(0, 0x55);
    r.clock.advance(kChar + 1000);
    CHECK(r.sink.text == "");
    CHECK(r.uart.read(0) == 0x55);
    r.uart.write(0, 1);
    r.clock.advance(kChar + 1000);
    r.uart.write(0, 2);
    r.clock.advance(kChar + 1000);
    CHECK((r.uart.read(5) & 3) == 3);  // overrun
    CHECK(r.uart.read(0) == 2);
    r.uart.read(6);
    r.uart.write(4, 0x14);
    CHECK(r.uart.read(6) == 0x49);  // RI is up; CTS and DCD changed
    r.uart.write(4, 0x10);
    CHECK(r.uart.read(6) == 0x04);  // the trailing edge of RI
}

TEST_CASE("16550: modem status interrupt") {
    Rig r;
    r.uart.write(1, 8);
    r.uart.set_modem_lines(false, true, false, true);
    CHECK(r.irq.high());
    CHECK(r.uart.read(2) == 0);
    CHECK(r.uart.read(6) == 0xa1);
    CHECK(r.irq.low());
}

TEST_CASE("16550: state") {
    Rig a, b;
    a.fifo(2), a.uart.write(1, 15);
    for (char c : {'h', 'e', 'l', 'l', 'o'}) a.uart.write(0, static_cast<u8>(c)), a.uart.receive(static_cast<u8>(c));
    a.clock.advance(kChar + 10), b.clock.advance(kChar + 10);
    check_save_load(a.uart, b.uart);
    a.clock.advance(9 * kChar), b.clock.advance(9 * kChar);
    CHECK(b.sink.text == "ello");
    CHECK(saved_state(a.uart) == saved_state(b.uart));
    CHECK(b.irq.high());
    check_damaged_state(b.uart, [&] { b.uart.receive('x'), b.uart.write(0, 'y'), b.clock.advance(kChar), b.uart.read(0), b.uart.read(5); });
}

TEST_CASE("parallel port: handshake and interrupt") {
    Clock clock;
    Wire irq;
    Sink sink;
    ParallelPort p{clock, irq, &sink};
    p.reset();
    CHECK(p.read(1) == 0xdf);
    p.write(0, 'A');
    CHECK(p.read(0) == 'A');
    p.write(2, 0x1c), p.write(2, 0x1d), p.write(2, 0x1c);
    CHECK(sink.text == "A");
    CHECK((p.read(1) & 0xc0) == 0x40);
    clock.advance(5000);
    CHECK((p.read(1) & 0xc0) == 0x00);
    CHECK(irq.low());
    clock.advance(5000);
    CHECK(irq.high());
    CHECK(p.read(1) == 0xdb);
    CHECK(irq.low());
    CHECK(p.read(2) == 0xdc);
    p.write(2, 0x2c);
    CHECK(p.read(0) == 0xff);
    Clock clock2;
    ParallelPort q{clock2, irq, &sink};
    check_save_load(p, q);
    ParallelPort none{clock, irq, nullptr};
    CHECK(none.read(1) == 0x7f);
    none.write(2, 5);
    check_damaged_state(q, [&] { q.write(2, 0x0d), q.write(2, 0x0c), clock2.advance(7000), q.read(1); });
}
