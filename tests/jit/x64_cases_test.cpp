// Cases of the x86-64 back end that are easy to get wrong, with values worked out by hand.
#include <bit>

#include "jit/ir/builder.h"
#include "jit/ir/semantics.h"
#include "x64_pair.h"

using namespace calque;
using namespace calque::jit;

namespace {
constexpr u64 kRip = 0x1000;

struct Case : Pair {
    Block b;
    std::unique_ptr<Builder> ir;
    Translation t;
    RandomState& s = *jit.s;

    explicit Case(std::initializer_list<const char*> disabled = {}) : Pair{disabled} { begin(); }
    void begin(u64 rip = kRip) {
        b = Block{};
        b.rip = rip;
        ir = std::make_unique<Builder>(b);
        jit.s->ram = jit.ram.data();
    }
    void insn() {
        ir->insn(b.rip + 4u * b.insn_count, 4);
        ++b.insn_count;
    }
    void finish() {
        b.end_rip = b.rip + 4u * b.insn_count, b.byte_count = static_cast<u16>(4 * b.insn_count);
        if (!ir->ended()) ir->jump(b.end_rip);
        REQUIRE(verify(b) == "");
        t = {};
        REQUIRE(backend->translate({b, b.rip, 77, 5}, t));
        REQUIRE(t.entry);
    }
    Exit enter(i64 budget) {
        s.x.budget = budget, s.x.deadline = static_cast<u64>(budget), s.x.fault = Fault::none, s.x.unretired = 0;
        return backend->enter(t.entry);
    }
    Exit run() {
        finish();
        return enter(b.insn_count);
    }
    Val get(u8 slot, Type type = Type::I64) { return ir->trunc(ir->get(slot, Type::I64), type); }
};
}  // namespace

TEST_CASE("registers are exchanged and rotated without losing a value") {
    Case c;
    c.insn();
    const Val a = c.get(0), b = c.get(1), d = c.get(12);
    c.ir->set(0, b), c.ir->set(1, d), c.ir->set(12, a);
    c.ir->set(2, c.ir->add(a, b));
    c.s.r[0] = 1, c.s.r[1] = 20, c.s.r[12] = 300;
    c.run();
    CHECK(c.s.r[0] == 20);
    CHECK(c.s.r[1] == 300);
    CHECK(c.s.r[12] == 1);
    CHECK(c.s.r[2] == 21);
}

TEST_CASE("an addition of two guest registers is one instruction") {
    Case one, two;
    one.insn(), two.insn();
    one.ir->set(0, one.ir->zext(one.ir->add(one.get(0, Type::I32), one.get(1, Type::I32)), Type::I64));
    one.s.r[0] = 0xfffffffffffffff0, one.s.r[1] = 0x11;
    one.run(), two.run();
    CHECK(one.s.r[0] == 1);
    CHECK((one.t.end - one.t.entry) - (two.t.end - two.t.entry) == 3);  // add ebx, r12d
}

TEST_CASE("flags of a read-modify-write outlive its store") {
    Case c;
    c.insn();
    const Val at = c.get(3), old = c.ir->load(Type::I8, at, true), x = c.get(1, Type::I8);
    const Val sum = c.ir->add(old, x);
    c.ir->store(at, sum);
    c.ir->set(RandomState::kFlags, c.ir->flags(Op::flags_add, old, x));
    c.ir->branch(c.ir->cond(Cond::b, c.ir->flags(Op::flags_add, old, x)), 0x1800);
    c.s.r[3] = 0x2345, c.s.r[1] = 0x01, c.jit.ram[0x2345] = 0xff;
    c.run();
    CHECK(c.jit.ram[0x2345] == 0);
    CHECK(c.s.flags == (fl::One | fl::ZF | fl::CF | fl::AF | fl::PF));
    CHECK(c.s.x.rip == 0x1800);
}

TEST_CASE("second bytes of every register are read and written in place") {
    for (u8 slot = 0; slot < 16; ++slot) {
        CAPTURE(slot);
        Case c;
        c.insn();
        const Val old = c.get(slot);
        c.ir->set(slot, c.ir->insert(old, c.ir->trunc(old, Type::I8), 8));              // mov ah, al
        c.ir->set(static_cast<u8>((slot + 1) & 15), c.ir->zext(c.ir->extract(old, 8, Type::I8), Type::I64));
        c.s.r[slot] = 0x1122334455667788;
        c.run();
        CHECK(c.s.r[slot] == 0x1122334455668888);
        CHECK(c.s.r[(slot + 1) & 15] == 0x77);
    }
}

TEST_CASE("shifts and their flags for every count, constant or not") {
    for (const char* off : {"", "bmi", "host_flags"})
        for (const Type t : {Type::I8, Type::I16, Type::I32, Type::I64})
            for (const bool constant : {false, true})
                for (unsigned n = 0; n < bits(t); n += t == Type::I64 ? 7 : 1) {
                    Case c{off};
                    INFO(off << " i" << bits(t) << " by " << n << (constant ? ", constant" : ""));
                    c.insn();
                    const Val a = c.get(0, t), k = constant ? c.ir->constant(Type::I8, n) : c.get(1, Type::I8);
                    c.ir->set(2, c.ir->zext(c.ir->shl(a, k), Type::I64));
                    c.ir->set(3, c.ir->zext(c.ir->sar(a, k), Type::I64));
                    c.ir->set(11, c.ir->zext(c.ir->binary(Op::ror, a, k), Type::I64));
                    c.ir->set(12, c.ir->zext(c.ir->flags(Op::flags_shl, a, k), Type::I64));
                    c.ir->set(13, c.ir->zext(c.ir->flags(Op::flags_sar, a, k), Type::I64));
                    c.ir->set(RandomState::kFlags, c.ir->flags(Op::flags_shr, a, k));
                    const u64 x = 0x8123456789abcdc5, v = x & mask(t);
                    c.s.r[0] = x, c.s.r[1] = n;
                    c.run();
                    const unsigned w = bits(t);
                    const i64 wide = static_cast<i64>(v << (64 - w)) >> (64 - w);
                    CHECK(c.s.r[2] == (v << n & mask(t)));
                    CHECK(c.s.r[3] == (static_cast<u64>(wide >> n) & mask(t)));
                    CHECK(c.s.r[11] == ((v >> n | (n ? v << (w - n) : 0)) & mask(t)));
#define FLAGS(op) (t == Type::I8 ? sem::op<u8>(v, n) : t == Type::I16 ? sem::op<u16>(v, n) : t == Type::I32 ? sem::op<u32>(v, n) : sem::op<u64>(v, n))
                    CHECK(c.s.flags == FLAGS(flags_shr));
                    CHECK(c.s.r[12] == FLAGS(flags_shl));
                    CHECK(c.s.r[13] == FLAGS(flags_sar));
#undef FLAGS
                }
}

TEST_CASE("more live values than registers") {
    Case c;
    c.insn();
    std::vector<Val> live;
    for (unsigned n = 0; n < 40; ++n) live.push_back(c.ir->binary(Op::mul, c.get(static_cast<u8>(n & 15)), c.ir->constant(Type::I64, 3 * n + 1)));
    Val sum = c.ir->constant(Type::I64, 0);
    for (const Val v : live) sum = c.ir->add(c.ir->binary(Op::rol, sum, c.ir->constant(Type::I8, 1)), v);
    c.ir->set(0, sum);
    u64 want = 0;
    for (unsigned n = 0; n < 16; ++n) c.s.r[n] = 0x123456789 * (n + 1);
    for (unsigned n = 0; n < 40; ++n) want = std::rotl(want, 1) + c.s.r[n & 15] * (3 * n + 1);
    c.run();
    CHECK(c.s.r[0] == want);
}

TEST_CASE("a fault leaves the registers as they were at its instruction") {
    Case c;
    c.insn(), c.ir->set(0, c.ir->constant(Type::I64, 1)), c.ir->set(12, c.ir->constant(Type::I64, 2));
    c.insn(), c.ir->set(1, c.ir->load(Type::I64, c.get(3)));
    c.insn(), c.ir->set(0, c.ir->constant(Type::I64, 9));
    c.s.r[0] = c.s.r[1] = c.s.r[12] = 77, c.s.r[3] = 0xffff0000;
    CHECK(c.run() == Exit::fault);
    CHECK(c.s.r[0] == 1);
    CHECK(c.s.r[12] == 2);
    CHECK(c.s.r[1] == 77);
    CHECK(c.s.x.unretired == 2);
    CHECK(c.s.x.block == 77);
    CHECK(c.s.raised == 0xffff0000);
}

TEST_CASE("a failing guard raises its code, a passing one nothing") {
    for (const u64 value : {0, 1}) {
        Case c;
        c.insn(), c.insn();
        c.ir->guard(c.ir->icmp(Cmp::ne, c.get(0), u64{0}), fault_code(13, 8));
        c.s.r[0] = value;
        CHECK(c.run() == (value ? Exit::lookup : Exit::fault));
        CHECK(c.s.raised == (value ? 0 : fault_code(13, 8)));
        CHECK(c.s.x.unretired == (value ? 0 : 1));
    }
}

TEST_CASE("a block that does not fit changes nothing") {
    Case c;
    c.insn(), c.insn(), c.insn();
    c.ir->set(0, c.ir->constant(Type::I64, 1));
    c.finish();
    c.s.r[0] = 5;
    CHECK(c.enter(2) == Exit::budget);
    CHECK(c.s.x.budget == 2);
    CHECK(c.s.x.rip == kRip);
    CHECK(c.s.r[0] == 5);
    CHECK(c.enter(3) == Exit::lookup);
    CHECK(c.s.x.budget == 0);
    CHECK(c.s.r[0] == 1);
}

TEST_CASE("jumps inside a page are linked and unlinked") {
    Case c;
    c.insn(), c.ir->set(0, c.ir->add(c.get(0), 1)), c.ir->jump(0x1100);
    c.finish();
    const Translation first = c.t;
    REQUIRE(first.links.size() == 1);
    CHECK(first.links[0].target == 0x100);
    c.begin(0x1100);
    c.insn(), c.ir->set(1, c.ir->add(c.get(1), 1)), c.ir->jump(0x1200);
    c.finish();
    const u32 second = c.t.link_entry;
    c.t = first;
    CHECK(c.enter(10) == Exit::lookup);
    CHECK(c.s.x.rip == 0x1100);
    c.backend->patch(first.links[0].at, second);
    CHECK(c.enter(10) == Exit::lookup);
    CHECK(c.s.x.rip == 0x1200);
    CHECK(c.s.r[1] == 1);
    c.backend->patch(first.links[0].at, first.links[0].stub);
    CHECK(c.enter(10) == Exit::lookup);
    CHECK(c.s.x.rip == 0x1100);
    CHECK(c.s.r[0] == 3);
}

TEST_CASE("neighbouring accesses share a check, and do without where the page ends") {
    for (const u64 base : {0x2100, 0x1ff4, 0x5ff0, 0x5004}) {  // page 5 never gets an entry
        CAPTURE(base);
        Case c;
        c.insn();
        const Val p = c.get(0);
        c.ir->set(1, c.ir->load(Type::I64, c.ir->add(p, 8)));
        c.ir->store(p, c.get(2));
        c.ir->store(c.ir->add(p, 16), c.get(12, Type::I32));
        c.ir->set(3, c.ir->zext(c.ir->load(Type::I16, c.ir->add(p, 2)), Type::I64));
        c.finish();
        for (int round = 0; round < 2; ++round) {  // the second finds what the first has filled
            c.s.r[0] = base, c.s.r[2] = 0x1111222233334444, c.s.r[12] = 0x99aabbcc;
            for (unsigned n = 0; n < 32; ++n) c.jit.ram[base + n] = static_cast<u8>(n);
            CHECK(c.enter(1) == Exit::lookup);
            u64 whole;
            std::memcpy(&whole, &c.jit.ram[base], 8);
            CHECK(whole == 0x1111222233334444);
            CHECK(c.s.r[1] == 0x0f0e0d0c0b0a0908);
            CHECK(c.jit.ram[base + 16] == 0xcc);
            CHECK(c.jit.ram[base + 20] == 20);
            CHECK(c.s.r[3] == 0x3333);
        }
    }
}

TEST_CASE("the guest's rounding holds inside and the host's outside") {
    Case c;
    c.insn();
    const Val a = c.ir->get(RandomState::kVec, Type::V128), b = c.ir->get(RandomState::kVec + 1, Type::V128);
    c.ir->set(RandomState::kVec + 2, c.ir->vec(Op::vfdiv, Lane::F64, a, b, 1));
    const double one = 1, three = 3;
    std::memcpy(&c.s.v[0].lo, &one, 8), std::memcpy(&c.s.v[1].lo, &three, 8);
    c.s.fp = 0x1f80 | 0x4000;  // up
    c.run();
    CHECK(c.s.v[2].lo == 0x3fd5555555555556);
    CHECK(c.s.fp == (0x1f80 | 0x4000 | 0x20));
    volatile double x = 1, y = 3;
    CHECK(std::bit_cast<u64>(x / y) == 0x3fd5555555555555);
}
