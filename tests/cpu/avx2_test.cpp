// AVX2's own instructions: values worked out from the manual's operations (SDM vol. 2), and how a gather stops and goes on.
#include "vec_guest.h"

using namespace calque;
using namespace calque::test;

namespace {
using jit::V128;
constexpr u64 k1s = ~u64{0};

/// op ymm1, ymm2, ymm3; unary ones take ymm3.
struct Row {
    const char *name, *code;
    V128 a, a_high, b, b_high, result, result_high;
};
constexpr V128 kOld{0x1111111111111111, 0x2222222222222222}, kOldHigh{0x3333333333333333, 0x4444444444444444};
constexpr V128 kCount{0x0706050403020100, 0x0f0e0d0c0b0a0908}, kMore{0x1716151413121110, 0x1f1e1d1c1b1a1918};
const Row kRows[] = {
    {"vpsllvd", "C4 E2 6D 47 CB", {0x0000000100000001, 0x0000000100000001}, {k1s, k1s}, {0x0000001f00000000, 0xffffffff00000020}, {0x0000000100000010, 0x000000ff00000004},
     {0x8000000000000001, 0}, {0xfffffffeffff0000, 0x00000000fffffff0}},
    {"vpsllvd xmm", "C4 E2 69 47 CB", {0x0000000100000001, 0x0000000100000001}, {k1s, k1s}, {0x0000001f00000000, 0xffffffff00000020}, {0, 0}, {0x8000000000000001, 0}, {0, 0}},
    {"vpsllvq", "C4 E2 ED 47 CB", {1, 1}, {k1s, k1s}, {63, 64}, {0x100000001, 4}, {u64{1} << 63, 0}, {0, 0xfffffffffffffff0}},
    {"vpsrlvd", "C4 E2 6D 45 CB", {0x8000000080000000, k1s}, {k1s, k1s}, {0x000000040000001f, 0x0000002000000000}, {k1s, 0}, {0x0800000000000001, 0x00000000ffffffff}, {0, k1s}},
    {"vpsrlvq", "C4 E2 ED 45 CB", {u64{1} << 63, k1s}, {k1s, k1s}, {63, 4}, {64, k1s}, {1, 0x0fffffffffffffff}, {0, 0}},
    {"vpsravd", "C4 E2 6D 46 CB", {0x8000000080000000, 0x7fffffff7fffffff}, {0x80000000f0000000, 1}, {0x000000040000001f, 0x0000002000000004}, {0xffffffff00000004, 0},
     {0xf8000000ffffffff, 0x0000000007ffffff}, {0xffffffffff000000, 1}},
    {"vpermd", "C4 E2 6D 36 CB", {0x0000000000000007, 0x0000000300000004}, {0xfffffff9fffffff8, 0x0000000500000006}, kCount, kMore,
     {0x030201001f1e1d1c, 0x0f0e0d0c13121110}, {0x0706050403020100, 0x171615141b1a1918}},
    {"vpermps", "C4 E2 6D 16 CB", {0x0000000600000001, 0}, {0, 0x0000000700000000}, kCount, kMore, {0x1b1a191807060504, 0x0302010003020100}, {0x0302010003020100, 0x1f1e1d1c03020100}},
    {"vpermq", "C4 E3 FD 00 CB 1B", {1, 2}, {3, 4}, kCount, kMore, {kMore.hi, kMore.lo}, {kCount.hi, kCount.lo}},
    {"vpermpd", "C4 E3 FD 01 CB B4", {1, 2}, {3, 4}, kCount, kMore, {kCount.lo, kCount.hi}, {kMore.hi, kMore.lo}},
    {"vpbroadcastb", "C4 E2 7D 78 CB", {1, 2}, {3, 4}, {0x1234567890abcdef, 1}, {2, 3}, {0xefefefefefefefef, 0xefefefefefefefef}, {0xefefefefefefefef, 0xefefefefefefefef}},
    {"vpbroadcastw", "C4 E2 7D 79 CB", {1, 2}, {3, 4}, {0x1234567890abcdef, 1}, {2, 3}, {0xcdefcdefcdefcdef, 0xcdefcdefcdefcdef}, {0xcdefcdefcdefcdef, 0xcdefcdefcdefcdef}},
    {"vpbroadcastd xmm", "C4 E2 79 58 CB", {1, 2}, {3, 4}, {0x1234567890abcdef, 1}, {2, 3}, {0x90abcdef90abcdef, 0x90abcdef90abcdef}, {0, 0}},
    {"vpbroadcastq", "C4 E2 7D 59 CB", {1, 2}, {3, 4}, {0x1234567890abcdef, 1}, {2, 3}, {0x1234567890abcdef, 0x1234567890abcdef}, {0x1234567890abcdef, 0x1234567890abcdef}},
    {"vpblendd", "C4 E3 6D 02 CB 5A", kOld, kOldHigh, kCount, kMore, {0x0706050411111111, 0x0f0e0d0c22222222}, {0x3333333313121110, 0x444444441b1a1918}},
    {"vpblendd, bits of its own above", "C4 E3 6D 02 CB 30", kOld, kOldHigh, kCount, kMore, kOld, {0x1716151413121110, 0x4444444444444444}},
    {"vpcmpgtq", "C4 E2 6D 37 CB", {5, k1s}, {u64{1} << 63, 7}, {4, k1s}, {0, 0x8000000000000007}, {k1s, 0}, {0, k1s}},
};
}  // namespace

TEST_CASE("AVX2: instructions on registers") {
    for (Engine e : engines())
        for (const Row& r : kRows) {
            CAPTURE(r.name);
            Vec g{e, r.code};
            g.xmm(1) = g.high(1) = {5, 5};
            g.xmm(2) = r.a, g.high(2) = r.a_high, g.xmm(3) = r.b, g.high(3) = r.b_high;
            g.step();
            CHECK(g.vector() == -1);
            CHECK(g.xmm(1).lo == r.result.lo);
            CHECK(g.xmm(1).hi == r.result.hi);
            CHECK(g.high(1).lo == r.result_high.lo);
            CHECK(g.high(1).hi == r.result_high.hi);
        }
}

namespace {
/// vpgatherdd ymm1, [rbx+ymm3*4], ymm2
constexpr const char* kGather = "C4 E2 6D 90 0C 9B";
constexpr u64 kAbsent = 0x38000;

/// Element k is at D + 4 * k and is k + 100h, but for those that `far` names: they are at the start of an absent page. All are wanted.
struct Gather : Vec {
    Gather(Engine e, unsigned far) : Vec{e, kGather} {
        u32 index[8];
        for (unsigned k = 0; k < 8; ++k) {
            put(D + 4 * k, 0x100 + k, 4);
            index[k] = far >> k & 1 ? static_cast<u32>((kAbsent - D) / 4 + k) : k;
            put(kAbsent + 4 * k, 0x200 + k, 4);
        }
        const auto pair = [&](unsigned k) { return index[k] | u64{index[k + 1]} << 32; };
        xmm(1) = kOld, high(1) = kOldHigh;
        xmm(2) = high(2) = {k1s, 0x80000000ffffffff};   // the sign bit is what counts
        xmm(3) = {pair(0), pair(2)}, high(3) = {pair(4), pair(6)};
        map(false);
    }
    void map(bool present) {
        put(leaf_64(kAbsent), present ? kAbsent | 7 : 0, 8);
        refresh();
        tlb_flush_all(s());
    }
    void again() {
        s().x.rip = at::Code;
        s().halted = false;
        refresh();
        step();
    }
};
}  // namespace

TEST_CASE("gather: wanted elements from memory, the others as they were, no mask left") {
    for (Engine e : engines()) {
        Gather g{e, 0};
        g.xmm(2) = {0x80000000ffffffff, 0x7fffffff00000000}, g.high(2) = {0, 0xffffffff7fffffff};
        g.step();
        CHECK(g.vector() == -1);
        CHECK(g.xmm(1).lo == 0x0000010100000100);
        CHECK(g.xmm(1).hi == kOld.hi);
        CHECK(g.high(1).lo == kOldHigh.lo);
        CHECK(g.high(1).hi == 0x0000010744444444);
        for (const V128& v : {g.xmm(2), g.high(2)}) CHECK((v.lo | v.hi) == 0);
    }
}

TEST_CASE("gather: what is not wanted is not accessed; a smaller one clears what is above") {
    for (Engine e : engines()) {
        Gather g{e, 0xf0};
        g.code("C4 E2 69 90 0C 9B");   // of xmm registers
        g.step();
        CHECK(g.vector() == -1);
        CHECK(g.xmm(1).hi == 0x0000010300000102);
        for (const V128& v : {g.high(1), g.xmm(2), g.high(2)}) CHECK((v.lo | v.hi) == 0);
        Gather q{e, 0xfe};
        q.code("C4 E2 69 91 0C 9B");   // vpgatherqd xmm1, [rbx+xmm3*4], xmm2: two elements
        q.xmm(2) = {0x00000000ffffffff, k1s}, q.xmm(3) = {2, k1s};
        q.step();
        CHECK(q.vector() == -1);
        CHECK(q.xmm(1).lo == 0x1111111100000102);
        CHECK(q.xmm(1).hi == 0);
    }
}

TEST_CASE("gather: a fault leaves the elements before it done, and it goes on from there") {
    for (Engine e : engines()) {
        Gather g{e, 0x14};   // elements 2 and 4
        g.step(2);
        CHECK(g.vector() == 14);
        CHECK(g.s().cr2 == kAbsent + 8);
        CHECK(g.stack(1, 8) == at::Code);
        CHECK(g.xmm(1).lo == 0x0000010100000100);
        CHECK(g.xmm(1).hi == kOld.hi);
        CHECK(g.xmm(2).lo == 0);
        CHECK(g.xmm(2).hi == k1s);
        g.map(true);
        g.put(D, 0x999, 4);   // is not read again
        g.again();
        CHECK(g.xmm(1).lo == 0x0000010100000100);
        CHECK(g.xmm(1).hi == 0x0000010300000202);
        CHECK(g.high(1).lo == 0x0000010500000204);
        CHECK(g.high(1).hi == 0x0000010700000106);
        for (const V128& v : {g.xmm(2), g.high(2)}) CHECK((v.lo | v.hi) == 0);
    }
}

TEST_CASE("gather: a breakpoint on an element comes instead of the fault of a later one, with RF set") {
    for (Engine e : engines()) {
        Gather g{e, 0x04};
        g.s().dr[0] = D, g.s().dr7 = 0xf0402, g.s().watching = true;   // reads and writes of 4 bytes
        g.refresh();
        g.step(2);
        CHECK(g.vector() == 1);
        CHECK((g.s().dr6 & 15) == 1);
        CHECK(g.stack(0, 8) == at::Code);
        CHECK((g.stack(2, 8) & eflags::RF) != 0);
        CHECK(g.xmm(2).lo == 0);
        CHECK(g.xmm(2).hi == k1s);
        // Then the fault.
        g.again();
        g.step();
        CHECK(g.vector() == 14);
        CHECK(g.s().cr2 == kAbsent + 8);
    }
}

TEST_CASE("gather: single step and breakpoints are traps after all of it") {
    for (Engine e : engines()) {
        Gather g{e, 0};
        g.s().dr[0] = D + 4, g.s().dr7 = 0xf0402, g.s().watching = true;
        g.set_flags(g.flags() | eflags::TF);
        g.refresh();
        g.step(2);
        CHECK(g.vector() == 1);
        CHECK((g.s().dr6 & 0x400f) == 0x4001);
        CHECK(g.stack(0, 8) == at::Code + 6);
        CHECK(g.high(1).hi == 0x0000010700000106);
    }
}

TEST_CASE("gather: a device's elements are read once each") {
    for (Engine e : engines()) {
        Gather g{e, 0};
        g.code("90 90 C4 E2 69 90 0C 9B F4");
        g.page_tables_64();
        g.put(g.leaf_64(kAbsent), at::Device | 7, 8);
        g.refresh();
        g.xmm(3) = {(kAbsent - D) / 4 | (kAbsent + 8 - D) / 4 << 32, 0}, g.xmm(2) = {k1s, 0};
        g.step(4);
        CHECK(g.xmm(1).lo == 0x5566778855667788);
        const std::vector<TestMemory::Access> expected{{at::Device, 0, 4, false}, {at::Device + 8, 0, 4, false}};
        CHECK(g.memory.device == expected);
    }
}

TEST_CASE("gather: 32-bit addresses wrap, and neither they nor misaligned ones are checked for alignment") {
    for (Engine e : engines()) {
        Gather g{e, 0};
        g.code("67 C4 E2 69 90 0C 1B");   // [ebx+xmm3]
        g.rbx = D + (u64{5} << 32), g.xmm(3) = {0xffffffff00000003, 0x0000000400000008}, g.xmm(2) = {k1s, k1s};
        g.put(D - 1, 0xaa, 1);
        g.step();
        CHECK(g.vector() == -1);
        CHECK(g.xmm(1).lo == 0x000100aa00010100);
        CHECK(g.xmm(1).hi == 0x0000010100000102);
    }
}

TEST_CASE("gather: a register named twice is #UD") {
    for (Engine e : engines())
        for (const char* code : {"C4 E2 6D 90 0C 8B", "C4 E2 65 90 0C 9B", "C4 E2 75 90 0C 9B"}) {   // index = destination, mask = index, mask = destination
            CAPTURE(code);
            Vec g{e, code};
            g.step(2);
            CHECK(g.vector() == 6);
        }
}
