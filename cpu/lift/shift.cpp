// Shifts and rotates (SDM vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD). Counts are cut to 5 bits (6 for 64-bit operands);
// a count of zero changes no flag. What manuals leave undefined: OF for other counts than 1, and AF after a shift. Intel computes OF by
// the same formula for every count from the operand as it was, that is from the first step, and clears AF; Zen computes OF from the result,
// that is from the last step, and sets AF.
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Cmp;
using jit::Op;
using jit::Type;
namespace fl = jit::fl;

namespace {

struct Count {
    Val v;              // I8, masked
    bool constant;
    u64 value;
};

Count read_count(Lifter& l, const Operand& o, unsigned size) {
    const u64 limit = size == 8 ? 63 : 31;
    Count c{l.ir.and_(l.read(o), limit), false, 0};
    c.constant = l.ir.is_constant(c.v, &c.value);
    return c;
}

/// Sets the flags unless the count is zero.
void set_flags_if_shifted(Lifter& l, const Count& c, Val now, u16 mask = fl::All) {
    const Val old = l.flags();
    const Val merged = mask == fl::All ? now : l.ir.flag_merge(old, now, mask);
    l.set_flags(c.constant ? merged : l.ir.select(l.ir.icmp(Cmp::eq, c.v, u64{0}), old, merged));
}

Val bit(Lifter& l, Val v, unsigned at) { return l.ir.trunc(l.ir.and_(l.ir.shr(v, at), u64{1}), Type::I8); }
Val msb(Lifter& l, Val v) { return l.ir.trunc(l.ir.shr(v, jit::bits(v.type) - 1), Type::I8); }
Val pack(Lifter& l, Val flags, Val cf, Val of) {
    const Val placed = l.ir.or_(l.ir.shl(l.ir.zext(cf, Type::I16), 8u), l.ir.zext(of, Type::I16));
    return l.ir.flag_merge(flags, placed, fl::CF | fl::OF);
}

Val shift_flags(Lifter& l, Val result, Val cf, Val of) {
    const Val f = pack(l, l.ir.flags_logic(result), cf, of);
    return l.zen() ? l.ir.or_(f, u64{fl::AF}) : f;
}

/// 8- and 16-bit operands are shifted in 32 bits, where every masked count is below the width.
Val narrow_shift(Lifter& l, Op op, Val x, const Count& c, Val& cf) {
    const unsigned w = jit::bits(x.type);
    if (op == Op::shl) {
        const Val wide = l.ir.shl(l.ir.zext(x, Type::I32), c.v);
        cf = bit(l, wide, w);
        return l.ir.trunc(wide, x.type);
    }
    // One bit more below, so that the last bit shifted out stays visible.
    const Val wide = l.ir.shl(op == Op::sar ? l.ir.sext(x, Type::I64) : l.ir.zext(x, Type::I64), 1u);
    const Val kept = l.ir.binary(op, wide, c.v);
    cf = bit(l, kept, 0);
    return l.ir.trunc(l.ir.shr(kept, 1u), x.type);
}

void shift(Lifter& l, const Insn& in, Op op, Op flags_op) {
    const Count c = read_count(l, in.op[1], in.op[0].size);
    const unsigned w = in.op[0].size * 8u;
    if (c.constant && c.value == 0) {
        l.rmw(in.op[0], [&](Val x) { return x; });
        return;
    }
    const bool narrow = w < 32 && !(c.constant && c.value < w);
    Val cf;
    const auto [old, now] = l.rmw(in.op[0], [&](Val x) { return narrow ? narrow_shift(l, op, x, c, cf) : l.ir.binary(op, x, c.v); });
    if (!narrow) {
        const Val flags = l.ir.flags(flags_op, old, c.v);
        if (!l.zen()) return set_flags_if_shifted(l, c, flags);
        cf = l.ir.cond(jit::Cond::b, flags);
    }
    const Val from = l.zen() ? now : old;
    const Val of = op == Op::shl   ? l.ir.xor_(msb(l, from), l.zen() ? cf : bit(l, from, w - 2))
                   : op == Op::sar ? l.ir.constant(Type::I8, 0)
                   : l.zen()       ? l.ir.xor_(msb(l, from), bit(l, from, w - 2))
                                   : msb(l, from);
    set_flags_if_shifted(l, c, shift_flags(l, now, cf, of));
}

void rotate(Lifter& l, const Insn& in, bool left) {
    const unsigned w = in.op[0].size * 8u;
    const Count c = read_count(l, in.op[1], in.op[0].size);
    const Val by = l.ir.and_(c.v, u64{w - 1});
    const auto [old, now] = l.rmw(in.op[0], [&](Val x) { return l.ir.binary(left ? Op::rol : Op::ror, x, by); });
    if (c.constant && c.value == 0) return;
    const Val top = msb(l, now), cf = left ? bit(l, now, 0) : top;
    // Intel leaves OF alone when the count is immediate and the operand a register.
    if (!l.zen() && c.constant && c.value != 1 && !in.op[0].is_mem()) return l.set_flag(fl::CF, cf);
    const Val of = l.zen() ? l.ir.xor_(top, left ? cf : bit(l, now, w - 2)) : l.ir.xor_(msb(l, old), bit(l, old, left ? w - 2 : 0));
    set_flags_if_shifted(l, c, pack(l, l.flags(), cf, of), fl::CF | fl::OF);
}

/// Rotation of CF:operand, up to 32 bits: done in 64 bits, by less than width + 1.
Val rotate_carry_narrow(Lifter& l, Val x, Val by, bool left, Val& cf) {
    const unsigned w = jit::bits(x.type);
    const Val back = l.ir.sub(l.ir.constant(Type::I8, w + 1), by);
    const Val whole = l.ir.or_(l.ir.zext(x, Type::I64), l.ir.shl(l.ir.zext(l.flag(fl::CF), Type::I64), w));
    const Val turned = left ? l.ir.or_(l.ir.shl(whole, by), l.ir.shr(whole, back)) : l.ir.or_(l.ir.shr(whole, by), l.ir.shl(whole, back));
    cf = bit(l, turned, w);
    return l.ir.trunc(turned, x.type);
}

/// 64 bits. A count of zero gives garbage that the caller's select discards.
Val rotate_carry_wide(Lifter& l, Val x, const Count& c, bool left, Val& cf) {
    const Val rest = l.ir.and_(l.ir.sub(l.ir.constant(Type::I8, 64), c.v), u64{63});       // 64 - n
    const Val before = l.ir.and_(l.ir.sub(c.v, u64{1}), u64{63});                          // n - 1
    const Val carry = l.ir.zext(l.flag(fl::CF), Type::I64);
    Val turned;
    if (left) {
        turned = l.ir.or_(l.ir.or_(l.ir.shl(x, c.v), l.ir.shl(carry, before)), l.ir.shr(l.ir.shr(x, 1u), rest));
        cf = bit(l, l.ir.shr(x, rest), 0);
    } else {
        turned = l.ir.or_(l.ir.or_(l.ir.shr(x, c.v), l.ir.shl(carry, rest)), l.ir.shl(l.ir.shl(x, 1u), rest));
        cf = bit(l, l.ir.shr(x, before), 0);
    }
    return c.constant ? turned : l.ir.select(l.ir.icmp(Cmp::eq, c.v, u64{0}), x, turned);
}

void rotate_carry(Lifter& l, const Insn& in, bool left) {
    const unsigned w = in.op[0].size * 8u;
    Count c = read_count(l, in.op[1], in.op[0].size);
    Val by = w < 32 ? l.ir.binary(Op::rem_u, c.v, l.ir.constant(Type::I8, w + 1)) : c.v;
    if (!l.zen()) c.v = by, c.constant = l.ir.is_constant(by, &c.value);   // whole turns change no flag; on Zen, OF
    if (c.constant && c.value == 0) {
        l.rmw(in.op[0], [&](Val x) { return x; });
        return;
    }
    const Val carry = l.flag(fl::CF);
    Val cf;
    const auto [old, now] = l.rmw(in.op[0], [&](Val x) {
        return w == 64 ? rotate_carry_wide(l, x, c, left, cf) : rotate_carry_narrow(l, x, by, left, cf);
    });
    const Val of = l.zen() ? l.ir.xor_(msb(l, now), left ? cf : bit(l, now, w - 2)) : l.ir.xor_(msb(l, old), left ? bit(l, old, w - 2) : carry);
    set_flags_if_shifted(l, c, pack(l, l.flags(), cf, of), fl::CF | fl::OF);
}

struct Shifted {
    Val result, cf, of;
};
/// 16-bit SHLD and SHRD take counts up to 31. Above 16 result and flags are undefined: Intel shifts the 48-bit string
/// destination:source:destination, Zen destination:source:source (SHRD: the other way round), with a CF, and for SHLD an OF, that are those
/// of the destination alone.
Shifted shift_double_16(Lifter& l, Val x, Val src, const Count& c, bool left) {
    const auto at = [&](Val v, unsigned n) { return l.ir.shl(l.ir.zext(v, Type::I64), n); };
    const Val last = l.zen() ? src : x;
    if (left) {
        const Val all = l.ir.shl(l.ir.or_(l.ir.or_(at(x, 32), at(src, 16)), at(last, 0)), c.v), result = l.ir.trunc(l.ir.shr(all, 32u), Type::I16);
        if (!l.zen()) return {result, bit(l, all, 48), {}};
        const Val alone = l.ir.shl(at(x, 0), c.v), cf = bit(l, alone, 16);
        return {result, cf, l.ir.xor_(bit(l, alone, 15), cf)};
    }
    const Val all = l.ir.shr(l.ir.or_(l.ir.or_(at(x, 1), at(src, 17)), at(last, 33)), c.v);
    return {l.ir.trunc(l.ir.shr(all, 1u), Type::I16), bit(l, l.zen() ? l.ir.shr(at(x, 1), c.v) : all, 0), {}};
}

void shift_double(Lifter& l, const Insn& in, bool left) {
    const unsigned w = in.op[0].size * 8u;
    const Count c = read_count(l, in.op[2], in.op[0].size);
    const Val src = l.read(in.op[1]);
    if (c.constant && c.value == 0) {
        l.rmw(in.op[0], [&](Val x) { return x; });
        return;
    }
    Val cf, of;
    const auto [old, now] = l.rmw(in.op[0], [&](Val x) {
        if (w == 16) {
            const Shifted s = shift_double_16(l, x, src, c, left);
            cf = s.cf, of = s.of;
            return s.result;
        }
        const Val rest = l.ir.and_(l.ir.sub(l.ir.constant(Type::I8, w), c.v), u64{w - 1});
        const Val before = l.ir.and_(l.ir.sub(c.v, u64{1}), u64{w - 1});
        Val moved;
        if (left) {
            moved = l.ir.or_(l.ir.shl(x, c.v), l.ir.shr(src, rest));
            cf = bit(l, l.ir.shr(x, rest), 0);
        } else {
            moved = l.ir.or_(l.ir.shr(x, c.v), l.ir.shl(src, rest));
            cf = bit(l, l.ir.shr(x, before), 0);
        }
        return c.constant ? moved : l.ir.select(l.ir.icmp(Cmp::eq, c.v, u64{0}), x, moved);
    });
    if (!l.zen()) of = l.ir.xor_(msb(l, old), left ? bit(l, old, w - 2) : bit(l, src, 0));
    else if (!of) of = l.ir.xor_(msb(l, now), left ? cf : bit(l, now, w - 2));
    set_flags_if_shifted(l, c, shift_flags(l, now, cf, of));
}
}  // namespace

void lift_shl(Lifter& l, const Insn& in) { shift(l, in, Op::shl, Op::flags_shl); }
void lift_shr(Lifter& l, const Insn& in) { shift(l, in, Op::shr, Op::flags_shr); }
void lift_sar(Lifter& l, const Insn& in) { shift(l, in, Op::sar, Op::flags_sar); }
void lift_rol(Lifter& l, const Insn& in) { rotate(l, in, true); }
void lift_ror(Lifter& l, const Insn& in) { rotate(l, in, false); }
void lift_rcl(Lifter& l, const Insn& in) { rotate_carry(l, in, true); }
void lift_rcr(Lifter& l, const Insn& in) { rotate_carry(l, in, false); }
void lift_shld(Lifter& l, const Insn& in) { shift_double(l, in, true); }
void lift_shrd(Lifter& l, const Insn& in) { shift_double(l, in, false); }
}  // namespace calque
