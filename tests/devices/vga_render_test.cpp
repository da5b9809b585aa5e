// What the monitor shows in each kind of mode, and that no register value takes the renderer out of memory.
#include <doctest/doctest.h>

#include <random>

#include "tests/devices/vga_fixture.h"

using namespace calque;

namespace {
void load_glyph(Card& c, u32 map_base, u8 code, std::initializer_list<u8> rows) {
    u32 at = map_base + code * 32u;
    for (u8 r : rows) c.plane(at++, 2) = r;
}
void put(Card& c, u32 cell, u8 code, u8 attr) { c.plane(cell * 2, 0) = code, c.plane(cell * 2, 1) = attr; }
// Mode 3's palette: DAC index of a colour.
u32 text_rgb(u32 colour) { return Card::rgb(kMode03.ar[colour]); }
}  // namespace

TEST_CASE("text: nine-dot characters, line graphics, two fonts") {
    Card c;
    c.set(kMode03);
    load_glyph(c, 0, 'A', {0x81, 0x00, 0xFF});
    load_glyph(c, 0, 0xC4, {0x00, 0xFF});
    load_glyph(c, 0, 0xE0, {0x00, 0xFF});
    load_glyph(c, 0x4000, 'A', {0x10});
    put(c, 0, 'A', 0x1E), put(c, 1, 0xC4, 0x07), put(c, 2, 0xE0, 0x07), put(c, 81, 'A', 0x0F);
    Frame f = c.vga.render();
    CHECK(f.width == 720);
    CHECK(f.height == 400);
    const u32 yellow = text_rgb(14), blue = text_rgb(1), grey = text_rgb(7), black = text_rgb(0);
    CHECK(f.at(0, 0) == yellow);
    CHECK(f.at(1, 0) == blue);
    CHECK(f.at(7, 0) == yellow);
    CHECK(f.at(8, 0) == blue);   // the ninth dot is background
    CHECK(f.at(8, 2) == blue);
    CHECK(f.at(17, 1) == grey);  // C0h-DFh repeat the eighth
    CHECK(f.at(26, 1) == black);
    CHECK(f.at(9, 16) == text_rgb(15));
    c.sr(3, 0x04);  // map A = 1: attribute bit 3 picks the second font
    f = c.vga.render();
    CHECK(f.at(9, 16) == black);
    CHECK(f.at(12, 16) == text_rgb(15));
    c.sr(3, 0x00), c.sr(1, 0x01);
    f = c.vga.render();
    CHECK(f.width == 640);
    CHECK(f.at(8, 1) == grey);
    CHECK(f.at(15, 1) == grey);
    CHECK(f.at(16, 1) == grey);
}

TEST_CASE("text: cursor and blink follow machine time") {
    Card c;
    c.set(kMode03);
    load_glyph(c, 0, 'X', {0xFF});
    put(c, 5, ' ', 0x07), put(c, 0, 'X', 0x87);
    c.cr(0xF, 5);
    const Time field = mul_div(900 * 449, kSecond, 28'322'000) + 1;
    const u32 grey = text_rgb(7), black = text_rgb(0);
    auto at_field = [&](u32 n) { c.clock.set_now(n * field); return c.vga.render(); };
    Frame f = at_field(1);
    CHECK(f.at(45, 12) == black);
    CHECK(f.at(45, 13) == grey);
    CHECK(f.at(53, 14) == grey);
    CHECK(f.at(54, 14) == black);
    CHECK(f.at(45, 15) == black);
    CHECK(f.at(0, 0) == grey);  // attribute bit 7 blinks, at half the cursor's rate
    CHECK(at_field(9).at(45, 13) == black);
    CHECK(at_field(9).at(0, 0) == grey);
    CHECK(at_field(17).at(45, 13) == grey);
    CHECK(at_field(17).at(0, 0) == black);
    CHECK(at_field(33).at(0, 0) == grey);
    c.ar(0x10, 0x04);
    CHECK(at_field(17).at(0, 0) == grey);  // now it is background intensity
    CHECK(at_field(1).at(0, 1) == text_rgb(8));
    c.cr(0xA, 0x2D);
    CHECK(at_field(1).at(45, 13) == black);
}

TEST_CASE("text: start address, panning, split screen and the text as UTF-8") {
    Card c;
    c.set(kMode03);
    for (u32 i = 0; i < 80 * 50; ++i) put(c, i, ' ', 7);
    const char* words = "C:\\>dir";
    for (u32 i = 0; words[i]; ++i) put(c, 80 + i, static_cast<u8>(words[i]), 7);
    put(c, 160, 0xC9, 7), put(c, 161, 0xCD, 7), put(c, 162, 0xBB, 7), put(c, 164, 0x01, 7), put(c, 165, 0xE1, 7);
    auto lines = c.vga.text_screen();
    REQUIRE(lines.size() == 25);
    CHECK(lines[0] == "");
    CHECK(lines[1] == "C:\\>dir");
    CHECK(lines[2] == "╔═╗ ☺ß");
    c.cr(0xD, 80);
    CHECK(c.vga.text_screen()[0] == "C:\\>dir");
    // Split after scan line 159: what follows starts at address 0.
    c.cr(0x11, 0), c.cr(0x18, 159), c.cr(0x07, 0x0F), c.cr(0x09, 0x0F);
    lines = c.vga.text_screen();
    REQUIRE(lines.size() == 25);
    CHECK(lines[0] == "C:\\>dir");
    CHECK(lines[10] == "");
    CHECK(lines[11] == "C:\\>dir");
    // Panning by three dots, which stops at the split if so told.
    load_glyph(c, 0, 'C', {0x10});
    c.ar(0x13, 2);
    Frame f = c.vga.render();
    CHECK(f.at(0, 0) == text_rgb(7));
    CHECK(f.at(0, 176) == text_rgb(7));
    c.ar(0x10, 0x2C);
    f = c.vga.render();
    CHECK(f.at(0, 176) == text_rgb(0));
    CHECK(f.at(3, 176) == text_rgb(7));
    c.set(kMode13);
    CHECK(c.vga.text_screen().empty());
}

TEST_CASE("mode 13h: doubled pixels, DAC mask") {
    Card c;
    c.set(kMode13);
    c.vga.mmio_write(0, 0x80FF4001, 4);
    c.vga.mmio_write(320 * 199 + 319, 0x77, 1);
    Frame f = c.vga.render();
    CHECK(f.width == 640);
    CHECK(f.height == 400);
    const u32 want[4] = {0x01, 0x40, 0xFF, 0x80};
    for (u32 x = 0; x < 8; ++x) CHECK(f.at(x, x & 1) == Card::rgb(want[x / 2]));
    CHECK(f.at(639, 399) == Card::rgb(0x77));
    CHECK(f.at(637, 399) == Card::rgb(0));
    c.out(0x3C6, 0x0F);
    CHECK(c.vga.render().at(4, 0) == Card::rgb(0x0F));
    c.out(0x3C6, 0xFF);
    c.ar(0x13, 2);  // one pixel
    CHECK(c.vga.render().at(0, 0) == Card::rgb(0x40));
}

TEST_CASE("mode X: unchained 320x240 with page flipping") {
    Card c;
    c.set(kMode13);
    c.sr(4, 6);
    c.out(0x3C2, 0xE3);
    c.cr(0x11, 0);
    const u8 tweak[][2] = {{6, 0x0D}, {7, 0x3E}, {9, 0x41}, {0x10, 0xEA}, {0x11, 0xAC}, {0x12, 0xDF}, {0x14, 0}, {0x15, 0xE7}, {0x16, 6}, {0x17, 0xE3}};
    for (auto& t : tweak) c.cr(t[0], t[1]);
    c.sr(2, 0x01), c.poke(0xA0000, 0x10);
    c.sr(2, 0x08), c.poke(0xA0000 + 239 * 80 + 79, 0x20);
    c.sr(2, 0x02), c.poke(0xA0000 + 80 * 240, 0x30);
    Frame f = c.vga.render();
    CHECK(f.width == 640);
    CHECK(f.height == 480);
    CHECK(f.at(1, 1) == Card::rgb(0x10));
    CHECK(f.at(2, 0) == Card::rgb(0));
    CHECK(f.at(638, 479) == Card::rgb(0x20));
    c.cr(0xC, 0x4B), c.cr(0xD, 0x00);  // 80 * 240
    f = c.vga.render();
    CHECK(f.at(0, 0) == Card::rgb(0));
    CHECK(f.at(2, 0) == Card::rgb(0x30));
}

TEST_CASE("planar modes: 12h, 0Dh with a halved dot clock, palette and colour select") {
    Card c;
    c.set(kMode12);
    c.plane(80 * 479 + 79, 1) = 0x01, c.plane(0, 0) = 0x80, c.plane(0, 3) = 0xC0;
    Frame f = c.vga.render();
    CHECK(f.width == 640);
    CHECK(f.height == 480);
    CHECK(f.at(0, 0) == Card::rgb(0x39));
    CHECK(f.at(1, 0) == Card::rgb(0x38));
    CHECK(f.at(639, 479) == Card::rgb(2));
    c.ar(0x12, 0x07);
    CHECK(c.vga.render().at(0, 0) == Card::rgb(1));
    c.ar(0x12, 0x0F), c.ar(0x10, 0x81), c.ar(0x14, 0x0B);
    CHECK(c.vga.render().at(0, 0) == Card::rgb(0xB9));
    c.set(kMode0D);
    f = c.vga.render();
    CHECK(f.width == 640);
    CHECK(f.height == 400);
    CHECK(f.at(0, 0) == Card::rgb(0x11));
    CHECK(f.at(1, 1) == Card::rgb(0x11));
    CHECK(f.at(2, 1) == Card::rgb(0x10));
    CHECK(f.at(4, 0) == Card::rgb(0));
}

TEST_CASE("CGA's four colours: interleaved shift and row scan addressing") {
    Card c;
    c.set(kMode04);
    c.vga.mmio_write(0x18000, 0x1B, 1);   // 0 1 2 3 on line 0
    c.vga.mmio_write(0x1A001, 0xE4, 1);   // 3 2 1 0 on line 1
    Frame f = c.vga.render();
    CHECK(f.width == 640);
    CHECK(f.height == 400);
    const u32 palette[4] = {0, 0x13, 0x15, 0x17};
    for (u32 i = 0; i < 4; ++i) {
        CHECK(f.at(2 * i, 0) == Card::rgb(palette[i]));
        CHECK(f.at(2 * i, 1) == Card::rgb(palette[i]));
        CHECK(f.at(8 + 2 * i, 2) == Card::rgb(palette[3 - i]));
    }
}

TEST_CASE("overscan, screen off and display disabled") {
    Card c;
    c.set(kMode12);
    c.ar(0x11, 0x2A);
    c.plane(0, 0) = 0xFF;
    c.vga.show_overscan(true);
    Frame f = c.vga.render();
    CHECK(f.width > 640);
    CHECK(f.height > 480);
    CHECK(f.at(0, 0) == Card::rgb(0x2A));
    c.vga.show_overscan(false);
    c.in(0x3DA), c.out(0x3C0, 0x00);
    CHECK(c.vga.render().at(0, 0) == Card::rgb(0x2A));
    c.in(0x3DA), c.out(0x3C0, 0x20);
    CHECK(c.vga.render().at(0, 0) == Card::rgb(1));
    c.sr(1, 0x21);
    CHECK(c.vga.render().at(0, 0) == 0);
}

TEST_CASE("DISPI: every depth, offsets") {
    Card c;
    c.set(kMode12);
    struct { u16 bpp; u32 bytes; u32 value; u32 rgb; } depths[] = {
        {8, 1, 0x9C, Card::rgb(0x9C)},  {15, 2, 0x7C1F, 0xFF00FF},    {16, 2, 0x07E1, 0x00FF08},
        {24, 3, 0x123456, 0x123456},    {32, 4, 0xFF654321, 0x654321}};
    for (auto& d : depths) {
        c.dispi(Dispi::ENABLE, 0);
        c.dispi(Dispi::XRES, 1920), c.dispi(Dispi::YRES, 1200), c.dispi(Dispi::BPP, d.bpp);
        c.dispi(Dispi::ENABLE, Dispi::ENABLED | Dispi::LFB_ENABLED);
        REQUIRE((c.dispi(Dispi::ENABLE) & 1) == 1);
        const u32 at = (1000 * 1920 + 77) * d.bytes;
        for (u32 i = 0; i < d.bytes; ++i) c.vga.memory()[at + i] = static_cast<u8>(d.value >> (8 * i));
        Frame f = c.vga.render();
        CHECK(f.width == 1920);
        CHECK(f.height == 1200);
        CHECK(f.at(77, 1000) == d.rgb);
        c.dispi(Dispi::Y_OFFSET, 1);
        CHECK(c.vga.render().at(77, 999) == d.rgb);
    }
    c.dispi(Dispi::ENABLE, 0);
    c.dispi(Dispi::XRES, 800), c.dispi(Dispi::YRES, 600), c.dispi(Dispi::BPP, 4), c.dispi(Dispi::ENABLE, 1);
    c.plane(100 * 2 + 3, 0) = 0x80, c.plane(100 * 2 + 3, 1) = 0x80;
    CHECK(c.vga.render().at(24, 2) == Card::rgb(3));
}

TEST_CASE("no register value reads or writes outside memory or makes an absurd frame") {
    std::mt19937 rng{20240611};
    auto random = [&](u32 n) { return static_cast<u32>(rng() % n); };
    Card c;
    Frame f;
    const ModeTable* modes[] = {&kMode03, &kMode04, &kMode0D, &kMode12, &kMode13};
    for (int round = 0; round < 400; ++round) {
        c.set(*modes[random(5)]);
        c.cr(0x11, 0);
        c.vga.show_overscan(round & 1);
        if (round % 4 == 0) c.dispi(Dispi::ENABLE, 0);
        const int writes = static_cast<int>(random(60));
        for (int i = 0; i < writes; ++i) {
            const u8 v = static_cast<u8>(rng());
            switch (random(8)) {
            case 0: case 1: case 2: c.cr(static_cast<u8>(random(0x20)), v); break;
            case 3: c.ar(static_cast<u8>(random(0x20)), v); break;
            case 4: c.gr(static_cast<u8>(random(16)), v); break;
            case 5: c.sr(static_cast<u8>(random(8)), v); break;
            case 6: c.dispi(static_cast<u16>(random(12)), static_cast<u16>(random(2) ? rng() : random(2600))); break;
            default: c.out(static_cast<u16>(0x3B0 + random(0x30)), v); break;
            }
            c.vga.mmio_write(random(0x20000 - 8), rng(), 1u << random(4));
            c.vga.mmio_read(random(0x20000 - 8), 1u << random(4));
            c.in(static_cast<u16>(0x3B0 + random(0x30)));
        }
        c.clock.advance(random(20'000'000));
        c.vga.render(f);
        REQUIRE(f.pixels.size() == size_t{f.width} * f.height);
        REQUIRE(f.width <= 4608 + 128);
        REQUIRE(f.height <= 2048 + 128);
        REQUIRE(c.vga.text_screen().size() <= 2048);
        c.out(0x3C3, 1);
    }
}
