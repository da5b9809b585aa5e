// Register values of the BIOS's standard modes (IBM VGA, "BIOS mode settings") and a card to load them into.
#pragma once
#include <doctest/doctest.h>

#include <initializer_list>

#include "devices/display/vga.h"

namespace calque {

struct ModeTable {
    u8 misc;
    std::array<u8, 5> sr;
    std::array<u8, 25> cr;
    std::array<u8, 21> ar;
    std::array<u8, 9> gr;
};

inline constexpr ModeTable kMode03{
    0x67, {3, 0, 3, 0, 2},
    {0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0, 0x4F, 0x0D, 0x0E, 0, 0, 0, 0, 0x9C, 0x8E, 0x8F, 0x28, 0x1F, 0x96, 0xB9, 0xA3, 0xFF},
    {0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F, 0x0C, 0, 0x0F, 8, 0},
    {0, 0, 0, 0, 0, 0x10, 0x0E, 0, 0xFF}};
inline constexpr ModeTable kMode04{
    0x63, {3, 9, 3, 0, 2},
    {0x2D, 0x27, 0x28, 0x90, 0x2B, 0x80, 0xBF, 0x1F, 0, 0xC1, 0, 0, 0, 0, 0, 0, 0x9C, 0x8E, 0x8F, 0x14, 0, 0x96, 0xB9, 0xA2, 0xFF},
    {0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 1, 0, 3, 0, 0},
    {0, 0, 0, 0, 0, 0x30, 0x0F, 0, 0xFF}};
inline constexpr ModeTable kMode0D{
    0x63, {3, 9, 0xF, 0, 6},
    {0x2D, 0x27, 0x28, 0x90, 0x2B, 0x80, 0xBF, 0x1F, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x9C, 0x8E, 0x8F, 0x14, 0, 0x96, 0xB9, 0xE3, 0xFF},
    {0, 1, 2, 3, 4, 5, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 1, 0, 0x0F, 0, 0},
    {0, 0, 0, 0, 0, 0, 5, 0x0F, 0xFF}};
inline constexpr ModeTable kMode12{
    0xE3, {3, 1, 0xF, 0, 6},
    {0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0x0B, 0x3E, 0, 0x40, 0, 0, 0, 0, 0, 0, 0xEA, 0x8C, 0xDF, 0x28, 0, 0xE7, 0x04, 0xE3, 0xFF},
    {0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F, 1, 0, 0x0F, 0, 0},
    {0, 0, 0, 0, 0, 0, 5, 0x0F, 0xFF}};
inline constexpr ModeTable kMode13{
    0x63, {3, 1, 0xF, 0, 0xE},
    {0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0xBF, 0x1F, 0, 0x41, 0, 0, 0, 0, 0, 0, 0x9C, 0x8E, 0x8F, 0x28, 0x40, 0x96, 0xB9, 0xA3, 0xFF},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x41, 0, 0x0F, 0, 0},
    {0, 0, 0, 0, 0, 0x40, 5, 0x0F, 0xFF}};

struct Card {
    Clock clock;
    Vga vga{clock};

    void out(u16 port, u8 v) { vga.write(static_cast<u16>(port - 0x3B0), v); }
    u8 in(u16 port) { return vga.read(static_cast<u16>(port - 0x3B0)); }
    void sr(u8 i, u8 v) { out(0x3C4, i), out(0x3C5, v); }
    void gr(u8 i, u8 v) { out(0x3CE, i), out(0x3CF, v); }
    void cr(u8 i, u8 v) { out(0x3D4, i), out(0x3D5, v); }
    void ar(u8 i, u8 v) { in(0x3DA), out(0x3C0, i), out(0x3C0, v), out(0x3C0, 0x20); }
    void dispi(u16 i, u16 v) { vga.dispi_ports().io_write(0, i, 2), vga.dispi_ports().io_write(1, v, 2); }
    u16 dispi(u16 i) {
        vga.dispi_ports().io_write(0, i, 2);
        return static_cast<u16>(vga.dispi_ports().io_read(1, 2));
    }
    void poke(u32 a, u8 v) { vga.mmio_write(a - 0xA0000, v, 1); }
    u8 peek(u32 a) { return static_cast<u8>(vga.mmio_read(a - 0xA0000, 1)); }
    u8& plane(u32 offset, u32 p) { return vga.memory()[offset * 4 + p]; }

    void set(const ModeTable& m) {
        out(0x3C2, m.misc);
        for (u8 i = 0; i < 5; ++i) sr(i, m.sr[i]);
        cr(0x11, 0);
        for (u8 i = 0; i < 25; ++i) cr(i, m.cr[i]);
        for (u8 i = 0; i < 9; ++i) gr(i, m.gr[i]);
        for (u8 i = 0; i < 21; ++i) ar(i, m.ar[i]);
        out(0x3C6, 0xFF);
        ramp();
    }
    /// Entry i is (i, i/4, 63 - i/4) in six bits, so that every index gives a colour of its own.
    void ramp() {
        out(0x3C8, 0);
        for (u32 i = 0; i < 256; ++i) out(0x3C9, i & 63), out(0x3C9, static_cast<u8>(i / 4)), out(0x3C9, static_cast<u8>(63 - i / 4));
    }
    static u32 rgb(u32 index) {
        auto wide = [](u32 v) { return v << 2 | v >> 4; };
        return wide(index & 63) << 16 | wide(index / 4) << 8 | wide(63 - index / 4);
    }
};
}  // namespace calque
