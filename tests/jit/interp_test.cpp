// Every integer op against values computed by hand.
#include <doctest/doctest.h>

#include "jit/interp/interp.h"
#include "jit/ir/builder.h"
#include "toy_guest.h"

using namespace calque;
using namespace calque::jit;

namespace {
struct State {
    ExecContext x;
    u64 r[4]{};
    u32 fp = 0;
    u64 raised = 0;
    Tlb tlb;
};
const SlotInfo kSlots[] = {{"a", offsetof(State, r[0]), Type::I64}, {"b", offsetof(State, r[1]), Type::I64}, {"c", offsetof(State, r[2]), Type::I64},
                           {"out", offsetof(State, r[3]), Type::I64}, {"fp", offsetof(State, fp), Type::I32}};
const Layout kLayout{kSlots, 5, 0, 4, offsetof(State, tlb), nullptr, 0, nullptr, nullptr,
                     [](void* s, u64 code) { static_cast<State*>(s)->raised = code, static_cast<State*>(s)->x.fault = Fault::raise; }};

// Runs one op on values of the given types, which come from slots so that nothing folds.
u64 run(Op op, Type t, u64 a, u64 b = 0, u64 c = 0, u8 aux = 0, u64 imm = 0, Type ta = Type::None, Type tb = Type::None, Type tc = Type::None) {
    static State s;
    s.r[0] = a, s.r[1] = b, s.r[2] = c, s.r[3] = 0;
    Block block;
    Builder ir{block};
    const unsigned args = info(op).args;
    const auto arg = [&](unsigned n, Type type) { return args > n ? ir.get(static_cast<u8>(n), type == Type::None ? t : type) : Val{}; };
    const Val va = arg(0, ta), vb = arg(1, tb), vc = arg(2, tc);
    const Val v = ir.emit(op, t, va, vb, vc, {}, aux, imm);
    ir.set(3, ir.zext(v, Type::I64));
    ir.leave();
    CHECK(verify(block) == "");
    u64 folded;
    if (evaluate(block.code[v.ref], block.code, a, b, c, folded)) {
        Interp{&s, kLayout}.run(compile_for_interp(block, kLayout));
        CHECK(folded == s.r[3]);
    }
    Interp{&s, kLayout}.run(compile_for_interp(block, kLayout));
    return s.r[3];
}
u64 shift(Op op, Type t, u64 a, u64 n) { return run(op, t, a, n, 0, 0, 0, t, Type::I8); }
constexpr auto I8 = Type::I8, I16 = Type::I16, I32 = Type::I32, I64 = Type::I64;
}  // namespace

TEST_CASE("integer arithmetic") {
    CHECK(run(Op::add, I8, 0xff, 2) == 1);
    CHECK(run(Op::add, I64, ~u64{0}, 2) == 1);
    CHECK(run(Op::sub, I32, 0, 1) == 0xffffffff);
    CHECK(run(Op::mul, I16, 0x1234, 0x100) == 0x3400);
    CHECK(run(Op::mul_hi_u, I64, ~u64{0}, ~u64{0}) == ~u64{1});
    CHECK(run(Op::mul_hi_u, I8, 0xff, 0xff) == 0xfe);
    CHECK(run(Op::mul_hi_s, I64, ~u64{0}, ~u64{0}) == 0);
    CHECK(run(Op::mul_hi_s, I32, 0x80000000, 2) == 0xffffffff);
    CHECK(run(Op::and_, I32, 0xff00, 0x0ff0) == 0x0f00);
    CHECK(run(Op::or_, I32, 0xff00, 0x0ff0) == 0xfff0);
    CHECK(run(Op::xor_, I32, 0xff00, 0x0ff0) == 0xf0f0);
    CHECK(run(Op::not_, I16, 0x00ff) == 0xff00);
    CHECK(run(Op::neg, I8, 1) == 0xff);
    CHECK(run(Op::div_u, I32, 100, 7) == 14);
    CHECK(run(Op::rem_u, I32, 100, 7) == 2);
    CHECK(run(Op::div_s, I8, 0x9c, 7) == 0xf2);   // -100 / 7 = -14
    CHECK(run(Op::rem_s, I8, 0x9c, 7) == 0xfe);   // -2
    CHECK(run(Op::div_s, I64, u64{1} << 63, ~u64{0}) == u64{1} << 63);
    CHECK(run(Op::div_u, I64, 5, 0) == 0);
    CHECK(run(Op::bswap, I16, 0x1234) == 0x3412);
    CHECK(run(Op::bswap, I32, 0x12345678) == 0x78563412);
    CHECK(run(Op::bswap, I64, 0x0102030405060708) == 0x0807060504030201);
    CHECK(run(Op::clz, I16, 1) == 15);
    CHECK(run(Op::clz, I32, 0) == 32);
    CHECK(run(Op::ctz, I8, 0) == 8);
    CHECK(run(Op::ctz, I64, 0x100) == 8);
    CHECK(run(Op::popcount, I64, ~u64{0}) == 64);
    CHECK(run(Op::deposit_bits, I32, 0b1011, 0x80000f00) == 0x00000b00);
    CHECK(run(Op::deposit_bits, I64, 0x1f, 0x8000000000000f00) == 0x8000000000000f00);
    CHECK(run(Op::deposit_bits, I8, 0xff, 0) == 0);
    CHECK(run(Op::extract_bits, I32, 0x80000b00, 0x80000f00) == 0b11011);
    CHECK(run(Op::extract_bits, I64, ~u64{0}, 0x8000000000000001) == 3);
    CHECK(run(Op::extract_bits, I16, 0xa5a5, 0xffff) == 0xa5a5);
}

TEST_CASE("shifts and rotates") {
    CHECK(shift(Op::shl, I8, 0x81, 1) == 2);
    CHECK(shift(Op::shr, I8, 0x81, 1) == 0x40);
    CHECK(shift(Op::sar, I8, 0x81, 1) == 0xc0);
    CHECK(shift(Op::sar, I64, u64{1} << 63, 63) == ~u64{0});
    CHECK(shift(Op::rol, I16, 0x8001, 1) == 3);
    CHECK(shift(Op::ror, I16, 0x8001, 1) == 0xc000);
    CHECK(shift(Op::ror, I32, 1, 0) == 1);
}

TEST_CASE("width changes") {
    CHECK(run(Op::zext, I64, 0x80, 0, 0, 0, 0, I8) == 0x80);
    CHECK(run(Op::sext, I64, 0x80, 0, 0, 0, 0, I8) == 0xffffffffffffff80);
    CHECK(run(Op::sext, I32, 0x8000, 0, 0, 0, 0, I16) == 0xffff8000);
    CHECK(run(Op::sext, I16, 0x7f, 0, 0, 0, 0, I8) == 0x7f);
    CHECK(run(Op::trunc, I16, 0x12345678, 0, 0, 0, 0, I64) == 0x5678);
    CHECK(run(Op::extract, I8, 0x1234, 0, 0, 8, 0, I64) == 0x12);
    CHECK(run(Op::insert, I64, 0x1122334455667788, 0xab, 0, 8, 0, I64, I8) == 0x112233445566ab88);
}

TEST_CASE("comparison and choice") {
    const auto cmp = [](Cmp c, u64 a, u64 b) { return run(Op::icmp, I8, a, b, 0, static_cast<u8>(c)); };
    CHECK(cmp(Cmp::eq, 5, 5) == 1);
    CHECK(cmp(Cmp::ne, 5, 5) == 0);
    CHECK(cmp(Cmp::ult, 0x80, 0x7f) == 0);
    CHECK(cmp(Cmp::slt, 0x80, 0x7f) == 1);
    CHECK(cmp(Cmp::ule, 5, 5) == 1);
    CHECK(cmp(Cmp::sle, 0xff, 0) == 1);
    CHECK(cmp(Cmp::ugt, 0x80, 0x7f) == 1);
    CHECK(cmp(Cmp::sgt, 0x80, 0x7f) == 0);
    CHECK(cmp(Cmp::uge, 4, 5) == 0);
    CHECK(cmp(Cmp::sge, 0, 0xff) == 1);
    CHECK(run(Op::select, I32, 1, 10, 20, 0, 0, I8) == 10);
    CHECK(run(Op::select, I32, 0, 10, 20, 0, 0, I8) == 20);
}

TEST_CASE("flags") {
    using namespace fl;
    CHECK(run(Op::flags_add, I8, 0xff, 1) == (One | CF | AF | ZF | PF));
    CHECK(run(Op::flags_add, I8, 0x7f, 1) == (One | OF | AF | SF));
    CHECK(run(Op::flags_adc, I8, 0xff, 0xff, 1, 0, 0, I8, I8, I8) == (One | CF | AF | SF | PF));
    CHECK(run(Op::flags_sub, I32, 0, 1) == (One | CF | AF | SF | PF));
    CHECK(run(Op::flags_sub, I8, 0x80, 1) == (One | OF | AF));
    CHECK(run(Op::flags_sbb, I8, 0, 0xff, 1, 0, 0, I8, I8, I8) == (One | CF | AF | ZF | PF));
    CHECK(run(Op::flags_logic, I16, 0x8000) == (One | SF | PF));
    CHECK(run(Op::flags_logic, I8, 0) == (One | ZF | PF));
    CHECK(shift(Op::flags_shl, I8, 0x80, 1) == (One | CF | OF | ZF | PF));
    CHECK(shift(Op::flags_shl, I8, 0xc0, 1) == (One | CF | SF));
    CHECK(shift(Op::flags_shl, I8, 0x60, 2) == (One | CF | OF | SF));
    CHECK(shift(Op::flags_shl, I8, 0xc1, 0) == (One | SF));
    CHECK(shift(Op::flags_shr, I8, 0x81, 1) == (One | CF | OF));
    CHECK(shift(Op::flags_shr, I8, 0x84, 2) == (One | OF | PF));
    CHECK(shift(Op::flags_shr, I8, 0x02, 1) == One);
    CHECK(shift(Op::flags_sar, I8, 0x81, 1) == (One | CF | SF | PF));
    CHECK(run(Op::flag_merge, I16, One | CF, One | ZF, 0, 0, ZF) == (One | CF | ZF));
    const auto cond = [](Cond c, u64 f) { return run(Op::cond, I8, f, 0, 0, static_cast<u8>(c), 0, I16); };
    CHECK(cond(Cond::o, One | OF) == 1);
    CHECK(cond(Cond::no, One | OF) == 0);
    CHECK(cond(Cond::b, One | CF) == 1);
    CHECK(cond(Cond::be, One | ZF) == 1);
    CHECK(cond(Cond::a, One) == 1);
    CHECK(cond(Cond::s, One | SF) == 1);
    CHECK(cond(Cond::p, One | PF) == 1);
    CHECK(cond(Cond::np, One | PF) == 0);
    CHECK(cond(Cond::l, One | OF) == 1);
    CHECK(cond(Cond::l, One | OF | SF) == 0);
    CHECK(cond(Cond::le, One | ZF) == 1);
    CHECK(cond(Cond::g, One) == 1);
}

TEST_CASE("a guard raises its code and stops the block") {
    State s;
    Block block;
    Builder ir{block};
    ir.set(3, ir.constant(I64, 1));
    ir.guard(ir.icmp(Cmp::ne, ir.get(0, I64), 0), fault_code(13, 4));
    ir.set(3, ir.constant(I64, 2));
    ir.leave();
    Interp{&s, kLayout}.run(compile_for_interp(block, kLayout));
    CHECK(s.raised == (13 | 0x100 | 4 << 16));
    CHECK(s.r[3] == 1);
}

TEST_CASE("the interpreter's form keeps the IR") {
    Block block;
    Builder ir{block};
    ir.set(3, ir.add(ir.get(0, I64), u64{3}));
    ir.vec(Op::vadd, Lane::I16, ir.vec(Op::vzero, Lane::I8), ir.vec(Op::vzero, Lane::I8));
    ir.jump(0x1234);
    Block again = block;
    again.code.clear();
    restore_ir(compile_for_interp(block, kLayout), again.code);
    CHECK(print(block) == print(again));
}
