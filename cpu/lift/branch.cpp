// Jumps, calls, returns, loops, software interrupts and fast system calls (SDM vol. 2).
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Cmp;
using jit::Type;

namespace {

/// Near transfers have 64-bit operands in 64-bit code. Intel ignores a 66h prefix there, Zen makes them 16-bit ones.
unsigned near_size(Lifter& l, const Insn& in) { return l.code64() && !(l.zen() && in.op_size == 2) ? 8 : in.op_size; }

u64 cut(Lifter& l, const Insn& in, u64 rip) { return near_size(l, in) == 2 ? rip & 0xffff : rip; }

Val near_target(Lifter& l, const Insn& in) {
    Operand o = in.op[0];
    if (l.code64()) o.size = static_cast<u8>(near_size(l, in));
    return l.read(o);
}

bool is_far(const Insn& in) {
    // Pointer forms became two immediates; memory forms are FF /3 and FF /5.
    return (in.op_count == 2 && in.op[0].kind == Operand::imm) || (in.op[0].is_mem() && in.opcode == 0xff && (in.modrm >> 3 & 7) % 2 == 1);
}

void far_transfer(Lifter& l, const Insn& in, Helper helper) {
    Val selector, offset;
    if (in.op[0].is_mem()) {
        const Val ea = l.effective(in.op[0]);
        offset = l.ir.load(jit::int_type(in.op_size), l.linear(in.op[0].seg, ea, in.op_size, false));
        const Val next = l.ir.zext(l.ir.trunc(l.ir.add(ea, u64{in.op_size}), jit::int_type(in.addr_size)), Type::I64);
        selector = l.ir.load(Type::I16, l.linear(in.op[0].seg, next, 2, false));
    } else {
        selector = l.ir.constant(Type::I16, in.op[0].value);
        offset = l.ir.constant(jit::int_type(in.op_size), in.op[1].value);
    }
    const Val a = l.ir.or_(l.ir.zext(selector, Type::I64), u64{in.op_size} << 16);
    l.end_with(helper, a, l.ir.zext(offset, Type::I64));
}

Val counter(Lifter& l, const Insn& in) { return l.gpr(RCX, in.addr_size); }
}  // namespace

void lift_jmp(Lifter& l, const Insn& in) {
    if (is_far(in)) return far_transfer(l, in, Helper::far_jump);
    if (in.op[0].kind == Operand::rel) return l.jump(cut(l, in, in.op[0].value));
    l.jump_to(near_target(l, in));
}

void lift_call(Lifter& l, const Insn& in) {
    if (is_far(in)) return far_transfer(l, in, Helper::far_call);
    const unsigned size = near_size(l, in);
    const bool direct = in.op[0].kind == Operand::rel;
    const Val to = direct ? l.c64(cut(l, in, in.op[0].value)) : l.ir.zext(near_target(l, in), Type::I64);
    const Val top = l.ir.zext(l.ir.sub(l.gpr(RSP, l.stack_size()), u64{size}), Type::I64), at = l.linear(SS, top, size, true);
    // The push's faults come before the target's. After the latter Intel has stored the return address all the same, Zen has not.
    if (l.zen())
        if (const Val ok = l.target_ok(to)) l.ir.call_if(l.ir.icmp(Cmp::eq, ok, u64{0}), static_cast<u16>(Helper::refuse_call), at, l.c64(size));
    l.ir.store(at, l.ir.constant(jit::int_type(size), l.next_rip()));
    if (!l.zen()) l.check_target(to);
    l.set_sp(top);
    l.ir.jump_to(to);
}

void lift_ret(Lifter& l, const Insn& in) {
    const u64 release = in.op_count ? in.op[0].value & 0xffff : 0;
    if (in.opcode == 0xca || in.opcode == 0xcb) return l.end_with(Helper::far_return, l.c64(release), l.c64(in.op_size));
    const unsigned size = near_size(l, in);
    const Val to = l.ir.zext(l.peek(size), Type::I64);
    l.check_target(to);
    l.drop(static_cast<unsigned>(size + release));
    l.ir.jump_to(to);
}

void lift_jcc(Lifter& l, const Insn& in) { l.branch(l.condition(in.opcode & 15), cut(l, in, in.op[0].value)); }

void lift_jcxz(Lifter& l, const Insn& in) { l.branch(l.ir.icmp(Cmp::eq, counter(l, in), u64{0}), cut(l, in, in.op[0].value)); }

void lift_loop(Lifter& l, const Insn& in) {
    const Val left = l.ir.sub(counter(l, in), u64{1});
    Val again = l.ir.icmp(Cmp::ne, left, u64{0});
    if (in.mn != Mn::LOOP) {
        const Val zf = l.flag(jit::fl::ZF);
        // Zen takes a repeat prefix for the condition.
        const bool while_equal = l.zen() && (in.rep || in.repne) ? in.rep : in.mn == Mn::LOOPE;
        again = l.ir.and_(again, while_equal ? zf : l.ir.xor_(zf, u64{1}));
    }
    const u64 to = cut(l, in, in.op[0].value);
    l.check_target(l.c64(to));
    l.set_gpr(RCX, left);
    l.ir.branch(again, to);
}

void lift_int(Lifter& l, const Insn& in) { l.end_with(Helper::interrupt, l.c64(in.op[0].value & 0xff), l.c64(0)); }
void lift_int3(Lifter& l, const Insn&) { l.end_with(Helper::interrupt, l.c64(3), l.c64(1)); }
void lift_into(Lifter& l, const Insn&) { l.end_with(Helper::interrupt, l.c64(4), l.c64(2)); }
void lift_int1(Lifter& l, const Insn&) { l.end_with(Helper::interrupt, l.c64(1), l.c64(3)); }
void lift_iret(Lifter& l, const Insn& in) { l.end_with(Helper::iret, {}, l.c64(in.op_size)); }
void lift_ud(Lifter& l, const Insn&) { l.raise(6); }

/// Zen reads both bounds before it compares; Intel reads the upper one only when the lower one holds.
void lift_bound(Lifter& l, const Insn& in) {
    const unsigned size = in.op[0].size;
    const Type t = jit::int_type(size);
    const Val index = l.read(in.op[0]);
    const auto require = [&](Cmp c, Val bound) { l.ir.guard(l.ir.icmp(c, index, bound), jit::fault_code(5)); };
    if (l.zen()) {
        const Val at = l.linear(in.op[1], size * 2, false, size), low = l.ir.load(t, at), high = l.ir.load(t, l.ir.add(at, u64{size}));
        require(Cmp::sge, low), require(Cmp::sle, high);
        return;
    }
    const Val ea = l.effective(in.op[1]), second = l.ir.add(l.ir.trunc(ea, jit::int_type(in.addr_size)), u64{size});
    require(Cmp::sge, l.ir.load(t, l.linear(in.op[1].seg, ea, size, false)));
    require(Cmp::sle, l.ir.load(t, l.linear(in.op[1].seg, l.ir.zext(second, Type::I64), size, false)));
}

void lift_syscall(Lifter& l, const Insn&) { l.end_with(Helper::syscall); }
void lift_sysret(Lifter& l, const Insn& in) { l.end_with(Helper::sysret, {}, l.c64(in.op_size)); }
void lift_sysenter(Lifter& l, const Insn&) { l.end_with(Helper::sysenter); }
void lift_sysexit(Lifter& l, const Insn& in) { l.end_with(Helper::sysexit, {}, l.c64(in.op_size)); }
void lift_rsm(Lifter& l, const Insn&) { l.end_with(Helper::rsm); }
}  // namespace calque
