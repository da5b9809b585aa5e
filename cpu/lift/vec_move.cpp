// MMX and SSE moves, shuffles of single elements, and MXCSR.
#include "cpu/lift/vector.h"
#include "cpu/memory.h"
#include "cpu/xsave.h"

namespace calque {

using namespace vector;
using xsave::XsaveOp;

namespace {

/// Moves of whole registers; `aligned` memory operands raise #GP when they are not.
void move_whole(Lifter& l, const Insn& in, bool aligned) {
    if (!begin_sse(l)) return;
    const Operand &to = in.op[0], &from = in.op[1];
    const unsigned bytes = is_wide(in) ? 32 : 16;
    const auto place = [&](const Operand& o, bool write) { return aligned ? l.linear_aligned(o, bytes, write) : l.linear(o, bytes, write); };
    if (to.is_mem()) return store(l, place(to, true), registers(l, from.reg));
    put(l, to.reg, from.is_mem() ? loads(l, place(from, false), 16) : registers(l, from.reg));
}

/// MOVSS and MOVSD: registers merge, loads clear what is above them.
void move_scalar(Lifter& l, const Insn& in, unsigned bytes) {
    if (!begin_sse(l)) return;
    const Lane lane = bytes == 4 ? Lane::I32 : Lane::I64;
    const Operand &to = in.op[0], &from = in.op[1];
    if (to.is_mem()) return l.ir.store(l.linear(to, bytes, true), l.ir.vec(Op::vextract, lane, l.xmm(from.reg), {}, 0, jit::int_type(bytes)));
    const Val v = source(l, second(in), bytes);
    put(l, to.reg, from.is_mem() ? v : l.ir.vec(Op::vlow, lane, l.xmm(first(in).reg), v));
}

/// MOVLPS, MOVHPS and their PD forms: one half to or from memory.
void move_half(Lifter& l, const Insn& in, u8 half) {
    if (!begin_sse(l)) return;
    const Operand &to = in.op[0], &from = in.op[1];
    if (to.is_mem()) return l.ir.store(l.linear(to, 8, true), half ? high64(l, l.xmm(from.reg)) : low64(l, l.xmm(from.reg)));
    const Val v = l.ir.load(Type::I64, l.linear(second(in), 8, false));
    put(l, to.reg, l.ir.vec(Op::vinsert, Lane::I64, l.xmm(first(in).reg), v, half));
}

void mmx_to(Lifter& l, u8 reg, Val v64) {
    touch_mmx(l, reg);
    set_mmx(l, reg, v64);
}

/// MOVD and MOVQ with an MMX register.
void move_mmx(Lifter& l, const Insn& in) {
    if (!begin_mmx(l)) return;
    const Operand &to = in.op[0], &from = in.op[1];
    const bool load = to.kind == Operand::mmx;
    const unsigned bytes = (load ? from : to).kind == Operand::mmx ? 8 : (load ? from : to).size;
    if (load) {
        const Val v = from.kind == Operand::mmx ? mmx_value(l, from.reg) : l.ir.zext(l.read(from), Type::I64);
        return mmx_to(l, to.reg, v);
    }
    const Val v = l.ir.trunc(mmx_value(l, from.reg), jit::int_type(bytes));
    if (!to.is_mem()) {
        touch_mmx(l, 8);
        return l.write(to, v);
    }
    if (!l.zen()) {   // TOP is 0 even when the store faults
        touch_mmx(l, 9);
        l.ir.store(l.linear(to, bytes, true), v);
        return touch_mmx(l, 8);
    }
    const Val at = l.linear(to, bytes, true);
    l.ir.load(v.type, at, true);   // before the x87 state changes, since the store may fault
    touch_mmx(l, 8);
    l.ir.store(at, v);
}

/// MOVD and MOVQ with an xmm register.
void move_int(Lifter& l, const Insn& in) {
    if (uses_mmx(in)) return move_mmx(l, in);
    if (!begin_sse(l)) return;
    const Operand &to = in.op[0], &from = in.op[1];
    if (to.kind == Operand::xmm) {
        const Val v = from.kind == Operand::xmm ? low64(l, l.xmm(from.reg)) : l.read(from);
        return put(l, to.reg, from_int(l, v));
    }
    const Type t = jit::int_type(to.size);
    l.write(to, l.ir.vec(Op::vextract, t == Type::I64 ? Lane::I64 : Lane::I32, l.xmm(from.reg), {}, 0, t));
}
}  // namespace

void lift_mov_aligned(Lifter& l, const Insn& in) { move_whole(l, in, true); }
void lift_mov_unaligned(Lifter& l, const Insn& in) { move_whole(l, in, false); }
void lift_movss(Lifter& l, const Insn& in) { move_scalar(l, in, 4); }
void lift_movsd_sse(Lifter& l, const Insn& in) { move_scalar(l, in, 8); }
void lift_movlp(Lifter& l, const Insn& in) { move_half(l, in, 0); }
void lift_movhp(Lifter& l, const Insn& in) { move_half(l, in, 1); }
void lift_movd(Lifter& l, const Insn& in) { move_int(l, in); }

void lift_movhlps(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    put(l, in.op[0].reg, l.ir.vec(Op::vshuffle2, Lane::I64, l.xmm(second(in).reg), l.xmm(first(in).reg), 3));
}
void lift_movlhps(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    put(l, in.op[0].reg, l.ir.vec(Op::vunpack_lo, Lane::I64, l.xmm(first(in).reg), l.xmm(second(in).reg)));
}

void lift_movddup(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Halves v = is_wide(in) ? sources(l, in.op[1], 16) : Halves{source(l, in.op[1], 8), {}};
    put(l, in.op[0].reg, each(v, [&](Val x) { return l.ir.vec(Op::vunpack_lo, Lane::I64, x, x); }));
}
void lift_movsldup(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    put(l, in.op[0].reg, each(sources(l, in.op[1], 16), [&](Val x) { return l.ir.vec(Op::vshuffle, Lane::I32, x, {}, 0xa0); }));
}
void lift_movshdup(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    put(l, in.op[0].reg, each(sources(l, in.op[1], 16), [&](Val x) { return l.ir.vec(Op::vshuffle, Lane::I32, x, {}, 0xf5); }));
}

void lift_movq2dq(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    touch_mmx(l, 8);
    l.set_xmm(in.op[0].reg, from_int(l, mmx_value(l, in.op[1].reg)));
}
void lift_movdq2q(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    mmx_to(l, in.op[0].reg, low64(l, l.xmm(in.op[1].reg)));
}

void lift_maskmovdqu(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Val registers = l.c64(in.op[in.op_count - 2].reg | last(in).reg << 8), di = l.gpr(RDI, in.addr_size), ea = l.ir.zext(di, Type::I64);
    if (l.zen()) {
        const Val at = l.linear(in.seg, ea, 16, true, 8);
        return void(l.call(Helper::mask_move16, Type::None, at, l.ir.add(at, u64{8}), registers));
    }
    const Val high = l.linear(in.seg, l.ir.zext(l.ir.add(di, u64{8}), Type::I64), 8, true);
    l.call(Helper::mask_move16, Type::None, l.linear(in.seg, ea, 8, true), high, registers);
}
void lift_maskmovq(Lifter& l, const Insn& in) {
    if (!begin_mmx(l)) return;
    touch_mmx(l, 8);   // also before a fault
    const Val at = l.linear(in.seg, l.ir.zext(l.gpr(RDI, in.addr_size), Type::I64), 8, true);
    l.call(Helper::mask_move, Type::None, at, mmx_value(l, in.op[in.op_count - 2].reg), mmx_value(l, last(in).reg));
}

namespace {
/// The sign bits of the lanes, those of an upper half above those of the lower.
Val signs(Lifter& l, Lane lane, Halves v) {
    const Halves m = each(v, [&](Val x) { return l.ir.vec(Op::vmovmask, lane, x, {}, 0, Type::I32); });
    return m.hi ? l.ir.or_(m.lo, l.ir.shl(m.hi, 16 / jit::lane_bytes(lane))) : m.lo;
}
}  // namespace

void lift_movmsk(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Lane lane = in.mn == Mn::MOVMSKPS ? Lane::F32 : Lane::F64;
    l.write(in.op[0], l.ir.zext(signs(l, lane, registers(l, in.op[1].reg)), jit::int_type(in.op[0].size)));
}
void lift_pmovmskb(Lifter& l, const Insn& in) {
    const bool mmx = uses_mmx(in);
    if (!(mmx ? begin_mmx(l) : begin_sse(l))) return;
    if (mmx) touch_mmx(l, 8);
    l.write(in.op[0], l.ir.zext(signs(l, Lane::I8, sources(l, in.op[1], 16)), jit::int_type(in.op[0].size)));
}

namespace {
/// PINSR and PEXTR: the elements, and which bits of the immediate count.
Lane element(Mn mn) {
    switch (mn) {
    case Mn::PINSRB: case Mn::PEXTRB: return Lane::I8;
    case Mn::PINSRW: case Mn::PEXTRW: return Lane::I16;
    case Mn::PINSRQ: case Mn::PEXTRQ: return Lane::I64;
    default: return Lane::I32;
    }
}
u8 index(const Insn& in, Lane lane, bool mmx) { return static_cast<u8>(last(in).value & ((mmx ? 8 : 16) / jit::lane_bytes(lane) - 1)); }
}  // namespace

void lift_pinsr(Lifter& l, const Insn& in) {
    const Operand &to = in.op[0], &from = second(in);
    const bool mmx = to.kind == Operand::mmx;
    if (!(mmx ? begin_mmx(l) : begin_sse(l))) return;
    const Lane lane = element(in.mn);
    const unsigned bytes = jit::lane_bytes(lane);
    const Val v = from.is_mem() ? l.ir.load(jit::int_type(bytes), l.linear(from, bytes, false)) : l.gpr(from.reg, bytes);
    const u8 at = index(in, lane, mmx);
    if (!mmx) return put(l, to.reg, l.ir.vec(Op::vinsert, lane, l.xmm(first(in).reg), v, at));
    mmx_to(l, to.reg, low64(l, l.ir.vec(Op::vinsert, lane, from_int(l, mmx_value(l, to.reg)), v, at)));
}
void lift_pextr(Lifter& l, const Insn& in) {
    const Operand &to = in.op[0], &from = in.op[1];
    const bool mmx = from.kind == Operand::mmx;
    if (!(mmx ? begin_mmx(l) : begin_sse(l))) return;
    if (mmx) touch_mmx(l, 8);
    const Lane lane = element(in.mn);
    const unsigned bytes = jit::lane_bytes(lane);
    const Val v = l.ir.vec(Op::vextract, lane, source(l, from, 16), {}, index(in, lane, mmx), jit::int_type(bytes));
    if (to.is_mem()) return l.ir.store(l.linear(to, bytes, true), v);
    l.set_gpr(to.reg, l.ir.zext(v, Type::I64));   // the upper bits of the whole register become zero
}

void lift_ldmxcsr(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    l.end_with(Helper::ldmxcsr, l.ir.zext(l.ir.load(Type::I32, l.linear(in.op[0], 4, false)), Type::I64));
}
void lift_stmxcsr(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Val at = l.linear(in.op[0], 4, true);
    l.ir.store(at, l.ir.trunc(l.call(Helper::stmxcsr, Type::I64), Type::I32));
}

// ---- state in memory

namespace {
/// FXSAVE and XSAVE do not stop at CR4.OSFXSR.
Val state_area(Lifter& l, const Insn& in, unsigned bytes, bool write) {
    const Val at = l.linear(in.op[0], bytes, write);
    if (bytes == 512) l.require_aligned(at, 16);
    return at;
}
Val rex_w(Lifter& l, const Insn& in) { return l.c64(in.op_size == 8); }
}  // namespace

void lift_fxsave(Lifter& l, const Insn& in) {
    if (l.has(mode::FpuTrap)) return l.raise(vec::NM);
    l.call(Helper::fxsave, Type::None, state_area(l, in, 512, true), rex_w(l, in));
}
void lift_fxrstor(Lifter& l, const Insn& in) {
    if (l.has(mode::FpuTrap)) return l.raise(vec::NM);
    l.end_with(Helper::fxrstor, state_area(l, in, 512, false), rex_w(l, in));
}

namespace {
XsaveOp xsave_op(const Insn& in) {
    XsaveOp op;
    op.rex_w = in.op_size == 8;
    op.seg = in.op[0].seg;
    return op;
}
void save_state(Lifter& l, const Insn& in, const XsaveOp& op) { l.call(Helper::xsave, Type::None, state_area(l, in, 576, true), l.c64(op.pack())); }
void restore_state(Lifter& l, const Insn& in, const XsaveOp& op) { l.end_with(Helper::xrstor, state_area(l, in, 576, false), l.c64(op.pack())); }
}  // namespace

void lift_xsave(Lifter& l, const Insn& in) { save_state(l, in, xsave_op(in)); }
void lift_xsaveopt(Lifter& l, const Insn& in) {
    XsaveOp op = xsave_op(in);
    op.optimised = true;
    save_state(l, in, op);
}
void lift_xsavec(Lifter& l, const Insn& in) {
    XsaveOp op = xsave_op(in);
    op.compacted = true;
    op.supervisor = in.mn == Mn::XSAVES || in.mn == Mn::XSAVES64;
    save_state(l, in, op);
}
void lift_xrstor(Lifter& l, const Insn& in) {
    XsaveOp op = xsave_op(in);
    op.supervisor = in.mn == Mn::XRSTORS || in.mn == Mn::XRSTORS64;
    restore_state(l, in, op);
}
}  // namespace calque
