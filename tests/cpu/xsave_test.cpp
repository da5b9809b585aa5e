// The XSAVE family: SDM vol. 1, "Managing State Using the XSAVE Feature Set".
#include "guest.h"

using namespace calque;
using namespace calque::test;

namespace {
constexpr u64 D = at::Data, Header = D + 512, Avx = D + 576, Compacted = u64{1} << 63;

/// RBX at the area, all of which is CCh but for the header; every component enabled and asked for.
struct Saver : Guest {
    Saver(Engine e, std::string_view hex, test::Mode m = test::Mode::long64) : Guest{e, m, hex, "max"} {
        rbx = D, rax = 7, rdx = 0;
        s().cr0 = (s().cr0 & ~(cr0::EM | cr0::TS)) | cr0::NE;
        s().cr4 |= cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE;
        s().xcr0 = 7;
        refresh();
        for (unsigned i = 0; i < 1024; i += 8) put(D + i, i >= 512 && i < 576 ? 0 : 0xcccccccccccccccc, 8);
        for (unsigned i = 0; i < 16; ++i) s().xmm[i] = {i, 100 + i}, s().ymm_high[i] = {200 + i, 300 + i};
    }
    void no_avx() {
        for (auto& v : s().ymm_high) v = {0, 0};
    }
};
}  // namespace

TEST_CASE("XSAVE stores upper halves behind the header; XRSTOR brings them back or clears them") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Saver g{e, "48 0F AE 23 48 0F AE 2B 48 0F AE 2B"};
        g.step();
        CHECK(g.get(Header, 8) == 7);
        CHECK(g.get(Header + 8, 8) == 0);
        CHECK(g.get(D + 24, 4) == 0x1f80);
        CHECK(g.get(D + 160 + 15 * 16, 8) == 15);
        CHECK(g.get(Avx + 15 * 16 + 8, 8) == 315);
        g.no_avx();
        g.step();
        CHECK(g.s().ymm_high[15].hi == 315);
        g.put(Header, 3, 8);
        g.step();
        CHECK(g.s().ymm_high[15].hi == 0);
        CHECK(g.s().xmm[15].hi == 115);
    }
}

TEST_CASE("XSAVE and XSAVEOPT of AVX state in its initial configuration") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Saver g{e, "48 0F AE 33 48 0F AE 23"};
        g.rax = 4;
        g.no_avx();
        g.put(Header, 7, 8);
        g.step();   // XSAVEOPT leaves the area alone
        CHECK(g.get(Header, 8) == 3);
        CHECK(g.get(Avx, 8) == 0xcccccccccccccccc);
        CHECK(g.get(D + 24, 4) == 0x1f80);   // MXCSR goes with AVX state too
        CHECK(g.get(D + 160, 8) == 0xcccccccccccccccc);
        g.step();   // XSAVE writes it
        CHECK(g.get(Header, 8) == 3);
        CHECK(g.get(Avx, 8) == 0);
    }
}

TEST_CASE("XSAVEC writes the compacted format, XRSTOR reads it") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Saver g{e, "48 0F C7 23 48 0F AE 2B 48 0F C7 23"};
        g.rax = 6;
        g.put(Header + 16, 0x1234, 8);
        g.put(Header, ~u64{0}, 8);
        g.s().mxcsr = 0x1fa0;
        g.step();
        CHECK(g.get(Header, 8) == 6);
        CHECK(g.get(Header + 8, 8) == (Compacted | 6));
        CHECK(g.get(Header + 16, 8) == 0x1234);   // reserved bytes are left
        CHECK(g.get(D, 8) == 0xcccccccccccccccc);
        CHECK(g.get(D + 24, 4) == 0x1fa0);
        CHECK(g.get(Avx + 16, 8) == 201);
        g.put(Header + 16, 0, 8);
        g.put(Header, 4, 8);
        g.rax = 7;
        g.step();
        CHECK(g.vector() == -1);
        CHECK(g.s().ymm_high[1].lo == 201);
        CHECK(g.s().xmm[1].lo == 0);
        CHECK(g.s().mxcsr == 0x1f80);   // part of SSE state here
        g.no_avx();
        g.rax = 4;
        g.step();
        CHECK(g.get(Header, 8) == 0);
        CHECK(g.get(Header + 8, 8) == (Compacted | 4));
        CHECK(g.get(D + 24, 4) == 0x1fa0);
    }
}

TEST_CASE("XRSTOR and XRSTORS refuse headers that are not theirs") {
    struct Row {
        const char* code;
        u64 present, layout, reserved;
        int vector;
    };
    const char *plain = "48 0F AE 2B", *supervisor = "48 0F C7 1B";
    const Row rows[] = {
        {plain, 7, 0, 0, -1},
        {plain, 8, 0, 0, 13},                     // a component that XCR0 lacks
        {plain, 7, 0, 1, 13},
        {plain, 7, 1, 0, 13},                     // XCOMP_BV without the bit that says compacted
        {plain, 7, Compacted | 7, 0, -1},
        {plain, 7, Compacted | 7, 1, 13},
        {plain, 7, Compacted | 3, 0, 13},         // more than the layout has
        {plain, 3, Compacted | 0xb, 0, 13},
        {supervisor, 7, Compacted | 7, 0, -1},
        {supervisor, 7, 0, 0, 13},
    };
    for (Engine e : engines())
        for (const Row& r : rows) {
            CAPTURE(e);
            CAPTURE(r.code);
            CAPTURE(r.layout);
            Saver g{e, r.code};
            g.put(D + 24, 0x1f80, 8);
            g.put(Header, r.present, 8), g.put(Header + 8, r.layout, 8), g.put(Header + 16, r.reserved, 8);
            g.step(2);
            CHECK(g.vector() == r.vector);
        }
}

TEST_CASE("XSAVES is privileged and saves what XSAVEC does; IA32_XSS has no component to enable") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Saver g{e, "48 0F C7 2B"};
        g.step();
        CHECK(g.get(Header + 8, 8) == (Compacted | 7));
        CHECK(g.get(Avx + 32, 8) == 202);
        Saver user{e, "48 0F C7 2B", test::Mode::user64};
        user.step(2);
        CHECK(user.vector() == 13);
        Saver xss{e, "0F 32 31 C0 0F 30 FF C0 0F 30"};   // rdmsr; xor eax, eax; wrmsr; inc eax; wrmsr
        xss.rcx = 0xda0;
        xss.step(4);
        CHECK(xss.vector() == -1);
        xss.step(2);
        CHECK(xss.vector() == 13);
    }
}

TEST_CASE("XGETBV(1) tells what is in use; XSETBV wants SSE state with AVX state") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Saver g{e, "0F 01 D0 0F 01 D0 0F 01 D0"};
        g.rcx = 1;
        g.step();
        CHECK(g.rax == 7);
        g.no_avx();
        g.step();
        CHECK(g.rax == 3);
        g.rcx = 2;
        g.step(2);
        CHECK(g.vector() == 13);
        for (u64 v : {0, 1, 2, 3, 5, 8}) {
            Saver h{e, "0F 01 D1"};
            h.rax = v, h.rcx = 0;
            h.step(2);
            CHECK(h.vector() == (v == 1 || v == 3 ? -1 : 13));
        }
    }
}

TEST_CASE("XSAVE outside of 64-bit code knows eight registers, and its segment's limit") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Saver g{e, "0F AE 23 0F AE 2B", test::Mode::protected32};
        g.step();
        CHECK(g.get(Avx + 7 * 16, 8) == 207);
        CHECK(g.get(Avx + 8 * 16, 8) == 0xcccccccccccccccc);
        g.put(Avx + 8 * 16, 0, 8);
        g.no_avx();
        g.s().ymm_high[8] = {9, 9};
        g.step();
        CHECK(g.s().ymm_high[7].lo == 207);
        CHECK(g.s().ymm_high[8].lo == 9);
        Saver h{e, "0F AE 23", test::Mode::protected32};
        h.s().seg[DS].limit = static_cast<u32>(Avx) + 100;
        h.refresh();
        h.step(2);
        CHECK(h.vector() == 13);
    }
}
