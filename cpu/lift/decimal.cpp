// Decimal adjustments (SDM vol. 2, AAA AAD AAM AAS DAA DAS).
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Type;

static void adjust(Lifter& l, u64 which) {
    const Val ax = l.call(Helper::bcd, Type::I64, l.ir.zext(l.gpr(RAX, 2), Type::I64), l.c64(which));
    l.set_gpr(RAX, l.ir.trunc(ax, Type::I16));
}
void lift_daa(Lifter& l, const Insn&) { adjust(l, 0); }
void lift_das(Lifter& l, const Insn&) { adjust(l, 1); }
void lift_aaa(Lifter& l, const Insn&) { adjust(l, 2); }
void lift_aas(Lifter& l, const Insn&) { adjust(l, 3); }

void lift_aam(Lifter& l, const Insn& in) {
    const u64 base = in.op_count ? in.op[0].value & 0xff : 10;
    if (base == 0) return l.raise(0);
    const Val ax = l.call(Helper::aam, Type::I64, l.ir.zext(l.gpr(RAX, 1), Type::I64), l.c64(base));
    l.set_gpr(RAX, l.ir.trunc(ax, Type::I16));
}

void lift_aad(Lifter& l, const Insn& in) {
    const u64 base = in.op_count ? in.op[0].value & 0xff : 10;
    const Val ah = l.ir.extract(l.gpr64(RAX), 8, Type::I8), al = l.gpr(RAX, 1);
    const Val tens = l.ir.mul(ah, l.ir.constant(Type::I8, base)), sum = l.ir.add(al, tens);
    l.set_gpr(RAX, l.ir.zext(sum, Type::I16));
    // OF, AF and CF are undefined; they are those of the addition, as on Intel's and AMD's processors.
    l.set_flags(l.ir.flags(jit::Op::flags_add, al, tens));
}
}  // namespace calque
