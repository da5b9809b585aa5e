#include <doctest/doctest.h>

#include "jit/ir/builder.h"
#include "jit/opt/opt.h"

using namespace calque;
using namespace calque::jit;

namespace {
const HelperInfo kHelpers[] = {
    {"pure", nullptr, 0, 0, 0},
    {"writes_0", nullptr, 0, 1, 0},
    {"reads_0", nullptr, 1, 0, 0},
    {"faults", nullptr, 0, 0, HelperMayFault},
};
const Layout kLayout{nullptr, 0, 0, 63, 0, kHelpers, 4, nullptr, nullptr, nullptr};
constexpr u8 kFlags = 16;

struct B {
    Block block;
    Builder b{block};
    Val get(u8 slot) { return b.get(slot, Type::I64); }
    /// The text after the passes, without the first line.
    std::string after(std::initializer_list<void (*)(Block&, const Layout&)> passes) {
        if (!b.ended()) b.leave();
        for (const auto pass : passes) {
            pass(block, kLayout);
            CHECK(verify(block) == "");
        }
        std::string text = print(block);
        return text.substr(text.find('\n') + 1);
    }
};
}  // namespace

TEST_CASE("forward_state: get after set and after get") {
    B t;
    t.b.set(0, t.b.add(t.get(0), u64{1}));
    t.b.set(1, t.b.add(t.get(0), t.get(0)));
    CHECK(t.after({forward_state, dead_code}) ==
          "  %1 = get.i64 s0\n"
          "  %2 = constant.i64 0x1\n"
          "  %3 = add.i64 %1, %2\n"
          "  set.i64 s0, %3\n"
          "  %5 = add.i64 %3, %3\n"
          "  set.i64 s1, %5\n"
          "  leave\n");
}

TEST_CASE("forward_state: a helper that writes the slot is between") {
    B t;
    t.b.set(0, t.get(1));
    t.b.call(1, Type::None);
    t.b.set(2, t.b.add(t.get(0), t.get(1)));
    CHECK(t.after({forward_state, dead_code}) ==
          "  %1 = get.i64 s1\n"
          "  set.i64 s0, %1\n"
          "  call h1\n"
          "  %4 = get.i64 s0\n"
          "  %5 = add.i64 %4, %1\n"
          "  set.i64 s2, %5\n"
          "  leave\n");
}

TEST_CASE("dead_sets: only the last of two sets stays, unless somebody looks between") {
    const auto text = [](auto between) {
        B t;
        const Val x = t.get(1);
        t.b.set(0, x);
        between(t, x);
        t.b.set(0, x);
        const std::string s = t.after({dead_sets, dead_code});
        size_t count = 0;
        for (size_t at = s.find("set."); at != std::string::npos; at = s.find("set.", at + 1)) ++count;
        return count;
    };
    CHECK(text([](B&, Val) {}) == 1);
    CHECK(text([](B& t, Val) { t.b.call(0, Type::None); }) == 1);
    CHECK(text([](B& t, Val) { t.b.call(1, Type::None); }) == 2);
    CHECK(text([](B& t, Val) { t.b.call(2, Type::None); }) == 2);
    CHECK(text([](B& t, Val) { t.b.call(3, Type::None); }) == 2);
    CHECK(text([](B& t, Val x) { t.b.load(Type::I8, x); }) == 2);
    CHECK(text([](B& t, Val x) { t.b.store(x, x); }) == 2);
    CHECK(text([](B& t, Val x) { t.b.guard(t.b.icmp(Cmp::ne, x, 5), 13); }) == 2);
    CHECK(text([](B& t, Val) { t.b.set(9, t.get(0)); }) == 3);
}

TEST_CASE("compare and branch needs no flags once another instruction sets them") {
    B t;
    const Val a = t.b.trunc(t.get(0), Type::I32), c = t.b.trunc(t.get(3), Type::I32);
    t.b.set(kFlags, t.b.flags(Op::flags_sub, a, c));
    const Val test = t.b.cond(Cond::le, t.b.get(kFlags, Type::I16));
    t.b.set(kFlags, t.b.flags_logic(c));
    t.b.branch(test, 0x40);
    CHECK(t.after({forward_state, fuse_compare, fold, common_values, dead_sets, dead_flags, dead_code}) ==
          "  %1 = get.i64 s0\n"
          "  %2 = trunc.i32 %1\n"
          "  %3 = get.i64 s3\n"
          "  %4 = trunc.i32 %3\n"
          "  %5 = icmp.i32 sle %2, %4\n"
          "  %6 = flags_logic.i32 %4\n"
          "  set.i16 s16, %6\n"
          "  branch 0x40 %5\n");
}

TEST_CASE("fuse_compare: each condition of each flag op agrees with the flags") {
    const u64 values[] = {0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff};
    for (const Op op : {Op::flags_sub, Op::flags_add, Op::flags_logic, Op::flags_shl, Op::flags_shr, Op::flags_sar})
        for (unsigned c = 0; c < 16; ++c)
            for (const u64 x : values)
                for (const u64 y : values) {
                    const u64 b = op >= Op::flags_shl && op <= Op::flags_sar ? y & 7 : y;
                    B t;
                    const Val va = t.b.get(0, Type::I8), vb = t.b.get(1, Type::I8);
                    const Val f = op == Op::flags_logic ? t.b.flags_logic(va) : t.b.flags(op, va, vb);
                    t.b.set(2, t.b.cond(static_cast<Cond>(c), f));
                    t.b.leave();
                    u64 flags = 0, want = 0;
                    Inst i = t.block.code[f.ref];
                    REQUIRE(evaluate(i, t.block.code, x, b, 0, flags));
                    i.op = Op::cond, i.aux = static_cast<u8>(c);
                    REQUIRE(evaluate(i, t.block.code, flags, 0, 0, want));
                    fuse_compare(t.block, kLayout);
                    // Put the values in and let folding do the rest.
                    for (Inst& g : t.block.code) {
                        g.revisit = true;
                        if (g.op == Op::get) g.imm = g.slot ? b : x, g.op = Op::constant, g.slot = 0;
                    }
                    fold(t.block, kLayout);
                    REQUIRE(verify(t.block) == "");
                    for (const Inst& s : t.block.code)
                        if (s.op == Op::set) {
                            REQUIRE(t.block.code[s.a].op == Op::constant);
                            CHECK(t.block.code[s.a].imm == want);
                        }
                }
}

TEST_CASE("fuse_compare looks through merges") {
    B t;
    const Val x = t.get(0), old = t.b.flags(Op::flags_sub, x, t.get(1));
    const Val inc = t.b.flag_merge(old, t.b.flags_logic(x), fl::All & ~fl::CF);
    t.b.set(2, t.b.cond(Cond::b, inc));
    t.b.set(3, t.b.cond(Cond::e, inc));
    t.b.set(4, t.b.cond(Cond::be, inc));
    const std::string s = t.after({fuse_compare, dead_code});
    CHECK(s.find("icmp.i64 ult %1, %2") != std::string::npos);
    CHECK(s.find("icmp.i64 eq %1") != std::string::npos);
    CHECK(s.find("cond.i8 be") != std::string::npos);
}

TEST_CASE("dead_flags: a merge whose other half nobody reads") {
    B t;
    const Val old = t.b.get(kFlags, Type::I16), now = t.b.flags_logic(t.get(0));
    t.b.set(0, t.b.cond(Cond::e, t.b.flag_merge(old, now, fl::ZF | fl::CF)));
    CHECK(t.after({dead_flags, dead_code}) ==
          "  %1 = get.i64 s0\n"
          "  %2 = flags_logic.i64 %1\n"
          "  %3 = cond.i8 e %2\n"
          "  set.i8 s0, %3\n"
          "  leave\n");
}

TEST_CASE("common_values: equal computations and repeated guards") {
    B t;
    const Val x = t.get(0), end = t.get(24);
    for (int n = 0; n < 2; ++n) {
        t.b.guard(t.b.icmp(Cmp::ule, x, end), 13);
        t.b.load(Type::I8, t.b.add(x, t.get(18)));
    }
    const std::string s = t.after({forward_state, common_values, dead_code});
    CHECK(s.find("guard") == s.rfind("guard"));
    CHECK(s.find("icmp") == s.rfind("icmp"));
    CHECK(s.find("add") == s.rfind("add"));
    CHECK(s.find("load") != s.rfind("load"));
}

TEST_CASE("dead_code keeps what may fault or act") {
    B t;
    t.b.add(t.get(0), t.get(1));
    t.b.load(Type::I8, t.get(2));
    t.b.call(0, Type::I64);
    CHECK(t.after({dead_code}) ==
          "  %1 = get.i64 s2\n"
          "  %2 = load.i8 %1\n"
          "  %3 = call.i64 h0\n"
          "  leave\n");
}

TEST_CASE("fold: terminals and conditional calls whose condition became known") {
    B t;
    t.block.end_rip = 0x99;
    const Val c = t.b.get(0, Type::I8);
    t.b.call_if(c, 2, t.get(1));
    t.b.branch(c, 0x10);
    t.block.code[c.ref].op = Op::constant, t.block.code[c.ref].imm = 0;
    for (Inst& i : t.block.code) i.revisit = true;
    CHECK(t.after({fold, dead_code}) == "  jump 0x99\n");
}
