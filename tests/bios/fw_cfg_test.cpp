#include "devices/system/fw_cfg.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>

#include "support/state_io.h"

using namespace calque;

namespace {
struct Memory final : DmaSpace {
    std::vector<u8> ram = std::vector<u8>(0x40000, 0xcc);
    void dma_read(u64 at, std::span<u8> out) override {
        for (u8& b : out) b = at < ram.size() ? ram[at] : 0xff, ++at;
    }
    void dma_write(u64 at, std::span<const u8> in) override {
        for (const u8 b : in) {
            if (at < ram.size()) ram[at] = b;
            ++at;
        }
    }
};
struct Rig {
    Memory memory;
    FwCfg cfg{memory};
    std::string read(u16 key, size_t n) {
        cfg.io_write(0, key, 2);
        std::string s;
        while (n--) s += static_cast<char>(cfg.io_read(1, 1));
        return s;
    }
    u32 dma(u32 control, u32 length, u64 address) {
        const u64 at = 0x100;
        const auto be = [&](u64 off, u64 v, int n) {
            for (int i = 0; i < n; ++i) memory.ram[at + off + i] = static_cast<u8>(v >> (8 * (n - 1 - i)));
        };
        be(0, control, 4), be(4, length, 4), be(8, address, 8);
        cfg.io_write(4, 0, 4);
        cfg.io_write(8, 0x00010000, 4);  // 0x100, big-endian
        return u32{memory.ram[at]} << 24 | memory.ram[at + 1] << 16 | memory.ram[at + 2] << 8 | memory.ram[at + 3];
    }
};
}  // namespace

TEST_CASE("fw_cfg: signature, feature bits and the data port") {
    Rig r;
    CHECK(r.read(0, 4) == "QEMU");
    CHECK(r.read(1, 4) == std::string("\3\0\0\0", 4));
    r.cfg.add_item(0x8002, {7, 8});
    CHECK(r.read(0x8002, 4) == std::string("\7\10\0\0", 4));
    CHECK(r.read(0x1234, 2) == std::string(2, '\0'));
}

TEST_CASE("fw_cfg: the file directory is big-endian, sorted, and its keys select the files") {
    Rig r;
    r.cfg.add_file("etc/b", {1, 2, 3});
    r.cfg.add_file("etc/a", {9});
    r.cfg.add_file("etc/b", {4, 5});  // replaces
    const std::string d = r.read(0x19, 4 + 2 * 64);
    CHECK(d.substr(0, 4) == std::string("\0\0\0\2", 4));
    CHECK(d.substr(4, 8) == std::string("\0\0\0\1\0\x21\0\0", 8));
    CHECK(std::string{d.c_str() + 12} == "etc/a");
    CHECK(d.substr(68, 8) == std::string("\0\0\0\2\0\x20\0\0", 8));
    CHECK(std::string{d.c_str() + 76} == "etc/b");
    CHECK(r.read(0x20, 2) == "\4\5");
}

TEST_CASE("fw_cfg: DMA signature, select and read, skip, zero fill, refused writes") {
    Rig r;
    CHECK(r.cfg.io_read(4, 4) == 0x554d4551);  // "QEMU" and " CFG", first character at the lowest port
    CHECK(r.cfg.io_read(8, 4) == 0x47464320);
    r.cfg.add_item(0x11, {1, 2, 3, 4, 5, 6});
    CHECK(r.dma(0x11 << 16 | 8 | 2, 4, 0x200) == 0);
    CHECK(std::equal(&r.memory.ram[0x200], &r.memory.ram[0x205], std::array<u8, 5>{1, 2, 3, 4, 0xcc}.begin()));
    CHECK(r.dma(4, 1, 0) == 0);  // skip
    CHECK(r.dma(2, 4, 0x300) == 0);
    CHECK(std::equal(&r.memory.ram[0x300], &r.memory.ram[0x305], std::array<u8, 5>{6, 0, 0, 0, 0xcc}.begin()));
    CHECK(r.dma(0x11 << 16 | 8 | 16, 4, 0x200) == 1);
    CHECK(r.dma(0x77 << 16 | 8 | 2, 0xffffffff, 0x3fff0) == 0);  // far past RAM, from an item that is not there
    CHECK(r.memory.ram[0x3fff0] == 0);
    CHECK(r.dma(4, 0xffffffff, 0) == 0);
    CHECK(r.dma(0x11 << 16 | 8 | 4, 0xffffffff, 0) == 0);
    CHECK(r.dma(2, 1, 0x300) == 0);
    CHECK(r.memory.ram[0x300] == 0);
}

TEST_CASE("fw_cfg: state continues in the middle of an item; damaged state stays in bounds") {
    Rig a, b;
    for (Rig* r : {&a, &b}) r->cfg.add_item(0x15, {'a', 'b', 'c'});
    a.read(0x15, 2);
    StateIO out = StateIO::saver();
    a.cfg.state(out);
    StateIO in = StateIO::loader(out.bytes());
    b.cfg.state(in);
    CHECK(in.ok());
    StateIO again = StateIO::saver();
    b.cfg.state(again);
    CHECK(again.bytes() == out.bytes());
    CHECK(b.cfg.io_read(1, 1) == 'c');
    auto bytes = out.bytes();
    bytes[6] = bytes[7] = bytes[8] = bytes[9] = 0xff;  // the offset
    StateIO bad = StateIO::loader(bytes);
    b.cfg.state(bad);
    CHECK(b.cfg.io_read(1, 1) == 0);
    b.cfg.reset();
    CHECK(b.cfg.io_read(1, 1) == 'Q');
}
