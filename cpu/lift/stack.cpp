// PUSH, POP and their relatives (SDM vol. 2). The stack pointer moves only after everything that may fault.
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Type;

namespace {

/// Stack operands are 64 bits wide in 64-bit code unless a 66h prefix makes them 16.
unsigned stack_operand(Lifter& l, const Insn& in) { return !l.code64() ? in.op_size : in.prefix66 && in.op_size == 2 ? 2 : 8; }

/// The address of the n-th element of `size` bytes below the stack pointer.
Val below(Lifter& l, unsigned n, unsigned size) {
    const Val at = l.ir.sub(l.gpr(RSP, l.stack_size()), u64{n} * size);
    return l.linear(SS, l.ir.zext(at, Type::I64), size, true);
}
}  // namespace

void lift_push(Lifter& l, const Insn& in) {
    const unsigned size = stack_operand(l, in);
    const Type t = jit::int_type(size);
    const Operand& o = in.op[0];
    if (o.kind == Operand::imm) return l.push(l.ir.constant(t, o.value));
    if (o.kind == Operand::segment) return l.push(l.ir.zext(l.read(o), t));
    l.push(o.kind == Operand::gpr ? l.gpr(o.reg, size) : l.read(o));
}

void lift_pop(Lifter& l, const Insn& in) {
    const unsigned size = stack_operand(l, in);
    const Operand& o = in.op[0];
    const Val v = l.peek(size), top = l.ir.add(l.sp(), u64{size});
    if (o.kind == Operand::segment) {
        if (l.load_segment_8086(o.reg, l.ir.trunc(v, Type::I16))) return l.set_sp(top);
        l.call(Helper::mov_to_seg, Type::None, l.c64(o.reg), l.ir.zext(l.ir.trunc(v, Type::I16), Type::I64), l.c64(l.next_rip()));
        l.set_sp(top);
        l.ir.leave();
        return;
    }
    if (o.is_mem()) {
        // An address that uses the stack pointer sees it after the increment.
        Operand moved = o;
        if (o.base == RSP) moved.value += size;
        l.ir.store(l.linear(moved, size, true), v);
        l.set_sp(top);
        return;
    }
    l.set_sp(top);
    l.set_gpr(o.reg, v);  // after it: POP SP keeps the popped value
}

void lift_pusha(Lifter& l, const Insn& in) {
    static constexpr u8 order[8] = {RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI};
    const unsigned size = in.op_size;
    for (unsigned i = 0; i < 8; ++i) l.ir.store(below(l, i + 1, size), l.gpr(order[i], size));
    l.set_sp(l.ir.sub(l.sp(), u64{size} * 8));
}

void lift_popa(Lifter& l, const Insn& in) {
    static constexpr u8 order[8] = {RDI, RSI, RBP, RSP, RBX, RDX, RCX, RAX};
    const unsigned size = in.op_size;
    Val v[8];
    for (unsigned i = 0; i < 8; ++i) v[i] = l.peek(size, i * size);
    const Val top = l.ir.add(l.sp(), u64{size} * 8);
    for (unsigned i = 0; i < 8; ++i)
        if (order[i] != RSP) l.set_gpr(order[i], v[i]);
    l.set_sp(top);
}

void lift_pushf(Lifter& l, const Insn& in) {
    const unsigned size = stack_operand(l, in);
    const Val v = l.call(Helper::pushf, Type::I64, l.c64(size));
    l.push(l.ir.trunc(v, jit::int_type(size)));
}

void lift_popf(Lifter& l, const Insn& in) {
    const unsigned size = stack_operand(l, in);
    const Val v = l.peek(size), top = l.ir.add(l.sp(), u64{size});
    l.call(Helper::popf, Type::None, l.ir.zext(v, Type::I64), l.c64(size), l.c64(l.next_rip()));
    l.set_sp(top);
    l.ir.leave();
}

void lift_enter(Lifter& l, const Insn& in) {
    const unsigned size = stack_operand(l, in);
    const u64 allocation = in.op[0].value & 0xffff, level = in.op[1].value & 31;
    if (level) {
        l.call(Helper::enter, Type::None, l.c64(allocation | level << 16), l.c64(size));
        return;
    }
    const Val frame = l.ir.sub(l.gpr(RSP, l.stack_size()), u64{size});
    const Val top = l.ir.zext(l.ir.sub(frame, allocation), Type::I64);
    l.ir.store(l.linear(SS, l.ir.zext(frame, Type::I64), size, true), l.gpr(RBP, size));
    // The final stack pointer is checked for writing (SDM vol. 2, ENTER); what has been pushed stays in memory.
    if (allocation) l.ir.load(jit::int_type(size), l.linear(SS, top, size, true), true);
    // The new frame pointer is ESP with 32-bit operands (SDM vol. 2A, "ENTER": FrameTemp), also where the stack uses SP only.
    const Val whole = l.stack_size() == 2 ? l.ir.insert(l.gpr64(RSP), frame, 0) : l.ir.zext(frame, Type::I64);
    l.set_sp(top);
    l.set_gpr(RBP, l.ir.trunc(whole, jit::int_type(size)));
}

void lift_leave(Lifter& l, const Insn& in) {
    const unsigned size = stack_operand(l, in);
    const Val frame = l.ir.zext(l.gpr(RBP, l.stack_size()), Type::I64);
    const Val v = l.ir.load(jit::int_type(size), l.linear(SS, frame, size, false));
    l.set_sp(l.ir.add(frame, u64{size}));
    l.set_gpr(RBP, v);
}
}  // namespace calque
