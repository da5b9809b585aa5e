#include "cpu/lift/vector.h"

#include "cpu/memory.h"

namespace calque::vector {

bool begin_sse(Lifter& l) {
    if (l.has(l.in().vex ? mode::AvxUd : mode::SseUd)) return l.raise(vec::UD), false;
    if (l.has(mode::SseNm)) return l.raise(vec::NM), false;
    return true;
}

bool begin_mmx(Lifter& l) {
    if (l.has(mode::MmxEm)) return l.raise(vec::UD), false;
    if (l.has(mode::FpuTrap)) return l.raise(vec::NM), false;
    return true;
}

Val source(Lifter& l, const Operand& o, unsigned bytes, bool aligned) {
    switch (o.kind) {
    case Operand::xmm: return l.xmm(o.reg);
    case Operand::mmx: return from_int(l, mmx_value(l, o.reg));
    case Operand::gpr: return from_int(l, l.read(o));
    default: break;
    }
    const Val at = aligned && bytes == 16 && !l.in().vex ? l.linear_aligned(o, bytes, false) : l.linear(o, bytes, false);
    return bytes < 16 ? from_int(l, l.ir.load(jit::int_type(bytes), at)) : l.ir.load(Type::V128, at);
}

Halves registers(Lifter& l, u8 reg) { return {l.xmm(reg), is_wide(l.in()) ? l.ymm_high(reg) : Val{}}; }

Halves sources(Lifter& l, const Operand& o, unsigned bytes, bool aligned) {
    if (!is_wide(l.in())) return {source(l, o, bytes, aligned), {}};
    if (!o.is_mem()) {
        if (bytes == 16) return registers(l, o.reg);
        const Val both = l.xmm(o.reg);
        return {both, l.ir.vec(Op::vshr_bytes, Lane::I8, both, {}, static_cast<u8>(bytes))};
    }
    return loads(l, l.linear(o, 2 * bytes, false), bytes);
}

Halves loads(Lifter& l, Val at, unsigned bytes) {
    const auto half = [&](Val from) { return bytes < 16 ? from_int(l, l.ir.load(jit::int_type(bytes), from)) : l.ir.load(Type::V128, from); };
    const Val lo = half(at);
    return {lo, is_wide(l.in()) ? half(l.ir.add(at, u64{bytes})) : Val{}};
}

void put(Lifter& l, u8 reg, Halves v) {
    l.set_xmm(reg, v.lo);
    if (l.in().vex) l.set_ymm_high(reg, v.hi ? v.hi : l.ir.vec(Op::vzero, Lane::I64));
}

void store(Lifter& l, Val at, Halves v) {
    if (v.hi) {
        const Val above = l.ir.add(at, 16);
        for (const Val part : {at, above}) l.ir.load(Type::V128, part, true);   // faults first
        l.ir.store(at, v.lo);
        return l.ir.store(above, v.hi);
    }
    l.ir.store(at, v.lo);
}

Val low64(Lifter& l, Val v) { return l.ir.vec(Op::vextract, Lane::I64, v, {}, 0, Type::I64); }
Val high64(Lifter& l, Val v) { return l.ir.vec(Op::vextract, Lane::I64, v, {}, 1, Type::I64); }

void touch_mmx(Lifter& l, u8 written) { l.call(Helper::mmx_begin, Type::None, l.c64(written)); }
void set_mmx(Lifter& l, u8 n, Val v) { l.ir.set(static_cast<u8>(slot::mmx + n), v); }

namespace {
/// By the helper, through the slots for its arguments.
Halves compute_checked(Lifter& l, FpOp op, Halves a, Halves b, Halves c) {
    const auto slot_of = [](unsigned n) { return static_cast<u8>(slot::vec_arg + n); };
    const auto pass = [&](unsigned n, Val v) {
        if (v) l.ir.set(slot_of(n), v.type == Type::V128 ? v : from_int(l, v));
    };
    pass(0, a.lo), pass(1, a.hi), pass(2, b.lo), pass(3, b.hi), pass(4, c.lo), pass(5, c.hi);
    op.wide = static_cast<bool>(a.hi);
    const Val r = l.call(Helper::vec_fp, op.type == Type::V128 ? Type::None : op.type, l.c64(op.pack()));
    if (op.type != Type::V128) return {r, {}};
    const Val lo = l.ir.get(slot_of(0), Type::V128);
    return {lo, op.wide ? l.ir.get(slot_of(1), Type::V128) : Val{}};
}
}  // namespace

Halves compute(Lifter& l, const FpOp& op, Halves a, Halves b, Halves c) {
    if (l.has(mode::SseUnmasked)) return compute_checked(l, op, a, b, c);
    const Val lo = l.ir.vec(op.op, op.lane, a.lo, b.lo, op.aux, op.type, c.lo);
    return {lo, a.hi ? l.ir.vec(op.op, op.lane, a.hi, b.hi, op.aux, op.type, c.hi) : Val{}};
}
}  // namespace calque::vector
