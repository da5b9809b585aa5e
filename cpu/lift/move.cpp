// Moves, conversions and conditional moves (SDM vol. 2, MOV .. XLAT).
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Type;

namespace {

void mov_from_segment(Lifter& l, const Insn& in) {
    const Val selector = l.read(in.op[1]);
    // A register destination is zero-extended to the operand size; memory always gets 16 bits.
    if (in.op[0].is_mem()) l.ir.store(l.linear(in.op[0], 2, true), selector);
    else l.set_gpr(in.op[0].reg, l.ir.zext(selector, jit::int_type(in.op_size)));
}

void mov_to_segment(Lifter& l, const Insn& in) {
    if (in.op[1].reg == CS && in.op[1].kind == Operand::segment) return l.raise(6);
    const Val selector = in.op[1].is_mem() ? l.ir.load(Type::I16, l.linear(in.op[1], 2, false)) : l.gpr(in.op[1].reg, 2);
    if (in.op[0].reg == CS) return l.raise(6);
    if (l.load_segment_8086(in.op[0].reg, selector)) return;
    l.end_with(Helper::mov_to_seg, l.c64(in.op[0].reg), l.ir.zext(selector, Type::I64));
}

/// Control and debug registers: the general register has the mode's width whatever the prefixes say.
void mov_system(Lifter& l, const Insn& in) {
    const unsigned width = l.code64() ? 8 : 4;
    const bool to_system = in.op[0].kind == Operand::control || in.op[0].kind == Operand::debug;
    const Operand& sys = to_system ? in.op[0] : in.op[1];
    const Operand& reg = to_system ? in.op[1] : in.op[0];
    const bool control = sys.kind == Operand::control;
    if (to_system) return l.end_with(control ? Helper::write_cr : Helper::write_dr, l.c64(sys.reg), l.ir.zext(l.gpr(reg.reg, width), Type::I64));
    const Val v = l.call(control ? Helper::read_cr : Helper::read_dr, Type::I64, l.c64(sys.reg));
    l.set_gpr(reg.reg, l.ir.trunc(v, jit::int_type(width)));
}

/// The condition is the low nibble of the opcode.
Val condition_of(Lifter& l, const Insn& in) { return l.condition(in.opcode & 15); }
}  // namespace

void lift_mov(Lifter& l, const Insn& in) {
    const auto is = [&](Operand::Kind k) { return in.op[0].kind == k || in.op[1].kind == k; };
    if (is(Operand::control) || is(Operand::debug)) return mov_system(l, in);
    if (in.op[0].kind == Operand::segment) return mov_to_segment(l, in);
    if (in.op[1].kind == Operand::segment) return mov_from_segment(l, in);
    const bool imm = in.op[1].kind == Operand::imm;
    l.write(in.op[0], imm ? l.imm(in.op[1], jit::int_type(in.op[0].size)) : l.read(in.op[1]));
}

void lift_movzx(Lifter& l, const Insn& in) { l.write(in.op[0], l.ir.zext(l.read(in.op[1]), jit::int_type(in.op[0].size))); }
void lift_movsx(Lifter& l, const Insn& in) { l.write(in.op[0], l.ir.sext(l.read(in.op[1]), jit::int_type(in.op[0].size))); }

void lift_lea(Lifter& l, const Insn& in) { l.write(in.op[0], l.ir.zext(l.effective(in.op[1]), jit::int_type(in.op[0].size))); }

void lift_xchg(Lifter& l, const Insn& in) {
    const Operand& m = in.op[1].is_mem() ? in.op[1] : in.op[0];
    const Operand& r = in.op[1].is_mem() ? in.op[0] : in.op[1];
    const Val now = l.read(r);
    if (m.is_mem()) {
        const auto [old, stored] = l.rmw(m, [&](Val) { return now; });
        l.write(r, old);
        return;
    }
    const Val old = l.read(m);
    l.write(m, now);
    l.write(r, old);
}

void lift_cbw(Lifter& l, const Insn& in) { l.set_gpr(RAX, l.ir.sext(l.gpr(RAX, in.op_size / 2u), jit::int_type(in.op_size))); }

void lift_cwd(Lifter& l, const Insn& in) { l.set_gpr(RDX, l.ir.sar(l.gpr(RAX, in.op_size), in.op_size * 8u - 1)); }

void lift_xlat(Lifter& l, const Insn& in) {
    const Val ea = l.ir.add(l.gpr(RBX, in.addr_size), l.ir.zext(l.gpr(RAX, 1), jit::int_type(in.addr_size)));
    l.set_gpr(RAX, l.ir.load(Type::I8, l.linear(in.seg, l.ir.zext(ea, Type::I64), 1, false)));
}

// The source is read, and may fault, even when the condition is false; a 32-bit destination is always zero-extended.
void lift_cmov(Lifter& l, const Insn& in) {
    const Val src = l.read(in.op[1]), old = l.read(in.op[0]);
    l.write(in.op[0], l.ir.select(condition_of(l, in), src, old));
}

void lift_set(Lifter& l, const Insn& in) { l.write(in.op[0], condition_of(l, in)); }
}  // namespace calque
