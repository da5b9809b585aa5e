// A PIIX3 IDE function with its memory and lines, seen as a driver sees it.
#pragma once
#include <doctest/doctest.h>

#include <string>

#include "devices/storage/piix3_ide.h"
#include "machine/block/memory_image.h"
#include "support/state_io.h"

namespace calque {

struct FlatMemory final : DmaSpace {
    std::vector<u8> bytes = std::vector<u8>(4 * kMiB);
    void dma_read(u64 p, std::span<u8> out) override {
        for (size_t i = 0; i < out.size(); ++i) out[i] = p + i < bytes.size() ? bytes[p + i] : u8{0xFF};
    }
    void dma_write(u64 p, std::span<const u8> in) override {
        for (size_t i = 0; i < in.size(); ++i)
            if (p + i < bytes.size()) bytes[p + i] = in[i];
    }
    void put32(u64 p, u32 v) {
        for (int i = 0; i < 4; ++i) bytes[p + i] = static_cast<u8>(v >> (8 * i));
    }
};

struct IdeRig {
    Clock clock;
    FlatMemory memory;
    Wire irq14, irq15;
    Piix3Ide ide{memory, irq14, irq15};

    IdeRig() { enable(); }
    void enable() {
        ide.config_write(0x04, 0x0005, 2);
        ide.config_write(0x40, 0x80008000, 4);
    }
    void attach(unsigned channel, unsigned position, IdeDrive& d) {
        ide.channel(channel).attach(position, d);
        clock.advance(1'000'000);
    }
    PortDevice& ports(unsigned ch = 0) { return ide.channel(ch).command_block(); }
    PortDevice& control(unsigned ch = 0) { return ide.channel(ch).control_block(); }
    u8 in(u16 reg, unsigned ch = 0) { return static_cast<u8>(ports(ch).io_read(reg, 1)); }
    void out(u16 reg, u8 v, unsigned ch = 0) { ports(ch).io_write(reg, v, 1); }
    u8 alt(unsigned ch = 0) { return static_cast<u8>(control(ch).io_read(0, 1)); }
    /// Waits for BSY to go; returns Alternate Status.
    u8 settle(unsigned ch = 0) {
        for (int i = 0; i < 1000 && (alt(ch) & 0x80); ++i) clock.advance(100'000);
        CHECK_FALSE((alt(ch) & 0x80));
        return alt(ch);
    }
    void address(u64 lba, unsigned count, u8 device = 0xE0, unsigned ch = 0) {
        out(6, static_cast<u8>(device | ((lba >> 24) & 0x0F)), ch);
        out(2, static_cast<u8>(count), ch);
        out(3, static_cast<u8>(lba), ch), out(4, static_cast<u8>(lba >> 8), ch), out(5, static_cast<u8>(lba >> 16), ch);
    }
    void address48(u64 lba, unsigned count, u8 device = 0xE0) {
        out(6, device);
        out(2, static_cast<u8>(count >> 8)), out(2, static_cast<u8>(count));
        for (int i = 0; i < 3; ++i) {
            out(static_cast<u16>(3 + i), static_cast<u8>(lba >> (24 + 8 * i)));
            out(static_cast<u16>(3 + i), static_cast<u8>(lba >> (8 * i)));
        }
    }
    u8 command(u8 opcode, unsigned ch = 0) {
        out(7, opcode, ch);
        return settle(ch);
    }
    std::vector<u8> read_data(size_t bytes, unsigned ch = 0) {
        std::vector<u8> v;
        while (v.size() < bytes) {
            const u32 w = ports(ch).io_read(0, 2);
            v.push_back(static_cast<u8>(w)), v.push_back(static_cast<u8>(w >> 8));
        }
        v.resize(bytes);
        return v;
    }
    void write_data(std::span<const u8> v, unsigned ch = 0) {
        for (size_t i = 0; i < v.size(); i += 2)
            ports(ch).io_write(0, v[i] | (i + 1 < v.size() ? v[i + 1] << 8 : 0), 2);
    }
    // Bus master: one table at 1000h.
    struct Region {
        u32 address, count;
    };
    void table(std::initializer_list<Region> regions) {
        u32 at = 0x1000;
        for (auto r : regions) memory.put32(at, r.address), memory.put32(at + 4, r.count & 0xFFFF), at += 8;
        memory.put32(at - 4, memory.bytes[at - 4] | memory.bytes[at - 3] << 8 | 0x80000000u);
        ide.bar_write(4, 4, 0x1000, 4);
    }
    void start(bool to_memory) { ide.bar_write(4, 0, to_memory ? 9 : 1, 1); }
    void stop() { ide.bar_write(4, 0, 0, 1); }
    u8 bm_status() { return static_cast<u8>(ide.bar_read(4, 2, 1)); }

    std::vector<u8> save() {
        StateIO s = StateIO::saver();
        clock.state(s);
        ide.state(s);
        return s.bytes();
    }
    bool load(std::span<const u8> bytes) {
        StateIO s = StateIO::loader(bytes);
        clock.state(s);
        ide.state(s);
        return s.ok();
    }
};

inline std::vector<u8> pattern(size_t bytes, unsigned seed = 1) {
    std::vector<u8> v(bytes);
    u32 x = seed * 2654435761u + 1;
    for (auto& b : v) x = x * 1664525u + 1013904223u, b = static_cast<u8>(x >> 24);
    return v;
}
inline std::vector<u8> slice(const std::vector<u8>& v, size_t at, size_t n) {
    return {v.begin() + static_cast<std::ptrdiff_t>(at), v.begin() + static_cast<std::ptrdiff_t>(at + n)};
}
inline u16 word(const std::vector<u8>& v, unsigned i) { return static_cast<u16>(v[2 * i] | v[2 * i + 1] << 8); }
inline std::string text(const std::vector<u8>& v, unsigned at, unsigned words) {
    std::string s;
    for (unsigned i = 0; i < 2 * words; ++i) s += static_cast<char>(v[2 * at + (i ^ 1)]);
    return s;
}
}  // namespace calque
