// System instructions: nearly all are helpers, which check privilege themselves (SDM vol. 2).
#include "cpu/lift/lifter.h"

namespace calque {

using jit::Cmp;
using jit::Type;

namespace {

/// LGDT and friends use a 16-bit limit and a 32-bit base (24 bits with 16-bit operands), or a 64-bit base in 64-bit code.
void load_table(Lifter& l, const Insn& in, u64 idt) {
    const unsigned base_size = l.code64() ? 8 : 4;
    const Val at = l.linear(in.op[0], 2 + base_size, false);
    const Val limit = l.ir.load(Type::I16, at);
    Val base = l.ir.zext(l.ir.load(jit::int_type(base_size), l.ir.add(at, u64{2})), Type::I64);
    if (!l.code64() && in.op_size == 2) base = l.ir.and_(base, u64{0xffffff});
    l.end_with(Helper::lgdt_lidt, base, l.ir.or_(l.ir.zext(limit, Type::I64), idt << 32));
}

void store_table(Lifter& l, const Insn& in, u64 idt) {
    const unsigned base_size = l.code64() ? 8 : 4;
    const Val limit = l.call(Helper::table_limit, Type::I64, {}, l.c64(idt)), base = l.call(Helper::table_base, Type::I64, {}, l.c64(idt));
    const Val at = l.linear(in.op[0], 2 + base_size, true);
    l.ir.store(at, l.ir.trunc(limit, Type::I16));
    l.ir.store(l.ir.add(at, u64{2}), l.ir.trunc(base, jit::int_type(base_size)));
}

/// Privilege is checked before the operand in memory (SDM vol. 3A, "Priority Among Simultaneous Events"); the helper does it for levels 1 and 2.
bool privileged(Lifter& l) {
    if ((l.mode().bits & 3) != mode::ViewUser) return true;
    l.raise(13, 0);
    return false;
}

bool segmentation(Lifter& l) {
    // Not recognised in real and virtual-8086 mode.
    if (l.has(mode::Protected) && !l.has(mode::Vm86)) return true;
    l.raise(6);
    return false;
}

Val selector_operand(Lifter& l, const Operand& o) {
    return l.ir.zext(o.is_mem() ? l.ir.load(Type::I16, l.linear(o, 2, false)) : l.gpr(o.reg, 2), Type::I64);
}

/// SLDT, STR and SMSW: memory gets 16 bits, a register the operand size.
void store_word(Lifter& l, const Insn& in, Val v) {
    if (in.op[0].is_mem()) l.ir.store(l.linear(in.op[0], 2, true), l.ir.trunc(v, Type::I16));
    else l.set_gpr(in.op[0].reg, l.ir.trunc(v, jit::int_type(in.op_size)));
}

/// LAR and LSL: the destination changes only when the helper has set ZF; otherwise it keeps its upper half too.
void access_or_limit(Lifter& l, const Insn& in, Helper h) {
    if (!segmentation(l)) return;
    const Val v = l.call(h, Type::I64, selector_operand(l, in.op[1]));
    const u8 reg = in.op[0].reg;
    const Val old = l.gpr64(reg), part = l.ir.trunc(v, jit::int_type(in.op[0].size));
    const Val now = in.op[0].size == 2 ? l.ir.insert(old, part, 0) : l.ir.zext(part, Type::I64);
    l.ir.set(static_cast<u8>(slot::gpr + reg), l.ir.select(l.flag(jit::fl::ZF), now, old));
}

Val port(Lifter& l, const Operand& o) { return o.kind == Operand::imm ? l.c64(o.value & 0xff) : l.ir.zext(l.gpr(RDX, 2), Type::I64); }
}  // namespace

void lift_nop(Lifter&, const Insn&) {}

// Checked like a byte load, otherwise without effect: there is no cache.
void lift_clflush(Lifter& l, const Insn& in) { l.ir.load(Type::I8, l.linear(in.op[0], 1, false)); }

void lift_hlt(Lifter& l, const Insn&) { l.end_with(Helper::hlt); }

// Port accesses end the block, so that what they cause is seen at the next instruction.
void lift_in(Lifter& l, const Insn& in) {
    const unsigned size = in.op[0].size > 4 ? 4 : in.op[0].size;
    const Val v = l.call(Helper::in, Type::I64, port(l, in.op[1]), l.c64(size));
    l.set_gpr(RAX, l.ir.trunc(v, jit::int_type(size)));
    l.ir.jump(l.next_rip());
}
void lift_out(Lifter& l, const Insn& in) {
    const unsigned size = in.op[1].size > 4 ? 4 : in.op[1].size;
    l.call(Helper::out, Type::None, port(l, in.op[0]), l.c64(size), l.ir.zext(l.gpr(RAX, size), Type::I64));
    l.ir.jump(l.next_rip());
}

void lift_cpuid(Lifter& l, const Insn&) { l.call(Helper::cpuid); }
void lift_rdtsc(Lifter& l, const Insn&) { l.call(Helper::rdtsc); }
void lift_rdtscp(Lifter& l, const Insn&) { l.call(Helper::rdtscp); }
void lift_rdpmc(Lifter& l, const Insn&) { l.end_with(Helper::rdpmc); }
void lift_rdpid(Lifter& l, const Insn& in) {
    const Val v = l.call(Helper::rdpid, Type::I64);
    l.set_gpr(in.op[0].reg, v);
}
void lift_rdmsr(Lifter& l, const Insn&) { l.call(Helper::rdmsr); }
void lift_wrmsr(Lifter& l, const Insn&) { l.end_with(Helper::wrmsr); }
void lift_random(Lifter& l, const Insn& in) {
    const Val v = l.call(Helper::random, Type::I64);
    l.write(in.op[0], l.ir.trunc(v, jit::int_type(in.op[0].size)));
}

void lift_clts(Lifter& l, const Insn&) { l.end_with(Helper::clts); }
void lift_lmsw(Lifter& l, const Insn& in) {
    if (privileged(l)) l.end_with(Helper::lmsw, selector_operand(l, in.op[0]));
}
void lift_smsw(Lifter& l, const Insn& in) { store_word(l, in, l.call(Helper::smsw, Type::I64)); }
void lift_wbinvd(Lifter& l, const Insn&) { l.call(Helper::wbinvd); }
void lift_invlpg(Lifter& l, const Insn& in) {
    Val at = l.effective(in.op[0]);
    const Seg seg = in.op[0].seg;
    if (!l.code64() || seg == FS || seg == GS) at = l.ir.add(l.ir.get(static_cast<u8>(slot::base + seg), Type::I64), at);
    l.end_with(Helper::invlpg, l.code64() ? at : l.ir.and_(at, u64{0xffffffff}));
}
void lift_invpcid(Lifter& l, const Insn& in) {
    const Val type = l.ir.zext(l.gpr(in.op[0].reg, l.code64() ? 8 : 4), Type::I64);
    l.end_with(Helper::invpcid, type, l.linear(in.op[1], 16, false));
}

void lift_lgdt(Lifter& l, const Insn& in) {
    if (privileged(l)) load_table(l, in, 0);
}
void lift_lidt(Lifter& l, const Insn& in) {
    if (privileged(l)) load_table(l, in, 1);
}
void lift_sgdt(Lifter& l, const Insn& in) { store_table(l, in, 0); }
void lift_sidt(Lifter& l, const Insn& in) { store_table(l, in, 1); }
void lift_lldt(Lifter& l, const Insn& in) {
    if (segmentation(l) && privileged(l)) l.end_with(Helper::lldt_ltr, selector_operand(l, in.op[0]), l.c64(0));
}
void lift_ltr(Lifter& l, const Insn& in) {
    if (segmentation(l) && privileged(l)) l.end_with(Helper::lldt_ltr, selector_operand(l, in.op[0]), l.c64(1));
}
void lift_sldt(Lifter& l, const Insn& in) {
    if (segmentation(l)) store_word(l, in, l.call(Helper::sldt_str, Type::I64, {}, l.c64(0)));
}
void lift_str(Lifter& l, const Insn& in) {
    if (segmentation(l)) store_word(l, in, l.call(Helper::sldt_str, Type::I64, {}, l.c64(1)));
}
void lift_lar(Lifter& l, const Insn& in) { access_or_limit(l, in, Helper::lar); }
void lift_lsl(Lifter& l, const Insn& in) { access_or_limit(l, in, Helper::lsl); }
void lift_verr(Lifter& l, const Insn& in) {
    if (segmentation(l)) l.call(Helper::verr_verw, Type::None, selector_operand(l, in.op[0]), l.c64(0));
}
void lift_verw(Lifter& l, const Insn& in) {
    if (segmentation(l)) l.call(Helper::verr_verw, Type::None, selector_operand(l, in.op[0]), l.c64(1));
}

void lift_arpl(Lifter& l, const Insn& in) {
    if (!segmentation(l)) return;
    const Val rpl = l.ir.and_(l.read(in.op[1]), u64{3});
    if (in.op[0].is_mem()) {
        l.call(Helper::arpl, Type::None, l.linear(in.op[0], 2, false), l.ir.zext(rpl, Type::I64), l.c64(in.op[0].seg));
        return;
    }
    const Val old = l.read(in.op[0]), lower = l.ir.icmp(Cmp::ult, l.ir.and_(old, u64{3}), rpl);
    l.write(in.op[0], l.ir.select(lower, l.ir.or_(l.ir.and_(old, u64{0xfffc}), rpl), old));
    l.set_flag(jit::fl::ZF, lower);
}

void lift_load_far(Lifter& l, const Insn& in) {
    const unsigned size = in.op[0].size;
    const Seg seg = in.mn == Mn::LDS ? DS : in.mn == Mn::LES ? ES : in.mn == Mn::LFS ? FS : in.mn == Mn::LGS ? GS : SS;
    const Val at = l.linear(in.op[1], size + 2, false, size);
    const Val offset = l.ir.load(jit::int_type(size), at), selector = l.ir.load(Type::I16, l.ir.add(at, u64{size}));
    if (l.load_segment_8086(seg, selector, false)) return l.write(in.op[0], offset);   // LSS holds nothing off
    l.call(Helper::load_far, Type::None, l.c64(seg), l.ir.zext(selector, Type::I64), l.c64(l.next_rip()));
    l.write(in.op[0], offset);
    l.ir.leave();
}

void lift_swapgs(Lifter& l, const Insn&) { l.end_with(Helper::swapgs); }
void lift_rdbase(Lifter& l, const Insn& in) {
    const Val v = l.call(Helper::read_base, Type::I64, l.c64(in.mn == Mn::RDFSBASE ? FS : GS));
    l.write(in.op[0], l.ir.trunc(v, jit::int_type(in.op[0].size)));
}
void lift_wrbase(Lifter& l, const Insn& in) {
    l.call(Helper::write_base, Type::None, l.c64(in.mn == Mn::WRFSBASE ? FS : GS), l.ir.zext(l.read(in.op[0]), Type::I64));
}
void lift_xgetbv(Lifter& l, const Insn&) { l.end_with(Helper::xgetbv); }
void lift_xsetbv(Lifter& l, const Insn&) { l.end_with(Helper::xsetbv); }

void lift_monitor(Lifter& l, const Insn& in) {
    if (l.has(mode::ViewUser)) return l.raise(6);   // before the address is looked at
    const Val ea = l.ir.zext(l.gpr(RAX, in.addr_size), Type::I64), at = l.linear(in.seg, ea, 1, false);
    l.ir.load(Type::I8, at);  // checked like a byte load
    l.call(Helper::monitor, Type::None, at);
}
void lift_mwait(Lifter& l, const Insn&) { l.end_with(Helper::mwait); }
}  // namespace calque
