#include <doctest/doctest.h>

#include "jit/ir/builder.h"

using namespace calque;
using namespace calque::jit;

namespace {
struct B {
    Block block;
    Builder b{block};
    Val x = b.get(0, Type::I64), y = b.get(1, Type::I32);
    u64 value(Val v) {
        u64 k = 0;
        CHECK(b.is_constant(v, &k));
        return k;
    }
    Op op(Val v) { return block.code[v.ref].op; }
};
}  // namespace

TEST_CASE("constants are cut to their type and shared") {
    B t;
    CHECK(t.value(t.b.constant(Type::I8, 0x1ff)) == 0xff);
    CHECK(t.b.constant(Type::I32, 5).ref == t.b.constant(Type::I32, 5).ref);
    CHECK(t.b.constant(Type::I32, 5).ref != t.b.constant(Type::I64, 5).ref);
}

TEST_CASE("a constant that is filled in later is nobody else's") {
    B t;
    const Val late = t.b.late_constant(Type::I64), other = t.b.late_constant(Type::I64);
    const Val test = t.b.icmp(Cmp::uge, late, t.x);
    CHECK(t.op(test) == Op::icmp);
    t.b.fill(late, 0);
    CHECK(t.b.constant(Type::I64, 0).ref != late.ref);
    CHECK(late.ref != other.ref);
}

TEST_CASE("constant arguments fold") {
    B t;
    const auto c = [&](Type type, u64 v) { return t.b.constant(type, v); };
    CHECK(t.value(t.b.add(c(Type::I8, 200), c(Type::I8, 100))) == 44);
    CHECK(t.value(t.b.sub(c(Type::I16, 1), c(Type::I16, 2))) == 0xffff);
    CHECK(t.value(t.b.sar(c(Type::I32, 0x80000000), 4)) == 0xf8000000);
    CHECK(t.value(t.b.sext(c(Type::I8, 0x80), Type::I64)) == 0xffffffffffffff80);
    CHECK(t.value(t.b.extract(c(Type::I64, 0x1234), 8, Type::I8)) == 0x12);
    CHECK(t.value(t.b.insert(c(Type::I64, 0x1234), c(Type::I8, 0xab), 8)) == 0xab34);
    CHECK(t.value(t.b.icmp(Cmp::slt, c(Type::I8, 0xff), 0)) == 1);
    CHECK(t.value(t.b.cond(Cond::le, t.b.flags(Op::flags_sub, c(Type::I32, 3), c(Type::I32, 4)))) == 1);
    CHECK(t.value(t.b.binary(Op::mul_hi_s, c(Type::I64, ~u64{0}), c(Type::I64, 2))) == ~u64{0});
}

TEST_CASE("division is never folded: a guard may stand before it") {
    B t;
    CHECK(t.op(t.b.binary(Op::div_u, t.b.constant(Type::I32, 1), t.b.constant(Type::I32, 0))) == Op::div_u);
}

TEST_CASE("what changes nothing gives the value back") {
    B t;
    CHECK(t.b.add(t.x, u64{0}).ref == t.x.ref);
    CHECK(t.b.or_(t.x, u64{0}).ref == t.x.ref);
    CHECK(t.b.and_(t.x, ~u64{0}).ref == t.x.ref);
    CHECK(t.b.and_(t.x, t.x).ref == t.x.ref);
    CHECK(t.b.shl(t.x, 0u).ref == t.x.ref);
    CHECK(t.b.trunc(t.b.zext(t.y, Type::I64), Type::I32).ref == t.y.ref);
    CHECK(t.value(t.b.xor_(t.x, t.x)) == 0);
    CHECK(t.value(t.b.sub(t.x, t.x)) == 0);
    CHECK(t.b.sub(t.b.add(t.x, u64{8}), u64{8}).ref == t.x.ref);
}

TEST_CASE("displacements are added up, masks are joined") {
    B t;
    const Val sum = t.b.add(t.b.sub(t.x, u64{8}), u64{24});
    CHECK(t.block.code[sum.ref].a == t.x.ref);
    CHECK(t.value({t.block.code[sum.ref].b, Type::I64}) == 16);
    const Val cut = t.b.and_(t.b.and_(t.x, u64{0xff0}), u64{0x0ff});
    CHECK(t.block.code[cut.ref].a == t.x.ref);
    CHECK(t.value({t.block.code[cut.ref].b, Type::I64}) == 0x0f0);
}

TEST_CASE("constants stand on the right") {
    B t;
    const Val k = t.b.constant(Type::I64, 7);
    const Val sum = t.b.add(k, t.x);
    CHECK(t.block.code[sum.ref].a == t.x.ref);
    const Val c = t.b.icmp(Cmp::ult, k, t.x);
    CHECK(t.block.code[c.ref].aux == static_cast<u8>(Cmp::ugt));
}

TEST_CASE("a tested bit is the test; its opposite is the opposite test") {
    B t;
    const Val c = t.b.icmp(Cmp::ult, t.x, 9);
    CHECK(t.b.icmp(Cmp::ne, c, 0).ref == c.ref);
    const Val n = t.b.icmp(Cmp::eq, c, 0);
    CHECK(t.block.code[n.ref].aux == static_cast<u8>(Cmp::uge));
    CHECK(t.block.code[n.ref].a == t.x.ref);
}

TEST_CASE("a merge of all flags, or of none, is one of its arguments") {
    B t;
    const Val old = t.b.get(2, Type::I16), now = t.b.flags_logic(t.y);
    CHECK(t.b.flag_merge(old, now, fl::All).ref == now.ref);
    CHECK(t.b.flag_merge(old, now, 0).ref == old.ref);
    const Val inner = t.b.flag_merge(old, now, fl::CF), outer = t.b.flag_merge(inner, now, fl::CF | fl::ZF);
    CHECK(t.block.code[outer.ref].a == old.ref);
}

TEST_CASE("guards and branches on constants") {
    B t;
    const size_t before = t.block.code.size();
    t.b.guard(t.b.constant(Type::I8, 1), 13);
    CHECK(t.block.code.size() == before + 1);  // the constant
    t.block.end_rip = 0x20;
    t.b.branch(t.b.constant(Type::I8, 0), 0x10);
    CHECK(t.block.code.back().op == Op::jump);
    CHECK(t.block.code.back().imm == 0x20);
    CHECK(t.b.ended());
}

TEST_CASE("the printed form") {
    Block block;
    Builder b{block};
    block.rip = 0x1000, block.end_rip = 0x1003, block.insn_count = 1;
    b.insn(0x1000, 3);
    const Val x = b.get(3, Type::I64);
    const Val at = b.add(x, u64{0x10});
    b.store(at, b.trunc(x, Type::I16));
    const Val v = b.get(46, Type::V128);
    b.set(46, b.vec(Op::vadd, Lane::I32, v, b.get(47, Type::V128)));
    b.call(5, Type::None, x);
    b.branch(b.icmp(Cmp::ult, x, 9), 0x2000);
    CHECK(print(block) ==
          "block 0x1000..0x1003 mode 0 base 0 insns 1\n"
          "  insn 0x1000 +3\n"
          "  %2 = get.i64 s3\n"
          "  %3 = constant.i64 0x10\n"
          "  %4 = add.i64 %2, %3\n"
          "  %5 = trunc.i16 %2\n"
          "  store.i16 %4, %5\n"
          "  %7 = get.v128 s46\n"
          "  %8 = get.v128 s47\n"
          "  %9 = vadd.x32 %7, %8\n"
          "  set.v128 s46, %9\n"
          "  call h5 %2\n"
          "  %12 = constant.i64 0x9\n"
          "  %13 = icmp.i64 ult %2, %12\n"
          "  branch 0x2000 %13\n");
    CHECK(verify(block) == "");
}
