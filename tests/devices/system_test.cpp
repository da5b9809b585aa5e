// DMA controllers, ports 61h and 92h, debug ports.
#include <string>

#include "device_suite.h"
#include "devices/system/debugcon.h"
#include "devices/system/i8237.h"
#include "devices/system/isa_debug_exit.h"
#include "devices/system/port61.h"
#include "devices/system/port92.h"

using namespace calque;

namespace {
struct Ram final : DmaSpace {
    std::vector<u8> bytes = std::vector<u8>(1 << 18);
    void dma_read(u64 a, std::span<u8> out) override {
        for (u8& b : out) b = a < bytes.size() ? bytes[a] : 0xff, ++a;
    }
    void dma_write(u64 a, std::span<const u8> in) override {
        for (u8 b : in) {
            if (a < bytes.size()) bytes[a] = b;
            ++a;
        }
    }
};
struct Rig {
    Ram ram;
    IsaDma dma{ram};
    Rig() { dma.second().io_write(0x16, 0xc0, 1), dma.second().io_write(0x14, 0, 1); }
    void out(u16 port, unsigned v) { dma.first().io_write(port, v, 1); }
    void program(unsigned ch, unsigned mode, unsigned address, unsigned count) {
        out(0x0a, 4 | ch), out(0x0c, 0), out(0x0b, mode | ch);
        const u16 a = static_cast<u16>(2 * ch);
        out(a, address & 0xff), out(a, address >> 8 & 0xff), out(a + 1, count & 0xff), out(a + 1, count >> 8);
        const u16 page[] = {7, 3, 1, 2};
        dma.pages().io_write(page[ch], address >> 16, 1);
        out(0x0a, ch);
    }
    unsigned read16(u16 port) { return out(0x0c, 0), dma.first().io_read(port, 1) | dma.first().io_read(port, 1) << 8; }
};
const std::vector<u8> ten = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
}  // namespace

TEST_CASE("8237: write transfer to terminal count") {
    Rig r;
    bool tc;
    r.program(2, 0x44, 0x12340, 5);
    CHECK(r.dma.channel(2).to_memory(std::span{ten}.first(4), tc) == 4);
    CHECK_FALSE(tc);
    CHECK(r.read16(4) == 0x2344);
    CHECK(r.read16(5) == 1);
    CHECK(r.dma.channel(2).to_memory(ten, tc) == 2);
    CHECK(tc);
    CHECK(r.ram.bytes[0x12345] == 2);
    CHECK(r.read16(5) == 0xffff);
    CHECK(r.dma.first().io_read(8, 1) == 0x04);
    CHECK(r.dma.first().io_read(8, 1) == 0);
    CHECK(r.dma.channel(2).to_memory(ten, tc) == 0);  // masked by terminal count
    CHECK_FALSE(tc);
}

TEST_CASE("8237: direction, verify, mask, cascade and disable") {
    Rig r;
    bool tc;
    u8 buffer[4] = {};
    r.program(1, 0x44, 0, 9);
    CHECK(r.dma.channel(1).from_memory(buffer, tc) == 0);
    r.program(1, 0x48, 0, 9);
    r.ram.bytes[1] = 0x77;
    CHECK(r.dma.channel(1).from_memory(buffer, tc) == 4);
    CHECK(buffer[1] == 0x77);
    r.program(1, 0x40, 0, 9);
    CHECK(r.dma.channel(1).to_memory(ten, tc) == 10);
    CHECK(tc);
    CHECK(r.ram.bytes[0] == 0);
    r.program(1, 0x44, 0, 9);
    r.dma.second().io_write(0x14, 4, 1);  // mask the cascade
    CHECK(r.dma.channel(1).to_memory(ten, tc) == 0);
    r.dma.second().io_write(0x14, 0, 1);
    r.out(8, 4);
    CHECK(r.dma.channel(1).to_memory(ten, tc) == 0);
    r.out(8, 0), r.out(0x0f, 2);
    CHECK(r.dma.channel(1).to_memory(ten, tc) == 0);
    r.out(0x0e, 0);
    CHECK(r.dma.channel(1).to_memory(ten, tc) == 10);
}

TEST_CASE("8237: autoinitialize and decrement") {
    Rig r;
    bool tc;
    r.program(3, 0x54, 0x100, 3);
    CHECK(r.dma.channel(3).to_memory(ten, tc) == 4);
    CHECK(tc);
    CHECK(r.read16(6) == 0x100);
    CHECK(r.dma.channel(3).to_memory(std::span{ten}.last(2), tc) == 2);
    CHECK(r.ram.bytes[0x100] == 9);
    r.program(3, 0x64, 0x200, 3);
    CHECK(r.dma.channel(3).to_memory(ten, tc) == 4);
    CHECK(r.ram.bytes[0x200] == 1);
    CHECK(r.ram.bytes[0x1fd] == 4);
}

TEST_CASE("8237: addresses wrap within their page") {
    Rig r;
    bool tc;
    r.program(0, 0x44, 0x1fffe, 3);
    CHECK(r.dma.channel(0).to_memory(ten, tc) == 4);
    CHECK(r.ram.bytes[0x1ffff] == 2);
    CHECK(r.ram.bytes[0x10000] == 3);
    CHECK(r.ram.bytes[0x20000] == 0);
}

TEST_CASE("8237: word channels") {
    Rig r;
    bool tc;
    PortDevice& d = r.dma.second();
    d.io_write(0x16, 0x45, 1);
    d.io_write(4, 0x80, 1), d.io_write(4, 0x00, 1), d.io_write(6, 1, 1), d.io_write(6, 0, 1);
    r.dma.pages().io_write(0x0b, 3, 1);
    d.io_write(0x14, 1, 1);
    CHECK(r.dma.channel(5).to_memory(ten, tc) == 4);
    CHECK(tc);
    CHECK(r.ram.bytes[0x20100] == 1);
    CHECK(r.ram.bytes[0x20103] == 4);
    CHECK(d.io_read(0x10, 1) == 2);
}

TEST_CASE("8237: state") {
    Rig a, b;
    bool tc;
    a.program(2, 0x54, 0x12340, 5), a.dma.channel(2).to_memory(std::span{ten}.first(3), tc);
    check_save_load(a.dma, b.dma);
    CHECK(b.dma.channel(2).to_memory(ten, tc) == 3);
    CHECK(b.ram.bytes[0x12343] == 1);
    check_damaged_state(b.dma, [&] { for (unsigned n = 0; n < 8; ++n) b.dma.channel(n).to_memory(ten, tc); });
    b.dma.reset();
    CHECK(b.dma.pages().io_read(1, 1) == 0);
}

TEST_CASE("port 61h") {
    Clock clock;
    Wire gate;
    bool out2 = false;
    Port61 p{clock, gate, [&] { return out2; }};
    p.write(0, 0xf3);
    CHECK(gate.high());
    CHECK(p.speaker_on());
    CHECK(p.read(0) == 0x03);
    out2 = true;
    clock.advance(15'085);
    CHECK(p.read(0) == 0x33);
    Port61 q{clock, gate, [&] { return out2; }};
    check_save_load(p, q);
    p.reset();
    CHECK(gate.low());
}

TEST_CASE("port 92h and the A20 gate") {
    struct Counter final : EdgeLine {
        void trigger() override { ++count; }
        unsigned count = 0;
    } reset;
    Wire a20;
    A20Gate gate{a20};
    Port92 p{gate.port92(), reset};
    gate.keyboard().lower();
    CHECK(a20.low());
    p.write(0, 2);
    CHECK(a20.high());
    gate.keyboard().raise(), p.write(0, 0);
    CHECK(a20.high());
    p.write(0, 1), p.write(0, 1);
    CHECK(reset.count == 1);
    Wire other;
    A20Gate copy{other};
    check_save_load(gate, copy);
    CHECK(other.high());
}

TEST_CASE("debug ports") {
    struct Sink final : CharSink {
        void put(u8 c) override { text += static_cast<char>(c); }
        std::string text;
    } sink;
    DebugCon con{sink};
    con.io_write(0, 'h', 1), con.io_write(0, 'i', 1);
    CHECK(sink.text == "hi");
    CHECK(con.io_read(0, 1) == 0xe9);
    u32 value = 0;
    IsaDebugExit exit{[&](u32 v) { value = v; }};
    exit.io_write(0, 0xfff31, 1);
    CHECK(value == 0x31);
    exit.io_write(0, 0x12345678, 4);
    CHECK(value == 0x12345678);
}
