// State slots, and loads and stores through the software TLB.
#include <cstddef>

#include "jit/x64/x64.h"

namespace calque::jit::x64 {

void store_host_flags(X64&, u8 slot);

void emit_constant(X64& e, const Inst& i) { e.value(e.index_of(i)).at = At::constant; }

void emit_get(X64& e, const Inst& i) {
    const Ref self = e.index_of(i);
    if (i.slot == e.layout.fp_control) e.fp_collect();
    const Reg p = e.pinned_reg(i.slot);
    if (p == kNoReg) e.get_state(self, i.slot);
    else e.alias_pinned(self, p);
}

void emit_set(X64& e, const Inst& i) {
    const Ref a = i.a;
    const unsigned size = bytes(i.type);
    if (i.slot == e.layout.fp_control) e.fp_end();
    if (const Reg p = e.pinned_reg(i.slot); p != kNoReg) {
        e.before_set(i.slot, a);
        if (size == 8) {
            if (!e.in_reg(a, p)) e.load_to(p, a);
            e.own_pinned(i.slot, a);
        } else if (size < 4) {
            e.as.mov(gp(p, size), gp(e.use(a), size));
        } else {
            e.fail(__func__);  // no guest layer does that
        }
        return;
    }
    e.before_set_state(i.slot, a);
    if (i.type == Type::I16 && e.value(a).at == At::flags) {
        store_host_flags(e, i.slot);
        return;
    }
    i64 imm;
    if (is_int(i.type) && e.value(a).at != At::reg && e.imm_fits(a, size, &imm)) {
        e.as.mov(e.slot_mem(i.slot, size), Imm(imm));
        return;
    }
    const Reg s = e.use(a);
    if (i.type == Type::V128) e.vmov(e.slot_mem(i.slot, 16), s);
    else e.as.mov(e.slot_mem(i.slot, size), gp(s, size));
}

void X64::get_state(Ref r, u8 slot) {
    Value& v = value(r);
    v.at = At::state;
    v.slot = slot;
    v.clean = true;
    in_state_.push_back(r);
}
void X64::alias_pinned(Ref r, Reg p) {
    value(r).clean = size_of(r) == 8;
    add_owner(p, r);
}

/// A slot in memory is about to change: values that still lie there and live on get registers.
void X64::before_set_state(u8 slot, Ref except) {
    size_t kept = 0;
    for (Ref r : in_state_) {
        const Value& v = value(r);
        if (v.at != At::state || v.last_use < now_) continue;
        if (v.slot == slot && r != except && v.last_use > now_) unlock(load_value(r, type_of(r) == Type::V128 ? kXmmMask : kTempMask));
        else in_state_[kept++] = r;
    }
    in_state_.resize(kept);
}

// ---- addresses

/// Sums what analysis has folded into the access. Every register is locked.
bool X64::collect_address(Ref r, Address& a) {
    const Inst& i = inst(r);
    if (value(r).at != At::folded) {
        const Reg s = a.is32 || size_of(r) < 8 ? use(r) : use_clean(r);
        if (a.base == kNoReg) a.base = s;
        else if (a.index == kNoReg) a.index = s;
        else return false;
        return true;
    }
    const auto constant = [&](Ref c) { return type_of(c) == Type::I32 ? i32(inst(c).imm) : static_cast<i32>(inst(c).imm); };
    const auto small = [&](Ref c) {
        if (!is_const(c)) return false;
        const i64 v = type_of(c) == Type::I32 ? i64{static_cast<i32>(inst(c).imm)} : static_cast<i64>(inst(c).imm);
        return v > -(1 << 28) && v < (1 << 28);
    };
    switch (i.op) {
    case Op::zext: a.is32 = true; return collect_address(i.a, a);
    case Op::add:
        if (small(i.b)) {
            a.disp += constant(i.b);
            return collect_address(i.a, a);
        }
        return collect_address(i.a, a) && collect_address(i.b, a);
    case Op::sub: a.disp -= constant(i.b); return collect_address(i.a, a);
    case Op::shl: {
        const Reg s = use(i.a);
        // The scaled register must be the index.
        if (a.index != kNoReg) {
            if (a.base != kNoReg) return false;
            a.base = a.index;
        }
        a.index = s;
        a.shift = static_cast<u8>(inst(i.b).imm);
        return true;
    }
    default: return false;
    }
}

Address X64::address(Ref r) {
    Address a;
    if (!collect_address(r, a)) fail(__func__);
    return a;
}

x86::Mem X64::mem(const Address& a, i32 more, unsigned size) const {
    x86::Mem m;
    if (a.base != kNoReg && a.index != kNoReg) m = x86::ptr(r64(a.base), r64(a.index), a.shift, a.disp + more, size);
    else if (a.base != kNoReg) m = x86::ptr(r64(a.base), a.disp + more, size);
    else if (a.index != kNoReg) m = x86::ptr(u64{0}, r64(a.index), a.shift, size), m.setOffset(a.disp + more);
    else m = x86::ptr(static_cast<u64>(static_cast<i64>(a.disp + more)), size);
    return m;
}

// ---- the probe: one compare checks the page, the right and that the access does not cross into the next page

X64::Probe X64::probe(const Inst& i, unsigned size, bool write, u32 keep, Cold& c) {
    Probe p;
    p.slow = as.newLabel();
    p.back = as.newLabel();
    Address a = address(i.a);
    const bool bare = a.index == kNoReg && a.base != kNoReg && a.disp == 0 && !a.is32;
    if (bare) {
        p.addr = a.base;
    } else {
        // Operands are read for the last time here, so the sum may go over one of them.
        p.addr = kNoReg;
        for (Reg r : {a.base, a.index}) {
            if (r != kNoReg && (kTempMask >> r & 1) && !(keep >> r & 1) && owners_[r] && value(owners_[r]).next == 0 && value(owners_[r]).last_use == now_) p.addr = r;
        }
        if (p.addr == kNoReg) p.addr = scratch();
        as.lea(gp(p.addr, a.is32 ? 4 : 8), mem(a));
        for (Reg r : {a.base, a.index}) {
            if (r != kNoReg && r != p.addr && !(keep >> r & 1)) unlock(r);
        }
    }
    c.addr = p.addr;
    c.entry = p.slow;
    c.back = p.back;
    if (!sw.inline_tlb) {
        as.jmp(p.slow);
        p.host = kNoReg;
        return p;
    }
    const Reg page = scratch(), index = scratch();
    constexpr unsigned kEntryShift = 5;
    static_assert(sizeof(TlbEntry) == 1u << kEntryShift);
    constexpr u32 kIndexMask = ((1u << kTlbBits) - 1) << kEntryShift;
    if (cpu.bmi2 && sw.bmi) {
        as.rorx(r64(index), r64(p.addr), 12 - kEntryShift);
    } else {
        as.mov(r32(index), r32(p.addr));
        as.shr(r32(index), 12 - kEntryShift);
    }
    as.and_(r32(index), Imm(kIndexMask));
    if (size == 1) as.mov(r64(page), r64(p.addr));
    else as.lea(r64(page), x86::ptr(r64(p.addr), static_cast<i32>(size - 1)));
    as.and_(r64(page), Imm(-4096));
    const i32 table = static_cast<i32>(layout.tlb_offset) - kBias + static_cast<i32>(block().mode.view() * sizeof(Tlb::data[0]));
    const auto entry = [&](size_t offset) { return x86::ptr(x86::rbp, r64(index), 0, table + static_cast<i32>(offset), 8); };
    as.cmp(r64(page), entry(write ? offsetof(TlbEntry, write_tag) : offsetof(TlbEntry, read_tag)));
    as.jne(p.slow);
    as.mov(r64(index), entry(offsetof(TlbEntry, addend)));
    unlock(page);
    p.host = index;
    p.at = x86::ptr(r64(p.addr), r64(index), 0, 0, size);
    return p;
}

static u8 access_code(const X64& e, unsigned size, bool for_write) {
    const unsigned log = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : size == 8 ? 3 : 4;
    return static_cast<u8>(log | (for_write ? 8u : 0u) | e.block().mode.view() << 4);
}

void emit_load(X64& e, const Inst& i) {
    e.clobber();
    const Ref self = e.index_of(i);
    const unsigned size = bytes(i.type);
    X64::Cold& c = e.cold(X64::Cold::read);
    c.type = i.type;
    c.what = access_code(e, size, i.aux & 1);
    // Every register is chosen before the probe branches: the slow path comes back behind it.
    Reg d = i.type == Type::V128 ? e.scratch_xmm() : e.target_of(self);
    if (d == kNoReg && !e.sw.inline_tlb) d = e.scratch();
    const auto p = e.probe(i, size, i.aux & 1, 0, c);
    if (i.type == Type::V128) {
        c.xmms = e.live_xmm();
        if (p.host != kNoReg) e.vmovu(d, p.at);
        e.as.bind(p.back);
        c.value = d;
        e.define(i, d, true);
        return;
    }
    c.xmms = e.live_xmm();
    if (d == kNoReg) d = p.host;
    if (p.host != kNoReg) {
        if (size >= 4) e.as.mov(gp(d, size), p.at);
        else e.as.movzx(r32(d), p.at);
    }
    c.value = d;
    e.as.bind(p.back);
    e.define(i, d, true);
}

void emit_store(X64& e, const Inst& i) {
    e.clobber();
    const unsigned size = bytes(i.type);
    X64::Cold& c = e.cold(X64::Cold::write);
    c.type = i.type;
    c.what = access_code(e, size, false);
    i64 imm = 0;
    if (i.type == Type::V128) {
        c.value = e.use(i.b);
    } else if (e.value(i.b).at != At::reg && e.imm_fits(i.b, size, &imm)) {
        c.has_imm = true;
        c.imm = imm;
    } else {
        c.value = e.use(i.b);
    }
    const auto p = e.probe(i, size, true, c.value == kNoReg || i.type == Type::V128 ? 0 : 1u << c.value, c);
    c.xmms = e.live_xmm();
    if (p.host != kNoReg) {
        if (i.type == Type::V128) e.vmovu(p.at, c.value);
        else if (c.has_imm) e.as.mov(p.at, Imm(imm));
        else e.as.mov(p.at, gp(c.value, size));
    }
    e.as.bind(p.back);
}
}  // namespace calque::jit::x64
