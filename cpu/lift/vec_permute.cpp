// Moves across the halves of YMM registers and broadcasts (SDM vol. 2, VPBROADCAST VPERMD VPERMPS VPERMQ VPERMPD).
#include "cpu/lift/vector.h"

namespace calque {

using namespace vector;

void lift_vpbroadcast(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const auto filled = [&]() -> Val {
        switch (in.mn) {
        case Mn::VPBROADCASTB: return l.ir.vec(Op::vshuffle_bytes, Lane::I8, source(l, in.op[1], 1), l.ir.vec(Op::vzero, Lane::I64));
        case Mn::VPBROADCASTW: {
            const Val four = l.ir.vec(Op::vshuffle_lo, Lane::I16, source(l, in.op[1], 2));
            return l.ir.vec(Op::vunpack_lo, Lane::I64, four, four);
        }
        case Mn::VPBROADCASTD: return l.ir.vec(Op::vshuffle, Lane::I32, source(l, in.op[1], 4));
        default: {
            const Val one = source(l, in.op[1], 8);
            return l.ir.vec(Op::vunpack_lo, Lane::I64, one, one);
        }
        }
    };
    const Val v = filled();
    put(l, in.op[0].reg, {v, is_wide(in) ? v : Val{}});
}

void lift_vpermd(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Halves from = sources(l, in.op[2], 16);
    put(l, in.op[0].reg, each(registers(l, in.op[1].reg), [&](Val index) { return l.ir.vec(Op::vlookup, Lane::I32, from.lo, from.hi, 0, Type::V128, index); }));
}

void lift_vpermq(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Halves from = sources(l, in.op[1], 16);
    // Two of the four elements, by two bits each.
    const auto pair = [&](unsigned control) {
        const auto half = [&](unsigned element) { return element & 2 ? from.hi : from.lo; };
        const unsigned first = control & 3, second = control >> 2 & 3;
        return l.ir.vec(Op::vshuffle2, Lane::I64, half(first), half(second), static_cast<u8>((first & 1) | (second & 1) << 1));
    };
    const unsigned control = static_cast<unsigned>(in.op[2].value);
    const Val lo = pair(control), hi = pair(control >> 4);
    put(l, in.op[0].reg, {lo, hi});
}
}  // namespace calque
