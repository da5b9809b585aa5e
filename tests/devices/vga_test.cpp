// VGA registers, memory paths, timing and saved state. Expected values are worked out by hand from IBM's reference.
#include "devices/display/vga_pci.h"
#include "tests/devices/device_suite.h"
#include "tests/devices/vga_fixture.h"

using namespace calque;

TEST_CASE("VGA: the CRTC moves between 3Bx and 3Dx with the I/O address select bit") {
    Card c;
    c.out(0x3C2, 0x01);
    c.out(0x3D4, 0x0E), c.out(0x3D5, 0x5A);
    CHECK(c.in(0x3D5) == 0x5A);
    CHECK(c.in(0x3B5) == 0xFF);
    CHECK(c.in(0x3CC) == 0x01);
    c.out(0x3C2, 0x00);
    CHECK(c.in(0x3D5) == 0xFF);
    CHECK(c.in(0x3B4) == 0x0E);
    CHECK(c.in(0x3B5) == 0x5A);
    c.out(0x3BA, 0x02);
    CHECK(c.in(0x3CA) == 0x02);
}

TEST_CASE("VGA: register masks, index masks and CRTC protection") {
    Card c;
    c.set(kMode03);
    c.sr(4, 0xFF);
    CHECK(c.in(0x3C5) == 0x0E);
    c.gr(5, 0xFF);
    CHECK(c.in(0x3CF) == 0x7B);
    c.out(0x3C4, 0xFA);
    CHECK(c.in(0x3C4) == 2);
    c.cr(0x00, 0x11);  // protected by CR11 bit 7
    CHECK(c.in(0x3D5) == 0x5F);
    c.cr(0x07, 0x00);  // only the line compare bit may change
    CHECK(c.in(0x3D5) == 0x0F);
    c.cr(0x11, 0x0E);
    c.cr(0x00, 0x11);
    CHECK(c.in(0x3D5) == 0x11);
    CHECK(c.vga.io_read(0x3CE - 0x3B0, 2) == 0x7B05);
}

TEST_CASE("VGA: attribute controller flip-flop and palette lock") {
    Card c;
    c.set(kMode03);
    c.in(0x3DA);
    c.out(0x3C0, 0x02), c.out(0x3C0, 0x15);
    c.out(0x3C0, 0x22);
    CHECK(c.in(0x3C1) == 0x15);
    c.out(0x3C0, 0x01);  // data for register 2, but the display owns the palette
    CHECK(c.in(0x3C1) == 0x15);
    c.out(0x3C0, 0x31);
    c.out(0x3C0, 0x07);  // overscan is no palette register
    CHECK(c.in(0x3C1) == 0x07);
    CHECK(c.in(0x3C0) == 0x31);
}

TEST_CASE("VGA: DAC in six and eight bits") {
    Card c;
    c.set(kMode13);
    c.out(0x3C8, 0xFF);
    c.out(0x3C9, 0x3F), c.out(0x3C9, 0x2A), c.out(0x3C9, 0xC1);
    CHECK(c.in(0x3C8) == 0x00);
    CHECK(c.in(0x3C7) == 0);
    c.out(0x3C7, 0xFF);
    CHECK(c.in(0x3C7) == 3);
    CHECK(c.in(0x3C9) == 0x3F);
    CHECK(c.in(0x3C9) == 0x2A);
    CHECK(c.in(0x3C9) == 0x01);
    c.dispi(Dispi::ENABLE, Dispi::DAC_8BIT);
    c.out(0x3C7, 0xFF);
    CHECK(c.in(0x3C9) == 0xFC);
    c.out(0x3C8, 1);
    c.out(0x3C9, 0x81), c.out(0x3C9, 0x42), c.out(0x3C9, 0x03);
    c.vga.memory()[0] = 1;
    CHECK(c.vga.render().at(0, 0) == 0x814203);
}

TEST_CASE("VGA: write modes 0 to 3 and the logic unit") {
    Card c;
    c.set(kMode12);
    auto set_latches = [&](u8 a, u8 b, u8 d, u8 e) {
        c.plane(5, 0) = a, c.plane(5, 1) = b, c.plane(5, 2) = d, c.plane(5, 3) = e;
        c.peek(0xA0005);
    };
    auto is = [&](u32 at, u8 a, u8 b, u8 d, u8 e) {
        CHECK(c.plane(at, 0) == a);
        CHECK(c.plane(at, 1) == b);
        CHECK(c.plane(at, 2) == d);
        CHECK(c.plane(at, 3) == e);
    };
    SUBCASE("mode 0: rotate, set/reset, map mask, bit mask") {
        set_latches(0xFF, 0x00, 0xAA, 0x55);
        c.gr(3, 0x02);  // rotate right by 2
        c.gr(0, 0x04), c.gr(1, 0x0C);  // plane 2 is set, plane 3 reset
        c.gr(8, 0xF0);
        c.sr(2, 0x0D);
        c.poke(0xA0010, 0x87);  // rotated: E1
        is(0x10, 0xEF, 0x00, 0xFA, 0x05);
    }
    SUBCASE("mode 0: AND, OR, XOR with the latches") {
        set_latches(0xF0, 0xCC, 0xAA, 0xFF);
        c.gr(3, 0x08), c.poke(0xA0010, 0x3C), is(0x10, 0x30, 0x0C, 0x28, 0x3C);
        c.gr(3, 0x10), c.poke(0xA0011, 0x3C), is(0x11, 0xFC, 0xFC, 0xBE, 0xFF);
        c.gr(3, 0x18), c.poke(0xA0012, 0x3C), is(0x12, 0xCC, 0xF0, 0x96, 0xC3);
    }
    SUBCASE("mode 1 copies latches, whatever the data and the bit mask") {
        set_latches(1, 2, 3, 4);
        c.gr(5, 1), c.gr(8, 0), c.sr(2, 0x0B);
        c.poke(0xA0010, 0xFF);
        is(0x10, 1, 2, 0, 4);
    }
    SUBCASE("mode 2 spreads the data's low bits over the planes") {
        set_latches(0x0F, 0x0F, 0xF0, 0xF0);
        c.gr(5, 2), c.gr(8, 0x3C);
        c.poke(0xA0010, 0xF5);
        is(0x10, 0x3F, 0x03, 0xFC, 0xC0);
    }
    SUBCASE("mode 3: the rotated data is a bit mask for set/reset") {
        set_latches(0x00, 0xFF, 0x00, 0xFF);
        c.gr(5, 3), c.gr(3, 4), c.gr(0, 0x03), c.gr(8, 0x7E);
        c.poke(0xA0010, 0xF1);  // rotated 1F, masked 1E
        is(0x10, 0x1E, 0xFF, 0x00, 0xE1);
    }
    CHECK(true);
}

TEST_CASE("VGA: read modes 0 and 1") {
    Card c;
    c.set(kMode12);
    c.plane(7, 0) = 0xF0, c.plane(7, 1) = 0xCC, c.plane(7, 2) = 0xAA, c.plane(7, 3) = 0x81;
    for (u8 p = 0; p < 4; ++p) {
        c.gr(4, p);
        CHECK(c.peek(0xA0007) == c.plane(7, p));
    }
    c.gr(5, 8);
    c.gr(2, 0x05), c.gr(7, 0x0F);  // colour 5: planes 0 and 2 set, 1 and 3 clear
    CHECK(c.peek(0xA0007) == (0xF0 & ~0xCC & 0xAA & ~0x81));
    c.gr(7, 0x01);
    CHECK(c.peek(0xA0007) == 0xF0);
    c.gr(7, 0x00);
    CHECK(c.peek(0xA0007) == 0xFF);
}

TEST_CASE("VGA: odd/even in text mode, chain 4 in mode 13h") {
    Card c;
    c.set(kMode03);
    c.vga.mmio_write(0x18002, 0x1F41, 2);
    CHECK(c.plane(2, 0) == 0x41);
    CHECK(c.plane(2, 1) == 0x1F);
    CHECK(c.vga.mmio_read(0x18002, 4) == 0x00001F41);
    c.set(kMode13);
    c.vga.mmio_write(4, 0x44332211, 4);
    for (u32 p = 0; p < 4; ++p) CHECK(c.plane(4, p) == 0x11 * (p + 1));
    CHECK(c.peek(0xA0006) == 0x33);
    c.sr(2, 0x02);  // the map mask still counts
    c.vga.mmio_write(8, 0xFFFFFFFF, 4);
    CHECK(c.vga.mmio_read(8, 4) == 0x0000FF00);
}

TEST_CASE("VGA: memory map select and RAM enable") {
    Card c;
    c.set(kMode12);
    struct { u8 gr6; u32 first, last; } maps[] = {
        {0x01, 0xA0000, 0xBFFFF}, {0x05, 0xA0000, 0xAFFFF}, {0x09, 0xB0000, 0xB7FFF}, {0x0D, 0xB8000, 0xBFFFF}};
    c.plane(0, 0) = 0x12;
    for (auto& m : maps) {
        c.gr(6, m.gr6);
        CHECK(c.peek(m.first) == 0x12);
        if (m.first > 0xA0000) CHECK(c.peek(m.first - 1) == 0xFF);
        CHECK(c.peek(m.last) == 0x00);
        if (m.last < 0xBFFFF) CHECK(c.peek(m.last + 1) == 0xFF);
    }
    c.out(0x3C2, 0xE1);
    CHECK(c.peek(0xB8000) == 0xFF);
}

TEST_CASE("VGA: retrace and display enable follow the CRTC and machine time") {
    Card c;
    c.set(kMode03);  // 449 lines of 900 dots at 28.322 MHz: 70.09 Hz
    const Time frame = mul_div(900 * 449, kSecond, 28'322'000);
    auto at_line = [&](u32 line, u32 dot) { 
        c.clock.set_now(frame * 3 + mul_div(line * 900 + dot, kSecond, 28'322'000) + 60);
        return c.in(0x3DA) & 9;
    };
    CHECK(at_line(0, 10) == 0);
    CHECK(at_line(10, 730) == 1);   // horizontal blanking
    CHECK(at_line(399, 10) == 0);
    CHECK(at_line(400, 10) == 1);
    CHECK(at_line(411, 890) == 1);
    CHECK(at_line(412, 10) == 9);   // CR10 and CR7: line 412
    CHECK(at_line(413, 10) == 9);
    CHECK(at_line(414, 10) == 1);   // CR11: until the low bits are 14
    CHECK(c.vga.timing().frame_dots() == 900 * 449);
}

TEST_CASE("VGA: the vertical retrace interrupt") {
    Clock clock;
    Wire irq;
    Vga vga{clock, irq};
    auto out = [&](u16 port, u8 v) { vga.write(static_cast<u16>(port - 0x3B0), v); };
    out(0x3C2, 0x67);
    for (u8 i = 0; i < 25; ++i) out(0x3D4, i), out(0x3D5, kMode03.cr[i]);
    clock.advance(kSecond / 10);
    CHECK(irq.low());
    out(0x3D4, 0x11), out(0x3D5, 0x9E);  // enabled, not held clear
    const unsigned before = irq.rising_edges();
    clock.advance(kSecond / 50);
    CHECK(irq.high());
    CHECK((vga.read(0x12) & 0x80) == 0x80);
    out(0x3D5, 0x8E);
    CHECK(irq.low());
    for (int i = 0; i < 10; ++i) {
        out(0x3D5, 0x9E);
        clock.advance(kSecond / 70 + 100'000);
        CHECK(irq.high());
        out(0x3D5, 0x8E);
    }
    CHECK(irq.rising_edges() == before + 11);
}

TEST_CASE("DISPI: identification, capabilities, geometry") {
    Card c;
    CHECK(c.dispi(Dispi::ID) == 0xB0C5);
    for (u16 id = 0xB0C0; id <= 0xB0C5; ++id) {
        c.dispi(Dispi::ID, id);
        CHECK(c.dispi(Dispi::ID) == id);
    }
    c.dispi(Dispi::ID, 0xB0C6);
    CHECK(c.dispi(Dispi::ID) == 0xB0C5);
    CHECK(c.dispi(Dispi::VIDEO_MEMORY_64K) == 256);
    c.dispi(Dispi::ENABLE, Dispi::GETCAPS);
    CHECK(c.dispi(Dispi::XRES) >= 1920);
    CHECK(c.dispi(Dispi::YRES) >= 1200);
    CHECK(c.dispi(Dispi::BPP) == 32);
    c.dispi(Dispi::ENABLE, 0);
    c.dispi(Dispi::XRES, 800), c.dispi(Dispi::YRES, 600), c.dispi(Dispi::BPP, 16);
    c.vga.memory()[77] = 1;
    c.dispi(Dispi::ENABLE, Dispi::ENABLED | Dispi::NOCLEARMEM);
    CHECK(c.vga.memory()[77] == 1);
    CHECK(c.dispi(Dispi::VIRT_WIDTH) == 800);
    CHECK(c.dispi(Dispi::VIRT_HEIGHT) == 16 * kMiB / 1600);
    c.dispi(Dispi::XRES, 640);
    CHECK(c.dispi(Dispi::XRES) == 800);  // locked while enabled
    c.dispi(Dispi::VIRT_WIDTH, 1024), c.dispi(Dispi::X_OFFSET, 300), c.dispi(Dispi::Y_OFFSET, 9000);
    CHECK(c.dispi(Dispi::X_OFFSET) == 224);
    CHECK(c.dispi(Dispi::Y_OFFSET) == 16 * kMiB / 2048 - 600);
    c.dispi(Dispi::ENABLE, 0), c.dispi(Dispi::ENABLE, Dispi::ENABLED);
    CHECK(c.vga.memory()[77] == 0);
    CHECK(c.dispi(Dispi::X_OFFSET) == 0);
}

TEST_CASE("DISPI: the bank window is linear, and planar at 4 bits a pixel") {
    Card c;
    c.set(kMode12);
    c.dispi(Dispi::XRES, 1024), c.dispi(Dispi::YRES, 768), c.dispi(Dispi::BPP, 8);
    c.dispi(Dispi::ENABLE, Dispi::ENABLED);
    c.dispi(Dispi::BANK, 3);
    c.poke(0xA1234, 0x99);
    CHECK(c.vga.memory()[0x31234] == 0x99);
    CHECK(c.peek(0xA1234) == 0x99);
    c.dispi(Dispi::BANK, 255), c.poke(0xAFFFF, 1);
    CHECK(c.vga.memory()[16 * kMiB - 1] == 1);
    c.dispi(Dispi::BANK, 256);
    CHECK(c.dispi(Dispi::BANK) == 255);
    c.dispi(Dispi::ENABLE, 0), c.dispi(Dispi::BPP, 4), c.dispi(Dispi::ENABLE, Dispi::ENABLED);
    c.dispi(Dispi::BANK, 1);
    c.sr(2, 0x04);
    c.poke(0xA0002, 0x77);
    CHECK(c.plane(0x10002, 2) == 0x77);
    CHECK(c.plane(0x10002, 1) == 0);
}

TEST_CASE("VGA as a PCI function: identity, windows and registers by memory") {
    Clock clock;
    VgaPci card{clock, std::vector<u8>(38000, 0x5A)};
    CHECK(card.config_read(0, 4) == 0x11111234);
    CHECK((card.config_read(8, 4) >> 8) == 0x030000);
    card.config_write(0x10, 0xFFFFFFFF, 4);
    CHECK((card.config_read(0x10, 4) & ~0xFu) == 0xFF000000);
    card.config_write(0x18, 0xFFFFFFFF, 4);
    CHECK((card.config_read(0x18, 4) & ~0xFu) == 0xFFFFF000);
    card.config_write(0x30, 0xFFFFF800, 4);
    CHECK((card.config_read(0x30, 4) & ~0x7FFu) == 0xFFFF0000);
    CHECK(card.bar_memory(0).size() == 16 * kMiB);
    CHECK(reinterpret_cast<std::uintptr_t>(card.bar_memory(0).data()) % 4096 == 0);
    CHECK(card.bar_memory(6).size() == 65536);
    CHECK(card.bar_memory(2).empty());
    card.bar_write(2, 0x502, 640, 2);
    CHECK(card.bar_read(2, 0x502, 2) == 640);
    CHECK(card.bar_read(2, 0x500, 4) == (640u << 16 | 0xB0C5));
    card.bar_write(2, 0x404, 0x0F02, 2);  // 3C4h, 3C5h
    CHECK(card.vga().read(0x15) == 0x0F);
    CHECK(card.bar_read(2, 0x404, 2) == 0x0F02);
    CHECK(card.bar_read(2, 0x600, 4) == 0);
    CHECK(card.bar_read(2, 0xFF8, 8) == 0);
}

TEST_CASE("VGA: save, load and save again") {
    Card a, b;
    a.set(kMode12);
    a.poke(0xA1000, 0xC3);
    a.peek(0xA1000);
    a.out(0x3C8, 9), a.out(0x3C9, 1);
    a.in(0x3DA), a.out(0x3C0, 0x11);
    a.cr(0x11, 0x1E);
    a.clock.advance(kSecond / 30);
    b.poke(0xA0000, 0xFF);
    b.vga.memory()[5'000'000] = 1;
    b.clock.set_now(a.clock.now());
    check_save_load(a.vga, b.vga);
    CHECK(b.vga.render().pixels == a.vga.render().pixels);
    a.out(0x3C9, 2), a.out(0x3C9, 3), b.out(0x3C9, 2), b.out(0x3C9, 3);
    a.out(0x3C0, 5), b.out(0x3C0, 5);
    CHECK(saved_state(a.vga) == saved_state(b.vga));
}

TEST_CASE("VGA: damaged saved state is harmless") {
    Card c;
    c.set(kMode03);
    c.dispi(Dispi::XRES, 640), c.dispi(Dispi::YRES, 480), c.dispi(Dispi::ENABLE, Dispi::ENABLED);
    Frame f;
    unsigned n = 0;
    check_damaged_state(c.vga, [&] {
        if (++n % 8 == 0) c.vga.render(f);
        c.vga.text_screen();
        c.in(0x3DA);
        c.poke(0xA0000, c.peek(0xAFFFF));
    });
}
