// SSE4.2's string comparisons: results worked out from the manual's description of the control byte (SDM vol. 2B, "Imm8 Control Byte
// Operation for PCMPESTRI / PCMPESTRM / PCMPISTRI / PCMPISTRM").
#include <bit>
#include <string>
#include <string_view>

#include "vec_guest.h"

using namespace calque;
using namespace calque::test;

namespace {
using jit::V128;

V128 text(std::string_view t, u8 behind = 0) {
    V128 v{0, 0};
    for (size_t k = 0; k < 16; ++k) (k < 8 ? v.lo : v.hi) |= u64{k < t.size() ? static_cast<u8>(t[k]) : k == t.size() ? u8{0} : behind} << 8 * (k & 7);
    return v;
}
constexpr u32 Z = eflags::ZF, S = eflags::SF;

/// `bits`: the manual's IntRes2, from which index, mask, CF and OF follow. `ends`: ZF when b does, SF when a does.
struct Row {
    const char* name;
    u8 control;
    std::string_view a, b;
    u32 bits, ends;
};
using namespace std::string_view_literals;
const Row kRows[] = {
    {"any byte of a set", 0x00, "aeiou", "string of bytes", 0x2088, Z | S},
    {"the last that is not of it", 0x50, "aeiou", "string of bytes", 0xdf77, Z | S},
    {"masked: of the string all are", 0x30, "sx", "ssss", 0, Z | S},
    {"ranges", 0x04, "azAZ", "12 ab, CD;", 0x0198, Z | S},
    {"half a range is none", 0x04, "azA", "12 AB cd", 0x00c0, Z | S},
    {"equal each, beyond both ends too", 0x08, "equal", "equax", 0xffef, Z | S},
    {"where they differ", 0x18, "equal", "equax", 0x0010, Z | S},
    {"the same, without an end", 0x18, "0123456789abcdef", "0123456789abcdef", 0, 0},
    {"masked: behind the end it stays", 0x38, "abc", "abcd", 0xfff8, Z | S},
    {"a substring", 0x0c, "needle", "hay needle", 0x0010, Z | S},
    {"a substring that may go on", 0x0c, "fox", "0123456789abcdfo", 0x4000, S},
    {"an empty needle is everywhere", 0x0c, "", "abc", 0xffff, Z | S},
    {"the last of many", 0x4c, "ab", "ababab.ab", 0x0095, Z | S},
    {"signed bytes", 0x06, "\x80\x10", "\x20\xf0\x05", 0x0006, Z | S},
    {"unsigned bytes", 0x04, "\x10\x80", "\x05\xf0\x20", 0x0004, Z | S},
    {"words", 0x09, "a\0b\0"sv, "a\0c\0"sv, 0x00fd, Z | S},
    {"signed words", 0x47, "\xff\xff\x01\0"sv, "\x01\0\x02\0\xff\xff"sv, 0x0005, Z | S},
};
unsigned elements(const Row& r) { return r.control & 1 ? 8 : 16; }
u32 index_of(const Row& r) { return !r.bits ? elements(r) : r.control & 0x40 ? 31u - static_cast<u32>(std::countl_zero(r.bits)) : static_cast<u32>(std::countr_zero(r.bits)); }
V128 mask_of(const Row& r) {
    if (!(r.control & 0x40)) return {r.bits, 0};
    V128 v{0, 0};
    for (unsigned k = 0; k < 16; ++k)
        if (r.bits >> (k * elements(r) / 16) & 1) (k < 8 ? v.lo : v.hi) |= u64{0xff} << 8 * (k & 7);
    return v;
}
u32 flags_of(const Row& r) { return r.ends | (r.bits ? u32{eflags::CF} : 0) | (r.bits & 1 ? u32{eflags::OF} : 0); }
std::string with_imm(const char* code, u8 imm) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02X", imm);
    return std::string{code} + " " + hex;
}

/// The index into ECX or the mask into XMM0, and the flags.
void check(Vec& g, const Row& r, bool mask) {
    g.rcx = ~u64{0};
    g.xmm(0) = {1, 2};
    g.set_flags(2 | eflags::Arithmetic);
    g.step();
    CHECK(g.vector() == -1);
    CHECK((g.flags() & eflags::Arithmetic) == flags_of(r));
    CHECK(g.rcx == (mask ? ~u64{0} : index_of(r)));
    CHECK(g.xmm(0).lo == (mask ? mask_of(r).lo : 1));
    CHECK(g.xmm(0).hi == (mask ? mask_of(r).hi : 2));
}
}  // namespace

TEST_CASE("PCMPISTRI and PCMPISTRM: strings that end at a zero") {
    for (Engine e : engines())
        for (const Row& r : kRows)
            for (const bool mask : {false, true}) {
                CAPTURE(r.name);
                Vec g{e, with_imm(mask ? "66 0F 3A 62 CA" : "66 0F 3A 63 CA", r.control | 0x80)};   // bit 7 means nothing
                g.xmm(1) = text(r.a), g.xmm(2) = text(r.b);
                check(g, r, mask);
            }
}

TEST_CASE("PCMPESTRI and PCMPESTRM: lengths are given, their sign means nothing and what lies beyond neither") {
    for (Engine e : engines())
        for (const Row& r : kRows)
            for (const bool mask : {false, true}) {
                CAPTURE(r.name);
                Vec g{e, with_imm(mask ? "66 0F 3A 60 4B 01" : "66 0F 3A 61 4B 01", r.control)};   // xmm1, [rbx+1]: need not be aligned
                const u64 size = r.control & 1 ? 2 : 1;
                const V128 b = text(r.b, 0x61);
                g.xmm(1) = text(r.a, 0x61);
                g.put(D + 1, b.lo, 8), g.put(D + 9, b.hi, 8);
                g.rax = u64{7} << 32 | (r.ends & S ? r.a.size() / size : 1000), g.rdx = static_cast<u32>(0 - (r.ends & Z ? r.b.size() / size : 1u << 31));
                check(g, r, mask);
            }
}

TEST_CASE("PCMPESTRI with REX.W takes 64-bit lengths") {
    for (Engine e : engines()) {
        const Row all{"", 0x00, "x", "xxxxxxxxxxxxxxxx", 0xffff, S}, two{"", 0x00, "x", "xx", 0x0003, Z | S};
        Vec g{e, "66 48 0F 3A 61 CA 00"}, h{e, "66 0F 3A 61 CA 00"};
        for (Vec* v : {&g, &h}) v->xmm(1) = text("x"), v->xmm(2) = text("xxxxxxxxxxxxxxxx"), v->rax = 1, v->rdx = 0x100000002;
        check(g, all, false);
        check(h, two, false);
    }
}

// One instruction of the host may serve both the index and the flags.
TEST_CASE("a search loop with PCMPISTRI") {
    for (Engine e : engines()) {
        // again: pcmpistri xmm1, [rbx+rdx], 4; lea rdx, [rdx+16]; ja again; setc al; hlt
        Vec g{e, "66 0F 3A 63 0C 13 04 48 8D 52 10 77 F3 0F 92 C0 F4"};
        g.xmm(1) = text("09");
        for (unsigned k = 0; k < 320; ++k) g.put(D + k, 'a' + k % 26, 1);
        g.put(D + 200, '7', 1);
        g.rdx = 0;
        CHECK(g.run(1000) == Cpu::Stop::halted);
        CHECK(g.rdx == 208);
        CHECK(g.rcx == 200 % 16);
        CHECK((g.rax & 1) == 1);
    }
}
