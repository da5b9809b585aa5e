#include "cpu/lift/vector.h"

#include "cpu/memory.h"

namespace calque::vector {

bool begin_sse(Lifter& l) {
    if (l.has(mode::SseUd)) return l.raise(vec::UD), false;
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
    const Val at = aligned && bytes == 16 ? l.linear_aligned(o, bytes, false) : l.linear(o, bytes, false);
    return bytes < 16 ? from_int(l, l.ir.load(jit::int_type(bytes), at)) : l.ir.load(Type::V128, at);
}

Val low64(Lifter& l, Val v) { return l.ir.vec(Op::vextract, Lane::I64, v, {}, 0, Type::I64); }
Val high64(Lifter& l, Val v) { return l.ir.vec(Op::vextract, Lane::I64, v, {}, 1, Type::I64); }

void touch_mmx(Lifter& l, u8 written) { l.call(Helper::mmx_begin, Type::None, l.c64(written)); }
void set_mmx(Lifter& l, u8 n, Val v) { l.ir.set(static_cast<u8>(slot::mmx + n), v); }

Val fp_op(Lifter& l, Op op, Lane lane, u8 aux, u8 reg, Val source, bool keep, Type type) {
    if (l.has(mode::SseUnmasked)) {
        const SseOp d{op, type, lane, aux, reg, !keep};
        const bool integer = source.type != Type::V128;
        const Val lo = integer ? source : low64(l, source), hi = integer ? l.c64(0) : high64(l, source);
        if (!keep) return l.call(Helper::sse_fp, Type::None, l.c64(d.pack()), lo, hi), Val{};
        const Val r = l.call(Helper::sse_fp, Type::I64, l.c64(d.pack()), lo, hi);
        return type == Type::V128 ? from_int(l, r) : l.ir.trunc(r, type);
    }
    const Val r = jit::info(op).args == 1 ? l.ir.vec(op, lane, source, {}, aux, type) : l.ir.vec(op, lane, l.xmm(reg), source, aux, type);
    if (!keep) l.set_xmm(reg, r);
    return r;
}
}  // namespace calque::vector
