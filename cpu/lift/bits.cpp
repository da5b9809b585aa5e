// Bit tests, scans, counts and byte order (SDM vol. 2, BT.., BSF, BSR, BSWAP, POPCNT, LZCNT, TZCNT, MOVBE).
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Cmp;
using jit::Op;
using jit::Type;
namespace fl = jit::fl;

namespace {

enum class BitOp { test, set, reset, complement };

Val change(Lifter& l, BitOp op, Val x, Val index) {
    const Val one = l.ir.shl(l.ir.constant(x.type, 1), index);
    switch (op) {
    case BitOp::test: return x;
    case BitOp::set: return l.ir.or_(x, one);
    case BitOp::reset: return l.ir.and_(x, l.ir.not_(one));
    case BitOp::complement: return l.ir.xor_(x, one);
    }
    return x;
}

/// A bit string in memory: a register offset is signed and reaches beyond the operand.
Val bit_string_element(Lifter& l, const Insn& in, Val offset) {
    const unsigned size = in.op[0].size, log2_bits = size == 2 ? 4 : size == 4 ? 5 : 6;
    const Val elements = l.ir.sar(l.ir.sext(offset, Type::I64), log2_bits);
    const Val bytes = l.ir.shl(elements, log2_bits - 3);
    const Type at = jit::int_type(in.addr_size);
    return l.ir.zext(l.ir.add(l.ir.trunc(l.effective(in.op[0]), at), l.ir.trunc(bytes, at)), Type::I64);
}

void bit_op(Lifter& l, const Insn& in, BitOp op) {
    const Operand& o = in.op[0];
    const Type t = jit::int_type(o.size);
    const bool immediate = in.op[1].kind == Operand::imm;
    const Val offset = immediate ? l.ir.constant(t, in.op[1].value) : l.read(in.op[1]);
    const Val index = l.ir.trunc(l.ir.and_(offset, u64{o.size * 8u - 1}), Type::I8);
    Val old;
    if (!o.is_mem()) {
        old = l.read(o);
        if (op != BitOp::test) l.write(o, change(l, op, old, index));
    } else {
        const Val ea = immediate ? l.effective(o) : bit_string_element(l, in, offset);
        const Val at = l.linear(o.seg, ea, o.size, op != BitOp::test);
        old = l.ir.load(t, at, op != BitOp::test);
        if (op != BitOp::test) l.ir.store(at, change(l, op, old, index));
    }
    l.set_flag(fl::CF, l.ir.trunc(l.ir.and_(l.ir.shr(old, index), u64{1}), Type::I8));
}

/// A zero source leaves the destination alone and sets ZF. The other flags are undefined; PF follows the index and the rest become 0,
/// as on Intel's and AMD's processors.
void scan(Lifter& l, const Insn& in, bool forward) {
    const Val src = l.read(in.op[1]), zero = l.ir.icmp(Cmp::eq, src, u64{0});
    const unsigned w = in.op[1].size * 8u;
    const Val found = forward ? l.ir.unary(Op::ctz, src) : l.ir.sub(l.ir.constant(src.type, w - 1), l.ir.unary(Op::clz, src));
    const u8 reg = in.op[0].reg;
    const Val old = l.gpr64(reg);
    const Val now = in.op[0].size >= 4 ? l.ir.zext(found, Type::I64) : l.ir.insert(old, found, 0);
    l.ir.set(static_cast<u8>(slot::gpr + reg), l.ir.select(zero, old, now));
    const Val parity = l.ir.select(zero, l.ir.constant(src.type, 0), found);
    l.set_flags(l.ir.flag_merge(l.ir.flags_logic(parity), l.ir.shl(l.ir.zext(zero, Type::I16), 14u), fl::ZF));
}

/// LZCNT and TZCNT: CF tells a zero source, ZF a zero result. The others are undefined and become 0; on Zen OF stays.
void count_zeros(Lifter& l, const Insn& in, Op op) {
    const Val src = l.read(in.op[1]), n = l.ir.unary(op, src);
    l.write(in.op[0], n);
    const Val cf = l.ir.shl(l.ir.zext(l.ir.icmp(Cmp::eq, src, u64{0}), Type::I16), 8u);
    const Val zf = l.ir.shl(l.ir.zext(l.ir.icmp(Cmp::eq, n, u64{0}), Type::I16), 14u);
    if (l.zen()) l.set_flags(l.ir.or_(cf, zf), fl::All & ~fl::OF);
    else l.set_flags(l.ir.or_(l.ir.or_(cf, zf), u64{fl::One}));
}
}  // namespace

void lift_bt(Lifter& l, const Insn& in) { bit_op(l, in, BitOp::test); }
void lift_bts(Lifter& l, const Insn& in) { bit_op(l, in, BitOp::set); }
void lift_btr(Lifter& l, const Insn& in) { bit_op(l, in, BitOp::reset); }
void lift_btc(Lifter& l, const Insn& in) { bit_op(l, in, BitOp::complement); }
void lift_bsf(Lifter& l, const Insn& in) { scan(l, in, true); }
void lift_bsr(Lifter& l, const Insn& in) { scan(l, in, false); }
void lift_lzcnt(Lifter& l, const Insn& in) { count_zeros(l, in, Op::clz); }
void lift_tzcnt(Lifter& l, const Insn& in) { count_zeros(l, in, Op::ctz); }

void lift_popcnt(Lifter& l, const Insn& in) {
    const Val src = l.read(in.op[1]), zero = l.ir.icmp(Cmp::eq, src, u64{0});
    l.write(in.op[0], l.ir.unary(Op::popcount, src));
    l.set_flags(l.ir.or_(l.ir.constant(Type::I16, fl::One), l.ir.shl(l.ir.zext(zero, Type::I16), 14u)));
}

// BSWAP of a 16-bit register is undefined; it clears the register, as silicon does.
void lift_bswap(Lifter& l, const Insn& in) {
    if (in.op[0].size == 2) return l.write(in.op[0], l.ir.constant(Type::I16, 0));
    l.write(in.op[0], l.ir.unary(Op::bswap, l.read(in.op[0])));
}

void lift_movbe(Lifter& l, const Insn& in) { l.write(in.op[0], l.ir.unary(Op::bswap, l.read(in.op[1]))); }

void lift_crc32(Lifter& l, const Insn& in) {
    const Val data = l.read(in.op[1]), crc = l.gpr(in.op[0].reg, 4);
    l.set_gpr(in.op[0].reg, l.ir.emit(Op::crc32c, Type::I32, crc, data));
}
}  // namespace calque
