#include <algorithm>

#include "jit/ir/ir.h"

namespace calque::jit {
namespace {
bool same_width_args(Op op) {
    switch (op) {
    case Op::add: case Op::sub: case Op::mul: case Op::mul_hi_u: case Op::mul_hi_s: case Op::and_: case Op::or_: case Op::xor_:
    case Op::div_u: case Op::rem_u: case Op::div_s: case Op::rem_s: case Op::not_: case Op::neg: case Op::bswap: case Op::clz:
    case Op::ctz: case Op::popcount: case Op::deposit_bits: case Op::extract_bits: case Op::icmp: case Op::flags_add: case Op::flags_sub: case Op::flags_logic:
        return true;
    default: return false;
    }
}
bool is_shift(Op op) {
    return op == Op::shl || op == Op::shr || op == Op::sar || op == Op::rol || op == Op::ror || op == Op::flags_shl || op == Op::flags_shr || op == Op::flags_sar;
}

class Verifier {
public:
    explicit Verifier(const Block& b) : block_{b} {}
    std::string run() {
        const auto& code = block_.code;
        if (code.size() < 2) return "the block is empty";
        if (code.size() > 0xffff) return "the block has too many instructions";
        unsigned insns = 0;
        for (index_ = 1; index_ < code.size() && error_.empty(); ++index_) {
            const Inst& i = code[index_];
            if (i.op >= Op::count) return fail("is no op"), error_;
            insns += i.op == Op::insn;
            check(i);
            const bool terminal = info(i.op).effects & Terminal;
            if (terminal != (index_ + 1 == code.size())) fail(terminal ? "ends the block too early" : "ends the block without a terminal");
        }
        if (error_.empty() && insns != block_.insn_count) error_ = "the block counts " + std::to_string(block_.insn_count) + " instructions and marks " + std::to_string(insns);
        return error_;
    }

private:
    void fail(const char* what) {
        if (!error_.empty()) return;
        const Op op = block_.code[index_].op;
        error_.append("%").append(std::to_string(index_)).append(" ").append(op < Op::count ? info(op).name : "?").append(" ").append(what);
    }
    Type type(Ref r) const { return r ? result_type(block_.code[r]) : Type::None; }

    void check_args(const Inst& i) {
        const unsigned count = info(i.op).args;
        for (unsigned k = 0; k < 4; ++k) {
            const Ref r = i.arg(k);
            if (k >= count) {
                if (r) fail("has too many arguments");
            } else if (r == 0) {
                if (!(info(i.op).effects & Call) || (i.op == Op::call_if && k == 0)) fail("lacks an argument");
            } else if (r >= index_) {
                fail("uses a value before it is made");
            } else if (type(r) == Type::None) {
                fail("uses an instruction that makes no value");
            }
        }
    }

    void check(const Inst& i) {
        check_args(i);
        if (!error_.empty()) return;
        const Type a = type(i.a), b = type(i.b);
        const bool needs_type = info(i.op).result == ResultKind::same && i.op != Op::call;
        if (needs_type && i.type == Type::None) fail("has no type");
        if (same_width_args(i.op)) {
            if (!is_int(i.type)) fail("wants an integer type");
            if (a != i.type || (info(i.op).args > 1 && b != i.type)) fail("mixes widths");
        }
        if (is_shift(i.op) && (a != i.type || b != Type::I8)) fail("wants a value of its type and an I8 count");
        if ((i.op == Op::flags_adc || i.op == Op::flags_sbb) && (a != i.type || b != i.type || type(i.c) != Type::I8)) fail("mixes widths");
        check_rest(i, a, b);
    }

    void check_rest(const Inst& i, Type a, Type b) {
        switch (i.op) {
        case Op::zext: case Op::sext: if (!is_int(a) || !is_int(i.type) || a >= i.type) fail("does not widen"); break;
        case Op::trunc: if (!is_int(a) || !is_int(i.type) || a <= i.type) fail("does not narrow"); break;
        case Op::extract: if (!is_int(a) || i.aux + bits(i.type) > bits(a)) fail("reads outside of its argument"); break;
        case Op::insert: if (a != i.type || !is_int(b) || i.aux + bits(b) > bits(a)) fail("writes outside of its argument"); break;
        case Op::select: if (type(i.a) != Type::I8 || b != i.type || type(i.c) != i.type) fail("mixes types"); break;
        case Op::flag_merge: if (a != Type::I16 || b != Type::I16) fail("wants flags"); break;
        case Op::cond: if (a != Type::I16 || i.aux > 15) fail("wants flags and a condition"); break;
        case Op::crc32c: if (i.type != Type::I32 || a != Type::I32 || !is_int(b)) fail("wants an I32 and an integer"); break;
        case Op::icmp: if (i.aux > static_cast<u8>(Cmp::sge)) fail("has no such comparison"); break;
        case Op::load: if (a != Type::I64) fail("wants a 64-bit address"); break;
        case Op::store: if (a != Type::I64 || b != i.type) fail("wants a 64-bit address and a value of its type"); break;
        case Op::set: if (a != i.type) fail("wants a value of its type"); break;
        case Op::jump_to: if (a != Type::I64) fail("wants a 64-bit target"); break;
        case Op::branch: case Op::guard: if (a != Type::I8) fail("wants an I8"); break;
        case Op::call_if: if (a != Type::I8) fail("wants an I8"); break;
        case Op::constant: if (!is_int(i.type) || (i.imm & ~mask(i.type))) fail("is wider than its type"); break;
        default: break;
        }
    }

    const Block& block_;
    size_t index_ = 0;
    std::string error_;
};
}  // namespace

std::string verify(const Block& b) { return Verifier{b}.run(); }
}  // namespace calque::jit
