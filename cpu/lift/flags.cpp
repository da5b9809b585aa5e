// Instructions on EFLAGS (SDM vol. 2, CLC .. STI, LAHF, SAHF).
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Type;
namespace fl = jit::fl;

void lift_clc(Lifter& l, const Insn&) { l.set_flag(fl::CF, l.ir.constant(Type::I8, 0)); }
void lift_stc(Lifter& l, const Insn&) { l.set_flag(fl::CF, l.ir.constant(Type::I8, 1)); }
void lift_cmc(Lifter& l, const Insn&) { l.set_flag(fl::CF, l.ir.xor_(l.flag(fl::CF), u64{1})); }
void lift_cld(Lifter& l, const Insn&) { l.ir.set(slot::df, l.ir.constant(Type::I8, 0)); }
void lift_std(Lifter& l, const Insn&) { l.ir.set(slot::df, l.ir.constant(Type::I8, 1)); }
// CLI lets nothing new happen, so the block goes on. STI ends it, for the interrupt that may be waiting (the helper then leaves no
// budget), but stays in the same mode.
void lift_cli(Lifter& l, const Insn&) { l.call(Helper::cli); }
void lift_sti(Lifter& l, const Insn&) {
    l.call(Helper::sti);
    l.ir.jump(l.next_rip());
}
void lift_clac(Lifter& l, const Insn&) { l.end_with(Helper::clac_stac, l.c64(0)); }
void lift_stac(Lifter& l, const Insn&) { l.end_with(Helper::clac_stac, l.c64(1)); }

// The upper byte of the packed flags is what LAHF gives.
void lift_lahf(Lifter& l, const Insn&) {
    const Val byte = l.ir.extract(l.flags(), 8, Type::I8);
    l.ir.set(slot::gpr + RAX, l.ir.insert(l.gpr64(RAX), byte, 8));
}
void lift_sahf(Lifter& l, const Insn&) {
    const Val ah = l.ir.extract(l.gpr64(RAX), 8, Type::I8);
    l.set_flags(l.ir.shl(l.ir.zext(ah, Type::I16), 8u), fl::SF | fl::ZF | fl::AF | fl::PF | fl::CF);
}

void lift_salc(Lifter& l, const Insn&) { l.set_gpr(RAX, l.ir.neg(l.flag(fl::CF))); }
}  // namespace calque
