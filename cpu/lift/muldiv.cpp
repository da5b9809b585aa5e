// Multiplication and division (SDM vol. 2, MUL IMUL DIV IDIV).
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Cmp;
using jit::Op;
using jit::Type;

namespace {

/// CF = OF = "the upper half matters". The others are undefined: Intel takes SF and PF from the lower half of the product and clears ZF and
/// AF, Zen leaves all four alone.
void set_product_flags(Lifter& l, Val low, Val overflow) {
    namespace fl = jit::fl;
    const Val both = l.ir.or_(l.ir.shl(l.ir.zext(overflow, Type::I16), 8u), l.ir.zext(overflow, Type::I16));
    if (l.zen()) l.set_flags(both, fl::CF | fl::OF);
    else l.set_flags(l.ir.flag_merge(l.ir.flags_logic(low), both, fl::CF | fl::OF | fl::ZF));
}

/// One operand: AX, DX:AX, EDX:EAX or RDX:RAX = accumulator * operand.
void multiply_wide(Lifter& l, const Insn& in, bool is_signed) {
    const unsigned size = in.op[0].size;
    const Val src = l.read(in.op[0]), acc = l.gpr(RAX, size);
    if (size == 1) {
        const auto wide = [&](Val v) { return is_signed ? l.ir.sext(v, Type::I16) : l.ir.zext(v, Type::I16); };
        const Val product = l.ir.mul(wide(acc), wide(src)), low = l.ir.trunc(product, Type::I8);
        l.set_gpr(RAX, product);
        set_product_flags(l, low, l.ir.icmp(Cmp::ne, product, wide(low)));
        return;
    }
    const Val low = l.ir.mul(acc, src), high = l.ir.binary(is_signed ? Op::mul_hi_s : Op::mul_hi_u, acc, src);
    const Val plain = is_signed ? l.ir.sar(low, size * 8 - 1) : l.ir.constant(low.type, 0);
    l.set_gpr(RAX, low);
    l.set_gpr(RDX, high);
    set_product_flags(l, low, l.ir.icmp(Cmp::ne, high, plain));
}

/// All flags are undefined. Intel leaves them alone; Zen keeps CF and OF, sets AF, and clears the others.
void set_quotient_flags(Lifter& l) {
    namespace fl = jit::fl;
    if (l.zen()) l.set_flags(l.ir.constant(Type::I16, fl::AF), fl::AF | fl::SF | fl::ZF | fl::PF);
}

void divide_error_unless(Lifter& l, Val ok) { l.ir.guard(ok, jit::fault_code(0)); }

/// Up to 32 bits: the dividend fits 64 bits, so quotient and remainder are one IR division each.
void divide(Lifter& l, const Insn& in, bool is_signed) {
    const unsigned size = in.op[0].size;
    const Type t = jit::int_type(size);
    const Val divisor = l.read(in.op[0]);
    if (size == 8) {
        l.call(Helper::div64, Type::None, divisor, l.c64(is_signed));
        return set_quotient_flags(l);
    }
    const auto wide = [&](Val v) { return is_signed ? l.ir.sext(v, Type::I64) : l.ir.zext(v, Type::I64); };
    const Val dividend = size == 1 ? wide(l.gpr(RAX, 2))
                                   : wide(l.ir.insert(l.ir.zext(l.gpr(RAX, size), jit::int_type(size * 2)), l.gpr(RDX, size), size * 8));
    const Val d = wide(divisor);
    divide_error_unless(l, l.ir.icmp(Cmp::ne, divisor, u64{0}));
    if (is_signed && size == 4) {
        // The one dividend whose division would trap on the host.
        const Val lowest = l.ir.icmp(Cmp::eq, dividend, u64{1} << 63), minus_one = l.ir.icmp(Cmp::eq, d, ~u64{0});
        divide_error_unless(l, l.ir.icmp(Cmp::eq, l.ir.and_(lowest, minus_one), u64{0}));
    }
    const Val quotient = l.ir.binary(is_signed ? Op::div_s : Op::div_u, dividend, d);
    const Val remainder = l.ir.binary(is_signed ? Op::rem_s : Op::rem_u, dividend, d);
    const Val q = l.ir.trunc(quotient, t), r = l.ir.trunc(remainder, t);
    divide_error_unless(l, l.ir.icmp(Cmp::eq, wide(q), quotient));
    set_quotient_flags(l);
    if (size == 1) {
        l.set_gpr(RAX, l.ir.insert(l.ir.zext(q, Type::I16), r, 8));
        return;
    }
    l.set_gpr(RAX, q);
    l.set_gpr(RDX, r);
}
}  // namespace

void lift_mul(Lifter& l, const Insn& in) { multiply_wide(l, in, false); }

void lift_imul(Lifter& l, const Insn& in) {
    if (in.op_count == 1) return multiply_wide(l, in, true);
    const Type t = jit::int_type(in.op[0].size);
    const Val a = l.read(in.op_count == 3 ? in.op[1] : in.op[0]);
    const Val b = in.op_count == 3 ? l.imm(in.op[2], t) : l.read(in.op[1]);
    const Val low = l.ir.mul(a, b), high = l.ir.binary(Op::mul_hi_s, a, b);
    l.write(in.op[0], low);
    set_product_flags(l, low, l.ir.icmp(Cmp::ne, high, l.ir.sar(low, in.op[0].size * 8u - 1)));
}

void lift_div(Lifter& l, const Insn& in) { divide(l, in, false); }
void lift_idiv(Lifter& l, const Insn& in) { divide(l, in, true); }
}  // namespace calque
