// Shifts and rotates (SDM vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD). Counts are cut to 5 bits (6 for 64-bit operands);
// a count of zero changes no flag. OF is defined for a count of 1 only; it is computed by the same formula for every count. AF is
// undefined; it becomes 1. Both as AMD's Zen does it.
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

Val with_af(Lifter& l, Val flags) { return l.ir.or_(flags, u64{fl::AF}); }

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
    if (c.constant && c.value == 0) {
        l.rmw(in.op[0], [&](Val x) { return x; });
        return;
    }
    const bool narrow = in.op[0].size < 4;
    Val cf;
    const auto [old, now] = l.rmw(in.op[0], [&](Val x) { return narrow ? narrow_shift(l, op, x, c, cf) : l.ir.binary(op, x, c.v); });
    if (!narrow) return set_flags_if_shifted(l, c, l.ir.flags(flags_op, old, c.v));
    const Val of = op == Op::shl   ? l.ir.xor_(msb(l, now), cf)
                   : op == Op::shr ? l.ir.xor_(msb(l, now), bit(l, now, jit::bits(now.type) - 2))
                                   : l.ir.constant(Type::I8, 0);
    set_flags_if_shifted(l, c, pack(l, with_af(l, l.ir.flags_logic(now)), cf, of));
}

void rotate(Lifter& l, const Insn& in, bool left) {
    const unsigned w = in.op[0].size * 8u;
    const Count c = read_count(l, in.op[1], in.op[0].size);
    const Val by = l.ir.and_(c.v, u64{w - 1});
    const auto [old, now] = l.rmw(in.op[0], [&](Val x) { return l.ir.binary(left ? Op::rol : Op::ror, x, by); });
    if (c.constant && c.value == 0) return;
    const Val top = msb(l, now), cf = left ? bit(l, now, 0) : top;
    const Val of = left ? l.ir.xor_(top, cf) : l.ir.xor_(top, bit(l, now, w - 2));
    set_flags_if_shifted(l, c, pack(l, l.flags(), cf, of), fl::CF | fl::OF);
}

/// Rotation of CF:operand, up to 32 bits: done in 64 bits, the count modulo width + 1.
Val rotate_carry_narrow(Lifter& l, Val x, const Count& c, bool left, Val& cf) {
    const unsigned w = jit::bits(x.type);
    Val by = c.v;
    if (w < 32) by = l.ir.binary(Op::rem_u, by, l.ir.constant(Type::I8, w + 1));
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
    const Count c = read_count(l, in.op[1], in.op[0].size);
    if (c.constant && c.value == 0) {
        l.rmw(in.op[0], [&](Val x) { return x; });
        return;
    }
    Val cf;
    const auto [old, now] = l.rmw(in.op[0], [&](Val x) {
        return w == 64 ? rotate_carry_wide(l, x, c, left, cf) : rotate_carry_narrow(l, x, c, left, cf);
    });
    const Val of = l.ir.xor_(msb(l, now), left ? cf : bit(l, now, w - 2));
    set_flags_if_shifted(l, c, pack(l, l.flags(), cf, of), fl::CF | fl::OF);
}

/// SHLD and SHRD. 16-bit operands take counts up to 31: above 16 result and flags are undefined. As on Zen, the result is that of
/// the 48-bit string destination:source:source (SHRD: the other way round), and CF is 0.
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
            const auto at = [&](Val v, unsigned n) { return l.ir.shl(l.ir.zext(v, Type::I64), n); };
            // CF and, for SHLD, OF are those of the destination alone being shifted.
            const Val alone = left ? l.ir.shl(at(x, 0), c.v) : l.ir.shr(at(x, 1), c.v);
            cf = bit(l, alone, left ? 16 : 0);
            if (left) {
                of = l.ir.xor_(bit(l, alone, 15), cf);
                const Val all = l.ir.or_(l.ir.or_(at(x, 32), at(src, 16)), at(src, 0));
                return l.ir.trunc(l.ir.shr(l.ir.shl(all, c.v), 32u), Type::I16);
            }
            const Val all = l.ir.or_(l.ir.or_(at(x, 0), at(src, 16)), at(src, 32));
            return l.ir.trunc(l.ir.shr(all, c.v), Type::I16);
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
    if (!of) of = l.ir.xor_(msb(l, now), left ? cf : bit(l, now, w - 2));
    set_flags_if_shifted(l, c, pack(l, with_af(l, l.ir.flags_logic(now)), cf, of));
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
