// Integer arithmetic and width changes.
#include <algorithm>
#include <climits>

#include "jit/ir/semantics.h"
#include "jit/x64/x64.h"
#include "support/planted.h"

namespace calque::jit::x64 {
namespace {
/// The size in which to compute: 8- and 16-bit results may have rubbish above their type, unless flags are wanted.
unsigned op_size(X64& e, const Inst& i) { return e.has_partners(e.index_of(i)) ? bytes(i.type) : std::max(4u, bytes(i.type)); }

/// Takes over an operand of a two-operand instruction: constants, memory (same size only), register.
Operand right(X64& e, Ref r, unsigned size) {
    if (e.size_of(r) != size && !e.is_const(r)) return gp(e.use(r), size);
    if (e.is_const(r) && e.size_of(r) != size) {
        i64 imm;
        if (e.imm_fits(r, e.size_of(r), &imm)) return Imm(imm);
    }
    return e.use_rmi(r, size);
}

bool try_lea(X64& e, const Inst& i, Ref a, Ref b, i64 sign) {
    const Ref self = e.index_of(i);
    if (e.has_partners(self)) return false;
    const unsigned size = std::max(4u, bytes(i.type));
    i64 imm = 0;
    const bool with_imm = e.imm_fits(b, bytes(i.type), &imm);
    if (sign < 0 && (!with_imm || imm == INT32_MIN)) return false;
    if (!with_imm && e.is_const(b)) return false;
    const Reg target = e.target_of(self);
    // In place an add is shorter.
    if (target != kNoReg && (e.in_reg(a, target) || (!with_imm && e.in_reg(b, target)))) return false;
    if (target == kNoReg && (e.dies_in_temp(a) || (!with_imm && e.dies_in_temp(b)))) return false;
    const Reg ra = e.use(a);
    const x86::Mem m = with_imm ? x86::ptr(r64(ra), static_cast<i32>(imm * sign)) : x86::ptr(r64(ra), r64(e.use(b)));
    const Reg d = target != kNoReg ? target : e.scratch();
    e.as.lea(gp(d, size), m);
    e.define(i, d, bytes(i.type) >= 4);
    return true;
}

void alu(X64& e, const Inst& i, InstId op, bool commutative, FlagKind kind) {
    const Ref self = e.index_of(i);
    Ref a = i.a, b = i.b;
    if (commutative && e.is_const(a)) std::swap(a, b);
    if ((op == Inst_::kIdAdd && try_lea(e, i, a, b, 1)) || (op == Inst_::kIdSub && try_lea(e, i, a, b, -1))) return;
    e.clobber();
    const unsigned size = op_size(e, i);
    const bool result = e.value(self).value_needed;
    if (!result && (op == Inst_::kIdSub || op == Inst_::kIdAnd)) {
        // Only flags are wanted.
        i64 imm;
        Operand left;
        if (e.imm_fits(b, size, &imm) && !e.is_const(a)) left = e.use_rm(a, size);
        else left = gp(e.use(a), size);
        const Operand r = op == Inst_::kIdSub || e.is_const(b) ? e.use_rmi(b, size) : Operand(gp(e.use(b), size));
        e.as.emit(op == Inst_::kIdSub ? Inst_::kIdCmp : Inst_::kIdTest, left, r);
        e.bear_partners(self, kind);
        return;
    }
    Reg target = result ? e.target_of(self) : kNoReg;
    if (target != kNoReg && e.in_reg(b, target) && !e.in_reg(a, target)) {
        if (commutative) std::swap(a, b);
        else target = kNoReg;
    } else if (target == kNoReg && commutative && !e.dies_in_temp(a) && e.dies_in_temp(b)) {
        std::swap(a, b);
    }
    const Operand r = right(e, b, size);
    const Reg d = e.dest_from(self, a, target);
    e.as.emit(op, gp(d, size), r);
    e.define(i, d, size >= 4 && bytes(i.type) >= 4);
    if (e.has_partners(self)) e.bear_partners(self, kind);
}
}  // namespace

void emit_add(X64& e, const Inst& i) { alu(e, i, Inst_::kIdAdd, true, FlagKind::exact); }
void emit_sub(X64& e, const Inst& i) { alu(e, i, Inst_::kIdSub, false, FlagKind::exact); }
void emit_and_(X64& e, const Inst& i) { alu(e, i, Inst_::kIdAnd, true, e.logic_kind()); }
void emit_or_(X64& e, const Inst& i) { alu(e, i, Inst_::kIdOr, true, e.logic_kind()); }
void emit_xor_(X64& e, const Inst& i) { alu(e, i, Inst_::kIdXor, true, e.logic_kind()); }

void emit_mul(X64& e, const Inst& i) {
    e.clobber();
    const unsigned size = std::max(4u, bytes(i.type));
    Ref a = i.a, b = i.b;
    if (e.is_const(a)) std::swap(a, b);
    i64 imm;
    if (e.is_const(b) && e.imm_fits(b, bytes(i.type), &imm)) {
        const Reg s = e.use(a);
        const Reg target = e.target_of(e.index_of(i));
        const Reg d = target != kNoReg ? target : e.dies_in_temp(a) ? s : e.scratch();
        e.as.imul(gp(d, size), gp(s, size), Imm(imm));
        e.define(i, d, bytes(i.type) >= 4);
        return;
    }
    Reg target = e.target_of(e.index_of(i));
    if (target != kNoReg && e.in_reg(b, target)) std::swap(a, b);
    else if (target == kNoReg && !e.dies_in_temp(a) && e.dies_in_temp(b)) std::swap(a, b);
    const Operand r = right(e, b, size);
    const Reg d = e.dest_from(e.index_of(i), a, target);
    e.as.emit(Inst_::kIdImul, gp(d, size), r);
    e.define(i, d, bytes(i.type) >= 4);
}

static void mul_hi(X64& e, const Inst& i, bool is_signed) {
    e.clobber();
    const unsigned size = bytes(i.type);
    if (size < 8) {
        const unsigned wide = size == 4 ? 8 : 4;
        Reg a, b;
        if (is_signed) {
            a = e.use_sext_scratch(i.a, wide);
            b = i.a == i.b ? a : e.use_sext_scratch(i.b, wide);
        } else {
            b = e.use_clean(i.b);
            a = e.use_scratch_clean(i.a);
            if (i.a == i.b) b = a;
        }
        e.as.imul(gp(a, wide), gp(b, wide));
        e.as.shr(gp(a, wide), size * 8);
        e.define(i, a, size == 4 || !is_signed);
        return;
    }
    if (!is_signed && e.cpu.bmi2 && e.sw.bmi) {
        e.take(rdx);
        const Operand b = e.use_rm(i.b, 8);
        e.load_to(rdx, i.a);
        const Reg d = e.dest(e.index_of(i));
        e.as.emit(Inst_::kIdMulx, r64(d), r64(rdx), b);
        e.define(i, d, true);
        return;
    }
    e.take(rax);
    e.take(rdx);
    const Operand b = e.use_rm(i.b, 8);
    e.load_to(rax, i.a);
    e.as.emit(is_signed ? Inst_::kIdImul : Inst_::kIdMul, b);
    e.define(i, rdx, true);
}
void emit_mul_hi_u(X64& e, const Inst& i) { mul_hi(e, i, false); }
void emit_mul_hi_s(X64& e, const Inst& i) { mul_hi(e, i, true); }

void emit_not_(X64& e, const Inst& i) {
    const Reg d = e.dest_from(e.index_of(i), i.a, e.target_of(e.index_of(i)));
    e.as.not_(gp(d, std::max(4u, bytes(i.type))));
    e.define(i, d, bytes(i.type) >= 4);
}
void emit_neg(X64& e, const Inst& i) {
    e.clobber();
    const Ref self = e.index_of(i);
    const Reg d = e.dest_from(self, i.a, e.target_of(self));
    e.as.neg(gp(d, op_size(e, i)));
    e.define(i, d, bytes(i.type) >= 4);
    if (e.has_partners(self)) e.bear_partners(self, FlagKind::exact);
}

// ---- shifts and rotates

static void shift(X64& e, const Inst& i, InstId op, InstId bmi) {
    const Ref self = e.index_of(i);
    const unsigned size = bytes(i.type);
    const bool left = op == Inst_::kIdShl, rotate = op == Inst_::kIdRol || op == Inst_::kIdRor;
    if (e.is_const(i.b)) {
        const u64 n = e.inst(i.b).imm;
        e.clobber();
        const bool flags = e.has_partners(self);
        const unsigned width = flags || rotate ? size : std::max(4u, size);
        Reg d;
        if (!left && !rotate && size < 4 && !flags) {
            d = op == Inst_::kIdShr ? e.use_scratch_clean(i.a) : e.use_sext_scratch(i.a, 4);
        } else {
            d = e.dest_from(self, i.a, e.target_of(self));
        }
        if (n != 0) {
            e.as.emit(op, gp(d, width), Imm(n));
        } else if (size == 4) {
            e.as.mov(r32(d), r32(d));
        }
        e.define(i, d, size >= 4 || (op == Inst_::kIdShr && !flags));
        if (flags) e.bear_partners(self, e.shift_kind());
        return;
    }
    if (bmi && e.cpu.bmi2 && e.sw.bmi) {
        const unsigned width = std::max(4u, size);
        Reg a = size >= 4 || left ? e.use(i.a) : op == Inst_::kIdShr ? e.use_clean(i.a) : e.use_sext_scratch(i.a, 4);
        const Reg n = e.use(i.b);
        const Reg d = e.dest(self);
        e.as.emit(bmi, gp(d, width), gp(a, width), gp(n, width));
        e.define(i, d, size >= 4 || op == Inst_::kIdShr);
        return;
    }
    e.clobber();
    const unsigned width = rotate ? size : std::max(4u, size);
    e.take(rcx);
    const Reg d = size >= 4 || left || rotate ? e.use_scratch(i.a) : op == Inst_::kIdShr ? e.use_scratch_clean(i.a) : e.use_sext_scratch(i.a, 4);
    e.load_to(rcx, i.b);
    e.as.emit(op, gp(d, width), x86::cl);
    if (size == 4) e.as.mov(r32(d), r32(d));  // a count of zero leaves the upper half as it was
    e.define(i, d, size >= 4 || op == Inst_::kIdShr);
}
void emit_shl(X64& e, const Inst& i) { shift(e, i, Inst_::kIdShl, Inst_::kIdShlx); }
void emit_shr(X64& e, const Inst& i) { shift(e, i, Inst_::kIdShr, Inst_::kIdShrx); }
void emit_sar(X64& e, const Inst& i) { shift(e, i, Inst_::kIdSar, Inst_::kIdSarx); }
void emit_rol(X64& e, const Inst& i) { shift(e, i, Inst_::kIdRol, 0); }
void emit_ror(X64& e, const Inst& i) { shift(e, i, Inst_::kIdRor, 0); }

// ---- division

static void divide(X64& e, const Inst& i, bool is_signed, bool remainder) {
    e.clobber();
    const unsigned size = bytes(i.type), width = std::max(4u, size);
    e.take(rax);
    e.take(rdx);
    // The divisor in a register of its own, extended.
    Reg b;
    if (size >= 4) {
        b = e.use(i.b);
    } else {
        b = is_signed ? e.use_sext_scratch(i.b, 4) : e.use_clean(i.b);
    }
    e.load_to(rax, i.a);
    if (size < 4) {
        if (is_signed) e.as.movsx(x86::eax, gp(rax, size));
        else e.as.movzx(x86::eax, gp(rax, size));
    }
    if (!is_signed) {
        e.as.xor_(x86::edx, x86::edx);
        e.as.div(gp(b, width));
    } else {
        if (width == 4) e.as.cdq();
        else e.as.cqo();
        e.as.idiv(gp(b, width));
    }
    e.define(i, remainder ? rdx : rax, size >= 4 || !is_signed);
}
void emit_div_u(X64& e, const Inst& i) { divide(e, i, false, false); }
void emit_rem_u(X64& e, const Inst& i) { divide(e, i, false, true); }
void emit_div_s(X64& e, const Inst& i) { divide(e, i, true, false); }
void emit_rem_s(X64& e, const Inst& i) { divide(e, i, true, true); }

// ---- bits

void emit_bswap(X64& e, const Inst& i) {
    const Ref self = e.index_of(i);
    const unsigned size = bytes(i.type);
    if (size <= 2) e.clobber();
    const Reg d = e.dest_from(self, i.a, e.target_of(self));
    if (size == 1) e.as.movzx(r32(d), gp(d, 1));
    else if (size == 2) e.as.rol(gp(d, 2), 8);
    else e.as.bswap(gp(d, size));
    e.define(i, d, size >= 4);
}

static void count_zeros(X64& e, const Inst& i, bool leading) {
    e.clobber();
    const Ref self = e.index_of(i);
    const unsigned size = bytes(i.type), width = std::max(4u, size);
    Reg s;
    if (size >= 4) {
        s = e.use(i.a);
    } else if (leading) {
        s = e.use_clean(i.a);
    } else {
        s = e.use_scratch(i.a);
        e.as.bts(r32(s), Imm(size * 8));  // the answer is the width when all are zero
    }
    const Reg d = e.dest(self);
    if (leading ? e.cpu.lzcnt && e.sw.bmi : e.cpu.tzcnt && e.sw.bmi) {
        e.as.emit(leading ? Inst_::kIdLzcnt : Inst_::kIdTzcnt, gp(d, width), gp(s, width));
        if (leading && size < 4) e.as.sub(r32(d), Imm(32 - size * 8));
    } else {
        const Reg other = e.scratch(), t = e.scratch();
        if (leading) {
            e.as.mov(r32(other), Imm(static_cast<i64>(0xffffffff)));
            if (width == 8) e.as.mov(r64(other), Imm(i64{-1}));
            e.as.bsr(gp(t, width), gp(s, width));
            e.as.cmovz(gp(t, width), gp(other, width));
            e.as.mov(r32(d), Imm(size * 8 - 1));
            e.as.sub(r32(d), r32(t));
        } else {
            e.as.mov(r32(other), Imm(size * 8));
            e.as.bsf(gp(t, width), gp(s, width));
            e.as.cmovz(gp(t, width), gp(other, width));
            e.as.mov(r32(d), r32(t));
        }
    }
    e.define(i, d, true);
}
void emit_clz(X64& e, const Inst& i) { count_zeros(e, i, true); }
void emit_ctz(X64& e, const Inst& i) { count_zeros(e, i, false); }

void emit_popcount(X64& e, const Inst& i) {
    e.clobber();
    const unsigned size = bytes(i.type), width = std::max(4u, size);
    const Reg s = size < 4 ? e.use_clean(i.a) : e.use(i.a);
    const Reg d = e.dest(e.index_of(i));
    e.as.popcnt(gp(d, width), gp(s, width));
    e.define(i, d, true);
}

/// PDEP and PEXT are free of flags, but an operand narrower than 32 bits must not bring bits of its own.
static void move_bits(X64& e, const Inst& i, InstId bmi, const HelperInfo& otherwise) {
    const Ref self = e.index_of(i), args[] = {i.a, i.b};
    if (!e.cpu.bmi2 || !e.sw.bmi) return e.call_helper(otherwise, args, 2, self);
    const unsigned size = bytes(i.type), width = std::max(4u, size);
    const Reg a = e.use(i.a), where = size < 4 ? e.use_clean(i.b) : e.use(i.b);
    const Reg d = e.dest(self);
    e.as.emit(bmi, gp(d, width), gp(a, width), gp(where, width));
    e.define(i, d, true);
}
void emit_deposit_bits(X64& e, const Inst& i) {
    static constexpr HelperInfo soft{"deposit_bits", [](void*, u64 a, u64 where, u64) { return sem::deposit_bits<u64>(a, where); }, 0, 0, 0};
    move_bits(e, i, Inst_::kIdPdep, soft);
}
void emit_extract_bits(X64& e, const Inst& i) {
    static constexpr HelperInfo soft{"extract_bits", [](void*, u64 a, u64 where, u64) { return sem::extract_bits<u64>(a, where); }, 0, 0, 0};
    move_bits(e, i, Inst_::kIdPext, soft);
}

// ---- width changes

void emit_zext(X64& e, const Inst& i) {
    const Ref self = e.index_of(i);
    const unsigned from = e.size_of(i.a);
    const Value& v = e.value(i.a);
    if (v.at == At::reg && v.clean) {
        e.define_alias(self, i.a, true);
        return;
    }
    if (v.at == At::state || v.at == At::constant || (v.at == At::spill && v.clean)) {
        if (const Reg target = v.last_use == e.now() ? e.target_of(self) : kNoReg; target != kNoReg) {
            e.load_to(target, i.a);
            e.define(i, target, true);
            return;
        }
        e.use(i.a);
        e.define_alias(self, i.a, true);
        return;
    }
    const Reg s = e.use(i.a);
    const Reg target = e.target_of(self);
    const Reg d = target != kNoReg ? target : e.dies_in_temp(i.a) ? s : e.scratch();
    if (from == 4) e.as.mov(r32(d), r32(s));
    else e.as.movzx(r32(d), gp(s, from));
    e.define(i, d, true);
}

void emit_sext(X64& e, const Inst& i) {
    const Ref self = e.index_of(i);
    const unsigned from = e.size_of(i.a), to = std::max(4u, bytes(i.type));
    const Operand s = e.use_rm(i.a, from);
    const Reg d = e.dest(self);
    if (from == 4 && planted("x64_sign") && s.isMem()) e.as.emit(Inst_::kIdMov, r32(d), s);
    else if (from == 4) e.as.emit(Inst_::kIdMovsxd, r64(d), s);
    else e.as.emit(Inst_::kIdMovsx, gp(d, to), s);
    e.define(i, d, bytes(i.type) >= 4);
}

void emit_trunc(X64& e, const Inst& i) {
    if (e.value(i.a).at == At::state && e.value(i.a).last_use == e.now()) {
        e.get_state(e.index_of(i), e.value(i.a).slot);  // the low bytes come first in memory
        return;
    }
    const bool same = e.size_of(i.a) == bytes(i.type);  // analysis has narrowed the operand
    e.define_alias(e.index_of(i), i.a, same && e.value(i.a).at == At::reg && e.value(i.a).clean);
}

void emit_extract(X64& e, const Inst& i) {
    const Ref self = e.index_of(i);
    const unsigned size = bytes(i.type);
    if (i.aux == 0) {
        e.define_alias(self, i.a, e.size_of(i.a) == size && e.value(i.a).clean);
        return;
    }
    const Reg s = e.use(i.a);
    if (i.aux == 8 && size == 1 && s <= rbx) {
        // A byte register without REX: the destination must be one of the first eight too.
        const Reg d = e.scratch();
        e.as.movzx(r32(d), x86::gpb_hi(s));
        e.define(i, d, true);
        return;
    }
    e.unlock(s);
    e.clobber();
    const unsigned from = e.size_of(i.a);
    const Reg d = from < 4 ? e.use_scratch_clean(i.a) : e.use_scratch(i.a);
    e.as.shr(gp(d, std::max(4u, from)), Imm(i.aux));
    e.define(i, d, i.aux + size * 8 == from * 8);
}

void emit_insert(X64& e, const Inst& i) {
    const Ref self = e.index_of(i);
    const unsigned size = e.size_of(i.b), into = bytes(i.type);
    if (size == into) {
        e.define_alias(self, i.b, e.value(i.b).at == At::reg && e.value(i.b).clean);
        return;
    }
    const bool clean_a = e.value(i.a).at != At::reg && e.value(i.a).at != At::spill ? e.value(i.a).at != At::cond && e.value(i.a).at != At::flags : e.value(i.a).clean;
    if (i.aux == 0 && size <= 2) {
        Reg target = e.target_of(self);
        if (target != kNoReg && e.in_reg(i.b, target) && !e.in_reg(i.a, target)) target = kNoReg;
        i64 imm;
        const bool is_imm = e.imm_fits(i.b, size, &imm);
        const Operand b = is_imm ? Operand(Imm(imm)) : Operand(gp(e.use(i.b), size));
        const Reg d = e.dest_from(self, i.a, target);
        e.as.emit(Inst_::kIdMov, gp(d, size), b);
        e.define(i, d, clean_a);
        return;
    }
    e.clobber();
    if (i.aux == 8 && size == 1) {
        Reg target = e.target_of(self);
        if (target != kNoReg && e.in_reg(i.b, target) && !e.in_reg(i.a, target)) target = kNoReg;
        Reg b = e.use(i.b);
        if (target == rbx && (b <= rbx)) {
            const Reg d = e.dest_from(self, i.a, target);
            e.as.mov(x86::gpb_hi(d), x86::gpb_lo(b));
            e.define(i, d, clean_a);
            return;
        }
        const Reg d = e.dest_from(self, i.a, target);
        if (d <= rbx && b <= rbx) {
            e.as.mov(x86::gpb_hi(d), x86::gpb_lo(b));
        } else {
            const unsigned width = into;
            if (b == d) {
                b = e.scratch();
                e.as.mov(r32(b), r32(d));
            }
            e.as.ror(gp(d, width), 8);
            e.as.mov(gp(d, 1), gp(b, 1));
            e.as.rol(gp(d, width), 8);
        }
        e.define(i, d, clean_a);
        return;
    }
    // Anywhere else: mask, shift, or.
    const Reg b = e.use_scratch_clean(i.b);
    if (i.aux) e.as.shl(r64(b), Imm(i.aux));
    const u64 hole = mask(e.type_of(i.b)) << i.aux;
    const Reg a = e.use_scratch(i.a), m = e.scratch();
    e.as.mov(r64(m), Imm(static_cast<i64>(~hole)));
    e.as.and_(r64(a), r64(m));
    e.as.or_(r64(a), r64(b));
    e.define(i, a, clean_a);
}
}  // namespace calque::jit::x64
