// Moves and tests that AVX has and no SSE, and the same under AVX2's names. SDM vol. 2, "VBROADCAST" to "VZEROUPPER".
#include "cpu/lift/vector.h"

namespace calque {

using namespace vector;

namespace {
Val zero(Lifter& l) { return l.ir.vec(Op::vzero, Lane::I64); }
/// One value in both halves, or in the lower one.
Halves both(const Insn& in, Val v) { return {v, is_wide(in) ? v : Val{}}; }

Lane lane_of(const Insn& in, std::initializer_list<Mn> doubles) {
    for (const Mn mn : doubles)
        if (in.mn == mn) return Lane::I64;
    return Lane::I32;
}
Val half(Halves v, u64 upper) { return upper & 1 ? v.hi : v.lo; }
}  // namespace

void lift_vbroadcast(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const unsigned bytes = in.mn == Mn::VBROADCASTSS ? 4 : in.mn == Mn::VBROADCASTSD ? 8 : 16;
    const Val v = source(l, in.op[1], bytes);
    put(l, in.op[0].reg, both(in, bytes == 4   ? l.ir.vec(Op::vshuffle, Lane::I32, v, {}, 0)
                                  : bytes == 8 ? l.ir.vec(Op::vunpack_lo, Lane::I64, v, v)
                                               : v));
}

void lift_vinsert128(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Val v = source(l, in.op[2], 16);
    const Halves a = registers(l, in.op[1].reg);
    put(l, in.op[0].reg, last(in).value & 1 ? Halves{a.lo, v} : Halves{v, a.hi});
}

void lift_vextract128(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Operand& to = in.op[0];
    const Val v = half(registers(l, in.op[1].reg), last(in).value);
    if (to.is_mem()) return l.ir.store(l.linear(to, 16, true), v);
    put(l, to.reg, v);
}

void lift_vperm128(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Halves b = sources(l, in.op[2], 16), a = registers(l, in.op[1].reg);
    const auto pick = [&](u64 field) { return field & 8 ? zero(l) : half(field & 2 ? b : a, field); };
    const u64 imm = last(in).value;
    const Val lo = pick(imm);
    put(l, in.op[0].reg, Halves{lo, pick(imm >> 4)});
}

void lift_vpermil(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Lane lane = lane_of(in, {Mn::VPERMILPD});
    if (last(in).kind != Operand::imm) {
        const Halves by = sources(l, in.op[2], 16);
        return put(l, in.op[0].reg, each(registers(l, in.op[1].reg), by, [&](Val x, Val y) { return l.ir.vec(Op::vshuffle_by, lane, x, y); }));
    }
    u8 imm = static_cast<u8>(last(in).value);
    put(l, in.op[0].reg, each(sources(l, in.op[1], 16), [&](Val x) {
        if (lane == Lane::I32) return l.ir.vec(Op::vshuffle, lane, x, {}, imm);
        const Val r = l.ir.vec(Op::vshuffle2, lane, x, x, imm & 3);
        imm >>= 2;   // the upper half has bits of its own
        return r;
    }));
}

void lift_vtest(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Lane lane = in.mn == Mn::VTESTPS ? Lane::F32 : Lane::F64;
    const Halves b = sources(l, in.op[1], 16), a = registers(l, in.op[0].reg);
    const Halves f = each(a, b, [&](Val x, Val y) { return l.ir.vec(Op::vtest, lane, x, y, 0, Type::I16); });
    l.set_flags(f.hi ? l.ir.and_(f.lo, f.hi) : f.lo);
}

// The elements that the mask leaves out are not accessed at all, so a helper looks at them one by one.
void lift_vmaskmov(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const bool stores = in.op[0].is_mem();
    const Operand& memory = in.op[stores ? 0 : 2];
    MaskedMove m;
    m.seg = memory.seg;
    m.lane_bytes = static_cast<u8>(jit::lane_bytes(lane_of(in, {Mn::VMASKMOVPD, Mn::VPMASKMOVQ})));
    m.bytes = in.vex;
    m.address_bytes = in.addr_size;
    const auto pass = [&](unsigned n, Halves v) {
        l.ir.set(static_cast<u8>(slot::vec_arg + n), v.lo);
        if (v.hi) l.ir.set(static_cast<u8>(slot::vec_arg + n + 1), v.hi);
    };
    pass(2, registers(l, in.op[1].reg));
    if (stores) {
        pass(0, registers(l, in.op[2].reg));
        l.call(Helper::masked_store, Type::None, l.effective(memory), l.c64(m.pack()));
        return;
    }
    l.call(Helper::masked_load, Type::None, l.effective(memory), l.c64(m.pack()));
    const auto loaded = [&](u8 n) { return l.ir.get(static_cast<u8>(slot::vec_arg + n), Type::V128); };
    const Val lo = loaded(0);
    put(l, in.op[0].reg, Halves{lo, is_wide(in) ? loaded(1) : Val{}});
}

void lift_vzero(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    for (u8 n = 0; n < (l.code64() ? 16 : 8); ++n) {
        if (in.mn == Mn::VZEROALL) l.set_xmm(n, zero(l));
        l.set_ymm_high(n, zero(l));
    }
}
}  // namespace calque
