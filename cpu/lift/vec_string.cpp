// SSE4.2's string comparisons (SDM vol. 2B, PCMPESTRI PCMPESTRM PCMPISTRI PCMPISTRM).
#include "cpu/lift/vector.h"

namespace calque {

using namespace vector;
using jit::Cmp;

namespace {

/// "Valid Input": the absolute value, no more than the number of elements.
Val given_length(Lifter& l, const Insn& in, u8 reg, u64 elements) {
    const Val v = l.gpr(reg, in.op_size == 8 ? 8 : 4);
    const Val size = l.ir.select(l.ir.icmp(Cmp::slt, v, u64{0}), l.ir.neg(v), v);
    return l.ir.zext(l.ir.select(l.ir.icmp(Cmp::ult, size, elements), size, l.ir.constant(v.type, elements)), Type::I64);
}

void compare_strings(Lifter& l, const Insn& in, bool lengths, bool mask) {
    if (!begin_sse(l)) return;
    const Val b = source(l, in.op[1], 16, false), a = l.xmm(in.op[0].reg);
    const u8 control = static_cast<u8>(in.op[2].value), aux = static_cast<u8>((control & 0x7f) | (lengths ? 0x80 : 0));
    const u64 elements = control & 1 ? 8 : 16;
    Val given = l.c64(0);
    if (lengths) given = l.ir.or_(given_length(l, in, RAX, elements), l.ir.shl(given_length(l, in, RDX, elements), 8u));
    const Val result = l.ir.vec(mask ? Op::vstr_mask : Op::vstr_index, Lane::I8, a, b, aux, mask ? Type::V128 : Type::I32, given);
    const Val flags = l.ir.vec(Op::vstr_flags, Lane::I8, a, b, aux, Type::I16, given);
    if (mask) put(l, 0, result);
    else l.set_gpr(RCX, result);
    l.set_flags(flags);
}
}  // namespace

void lift_pcmpestri(Lifter& l, const Insn& in) { compare_strings(l, in, true, false); }
void lift_pcmpestrm(Lifter& l, const Insn& in) { compare_strings(l, in, true, true); }
void lift_pcmpistri(Lifter& l, const Insn& in) { compare_strings(l, in, false, false); }
void lift_pcmpistrm(Lifter& l, const Insn& in) { compare_strings(l, in, false, true); }
}  // namespace calque
