// SSSE3 and later vector instructions through the whole processor: values worked out from the manual's operations (SDM vol. 2). On x86
// hosts tests/silicon compares them with the processor itself.
#include "vec_guest.h"

using namespace calque;
using namespace calque::test;

namespace {
using jit::V128;

/// op xmm1, xmm2, with perhaps XMM0 as a third operand.
struct Row {
    const char *name, *code;
    V128 a, b, result, xmm0{0, 0};
};
constexpr V128 kCount{0x0706050403020100, 0x0f0e0d0c0b0a0908};
constexpr u64 k1s = ~u64{0};

const Row kRows[] = {
    {"pshufb", "66 0F 38 00 CA", {0x1716151413121110, 0x1f1e1d1c1b1a1918}, {0x80ff0f0e01000302, 0x0706050403027f10}, {0x00001f1e11101312, 0x1716151413121f10}},
    {"pabsd", "66 0F 38 1E CA", {5, 5}, {0x80000000ffffffff, 0x7fffffff00000000}, {0x8000000000000001, 0x7fffffff00000000}},
    {"palignr", "66 0F 3A 0F CA 05", {0x1716151413121110, 0x1f1e1d1c1b1a1918}, kCount, {0x0c0b0a0908070605, 0x14131211100f0e0d}},
    {"phaddd", "66 0F 38 02 CA", {0x0000000200000001, 0xffffffff80000000}, {0x0000000a00000014, 0x8000000080000000}, {0x7fffffff00000003, 0x000000000000001e}},
    {"pminsb", "66 0F 38 38 CA", {0x7f80ff0001020304, 0}, {0x807f0000ff050204, k1s}, {0x8080ff00ff020204, k1s}},
    {"pminsd", "66 0F 38 39 CA", {0x8000000000000001, 5}, {0x7fffffffffffffff, 0x00000003fffffffb}, {0x80000000ffffffff, 0x00000000fffffffb}},
    {"pminuw", "66 0F 38 3A CA", {0x8000ffff00010000, 0}, {0x7fff000000020000, 1}, {0x7fff000000010000, 0}},
    {"pmaxud", "66 0F 38 3F CA", {0x8000000000000001, 0}, {0x7fffffff00000002, k1s}, {0x8000000000000002, k1s}},
    {"pmulld", "66 0F 38 40 CA", {0x0001000000000007, 0x80000000ffffffff}, {0x0001000100000006, 0x00000003ffffffff}, {0x000100000000002a, 0x8000000000000001}},
    {"pmuldq", "66 0F 38 28 CA", {0x12345678ffffffff, 0x0000000080000000}, {0x9abcdef000000003, 0x1111111180000000}, {0xfffffffffffffffd, 0x4000000000000000}},
    {"phminposuw", "66 0F 38 41 CA", {1, 1}, {0x0009000700080009, 0x0007000800090007}, {0x0000000000020007, 0}},
    {"pcmpeqq", "66 0F 38 29 CA", {5, 6}, {5, 0x0000000100000006}, {k1s, 0}},
    {"packusdw", "66 0F 38 2B CA", {0xffffffff00010000, 0x000000057fffffff}, {0x800000000000ffff, 0x0000000100000002}, {0x0005ffff0000ffff, 0x000100020000ffff}},
    {"pmovsxbw", "66 0F 38 20 CA", {1, 1}, {0x80ff7f0001fe0203, k1s}, {0x0001fffe00020003, 0xff80ffff007f0000}},
    {"pmovsxbq", "66 0F 38 22 CA", {1, 1}, {0x000000000000807f, k1s}, {0x7f, 0xffffffffffffff80}},
    {"pmovzxwd", "66 0F 38 33 CA", {1, 1}, {0xffff800000017fff, k1s}, {0x0000000100007fff, 0x0000ffff00008000}},
    {"pmovzxdq", "66 0F 38 35 CA", {1, 1}, {0xffffffff80000000, k1s}, {0x80000000, 0xffffffff}},
    {"pblendvb", "66 0F 38 10 CA", {0x1111111111111111, 0x2222222222222222}, {0x3333333333333333, 0x4444444444444444}, {0x3311113311113311, 0x2244222222222222},
     {0x807f00ff01018000, 0x0080000000000000}},
    {"blendvps", "66 0F 38 14 CA", {1, 2}, {3, 4}, {3, 2}, {0x7fffffff80000000, 0x0000000040000000}},
    {"blendvpd", "66 0F 38 15 CA", {1, 2}, {3, 4}, {1, 4}, {0x7fffffffffffffff, 0x8000000000000000}},
    {"pblendw", "66 0F 3A 0E CA 92", {0x1111111111111111, 0x1111111111111111}, {0x4444333322221111, 0x8888777766665555}, {0x1111111122221111, 0x8888111111115555}},
    {"blendps", "66 0F 3A 0C CA 06", {0x1111111100000000, 0x3333333322222222}, {0x5555555544444444, 0x7777777766666666}, {0x5555555500000000, 0x3333333366666666}},
    {"blendpd", "66 0F 3A 0D CA 02", {1, 2}, {3, 4}, {1, 4}},
    {"insertps", "66 0F 3A 21 CA D2", {0x2222222211111111, 0x4444444433333333}, {0x6666666655555555, 0x8888888877777777}, {0x0000000011111111, 0x4444444433333333}},
    {"insertps", "66 0F 3A 21 CA B8", {0x2222222211111111, 0x4444444433333333}, {0x6666666655555555, 0x8888888877777777}, {0x2222222211111111, 0x0000000033333333}},
    {"mpsadbw", "66 0F 3A 42 CA 05", {0, kCount.lo}, {0x0102030400000000, 0}, {0x00090009000a000a, 0x000a000800080008}},
};
}  // namespace

TEST_CASE("vector instructions on two registers") {
    for (Engine e : engines())
        for (const Row& r : kRows) {
            CAPTURE(r.name);
            Vec g{e, r.code};
            g.xmm(0) = r.xmm0, g.xmm(1) = r.a, g.xmm(2) = r.b;
            g.step();
            CHECK(g.vector() == -1);
            CHECK(g.xmm(1).lo == r.result.lo);
            CHECK(g.xmm(1).hi == r.result.hi);
        }
}

TEST_CASE("PTEST sets ZF and CF and clears the other flags") {
    struct Case {
        V128 a, b;
        u32 flags;
    };
    const Case cases[] = {{{0, 0}, {0, 0}, eflags::ZF | eflags::CF}, {{1, 0}, {2, 0}, eflags::ZF}, {{0, 7}, {0, 3}, eflags::CF}, {{1, 0}, {3, 0}, 0}};
    for (Engine e : engines())
        for (const Case& c : cases) {
            Vec g{e, "66 0F 38 17 CA 0F 92 C0 0F 94 C1"};  // ptest; setb al; sete cl
            g.xmm(1) = c.a, g.xmm(2) = c.b;
            g.set_flags(2 | eflags::Arithmetic);
            g.step(3);
            CHECK((g.flags() & eflags::Arithmetic) == c.flags);
            CHECK((g.rax & 1) == (c.flags & eflags::CF ? 1 : 0));
            CHECK((g.rcx & 1) == (c.flags & eflags::ZF ? 1 : 0));
        }
}

TEST_CASE("elements to and from general registers and memory") {
    for (Engine e : engines()) {
        // pextrb eax, xmm1, 19; pextrd [rbx], xmm1, 2; pextrq rcx, xmm1, 1; pextrw [rbx+4], xmm1, 7; extractps edx, xmm1, 1
        Vec g{e, "66 0F 3A 14 C8 13 66 0F 3A 16 0B 02 66 48 0F 3A 16 C9 01 66 0F 3A 15 4B 04 07 66 0F 3A 17 CA 01"};
        g.xmm(1) = {0x0706050483020100, 0x8f0e0d0c0b0a0908};
        g.rax = g.rcx = g.rdx = k1s;
        g.put(D, k1s, 8);
        g.step(5);
        CHECK(g.rax == 0x83);
        CHECK(g.get(D, 8) == 0xffff8f0e0b0a0908);
        CHECK(g.rcx == 0x8f0e0d0c0b0a0908);
        CHECK(g.rdx == 0x07060504);
        // pinsrb xmm1, eax, 15; pinsrd xmm1, [rbx], 1; pinsrq xmm2, rcx, 0; insertps xmm3, [rbx], F1h
        Vec h{e, "66 0F 3A 20 C8 0F 66 0F 3A 22 0B 01 66 48 0F 3A 22 D1 00 66 0F 3A 21 1B F1"};
        h.rax = 0x1234, h.rcx = 0x1122334455667788;
        h.put(D, 0x99aabbccddeeff00, 8);
        h.xmm(3) = {k1s, k1s};
        h.step(4);
        CHECK(h.xmm(1).lo == 0xddeeff0000000000);
        CHECK(h.xmm(1).hi == 0x3400000000000000);
        CHECK(h.xmm(2).lo == 0x1122334455667788);
        CHECK(h.xmm(3).lo == 0xffffffff00000000);
        CHECK(h.xmm(3).hi == 0xddeeff00ffffffff);
    }
}

TEST_CASE("memory operands: which must be aligned") {
    struct Case {
        const char* code;
        int vector;
    };
    const Case cases[] = {
        {"66 0F 38 39 4B 08", 13},      // pminsd xmm1, [rbx+8]
        {"66 0F 38 2A 4B 08", 13},      // movntdqa
        {"66 0F 38 20 4B 01", -1},      // pmovsxbw
        {"66 0F 3A 21 4B 01 00", -1},   // insertps
        {"66 0F 3A 16 4B 01 00", -1},   // pextrd
    };
    for (Engine e : engines())
        for (const Case& c : cases) {
            CAPTURE(c.code);
            Vec g{e, c.code};
            g.step(1);
            if (c.vector >= 0) g.step(1);
            CHECK(g.vector() == c.vector);
        }
}

TEST_CASE("a model without an extension has none of its instructions, nor its forms of older ones") {
    struct Case {
        const char *code, *model;
    };
    const Case cases[] = {
        {"66 0F 38 39 CA", "max,-sse4.1,-sse4.2"}, {"66 0F 3A 15 C8 00", "max,-sse4.1,-sse4.2"},
    };
    for (Engine e : engines())
        for (const Case& c : cases) {
            CAPTURE(c.code);
            Guest g{e, test::Mode::long64, c.code, c.model};
            g.s().cr4 |= cr4::OSFXSR;
            g.refresh();
            g.step(2);
            CHECK(g.vector() == 6);
        }
}
