// Addition, subtraction, logic, and their compare-and-exchange relatives (SDM vol. 2, ADD .. XOR, CMPXCHG, XADD).
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Cmp;
using jit::Op;
using jit::Type;

namespace {

/// An immediate is sign-extended to the width of the destination.
Val source(Lifter& l, const Insn& in) {
    return in.op[1].kind == Operand::imm ? l.imm(in.op[1], jit::int_type(in.op[0].size)) : l.read(in.op[1]);
}

template <class F>
void logic(Lifter& l, const Insn& in, F f) {
    const Val src = source(l, in);
    const auto [old, result] = l.rmw(in.op[0], [&](Val x) { return f(x, src); });
    l.set_flags(l.ir.flags_logic(result));
}

/// ADCX and ADOX: an addition that reads and writes one flag only.
void add_with(Lifter& l, const Insn& in, u16 flag) {
    const Val src = l.read(in.op[1]), dst = l.read(in.op[0]), carry = l.flag(flag);
    const Val sum = l.ir.add(l.ir.add(dst, src), l.ir.zext(carry, dst.type));
    const Val all = l.ir.flags(Op::flags_adc, dst, src, carry);
    const Val out = l.ir.cond(jit::Cond::b, all);
    l.write(in.op[0], sum);
    l.set_flag(flag, out);
}
}  // namespace

void lift_add(Lifter& l, const Insn& in) {
    const Val src = source(l, in);
    const auto [old, sum] = l.rmw(in.op[0], [&](Val x) { return l.ir.add(x, src); });
    l.set_flags(l.ir.flags(Op::flags_add, old, src));
}

void lift_adc(Lifter& l, const Insn& in) {
    const Val src = source(l, in), carry = l.flag(jit::fl::CF);
    const auto [old, sum] = l.rmw(in.op[0], [&](Val x) { return l.ir.add(l.ir.add(x, src), l.ir.zext(carry, x.type)); });
    l.set_flags(l.ir.flags(Op::flags_adc, old, src, carry));
}

void lift_sub(Lifter& l, const Insn& in) {
    const Val src = source(l, in);
    const auto [old, difference] = l.rmw(in.op[0], [&](Val x) { return l.ir.sub(x, src); });
    l.set_flags(l.ir.flags(Op::flags_sub, old, src));
}

void lift_sbb(Lifter& l, const Insn& in) {
    const Val src = source(l, in), borrow = l.flag(jit::fl::CF);
    const auto [old, difference] = l.rmw(in.op[0], [&](Val x) { return l.ir.sub(l.ir.sub(x, src), l.ir.zext(borrow, x.type)); });
    l.set_flags(l.ir.flags(Op::flags_sbb, old, src, borrow));
}

void lift_cmp(Lifter& l, const Insn& in) {
    const Val a = l.read(in.op[0]), b = source(l, in);
    l.set_flags(l.ir.flags(Op::flags_sub, a, b));
}

void lift_and(Lifter& l, const Insn& in) { logic(l, in, [&](Val a, Val b) { return l.ir.and_(a, b); }); }
void lift_or(Lifter& l, const Insn& in) { logic(l, in, [&](Val a, Val b) { return l.ir.or_(a, b); }); }
void lift_xor(Lifter& l, const Insn& in) { logic(l, in, [&](Val a, Val b) { return l.ir.xor_(a, b); }); }

void lift_test(Lifter& l, const Insn& in) {
    const Val a = l.read(in.op[0]), b = source(l, in);
    l.set_flags(l.ir.flags_logic(l.ir.and_(a, b)));
}

// INC and DEC keep CF.
void lift_inc(Lifter& l, const Insn& in) {
    const auto [old, now] = l.rmw(in.op[0], [&](Val x) { return l.ir.add(x, u64{1}); });
    l.set_flags(l.ir.flags(Op::flags_add, old, l.ir.constant(old.type, 1)), jit::fl::All & ~jit::fl::CF);
}
void lift_dec(Lifter& l, const Insn& in) {
    const auto [old, now] = l.rmw(in.op[0], [&](Val x) { return l.ir.sub(x, u64{1}); });
    l.set_flags(l.ir.flags(Op::flags_sub, old, l.ir.constant(old.type, 1)), jit::fl::All & ~jit::fl::CF);
}

void lift_neg(Lifter& l, const Insn& in) {
    const auto [old, now] = l.rmw(in.op[0], [&](Val x) { return l.ir.neg(x); });
    l.set_flags(l.ir.flags(Op::flags_sub, l.ir.constant(old.type, 0), old));
}
void lift_not(Lifter& l, const Insn& in) {
    l.rmw(in.op[0], [&](Val x) { return l.ir.not_(x); });
}

void lift_xadd(Lifter& l, const Insn& in) {
    const Val src = l.read(in.op[1]);
    if (in.op[0].is_mem()) {
        const auto [old, sum] = l.rmw(in.op[0], [&](Val x) { return l.ir.add(x, src); });
        l.write(in.op[1], old);
        l.set_flags(l.ir.flags(Op::flags_add, old, src));
        return;
    }
    const Val old = l.read(in.op[0]), sum = l.ir.add(old, src);
    l.write(in.op[1], old);  // first: XADD of a register with itself leaves the sum
    l.write(in.op[0], sum);
    l.set_flags(l.ir.flags(Op::flags_add, old, src));
}

void lift_cmpxchg(Lifter& l, const Insn& in) {
    const Operand& o = in.op[0];
    const unsigned size = o.size;
    const Val src = l.read(in.op[1]), acc = l.gpr(RAX, size);
    Val equal, old;
    if (o.kind == Operand::gpr && size == 4) {
        // A register that is not written keeps its upper half.
        const Val whole = l.gpr64(o.reg);
        old = l.ir.trunc(whole, Type::I32);
        equal = l.ir.icmp(Cmp::eq, acc, old);
        l.ir.set(static_cast<u8>(slot::gpr + o.reg), l.ir.select(equal, l.ir.zext(src, Type::I64), whole));
    } else {
        // Memory is written even when the comparison fails (SDM vol. 2, CMPXCHG).
        old = l.rmw(o, [&](Val x) {
            equal = l.ir.icmp(Cmp::eq, acc, x);
            return l.ir.select(equal, src, x);
        }).first;
    }
    const Val rax = l.gpr64(RAX);  // after the write, which may have been to AH
    const Val loaded = size >= 4 ? l.ir.zext(old, Type::I64) : l.ir.insert(rax, old, 0);
    const bool rax_is_destination = o.kind == Operand::gpr && o.reg == RAX;
    if (!rax_is_destination) l.ir.set(slot::gpr + RAX, l.ir.select(equal, rax, loaded));
    l.set_flags(l.ir.flags(Op::flags_sub, acc, old));
}

void lift_cmpxchg8b(Lifter& l, const Insn& in) {
    const Val at = l.linear(in.op[0], 8, true), old = l.ir.load(Type::I64, at, true);
    const auto pair = [&](u8 high, u8 low) {
        return l.ir.or_(l.ir.shl(l.gpr64(high), 32u), l.ir.zext(l.gpr(low, 4), Type::I64));
    };
    const Val equal = l.ir.icmp(Cmp::eq, pair(RDX, RAX), old);
    const Val rdx = l.gpr64(RDX), rax = l.gpr64(RAX);
    l.ir.store(at, l.ir.select(equal, pair(RCX, RBX), old));
    l.ir.set(slot::gpr + RAX, l.ir.select(equal, rax, l.ir.zext(l.ir.trunc(old, Type::I32), Type::I64)));
    l.ir.set(slot::gpr + RDX, l.ir.select(equal, rdx, l.ir.shr(old, 32u)));
    l.set_flag(jit::fl::ZF, equal);
}

void lift_cmpxchg16b(Lifter& l, const Insn& in) {
    const Val at = l.linear_aligned(in.op[0], 16, true);
    l.call(Helper::cmpxchg16b, Type::None, at);
}

void lift_adcx(Lifter& l, const Insn& in) { add_with(l, in, jit::fl::CF); }
void lift_adox(Lifter& l, const Insn& in) { add_with(l, in, jit::fl::OF); }
}  // namespace calque
