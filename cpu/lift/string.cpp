// String instructions (SDM vol. 2, MOVS STOS LODS CMPS SCAS INS OUTS). Without a repeat prefix they are IR; with one, a helper runs
// as many iterations as page, budget and faults allow.
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Op;
using jit::Type;

namespace {

/// The element size is in the mnemonic; the opcode's lowest bit tells bytes from the rest.
unsigned element(const Insn& in) { return in.opcode & 1 ? in.op_size : 1u; }

void repeated(Lifter& l, const Insn& in, Helper helper, bool by_flag) {
    const unsigned size = helper == Helper::ins || helper == Helper::outs ? (element(in) == 8 ? 4 : element(in)) : element(in);
    const u64 kind = in.rep || (in.repne && !by_flag) ? 1 : in.repne ? 2 : 0;
    l.end_with(helper, l.c64(size | u64{in.addr_size} << 8 | u64{in.seg} << 16 | kind << 24), l.c64(in.rip));
}

Val at(Lifter& l, const Insn& in, u8 reg, Seg seg, unsigned size, bool write) {
    return l.linear(seg, l.ir.zext(l.gpr(reg, in.addr_size), Type::I64), size, write);
}

void step(Lifter& l, const Insn& in, u8 reg, unsigned size) {
    const Type t = jit::int_type(in.addr_size);
    const Val delta = l.ir.select(l.ir.get(slot::df, Type::I8), l.ir.constant(t, u64{0} - size), l.ir.constant(t, size));
    l.set_gpr(reg, l.ir.add(l.gpr(reg, in.addr_size), delta));
}
}  // namespace

void lift_movs(Lifter& l, const Insn& in) {
    if (in.rep || in.repne) return repeated(l, in, Helper::rep_movs, false);
    const unsigned size = element(in);
    const Val v = l.ir.load(jit::int_type(size), at(l, in, RSI, in.seg, size, false));
    l.ir.store(at(l, in, RDI, ES, size, true), v);
    step(l, in, RSI, size), step(l, in, RDI, size);
}

void lift_stos(Lifter& l, const Insn& in) {
    if (in.rep || in.repne) return repeated(l, in, Helper::rep_stos, false);
    const unsigned size = element(in);
    l.ir.store(at(l, in, RDI, ES, size, true), l.gpr(RAX, size));
    step(l, in, RDI, size);
}

void lift_lods(Lifter& l, const Insn& in) {
    if (in.rep || in.repne) return repeated(l, in, Helper::rep_lods, false);
    const unsigned size = element(in);
    const Val v = l.ir.load(jit::int_type(size), at(l, in, RSI, in.seg, size, false));
    l.set_gpr(RAX, v);
    step(l, in, RSI, size);
}

void lift_cmps(Lifter& l, const Insn& in) {
    if (in.rep || in.repne) return repeated(l, in, Helper::rep_cmps, true);
    const unsigned size = element(in);
    const Type t = jit::int_type(size);
    // The second operand first: it is the one whose fault is reported when both have one.
    const Val b = l.ir.load(t, at(l, in, RDI, ES, size, false)), a = l.ir.load(t, at(l, in, RSI, in.seg, size, false));
    step(l, in, RSI, size), step(l, in, RDI, size);
    l.set_flags(l.ir.flags(Op::flags_sub, a, b));
}

void lift_scas(Lifter& l, const Insn& in) {
    if (in.rep || in.repne) return repeated(l, in, Helper::rep_scas, true);
    const unsigned size = element(in);
    const Val b = l.ir.load(jit::int_type(size), at(l, in, RDI, ES, size, false)), a = l.gpr(RAX, size);
    step(l, in, RDI, size);
    l.set_flags(l.ir.flags(Op::flags_sub, a, b));
}

// MOVSD and CMPSD are also the names of SSE2 instructions; those have explicit operands.
void lift_movs_or_sse(Lifter& l, const Insn& in) { in.op_count ? lift_movsd_sse(l, in) : lift_movs(l, in); }
void lift_cmps_or_sse(Lifter& l, const Insn& in) { in.op_count ? lift_cmpsd_sse(l, in) : lift_cmps(l, in); }

void lift_ins(Lifter& l, const Insn& in) { repeated(l, in, Helper::ins, false); }
void lift_outs(Lifter& l, const Insn& in) { repeated(l, in, Helper::outs, false); }
}  // namespace calque
