// Flags: packed values and bits that live in EFLAGS until something else needs EFLAGS.
#include <algorithm>

#include "jit/x64/x64.h"

namespace calque::jit::x64 {
namespace {
constexpr u8 kHighMask(u16 bits) { return static_cast<u8>(bits >> 8); }

CC cc_of_cmp(Cmp c) {
    switch (c) {
    case Cmp::eq: return CC::kE;
    case Cmp::ne: return CC::kNE;
    case Cmp::ult: return CC::kB;
    case Cmp::ule: return CC::kBE;
    case Cmp::slt: return CC::kL;
    case Cmp::sle: return CC::kLE;
    case Cmp::ugt: return CC::kA;
    case Cmp::uge: return CC::kAE;
    case Cmp::sgt: return CC::kG;
    default: return CC::kGE;
    }
}
/// Against zero, for those that need only ZF and SF.
CC cc_of_zero_cmp(Cmp c) {
    return c == Cmp::slt ? CC::kS : c == Cmp::sge ? CC::kNS : cc_of_cmp(c);
}
CC cc_of_cond(Cond c) {
    static constexpr CC kMap[16] = {CC::kO, CC::kNO, CC::kB, CC::kAE, CC::kE, CC::kNE, CC::kBE, CC::kA, CC::kS, CC::kNS, CC::kP, CC::kNP, CC::kL, CC::kGE, CC::kLE, CC::kG};
    return kMap[static_cast<u8>(c)];
}
Cmp swapped(Cmp c) {
    switch (c) {
    case Cmp::ult: return Cmp::ugt;
    case Cmp::ule: return Cmp::uge;
    case Cmp::slt: return Cmp::sgt;
    case Cmp::sle: return Cmp::sge;
    case Cmp::ugt: return Cmp::ult;
    case Cmp::uge: return Cmp::ule;
    case Cmp::sgt: return Cmp::slt;
    case Cmp::sge: return Cmp::sle;
    default: return c;
    }
}
}  // namespace

void X64::clobber() {
    if (in_flags_.empty()) {
        flag_kind_ = FlagKind::none;
        return;
    }
    const auto wanted = in_flags_;
    for (Ref r : wanted) {
        if (value(r).last_use >= now_ && (value(r).at == At::flags || value(r).at == At::cond)) materialise(r);
    }
    for (Ref r : in_flags_) value(r).at = At::nowhere;
    in_flags_.clear();
    flag_kind_ = FlagKind::none;
}

void X64::holds_flags(Ref r, FlagKind kind) {
    flag_kind_ = kind;
    value(r).at = At::flags;
    in_flags_.push_back(r);
}
void X64::holds_cond(Ref r, CC cc) {
    value(r).at = At::cond;
    value(r).cc = static_cast<u8>(cc);
    value(r).clean = false;
    in_flags_.push_back(r);
}

/// Packs EFLAGS into AX. EFLAGS keep their meaning unless AF must be corrected; then every value that was in them gets a register.
void X64::pack_flags() {
    const bool fix = flag_kind_ == FlagKind::af_wrong;
    if (fix) {
        const auto wanted = in_flags_;
        for (Ref r : wanted) {
            if (value(r).at == At::cond && value(r).last_use >= now_) unlock(load_value(r, kTempMask));
        }
    }
    take(rax);
    as.lahf();
    as.seto(x86::al);
    if (!fix) return;
    as.and_(x86::eax, Imm(0xffff & ~fl::AF));
    for (Ref r : in_flags_) {
        value(r).at = At::nowhere;
        if (value(r).last_use < now_) continue;
        value(r).clean = true;
        add_owner(rax, r);
    }
    in_flags_.clear();
    flag_kind_ = FlagKind::none;
}

void X64::materialise(Ref r) {
    Value& v = value(r);
    if (v.at == At::cond) {
        unlock(load_value(r, kTempMask));
        return;
    }
    pack_flags();
    if (v.at == At::flags) {
        in_flags_.erase(std::remove(in_flags_.begin(), in_flags_.end(), r), in_flags_.end());
        v.clean = false;
        add_owner(rax, r);
    }
    unlock(rax);
}

void X64::bear_partners(Ref k, FlagKind kind) {
    for (Ref j = value(k).next_partner; j; j = value(j).next_partner) {
        const Inst& i = inst(j);
        value(j).born = true;
        if (i.op != Op::icmp) holds_flags(j, kind);
        else if (i.a == k) holds_cond(j, cc_of_zero_cmp(static_cast<Cmp>(i.aux)));
        else holds_cond(j, cc_of_cmp(static_cast<Cmp>(i.aux)));
    }
    flag_kind_ = kind;
}

CC X64::test(Ref r) {
    if (value(r).at == At::cond) return static_cast<CC>(value(r).cc);
    clobber();
    if (value(r).at == At::state && value(r).last_use == now_) {
        as.cmp(slot_mem(value(r).slot, 1), 0);
        return CC::kNE;
    }
    const Reg s = use(r);
    as.test(gp(s, 1), gp(s, 1));
    return CC::kNE;
}

void emit_icmp(X64& e, const Inst& i) {
    e.clobber();
    Ref a = i.a, b = i.b;
    auto c = static_cast<Cmp>(i.aux);
    if (e.is_const(a) && !e.is_const(b)) std::swap(a, b), c = swapped(c);
    const unsigned size = e.size_of(a);
    if (e.is_const(b) && e.inst(b).imm == 0 && e.value(a).at == At::reg) {
        const Reg s = e.use(a);
        e.as.test(gp(s, size), gp(s, size));
    } else {
        i64 imm;
        Operand left;
        if (e.imm_fits(b, size, &imm)) left = e.use_rm(a, size);
        else left = gp(e.use(a), size);
        e.as.emit(Inst_::kIdCmp, left, e.use_rmi(b, size));
    }
    e.holds_cond(e.index_of(i), cc_of_cmp(c));
}

// ---- flags of arithmetic that no earlier op made

static void flags_by(X64& e, const Inst& i, InstId op, bool keeps_operand) {
    e.clobber();
    const unsigned size = bytes(i.type);
    Operand left;
    if (keeps_operand) {
        i64 imm;
        if (e.imm_fits(i.b, size, &imm) && !e.is_const(i.a)) left = e.use_rm(i.a, size);
        else left = gp(e.use(i.a), size);
    }
    const Operand right = e.use_rmi(i.b, size);
    if (!keeps_operand) left = gp(e.use_scratch(i.a), size);
    e.as.emit(op, left, right);
    e.holds_flags(e.index_of(i), FlagKind::exact);
    e.bear_partners(e.index_of(i), FlagKind::exact);
}
void emit_flags_add(X64& e, const Inst& i) { flags_by(e, i, Inst_::kIdAdd, false); }
void emit_flags_sub(X64& e, const Inst& i) { flags_by(e, i, Inst_::kIdCmp, true); }

static void flags_with_carry(X64& e, const Inst& i, InstId op) {
    e.clobber();
    const unsigned size = bytes(i.type);
    const Operand right = e.use_rmi(i.b, size);
    const Reg left = e.use_scratch(i.a);
    const Reg carry = e.use(i.c);
    e.as.bt(r32(carry), 0);
    e.as.emit(op, gp(left, size), right);
    e.holds_flags(e.index_of(i), FlagKind::exact);
}
void emit_flags_adc(X64& e, const Inst& i) { flags_with_carry(e, i, Inst_::kIdAdc); }
void emit_flags_sbb(X64& e, const Inst& i) { flags_with_carry(e, i, Inst_::kIdSbb); }

void emit_flags_logic(X64& e, const Inst& i) {
    e.clobber();
    const unsigned size = bytes(i.type);
    const Reg s = e.use(i.a);
    e.as.test(gp(s, size), gp(s, size));
    e.holds_flags(e.index_of(i), e.logic_kind());
    e.bear_partners(e.index_of(i), e.logic_kind());
}

/// Shifts. The host's own flags serve for a count of one, and for others where shift_flags() says so. Elsewhere OF is made apart.
static void flags_of_shift(X64& e, const Inst& i, InstId op) {
    e.clobber();
    const unsigned size = bytes(i.type);
    const u64 n = e.is_const(i.b) ? e.inst(i.b).imm : 0;   // 0: only known when it runs
    if (n == 1 || (n && e.shift_flags())) {
        const Reg t = e.use_scratch(i.a);
        e.as.emit(op, gp(t, size), Imm(n));
        e.holds_flags(e.index_of(i), e.shift_kind());
        return;
    }
    e.take(rax);
    if (!n) e.take(rcx);
    const Reg t = e.use_scratch(i.a), u = op == Inst_::kIdShl && !e.shift_flags() ? e.scratch() : kNoReg;
    if (!n) e.load_to(rcx, i.b);
    const Label done = e.as.newLabel();
    e.as.test(gp(t, size), gp(t, size));   // the flags of a count of zero
    if (e.shift_flags()) {
        e.as.emit(op, gp(t, size), x86::cl);
        e.as.lahf();
        e.as.seto(x86::al);
    } else {
        e.as.lahf();
        e.as.mov(x86::al, 0);
        if (!n) {
            e.as.test(x86::cl, x86::cl);
            e.as.jz(done);
        }
        if (op == Inst_::kIdShl) {
            e.as.mov(r64(u), r64(t));
            e.as.add(gp(u, size), gp(u, size));
            e.as.seto(x86::al);
        } else if (op == Inst_::kIdShr) {
            e.as.test(gp(t, size), gp(t, size));
            e.as.sets(x86::al);
        }
        if (n) e.as.emit(op, gp(t, size), Imm(n));
        else e.as.emit(op, gp(t, size), x86::cl);
        e.as.lahf();
    }
    e.as.bind(done);
    e.as.and_(x86::eax, Imm(0xffff & ~fl::AF));
    e.define(i, rax, true);
}
void emit_flags_shl(X64& e, const Inst& i) { flags_of_shift(e, i, Inst_::kIdShl); }
void emit_flags_shr(X64& e, const Inst& i) { flags_of_shift(e, i, Inst_::kIdShr); }
void emit_flags_sar(X64& e, const Inst& i) { flags_of_shift(e, i, Inst_::kIdSar); }

void emit_flag_merge(X64& e, const Inst& i) {
    if (i.a == i.b) {
        e.define_alias(e.index_of(i), i.a, e.value(i.a).clean);
        return;
    }
    e.clobber();
    const u32 take = static_cast<u32>(i.imm) & 0xffff;
    const Reg b = e.use_scratch(i.b);
    e.as.and_(r32(b), Imm(take));
    const Reg a = e.use_scratch(i.a);
    e.as.and_(r32(a), Imm(0xffff & ~take));
    e.as.or_(r32(a), r32(b));
    e.define(i, a, true);
}

void emit_cond(X64& e, const Inst& i) {
    const auto c = static_cast<Cond>(i.aux);
    const Ref self = e.index_of(i);
    if (e.value(i.a).at == At::flags) {
        e.holds_cond(self, cc_of_cond(c));
        return;
    }
    e.clobber();
    const auto base = static_cast<Cond>(static_cast<u8>(c) & ~1u);
    const bool negated = static_cast<u8>(c) & 1;
    if (base == Cond::l || base == Cond::le) {
        // SF != OF: bit 15 against bit 0.
        const Reg s = e.use(i.a), t = e.scratch();
        e.as.mov(r32(t), r32(s));
        e.as.shr(r32(t), 15);
        e.as.xor_(r32(t), r32(s));
        e.as.and_(r32(t), 1);
        if (base == Cond::le) {
            const Reg z = e.scratch();
            e.as.mov(r32(z), r32(s));
            e.as.and_(r32(z), Imm(fl::ZF));
            e.as.or_(r32(t), r32(z));
        }
    } else {
        const u16 bits = base == Cond::o ? fl::OF : base == Cond::b ? fl::CF : base == Cond::e ? fl::ZF : base == Cond::be ? fl::CF | fl::ZF : base == Cond::s ? fl::SF : fl::PF;
        if (e.value(i.a).at == At::state) {
            const u32 at = e.layout.slots[e.value(i.a).slot].offset;
            if (bits == fl::OF) e.as.test(e.state(at, 1), Imm(1));
            else e.as.test(e.state(at + 1, 1), Imm(kHighMask(bits)));
        } else {
            e.as.test(r32(e.use(i.a)), Imm(bits));
        }
    }
    e.holds_cond(self, negated ? CC::kZ : CC::kNZ);
}

/// `set` of the flags slot straight from EFLAGS.
void store_host_flags(X64& e, u8 slot) {
    e.pack_flags();
    e.as.mov(e.slot_mem(slot, 2), x86::ax);
}
}  // namespace calque::jit::x64
