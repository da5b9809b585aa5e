// The local register allocator. Values are SSA, so a spilled copy never goes stale; constants and values that still lie in
// the guest state are dropped instead of spilled.
#include <algorithm>

#include "jit/x64/x64.h"
#include "support/assert.h"

namespace calque::jit::x64 {

void X64::add_owner(Reg r, Ref v) {
    value(v).next = owners_[r];
    owners_[r] = v;
    value(v).at = At::reg;
    value(v).reg = r;
}
void X64::remove_owner(Reg r, Ref v) {
    Ref* p = &owners_[r];
    while (*p && *p != v) p = &value(*p).next;
    if (*p) *p = value(v).next;
}

x86::Mem X64::spill_mem(u16 slot, unsigned size) const {
    return size == 16 ? x86::ptr(x86::rsp, kVecSpillAt + 16 * slot, 16) : x86::ptr(x86::rsp, kSpillAt + 8 * slot, size);
}
u16 X64::new_spill(bool vec) {
    auto& refs = vec ? vec_spill_refs_ : spill_refs_;
    const auto it = std::find(refs.begin(), refs.end(), u8{0});
    if (it == refs.end()) {
        fail(__func__);
        return 0;
    }
    return static_cast<u16>(it - refs.begin());
}
void X64::drop_spill(Ref r) {
    Value& v = value(r);
    if (!v.spill) return;
    auto& refs = type_of(r) == Type::V128 ? vec_spill_refs_ : spill_refs_;
    --refs[v.spill - 1u];
    v.spill = 0;
}

/// Frees a register; what lies in it is kept elsewhere.
void X64::evict(Reg r) {
    u16 slot = 0xffff;
    for (Ref o = owners_[r]; o; o = value(o).next) {
        if (value(o).spill) slot = static_cast<u16>(value(o).spill - 1);
    }
    for (Ref o = owners_[r], next; o; o = next) {
        Value& v = value(o);
        next = v.next;
        v.next = 0;
        if (is_const(o)) {
            v.at = At::constant;
            continue;
        }
        const bool vec = type_of(o) == Type::V128;
        if (slot == 0xffff) {
            slot = new_spill(vec);
            if (vec) cpu.avx && sw.avx ? as.vmovaps(spill_mem(slot, 16), xmm(r)) : as.movaps(spill_mem(slot, 16), xmm(r));
            else as.mov(spill_mem(slot, 8), r64(r));
        }
        if (!v.spill) {
            v.spill = static_cast<u16>(slot + 1);
            auto& refs = vec ? vec_spill_refs_ : spill_refs_;
            if (refs[slot] == 255) fail(__func__);
            ++refs[slot];
        }
        v.at = At::spill;
    }
    owners_[r] = 0;
}

Reg X64::alloc(u32 mask) {
    static constexpr Reg kOrder[4] = {rdx, rsi, rcx, rax};
    Reg best = kNoReg;
    u32 best_cost = 0;
    const bool vec = mask & kXmmMask;
    for (unsigned n = 0; n < (vec ? 16u : 4u); ++n) {
        const Reg r = vec ? static_cast<Reg>(xmm0 + n) : kOrder[n];
        if (!(mask >> r & 1) || (locked_ >> r & 1)) continue;
        if (!owners_[r]) {
            lock(r);
            return r;
        }
        // The dearest is a value that is wanted soon and has no copy elsewhere.
        u32 cost = 0;
        for (Ref o = owners_[r]; o; o = value(o).next) {
            if (is_const(o)) cost = std::max(cost, 1u);
            else cost = std::max(cost, (value(o).spill ? 0u : 0x20000u) + 0x10000u - std::min<u32>(value(o).last_use, 0xffff));
        }
        if (best == kNoReg || cost < best_cost) best = r, best_cost = cost;
    }
    if (best == kNoReg) {
        fail(__func__);
        return vec ? xmm0 : rax;
    }
    evict(best);
    lock(best);
    return best;
}

void X64::move_owners(Reg from, Reg to) {
    for (Ref o = owners_[from], next; o; o = next) {
        next = value(o).next;
        add_owner(to, o);
    }
    owners_[from] = 0;
}

void X64::take(Reg r) {
    if (owners_[r]) {
        if (locked_ >> r & 1) fail(__func__);  // an operand of the current op
        Reg to = kNoReg;
        const auto try_one = [&](Reg t) {
            if (t != r && !owners_[t] && !(locked_ >> t & 1)) to = t;
        };
        if (r >= xmm0)
            for (Reg t = xmm0; t < 32; ++t) try_one(t);
        else
            for (Reg t : {rdx, rsi, rcx, rax}) try_one(t);
        if (to == kNoReg) {
            evict(r);
        } else {
            if (r >= xmm0) avx() ? as.vmovaps(xmm(to), xmm(r)) : as.movaps(xmm(to), xmm(r));
            else as.mov(r64(to), r64(r));
            move_owners(r, to);
        }
    }
    lock(r);
}

void X64::load_state(Reg d, u8 slot, Type t) {
    const unsigned size = bytes(t);
    if (t == Type::V128) cpu.avx && sw.avx ? as.vmovaps(xmm(d), slot_mem(slot, 16)) : as.movaps(xmm(d), slot_mem(slot, 16));
    else if (size >= 4) as.mov(gp(d, size), slot_mem(slot, size));
    else as.movzx(r32(d), slot_mem(slot, size));
}

void X64::load_to(Reg d, Ref r) {
    Value& v = value(r);
    switch (v.at) {
    case At::reg:
        if (v.reg == d) break;
        if (d >= xmm0) cpu.avx && sw.avx ? as.vmovaps(xmm(d), xmm(v.reg)) : as.movaps(xmm(d), xmm(v.reg));
        else as.mov(v.clean && size_of(r) <= 4 ? r32(d) : r64(d), v.clean && size_of(r) <= 4 ? r32(v.reg) : r64(v.reg));
        break;
    case At::spill:
        if (d >= xmm0) cpu.avx && sw.avx ? as.vmovaps(xmm(d), spill_mem(static_cast<u16>(v.spill - 1), 16)) : as.movaps(xmm(d), spill_mem(static_cast<u16>(v.spill - 1), 16));
        else as.mov(r64(d), spill_mem(static_cast<u16>(v.spill - 1), 8));
        break;
    case At::state: load_state(d, v.slot, type_of(r)); break;
    case At::constant: {
        mov_imm(d, inst(r).imm);
        break;
    }
    case At::cond: as.set(static_cast<CC>(v.cc), gp(d, 1)); break;
    default: fail(__func__);
    }
}

/// Gives a value a register of its own and moves it there.
Reg X64::load_value(Ref r, u32 mask) {
    Value& v = value(r);
    const At from = v.at;
    const Reg d = alloc(mask);
    load_to(d, r);
    v.clean = from == At::spill ? v.clean : from != At::cond;
    if (from == At::cond) in_flags_.erase(std::remove(in_flags_.begin(), in_flags_.end(), r), in_flags_.end());
    add_owner(d, r);
    return d;
}

Reg X64::use(Ref r) {
    Value& v = value(r);
    if (v.at == At::flags) materialise(r);
    if (v.at != At::reg) return load_value(r, type_of(r) == Type::V128 ? kXmmMask : kTempMask);
    lock(v.reg);
    return v.reg;
}

Reg X64::use_clean(Ref r) {
    const u32 before = locked_;
    const Reg s = use(r);
    Value& v = value(r);
    const unsigned size = size_of(r);
    if (v.clean || size == 8) return s;
    // In place when nobody else sees the register, else the clean value moves to one of its own.
    const bool alone = owners_[s] == r && v.next == 0 && (kTempMask >> s & 1);
    const Reg d = alone ? s : scratch();
    if (size == 4) as.mov(r32(d), r32(s));
    else as.movzx(r32(d), gp(s, size));
    if (!alone) {
        remove_owner(s, r);
        drop_spill(r);
        add_owner(d, r);
        locked_ = before | 1u << d;
    } else {
        drop_spill(r);
    }
    v.clean = true;
    return d;
}

bool X64::dies_in_temp(Ref r) {
    const Value& v = value(r);
    if (v.at != At::reg || !((kTempMask | kXmmMask) >> v.reg & 1) || v.last_use != now_) return false;
    return owners_[v.reg] == r && v.next == 0;
}

Reg X64::use_scratch(Ref r) {
    const bool vec = type_of(r) == Type::V128;
    if (value(r).at == At::flags) materialise(r);
    if (dies_in_temp(r)) {
        const Reg d = value(r).reg;
        lock(d);
        return d;
    }
    const u32 before = locked_;
    if (value(r).at == At::reg) lock(value(r).reg);
    const Reg d = alloc(vec ? kXmmMask : kTempMask);
    load_to(d, r);
    locked_ = before | 1u << d;
    return d;
}

Reg X64::use_scratch_clean(Ref r) {
    const unsigned size = size_of(r);
    const bool was_clean = value(r).at == At::constant || value(r).at == At::state || (value(r).at != At::cond && value(r).clean);
    const Reg d = use_scratch(r);
    if (!was_clean && size < 8) {
        if (size == 4) as.mov(r32(d), r32(d));
        else as.movzx(r32(d), gp(d, size));
    }
    return d;
}

Reg X64::use_sext_scratch(Ref r, unsigned size) {
    const unsigned from = size_of(r);
    if (from == size) return use_scratch(r);
    const Reg s = use(r);
    const Reg d = dies_in_temp(r) ? s : scratch();
    if (from == 4) as.movsxd(r64(d), r32(s));
    else as.movsx(gp(d, size), gp(s, from));
    return d;
}

bool X64::imm_fits(Ref r, unsigned size, i64* out) const {
    if (!is_const(r)) return false;
    const u64 imm = code_[r].imm;
    const i64 v = size == 1 ? static_cast<i8>(imm) : size == 2 ? static_cast<i16>(imm) : size == 4 ? static_cast<i32>(imm) : static_cast<i64>(imm);
    if (v != static_cast<i32>(v)) return false;
    *out = v;
    return true;
}

Operand X64::use_rm(Ref r, unsigned size) {
    Value& v = value(r);
    if (size_of(r) == size && v.at == At::spill) return spill_mem(static_cast<u16>(v.spill - 1), size);
    // Once it is in a register it is cheaper for the next user.
    if (size_of(r) == size && v.at == At::state && v.last_use == now_) return slot_mem(v.slot, size);
    const Reg s = use(r);
    return s >= xmm0 ? Operand(xmm(s)) : Operand(gp(s, size));
}
Operand X64::use_rmi(Ref r, unsigned size) {
    i64 imm;
    if (value(r).at != At::reg && imm_fits(r, size, &imm)) return Imm(imm);
    if (is_const(r) && imm_fits(r, size, &imm)) return Imm(imm);
    return use_rm(r, size);
}

Reg X64::target_of(Ref r) {
    const u8 slot = value(r).target;
    if (slot == 0xff || slot >= pinned_) return kNoReg;
    before_set(slot, 0);
    return kPinnedRegs[slot];
}

Reg X64::dest_from(Ref result, Ref a, Reg target) {
    (void)result;
    if (target == kNoReg) return use_scratch(a);
    load_to(target, a);
    return target;
}

Reg X64::dest(Ref result) {
    const Reg t = target_of(result);
    return t != kNoReg ? t : alloc(type_of(result) == Type::V128 ? kXmmMask : kTempMask);
}

void X64::define(Ref r, Reg reg, bool clean) {
    // Whatever lay here dies with this op.
    for (Ref o = owners_[reg], next; o; o = next) {
        next = value(o).next;
        value(o).next = 0;
        value(o).at = value(o).spill ? At::spill : is_const(o) ? At::constant : At::nowhere;
    }
    owners_[reg] = 0;
    Value& v = value(r);
    v.clean = clean || size_of(r) == 8;
    add_owner(reg, r);
}

void X64::define_alias(Ref r, Ref of, bool clean) {
    const Reg s = use(of);
    Value& v = value(r);
    v.clean = clean || size_of(r) == 8;
    add_owner(s, r);
}

void X64::release(Ref r) {
    Value& v = value(r);
    if (v.at == At::reg) remove_owner(v.reg, r);
    if (v.at == At::flags || v.at == At::cond) in_flags_.erase(std::remove(in_flags_.begin(), in_flags_.end(), r), in_flags_.end());
    drop_spill(r);
    if (v.at != At::folded) v.at = At::nowhere;
    v.next = 0;
}

void X64::end_op() {
    for (Ref r = an_.dying[now_]; r; r = value(r).next_dying) release(r);
    if (value(now_).group && value(group_of(now_).pointer).last_use == now_) --spill_refs_[group_of(now_).linear];
    locked_ = 0;
}

/// The pinned register of `slot` is about to change: values that alias it and live on move to a temporary.
void X64::before_set(u8 slot, Ref except) {
    const Reg p = kPinnedRegs[slot];
    Reg copy = kNoReg;
    for (Ref o = owners_[p], next; o; o = next) {
        next = value(o).next;
        if (o == except || value(o).last_use <= now_) continue;
        if (copy == kNoReg) {
            copy = scratch();
            as.mov(r64(copy), r64(p));
        }
        remove_owner(p, o);
        add_owner(copy, o);
    }
    if (copy != kNoReg) unlock(copy);
}

/// After `set`: the value now lies in the pinned register too.
void X64::own_pinned(u8 slot, Ref r) {
    Value& v = value(r);
    const Reg p = kPinnedRegs[slot];
    if (in_reg(r, p)) return;
    // A constant costs nothing to make again, and one that lies in another pinned register may as well stay there.
    if (v.at == At::reg && !(kTempMask >> v.reg & 1)) return;
    if (is_const(r) || (v.at != At::reg && v.at != At::spill)) return;
    if (v.at == At::reg) remove_owner(v.reg, r);
    drop_spill(r);
    add_owner(p, r);
}
}  // namespace calque::jit::x64
