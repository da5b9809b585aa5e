#include <doctest/doctest.h>

#include "jit/ir/builder.h"

using namespace calque;
using namespace calque::jit;

namespace {
Inst inst(Op op, Type t, Ref a = 0, Ref b = 0, Ref c = 0) {
    Inst i;
    i.op = op, i.type = t, i.a = a, i.b = b, i.c = c;
    return i;
}
// A block of what is given (from %3 on; %1 is an I64, %2 an I8) and a terminal.
std::string check(std::initializer_list<Inst> code, bool end = true) {
    Block b;
    b.code = {{}, inst(Op::get, Type::I64), inst(Op::get, Type::I8)};
    b.code.insert(b.code.end(), code);
    if (end) b.code.push_back(inst(Op::leave, Type::None));
    return verify(b);
}
}  // namespace

TEST_CASE("the verifier accepts what is well-formed") {
    CHECK(check({inst(Op::add, Type::I64, 1, 1)}) == "");
    CHECK(check({inst(Op::shl, Type::I64, 1, 2)}) == "");
    CHECK(check({inst(Op::call, Type::None, 0, 1)}) == "");
}

TEST_CASE("the verifier rejects, and says what") {
    CHECK(check({inst(Op::add, Type::I64, 1, 2)}) == "%3 add mixes widths");
    CHECK(check({inst(Op::add, Type::I64, 1)}) == "%3 add lacks an argument");
    CHECK(check({inst(Op::add, Type::I64, 1, 3)}) == "%3 add uses a value before it is made");
    CHECK(check({inst(Op::set, Type::I64, 1), inst(Op::set, Type::I64, 3)}) == "%4 set uses an instruction that makes no value");
    CHECK(check({inst(Op::not_, Type::I64, 1, 1)}) == "%3 not_ has too many arguments");
    CHECK(check({inst(Op::shl, Type::I64, 1, 1)}) == "%3 shl wants a value of its type and an I8 count");
    CHECK(check({inst(Op::zext, Type::I8, 1)}) == "%3 zext does not widen");
    CHECK(check({inst(Op::trunc, Type::I64, 2)}) == "%3 trunc does not narrow");
    CHECK(check({inst(Op::load, Type::I64, 2)}) == "%3 load wants a 64-bit address");
    CHECK(check({inst(Op::store, Type::I8, 1, 1)}) == "%3 store wants a 64-bit address and a value of its type");
    CHECK(check({inst(Op::guard, Type::None, 1)}) == "%3 guard wants an I8");
    CHECK(check({inst(Op::cond, Type::I8, 1)}) == "%3 cond wants flags and a condition");
    CHECK(check({inst(Op::leave, Type::None)}) == "%3 leave ends the block too early");
    CHECK(check({}, false) == "%2 get ends the block without a terminal");
    CHECK(check({inst(Op::insn, Type::None)}) == "the block counts 0 instructions and marks 1");
    Inst wide = inst(Op::constant, Type::I8);
    wide.imm = 256;
    CHECK(check({wide}) == "%3 constant is wider than its type");
    CHECK(verify(Block{}) == "the block is empty");
}
