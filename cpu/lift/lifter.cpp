#include "cpu/lift/lifter.h"

namespace calque {

using jit::Cmp;
using jit::Op;
using jit::Type;

namespace {
constexpr Rule kRules[] = {
    nullptr,
#define RULE(mnemonic, rule, isa) rule,
#include "cpu/lift/rules.inc"
#undef RULE
};
}  // namespace

Rule rule_of(Mn mn) { return kRules[static_cast<size_t>(mn)]; }

void Lifter::mark(const Insn& in) {
    in_ = &in;
    ir.insn(in.rip, in.length);
}

void Lifter::apply(const Insn& in) { rule_of(in.mn)(*this, in); }

// ---- general registers

Val Lifter::gpr(u8 n, unsigned size) { return size == 8 ? gpr64(n) : ir.trunc(gpr64(n), jit::int_type(size)); }

void Lifter::set_gpr(u8 n, Val v) {
    const u8 s = static_cast<u8>(slot::gpr + n);
    if (v.type == Type::I64) ir.set(s, v);
    else if (v.type == Type::I32) ir.set(s, ir.zext(v, Type::I64));
    else ir.set(s, ir.insert(gpr64(n), v, 0));
}

// ---- operands

Val Lifter::read(const Operand& o) {
    switch (o.kind) {
    case Operand::gpr: return gpr(o.reg, o.size);
    case Operand::gpr_high: return ir.extract(gpr64(o.reg), 8, Type::I8);
    case Operand::imm: return ir.constant(jit::int_type(o.size), o.value);
    case Operand::mem: return ir.load(jit::int_type(o.size), linear(o, o.size, false));
    case Operand::segment: return ir.trunc(call(Helper::selector, Type::I64, c64(o.reg)), Type::I16);
    default: return ir.constant(Type::I64, 0);
    }
}

void Lifter::write(const Operand& o, Val v) {
    if (o.kind == Operand::gpr) set_gpr(o.reg, v);
    else if (o.kind == Operand::gpr_high) ir.set(static_cast<u8>(slot::gpr + o.reg), ir.insert(gpr64(o.reg), v, 8));
    else if (o.is_mem()) ir.store(linear(o, o.size, true), v);
}

// ---- flags

static unsigned bit_of(u16 mask) { return static_cast<unsigned>(__builtin_ctz(mask)); }

Val Lifter::flag(u16 bit) { return ir.trunc(ir.and_(ir.shr(flags(), bit_of(bit)), u64{1}), Type::I8); }

void Lifter::set_flag(u16 bit, Val v) {
    const Val in_place = ir.shl(ir.zext(v, Type::I16), bit_of(bit));
    set_flags(in_place, bit);
}

// ---- memory

Val Lifter::effective(const Operand& o) {
    const Type t = jit::int_type(in_->addr_size);
    Val ea = ir.constant(t, o.value);
    if (o.base == 16) ea = ir.constant(t, in_->next + o.value);
    else if (o.base >= 0) ea = ir.add(gpr(static_cast<u8>(o.base), in_->addr_size), ea);
    if (o.index >= 0) ea = ir.add(ea, ir.shl(gpr(static_cast<u8>(o.index), in_->addr_size), static_cast<unsigned>(__builtin_ctz(o.scale))));
    return ir.zext(ea, Type::I64);
}

Val Lifter::linear(Seg seg, Val ea, unsigned size, bool write, unsigned alignment) {
    const u8 base = static_cast<u8>(slot::base + seg);
    Val at = ea;
    if (code64()) {
        if (seg == FS || seg == GS) at = ir.add(ir.get(base, Type::I64), ea);
    } else {
        const u32 flat = seg == DS ? mode::FlatDs : seg == ES ? mode::FlatEs : seg == SS ? mode::FlatSs : 0;
        if (!flat || !has(flat)) {
            const u8 end = static_cast<u8>((write ? slot::write_end : slot::read_end) + seg);
            const Val past = ir.icmp(Cmp::ugt, ir.add(ea, u64{size}), ir.get(end, Type::I64));
            ir.call_if(past, static_cast<u16>(Helper::seg_check), ea, c64(size), c64(u64{seg} | u64{write} << 8));
            at = ir.and_(ir.add(ir.get(base, Type::I64), ea), u64{0xffffffff});
        }
    }
    if (!has(mode::AlignCheck)) return at;
    // Accesses of 16 bytes and more are not checked in VEX forms (SDM vol. 2A, "Exceptions Type 4"); on Zen they are, for 16 bytes.
    const bool vector = size == 16 || size == 32;
    if (alignment == 0 && (size == 2 || size == 4 || size == 8)) alignment = size;
    if (alignment == 0 && vector && (!in_->vex || zen())) alignment = 16;
    if (alignment > 1) ir.call_if(ir.icmp(Cmp::ne, ir.and_(at, u64{alignment - 1}), u64{0}), static_cast<u16>(Helper::misaligned), at, c64(size), c64(seg));
    return at;
}

Val Lifter::linear_aligned(const Operand& o, unsigned size, bool write) {
    const Val ea = effective(o);
    const bool based = !code64() || o.seg == FS || o.seg == GS;
    require_aligned(based ? ir.add(ir.get(static_cast<u8>(slot::base + o.seg), Type::I64), ea) : ea, size);
    return linear(o.seg, ea, size, write);
}

void Lifter::require_aligned(Val at, unsigned alignment) {
    ir.guard(ir.icmp(Cmp::eq, ir.and_(at, u64{alignment - 1}), u64{0}), jit::fault_code(13, 0));
}

// ---- stack

Val Lifter::sp() { return ir.zext(gpr(RSP, stack_size()), Type::I64); }
void Lifter::set_sp(Val v) { set_gpr(RSP, ir.trunc(v, jit::int_type(stack_size()))); }

void Lifter::push(Val v) {
    const unsigned size = jit::bytes(v.type);
    const Val top = ir.zext(ir.sub(gpr(RSP, stack_size()), u64{size}), Type::I64);
    ir.store(linear(SS, top, size, true), v);
    set_sp(top);
}

Val Lifter::peek(unsigned size, unsigned offset) {
    Val at = sp();
    if (offset) at = ir.zext(ir.trunc(ir.add(at, u64{offset}), jit::int_type(stack_size())), Type::I64);
    return ir.load(jit::int_type(size), linear(SS, at, size, false));
}

bool Lifter::load_segment_8086(u8 seg, Val selector, bool shadow) {
    if (has(mode::Protected) && !has(mode::Vm86)) return false;
    call(Helper::load_seg_8086, Type::None, c64(seg), ir.zext(selector, Type::I64), c64(shadow));
    return true;
}

// ---- control

void Lifter::end_with(Helper h, Val a, Val b) {
    const Val zero = c64(0);
    call(h, Type::None, a ? a : zero, b ? b : zero, c64(next_rip()));
    ir.leave();
}

Val Lifter::target_ok(Val rip) {
    // SDM vol. 2, JMP, "64-Bit Mode Exceptions": the target must be canonical. Elsewhere the flat code segment allows every 32-bit
    // offset, and real mode's every 16-bit one.
    if (code64()) return ir.icmp(Cmp::eq, ir.sar(ir.shl(rip, 16u), 16u), rip);
    if (has(mode::FlatCs) || (!has(mode::Protected) && in_->op_size == 2)) return {};
    return ir.icmp(Cmp::ult, rip, ir.get(slot::code_end, Type::I64));
}

void Lifter::check_target(Val rip) {
    if (const Val ok = target_ok(rip)) ir.guard(ok, jit::fault_code(13, 0));
}

void Lifter::jump(u64 rip) {
    check_target(c64(rip));
    ir.jump(rip);
}

void Lifter::branch(Val cond, u64 rip) {
    if (!code64() && !has(mode::FlatCs) && (has(mode::Protected) || in_->op_size != 2)) {
        const Val inside = ir.icmp(Cmp::ult, c64(rip), ir.get(slot::code_end, Type::I64));
        ir.guard(ir.or_(inside, ir.icmp(Cmp::eq, cond, u64{0})), jit::fault_code(13, 0));
    }
    ir.branch(cond, rip);
}

void Lifter::jump_to(Val rip) {
    const Val target = ir.zext(rip, Type::I64);
    check_target(target);
    ir.jump_to(target);
}
}  // namespace calque
