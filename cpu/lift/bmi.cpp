// Bit manipulation with VEX encodings (SDM vol. 2, ANDN BEXTR BLSI BLSMSK BLSR BZHI MULX PDEP PEXT RORX SARX SHLX SHRX).
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Cmp;
using jit::Op;
using jit::Type;
namespace fl = jit::fl;

namespace {

/// ZF and SF of the result, OF = 0, CF as given or 0. AF and PF are undefined; Intel's processors clear both, Zen has the result's PF.
void set_result_flags(Lifter& l, Val result, Val cf = {}) {
    const Val placed = cf ? l.ir.shl(l.ir.zext(cf, Type::I16), 8u) : l.ir.constant(Type::I16, 0);
    l.set_flags(l.ir.flag_merge(l.ir.flags_logic(result), placed, static_cast<u16>(fl::CF | (l.zen() ? 0 : fl::PF))));
}

/// The lowest `n` bits of v: all of them when n reaches the width.
Val low_bits(Lifter& l, Val v, Val n) {
    const unsigned w = jit::bits(v.type);
    const Val mask = l.ir.not_(l.ir.shl(l.ir.constant(v.type, ~u64{0}), l.ir.and_(n, u64{w - 1})));
    return l.ir.select(l.ir.icmp(Cmp::ult, n, u64{w}), l.ir.and_(v, mask), v);
}

template <class F>
void lowest_set(Lifter& l, const Insn& in, Cmp carry, F f) {
    const Val src = l.read(in.op[1]), result = f(src);
    l.write(in.op[0], result);
    set_result_flags(l, result, l.ir.icmp(carry, src, u64{0}));
}

/// Counts are cut to the width; no flags.
void shift_by_register(Lifter& l, const Insn& in, Op op) {
    const Val src = l.read(in.op[1]), n = l.ir.trunc(l.read(in.op[2]), Type::I8);
    l.write(in.op[0], l.ir.binary(op, src, l.ir.and_(n, u64{in.op[0].size * 8u - 1})));
}

void move_bits(Lifter& l, const Insn& in, Op op) {
    const Val where = l.read(in.op[2]);
    l.write(in.op[0], l.ir.binary(op, l.read(in.op[1]), where));
}
}  // namespace

void lift_andn(Lifter& l, const Insn& in) {
    const Val src = l.read(in.op[2]), result = l.ir.and_(l.ir.not_(l.read(in.op[1])), src);
    l.write(in.op[0], result);
    set_result_flags(l, result);
}

// SF too is undefined, and 0 on Intel's processors; Zen sets AF, and PF by the result.
void lift_bextr(Lifter& l, const Insn& in) {
    const Val src = l.read(in.op[1]), control = l.read(in.op[2]);
    const unsigned w = in.op[0].size * 8u;
    const Val start = l.ir.trunc(control, Type::I8), length = l.ir.extract(control, 8, Type::I8);
    const Val shifted = l.ir.shr(src, l.ir.and_(start, u64{w - 1}));
    const Val field = l.ir.select(l.ir.icmp(Cmp::ult, start, u64{w}), shifted, l.ir.constant(src.type, 0));
    const Val result = low_bits(l, field, length);
    l.write(in.op[0], result);
    if (l.zen()) return l.set_flags(l.ir.flag_merge(l.ir.flags_logic(result), l.ir.constant(Type::I16, fl::AF), fl::AF | fl::SF));
    l.set_flags(l.ir.flag_merge(l.ir.flags_logic(result), l.ir.constant(Type::I16, 0), fl::PF | fl::SF));
}

void lift_blsi(Lifter& l, const Insn& in) {
    lowest_set(l, in, Cmp::ne, [&](Val x) { return l.ir.and_(l.ir.neg(x), x); });
}
void lift_blsmsk(Lifter& l, const Insn& in) {
    lowest_set(l, in, Cmp::eq, [&](Val x) { return l.ir.xor_(l.ir.sub(x, u64{1}), x); });
}
void lift_blsr(Lifter& l, const Insn& in) {
    lowest_set(l, in, Cmp::eq, [&](Val x) { return l.ir.and_(l.ir.sub(x, u64{1}), x); });
}

void lift_bzhi(Lifter& l, const Insn& in) {
    const Val src = l.read(in.op[1]), n = l.ir.trunc(l.read(in.op[2]), Type::I8), result = low_bits(l, src, n);
    l.write(in.op[0], result);
    set_result_flags(l, result, l.ir.icmp(Cmp::uge, n, u64{in.op[0].size * 8u}));
}

// The upper half is written last: it wins when both destinations are one register.
void lift_mulx(Lifter& l, const Insn& in) {
    const Val src = l.read(in.op[2]), acc = l.gpr(RDX, in.op[0].size);
    const Val high = l.ir.binary(Op::mul_hi_u, acc, src);
    l.write(in.op[1], l.ir.mul(acc, src));
    l.write(in.op[0], high);
}

void lift_pdep(Lifter& l, const Insn& in) { move_bits(l, in, Op::deposit_bits); }
void lift_pext(Lifter& l, const Insn& in) { move_bits(l, in, Op::extract_bits); }

void lift_rorx(Lifter& l, const Insn& in) {
    const u64 n = in.op[2].value & (in.op[0].size * 8u - 1);
    l.write(in.op[0], l.ir.binary(Op::ror, l.read(in.op[1]), l.ir.constant(Type::I8, n)));
}
void lift_sarx(Lifter& l, const Insn& in) { shift_by_register(l, in, Op::sar); }
void lift_shlx(Lifter& l, const Insn& in) { shift_by_register(l, in, Op::shl); }
void lift_shrx(Lifter& l, const Insn& in) { shift_by_register(l, in, Op::shr); }
}  // namespace calque
