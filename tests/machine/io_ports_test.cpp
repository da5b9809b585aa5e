#include "machine/io_ports.h"

#include <doctest/doctest.h>

#include "machine/state_hash.h"

using namespace calque;

namespace {
struct Bytes final : BytePortDevice {
    explicit Bytes(u8 start) : base{start} {}
    u8 base;
    u8 last_reg = 0, last = 0;
    u8 read(u16 reg) override { return static_cast<u8>(base + reg); }
    void write(u16 reg, u8 value) override { last_reg = static_cast<u8>(reg), last = value; }
    void reset() override {}
    void state(StateIO&) override {}
};
}  // namespace

TEST_CASE("IoPorts: nobody is ones, borders split, the end wraps") {
    IoPorts io;
    Bytes a{0x10}, b{0x80};
    io.map(0x100, 2, a);
    io.map(0x102, 2, b);
    CHECK(io.in(0x50, 1) == 0xff);
    CHECK(io.in(0x50, 4) == 0xffffffff);
    CHECK(io.in(0x100, 4) == 0x81801110);
    CHECK(io.in(0x101, 2) == 0x8011);
    CHECK(io.in(0x103, 2) == 0xff81);
    io.out(0x101, 0x4321, 2);
    CHECK(a.last == 0x21);
    CHECK(b.last == 0x43);
    io.map(0xffff, 1, a);
    CHECK(io.in(0xffff, 2) == 0xff10);
    io.map(0x0, 1, b, 3);
    CHECK(io.in(0xffff, 2) == 0x8310);
}

TEST_CASE("IoPorts: windows come, move and go, and lose against fixed ports") {
    IoPorts io;
    Bytes fixed{0x10}, window{0x80};
    io.map(0xc104, 1, fixed);
    io.map_window(&window, 4, 0xc100, 16, window);
    CHECK(io.in(0xc103, 2) == 0x1083);
    io.map_window(&window, 4, 0xd000, 16, window);
    CHECK(io.in(0xc103, 1) == 0xff);
    CHECK(io.in(0xd003, 1) == 0x83);
    io.map_window(&window, 5, 0xfff8, 16, window);  // what lies past the end is cut off
    CHECK(io.in(0xffff, 1) == 0x87);
    io.unmap_window(&window, 4);
    CHECK(io.in(0xd003, 1) == 0xff);
    CHECK(io.in(0xc104, 1) == 0x10);
}

TEST_CASE("StateHash: order, length and single bits count") {
    const auto of = [](std::vector<u8> v) { StateHash h; h.add(std::span<const u8>{v}); return h.value(); };
    CHECK(of({1, 2}) != of({2, 1}));
    CHECK(of({0}) != of({0, 0}));
    CHECK(of({}) != of({0}));
    std::vector<u8> page(4096, 0);
    const u64 zero = of(page);
    for (size_t i = 0; i < page.size(); i += 97) {
        page[i] ^= 1;
        CHECK(of(page) != zero);
        page[i] ^= 1;
    }
    CHECK(of(page) == zero);
}
