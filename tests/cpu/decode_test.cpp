#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "cpu/decode.h"
#include "cpu/lift/lift_block.h"

using namespace calque;

namespace {
constexpr jit::Mode kLong{mode::Code64 | mode::Protected | mode::FlatCs | mode::FlatDs | mode::FlatEs | mode::FlatSs, 0};
constexpr jit::Mode kProtected32{mode::Code32 | mode::Stack32 | mode::Protected | mode::FlatCs | mode::FlatDs | mode::FlatEs | mode::FlatSs, 0};
constexpr jit::Mode kReal{0, 0};
constexpr IsaSet kAll = IsaSet::all();

IsaSet all_but(Isa f) {
    IsaSet r = kAll;
    r.remove(f);
    return r;
}

struct Decoded {
    Decode status;
    Insn in;
};
Decoded read(std::initializer_list<u8> bytes, jit::Mode m = kLong, const IsaSet& features = kAll, u64 rip = 0x1000) {
    Decoded d;
    const std::vector<u8> v{bytes};
    d.status = decode(v.data(), v.size(), rip, m, features, d.in);
    return d;
}
}  // namespace

TEST_CASE("decode: 16 bytes of prefixes are too long, 15 of which the last is missing ask for more") {
    std::vector<u8> v(15, 0x66);
    Insn in;
    CHECK(decode(v.data(), 14, 0, kLong, kAll, in) == Decode::more);
    CHECK(decode(v.data(), 15, 0, kLong, kAll, in) == Decode::too_long);
}

TEST_CASE("decode: a SIB byte without base is a plain displacement, whatever REX.B says") {
    const auto d = read({0x67, 0x41, 0x8b, 0x04, 0x25, 0x78, 0x56, 0x34, 0x82});
    REQUIRE(d.status == Decode::ok);
    CHECK(d.in.length == 9);
    CHECK(d.in.op[1].base == -1);
    CHECK(d.in.op[1].value == 0xffffffff82345678);
}

TEST_CASE("decode: F3 41 90 exchanges R8, F3 90 pauses") {
    const auto d = read({0xf3, 0x41, 0x90});
    CHECK(d.in.mn == Mn::XCHG);
    CHECK(d.in.op[0].reg == R8);
    CHECK(read({0xf3, 0x90}).in.mn == Mn::PAUSE);
}

TEST_CASE("decode: VPINSRD and VPEXTRD with VEX.W outside of 64-bit code are undefined on Zen, and as without it elsewhere") {
    for (const u8 opcode : {0x22, 0x16}) {   // modrm C8, imm8
        const std::initializer_list<u8> w1 = {0xc4, 0xe3, static_cast<u8>(opcode == 0x16 ? 0xf9 : 0xf1), opcode, 0xc8, 0x01};
        CHECK(read(w1, kProtected32).status == Decode::undefined);
        const auto d = read(w1, kProtected32, all_but(Isa::zen));
        CHECK(d.status == Decode::ok);
        CHECK(d.in.mn == (opcode == 0x16 ? Mn::PEXTRD : Mn::PINSRD));
        CHECK(read(w1).in.mn == (opcode == 0x16 ? Mn::PEXTRQ : Mn::PINSRQ));
    }
}

TEST_CASE("decode: F3 0F BD is LZCNT or BSR, by what the processor has") {
    CHECK(read({0xf3, 0x0f, 0xbd, 0xc1}).in.mn == Mn::LZCNT);
    const IsaSet without = all_but(Isa::lzcnt);
    CHECK(read({0xf3, 0x0f, 0xbd, 0xc1}, kLong, without).in.mn == Mn::BSR);
}

TEST_CASE("decode: an instruction the model lacks is undefined") {
    const IsaSet without = all_but(Isa::cmov);
    CHECK(read({0x0f, 0x44, 0xc1}, kProtected32, without).status == Decode::undefined);
    CHECK(read({0x0f, 0x44, 0xc1}, kProtected32).status == Decode::ok);
}

TEST_CASE("decode: relative targets are cut to the operand size") {
    CHECK(read({0xe9, 0x10, 0x00}, kReal, kAll, 0xfff8).in.op[0].value == 0x000b);
    CHECK(read({0xe8, 0xfb, 0xff, 0xff, 0xff}, kLong, kAll, 0x7fff0000).in.op[0].value == 0x7fff0000);
    CHECK(read({0xeb, 0xfe}, kProtected32, kAll, 0).in.op[0].value == 0);
}

TEST_CASE("decode: far pointers become selector and offset") {
    const auto d = read({0xea, 0x78, 0x56, 0x34, 0x12, 0x08, 0x00}, kProtected32);
    REQUIRE(d.in.op_count == 2);
    CHECK(d.in.op[0].value == 8);
    CHECK(d.in.op[1].value == 0x12345678);
}

TEST_CASE("decode: high byte registers, and their REX replacements") {
    CHECK(read({0x88, 0xe0}).in.op[1].kind == Operand::gpr_high);
    const auto d = read({0x40, 0x88, 0xe0});
    CHECK(d.in.op[1].kind == Operand::gpr);
    CHECK(d.in.op[1].reg == RSP);
    CHECK(d.in.op[1].size == 1);
}

TEST_CASE("decode: LOCK on an instruction that does not take it, and LOCK without memory, are undefined") {
    CHECK(read({0xf0, 0x8b, 0x00}).status == Decode::undefined);
    CHECK(read({0xf0, 0x01, 0xc0}).status == Decode::undefined);
    CHECK(read({0xf0, 0x01, 0x00}).status == Decode::ok);
}

TEST_CASE("decode: segment overrides that 64-bit code ignores") {
    CHECK(read({0x2e, 0x8b, 0x00}).in.op[1].seg == DS);
    CHECK(read({0x65, 0x8b, 0x00}).in.op[1].seg == GS);
    CHECK(read({0x2e, 0x8b, 0x00}, kProtected32).in.op[1].seg == CS);
    CHECK(read({0x8b, 0x45, 0x00}, kProtected32).in.op[1].seg == SS);
}

TEST_CASE("lift: a block ends at a jump, at the page's end, at the limit asked for and at a cut") {
    std::vector<u8> page(4096, 0x90);
    page[10] = 0xeb, page[11] = 0xf4;  // jmp 0
    jit::Block b;
    jit::LiftRequest r{0x5000, kLong, page.data(), 0, 64, nullptr, nullptr};
    lift_block(r, kAll, b);
    CHECK(b.insn_count == 11);
    CHECK(b.end_rip == 0x500c);
    CHECK(b.code.back().op == jit::Op::jump);
    CHECK(b.code.back().imm == 0x5000);
    CHECK(jit::verify(b) == "");

    r.rip = 0x5ffe, r.offset = 4094;
    lift_block(r, kAll, b);
    CHECK(b.insn_count == 2);
    CHECK(b.code.back().imm == 0x6000);

    r.rip = 0x5100, r.offset = 0x100, r.max_insns = 3;
    lift_block(r, kAll, b);
    CHECK(b.insn_count == 3);

    jit::PageCuts cuts;
    cuts.set(0x101);
    r.cuts = &cuts, r.max_insns = 64;
    lift_block(r, kAll, b);
    CHECK(b.insn_count == 2);

    jit::PageCuts stops;
    stops.set(0x100), stops.set(0x104);
    r.cuts = nullptr, r.stops = &stops;
    lift_block(r, kAll, b);
    CHECK(b.insn_count == 4);
    CHECK(b.code.back().imm == 0x5104);
}

TEST_CASE("lift: an instruction that does not fit the page is left to lift_one") {
    std::vector<u8> page(4096, 0x90);
    page[4095] = 0xb8;  // mov eax, imm32
    jit::Block b;
    lift_block({0x5fff, kLong, page.data(), 4095, 64, nullptr}, kAll, b);
    CHECK(b.insn_count == 0);
    const u8 whole[] = {0xb8, 1, 2, 3, 4};
    CHECK_FALSE(lift_one(whole, 3, 0x5fff, kLong, kAll, b));
    REQUIRE(lift_one(whole, 5, 0x5fff, kLong, kAll, b));
    CHECK(b.insn_count == 1);
    CHECK(b.end_rip == 0x6004);
    CHECK(jit::verify(b) == "");
}

TEST_CASE("disassemble: text and length, in the code size of the mode") {
    const u8 adc[] = {0x15, 0x30, 0, 0, 0, 0x90};
    CHECK(disassemble(adc, sizeof adc, 0x1000, kLong, kAll).text == "adc eax, 0x30");
    CHECK(disassemble(adc, sizeof adc, 0x1000, kLong, kAll).length == 5);
    CHECK(disassemble(adc, sizeof adc, 0x1000, kReal, kAll).text == "adc ax, 0x30");
    const u8 jump[] = {0xeb, 0xfe}, bad[] = {0x0f, 0xff};
    CHECK(disassemble(jump, 2, 0x1000, kLong, kAll).text == "jmp 0x0000000000001000");
    CHECK(disassemble(bad, 1, 0, kLong, kAll).text == "(bad)");
    CHECK(disassemble(bad, 1, 0, kLong, kAll).length == 1);
}

TEST_CASE("lift: every opcode in every mode gives IR that keeps the rules") {
    const jit::Mode modes[] = {kReal, kProtected32, kLong, {mode::Protected | mode::Vm86 | mode::ViewUser, 0x12340}, {mode::Protected | mode::Code32, 0}};
    for (const auto& m : modes)
        for (unsigned map = 0; map < 2; ++map)
            for (unsigned opcode = 0; opcode < 256; ++opcode)
                for (u8 prefix : {0x00, 0x66, 0x67, 0xf2, 0xf3})
                    for (unsigned modrm = 0; modrm < 256; modrm += 3) {
                        u8 bytes[16]{};
                        size_t n = 0;
                        if (prefix) bytes[n++] = prefix;
                        if (map) bytes[n++] = 0x0f;
                        bytes[n++] = static_cast<u8>(opcode);
                        bytes[n++] = static_cast<u8>(modrm);
                        for (; n < 16; ++n) bytes[n] = static_cast<u8>(0x11 * n);
                        jit::Block b;
                        REQUIRE(lift_one(bytes, 15, 0x1000, m, kAll, b));
                        const std::string wrong = jit::verify(b);
                        INFO("opcode ", opcode, " map ", map, " modrm ", modrm, " prefix ", int(prefix), " mode ", m.bits);
                        REQUIRE(wrong == "");
                    }
}

TEST_CASE("decode: encodings that do not exist are undefined, though Zydis knows them") {
    CHECK(read({0x62, 0xf1, 0x7c, 0x08, 0x58, 0xc1}).status == Decode::undefined);    // EVEX
    CHECK(read({0x8f, 0xea, 0x78, 0x10, 0xc1, 1, 0, 0, 0}).status == Decode::undefined);  // XOP
    CHECK(read({0x0f, 0x0f, 0xc1, 0x9e}).status == Decode::undefined);                // 3DNow!
}
