// Integer arithmetic, logic, shifts, packs and shuffles of MMX, SSE and AVX.
#include <algorithm>

#include "cpu/lift/vector.h"

namespace calque {

using namespace vector;

namespace {

/// A row's op on the low halves, as MMX registers have it: what combines elements must not see the upper ones.
Val mmx_compute(Lifter& l, const Row& row, Val a, Val b, u8 aux) {
    const auto joined = [&](Val low, Val high) { return l.ir.vec(Op::vunpack_lo, Lane::I64, low, high); };
    switch (row.op) {
    case Op::vpack_s:
    case Op::vpack_u:
    case Op::vhadd:
    case Op::vhsub:
    case Op::vhadds_s:
    case Op::vhsubs_s: {
        const Val both = joined(a, b);
        return low64(l, l.ir.vec(row.op, row.lane, both, both));
    }
    case Op::vunpack_hi: return high64(l, l.ir.vec(Op::vunpack_lo, row.lane, a, b));
    case Op::vshuffle_bytes: {
        const Val below_8 = from_int(l, l.c64(0x8787878787878787));
        return low64(l, l.ir.vec(row.op, row.lane, a, l.ir.vec(Op::vand, Lane::I64, b, below_8)));
    }
    case Op::valign: return low64(l, l.ir.vec(Op::vshr_bytes, Lane::I8, joined(b, a), {}, std::min<u8>(aux, 16)));
    default: return low64(l, compute(l, row, aux, a, b));
    }
}

void mmx_result(Lifter& l, u8 reg, Val v64) {
    touch_mmx(l, reg);
    set_mmx(l, reg, v64);
}
}  // namespace

void lift_vec_binary(Lifter& l, const Insn& in) {
    const Row& row = row_of(in.mn);
    const Operand &to = in.op[0], &from = in.op[1];
    const u8 aux = aux_of(row, in);
    if (to.kind == Operand::mmx) {
        if (!begin_mmx(l)) return;
        // The low unpacks read only half of their memory operand.
        const Val b = source(l, from, row.op == Op::vunpack_lo && from.is_mem() ? 4 : 8);
        return mmx_result(l, to.reg, mmx_compute(l, row, from_int(l, mmx_value(l, to.reg)), b, aux));
    }
    if (!begin_sse(l)) return;
    const Operand &a = first(in), &b = second(in);
    const bool cleared = b.kind == Operand::xmm && b.reg == a.reg && (row.op == Op::vxor || row.op == Op::vsub);
    if (cleared) return put(l, to.reg, each(registers(l, a.reg), [&](Val) { return l.ir.vec(Op::vzero, Lane::I64); }));
    // SDM vol. 2, "SHA1RNDS4" and its neighbours: class 4, so memory must be aligned; Zen does not look.
    const bool aligned = !(l.zen() && isa_of(in.mn) == Isa::sha);
    const Halves y = sources(l, b, row.bytes, aligned), x = registers(l, a.reg);
    // The selecting operand of the legacy forms is XMM0.
    const bool selects = jit::info(row.op).args > 2;
    const Halves z = !selects ? Halves{} : in.vex ? registers(l, last(in).reg) : Halves{l.xmm(0), {}};
    const Val lo = compute(l, row, aux, x.lo, y.lo, z.lo);
    put(l, to.reg, {lo, x.hi ? compute(l, row, upper_aux(row, in, aux), x.hi, y.hi, z.hi) : Val{}});
}

void lift_ptest(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Halves b = sources(l, in.op[1], 16), a = registers(l, in.op[0].reg);
    const Halves f = each(a, b, [&](Val x, Val y) { return l.ir.vec(Op::vtest, Lane::I64, x, y, 0, Type::I16); });
    // Both halves must be without a bit; fl::One is set in both too.
    l.set_flags(f.hi ? l.ir.and_(f.lo, f.hi) : f.lo);
}

void lift_vec_shift(Lifter& l, const Insn& in) {
    const Row& row = row_of(in.mn);
    const Operand &to = in.op[0], &by = in.op[in.vex ? 2 : 1];
    const bool mmx = to.kind == Operand::mmx;
    if (!(mmx ? begin_mmx(l) : begin_sse(l))) return;
    const Val count = by.kind == Operand::imm ? l.c64(by.value & 0xff) : low64(l, source(l, by, mmx ? 8 : 16));
    if (!mmx) return put(l, to.reg, each(registers(l, first(in).reg), [&](Val v) { return l.ir.vec(row.op, row.lane, v, count); }));
    mmx_result(l, to.reg, low64(l, l.ir.vec(row.op, row.lane, from_int(l, mmx_value(l, to.reg)), count)));
}

void lift_vec_shift_bytes(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const u8 n = static_cast<u8>(std::min<u64>(last(in).value, 16));
    const Op op = in.mn == Mn::PSLLDQ ? Op::vshl_bytes : Op::vshr_bytes;
    put(l, in.op[0].reg, each(registers(l, first(in).reg), [&](Val v) { return l.ir.vec(op, Lane::I8, v, {}, n); }));
}

void lift_emms(Lifter& l, const Insn&) {
    if (!begin_mmx(l)) return;
    touch_mmx(l, 8);
    l.ir.set(slot::mmx_touch, l.ir.constant(Type::I32, 0));
}

void lift_vec_estimate(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const bool packed = in.mn == Mn::RCPPS || in.mn == Mn::RSQRTPS, root = in.mn == Mn::RSQRTPS || in.mn == Mn::RSQRTSS;
    const auto estimates = [&](Val v) { return l.call(Helper::vec_estimate, Type::V128, l.c64(root), low64(l, v), high64(l, v)); };
    if (packed) return put(l, in.op[0].reg, each(sources(l, in.op[1], 16), estimates));
    const Val v = estimates(source(l, second(in), 4));
    put(l, in.op[0].reg, l.ir.vec(Op::vlow, Lane::F32, l.xmm(first(in).reg), v));
}
}  // namespace calque
