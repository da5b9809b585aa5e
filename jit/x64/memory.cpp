// State slots, and loads and stores through the software TLB.
#include <cstddef>

#include "jit/x64/x64.h"
#include "support/planted.h"

namespace calque::jit::x64 {

void store_host_flags(X64&, u8 slot);

void emit_constant(X64& e, const Inst& i) { e.value(e.index_of(i)).at = At::constant; }

void emit_get(X64& e, const Inst& i) {
    const Ref self = e.index_of(i);
    if (i.slot == e.layout.fp_control) e.fp_end();
    if (e.layout.x87 && e.layout.x87->has_slot(i.slot)) e.x87_end();
    const Reg p = e.pinned_reg(i.slot);
    if (p == kNoReg) e.get_state(self, i.slot);
    else e.alias_pinned(self, p);
}

void emit_set(X64& e, const Inst& i) {
    const Ref a = i.a;
    const unsigned size = bytes(i.type);
    if (i.slot == e.layout.fp_control) e.fp_end();
    if (e.layout.x87 && e.layout.x87->has_slot(i.slot)) e.x87_end();
    if (const Reg p = e.pinned_reg(i.slot); p != kNoReg) {
        if (e.in_reg(a, p)) return;  // made there, or never changed
        e.before_set(i.slot, a);
        if (size == 8) {
            e.load_to(p, a);
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

x86::Mem X64::tlb_field(Reg index, bool write, size_t offset) const {
    const i32 table = static_cast<i32>(layout.tlb_offset) - kBias + static_cast<i32>(tlb_table(block().mode.view(), write) * sizeof(Tlb::data[0]));
    return x86::ptr(x86::rbp, r64(index), 0, table + static_cast<i32>(offset), 8);
}

/// Jumps out of line unless all of [address, address + size) lies in one page with that right. Afterwards index finds the entry.
void X64::check_page(Reg address, Reg page, Reg index, unsigned size, bool write, Cold& c) {
    constexpr unsigned kEntryShift = 5;
    static_assert(sizeof(TlbEntry) == 1u << kEntryShift);
    constexpr u32 kIndexMask = ((1u << kTlbBits) - 1) << kEntryShift;
    if (cpu.bmi2 && sw.bmi) {
        as.rorx(r64(index), r64(address), 12 - kEntryShift);
    } else {
        as.mov(r32(index), r32(address));
        as.shr(r32(index), 12 - kEntryShift);
    }
    as.and_(r32(index), Imm(kIndexMask));
    if (size == 1 || planted("x64_page_crossing")) as.mov(r64(page), r64(address));
    else as.lea(r64(page), x86::ptr(r64(address), static_cast<i32>(size - 1)));
    as.and_(r64(page), Imm(-4096));
    as.cmp(r64(page), tlb_field(index, write, write ? offsetof(TlbEntry, write_tag) : offsetof(TlbEntry, read_tag)));
    jump_cold(CC::kNE, c);
}

X64::Probe X64::probe(const Inst& i, unsigned size, bool write, u32 keep, Cold& c) {
    const Ref self = index_of(i);
    if (follows(self)) return probe_member(i, size, c);
    Probe p;
    p.back = as.newLabel();
    const bool leading = leads(self);
    const bool fixed = is_const(i.a) && sw.inline_tlb && sw.fold_addresses;
    Address a = fixed ? Address{} : address(i.a);
    if (leading) {
        Group& g = group_of(self);
        a.disp -= g.before;
        a.is32 = g.is32;
        size = g.span, write = g.write;
        g.linear = new_spill(false);
        ++spill_refs_[g.linear];
        c.group = value(self).group, c.leads = true;
    }
    if (fixed) {
        probe_fixed(inst(i.a).imm - (leading ? static_cast<u64>(i64{group_of(self).before}) : 0), bytes(i.type), size, write, p, c);
        if (leading) {
            p.at = x86::ptr(r64(p.host), value(self).group_at, bytes(i.type));
            define(group_of(self).pointer, p.host, true);
        }
        return p;
    }
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
    c.back = p.back;
    if (!sw.inline_tlb) {
        jump_cold(c);
        return p;
    }
    p.spare = scratch();
    const Reg index = scratch();
    check_page(p.addr, p.spare, index, size, write, c);
    as.mov(r64(index), tlb_field(index, write, offsetof(TlbEntry, addend)));
    p.host = index;
    if (leading) {
        as.add(r64(index), r64(p.addr));
        p.at = x86::ptr(r64(index), value(self).group_at, bytes(i.type));
        define(group_of(self).pointer, index, true);
        c.index = index;
    } else {
        unlock(p.spare);
        p.at = x86::ptr(r64(p.addr), r64(index), 0, 0, size);
    }
    return p;
}

/// The address is known: so are its entry in the TLB and what the tag must be.
void X64::probe_fixed(u64 address, unsigned access, unsigned size, bool write, Probe& p, Cold& c) {
    c.back = p.back;
    c.fixed = true, c.rip = address;
    p.spare = scratch(), p.host = scratch();
    c.index = p.host;
    p.at = x86::ptr(r64(p.host), 0, access);
    const u64 page = address & ~u64{4095};
    if (((address + size - 1) & ~u64{4095}) != page) {
        jump_cold(c);
        return;
    }
    const i32 table = static_cast<i32>(layout.tlb_offset) - kBias + static_cast<i32>(tlb_table(block().mode.view(), write) * sizeof(Tlb::data[0]));
    const i32 entry = table + static_cast<i32>((address >> 12 & ((1u << kTlbBits) - 1)) * sizeof(TlbEntry));
    const auto field = [&](size_t offset) { return x86::ptr(x86::rbp, entry + static_cast<i32>(offset), 8); };
    const x86::Mem tag = field(write ? offsetof(TlbEntry, write_tag) : offsetof(TlbEntry, read_tag));
    if (static_cast<i64>(page) == static_cast<i32>(page)) {
        as.cmp(tag, Imm(static_cast<i64>(page)));
    } else {
        mov_imm(p.spare, page);
        as.cmp(r64(p.spare), tag);
    }
    jump_cold(CC::kNE, c);
    as.mov(r64(p.host), field(offsetof(TlbEntry, addend)));
    if (!c.leads && static_cast<i64>(address) == static_cast<i32>(address)) {
        p.at = x86::ptr(r64(p.host), static_cast<i32>(address), access);
        return;
    }
    if (static_cast<i64>(address) == static_cast<i32>(address)) {
        as.add(r64(p.host), Imm(static_cast<i64>(address)));
    } else {
        if (address & 4095) as.add(r64(p.spare), Imm(static_cast<i64>(address & 4095)));  // it holds the page
        as.add(r64(p.host), r64(p.spare));
    }
}

X64::Probe X64::probe_member(const Inst& i, unsigned size, Cold& c) {
    const Ref self = index_of(i);
    Probe p;
    p.back = as.newLabel();
    p.host = use(group_of(self).pointer);
    c.addr = c.index = p.host;
    c.back = p.back;
    c.group = value(self).group;
    p.at = x86::ptr(r64(p.host), value(self).group_at, size);
    if (i.op == Op::load && i.type != Type::V128) p.spare = dies_in_temp(group_of(self).pointer) ? p.host : scratch();
    as.test(r64(p.host), r64(p.host));
    jump_cold(CC::kS, c);
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
    if (e.value(self).x87) return e.x87_load(i, access_code(e, size, false));
    X64::Cold& c = e.cold(X64::Cold::read);
    c.type = i.type;
    c.what = access_code(e, size, i.aux & 1);
    c.at = e.value(self).group_at;
    // Every register is chosen before the probe branches: the slow path comes back behind it.
    Reg d = i.type == Type::V128 ? e.scratch_xmm() : e.target_of(self);
    if (d == kNoReg && !e.sw.inline_tlb) d = e.scratch();
    const auto p = e.probe(i, size, i.aux & 1, 0, c);
    c.xmms = e.live_xmm();
    if (d == kNoReg) d = p.spare != kNoReg && (e.leads(self) || e.follows(self)) ? p.spare : p.host;
    if (p.host != kNoReg) {
        if (i.type == Type::V128) {
            if (e.value(self).uses != 0) e.vmovu(d, p.at);   // else it is only to see whether it faults
        } else if (size >= 4) {
            e.as.mov(gp(d, size), p.at);
        } else {
            e.as.movzx(r32(d), p.at);
        }
    }
    c.value = d;
    e.as.bind(p.back);
    e.define(i, d, true);
}

void emit_store(X64& e, const Inst& i) {
    e.clobber();
    const unsigned size = bytes(i.type);
    if (e.value(e.index_of(i)).x87) return e.x87_store(i, access_code(e, size, false));
    X64::Cold& c = e.cold(X64::Cold::write);
    c.type = i.type;
    c.what = access_code(e, size, false);
    c.at = e.value(e.index_of(i)).group_at;
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

// ---- out of line

void X64::save_xmm(u32 mask) {
    for (Reg r = xmm0; r < 32; ++r) {
        if (mask >> r & 1) vmov(x86::ptr(x86::rsp, kXmmSaveAt + 16 * (r - xmm0), 16), r);
    }
}
void X64::restore_xmm(u32 mask) {
    for (Reg r = xmm0; r < 32; ++r) {
        const x86::Mem at = x86::ptr(x86::rsp, kXmmSaveAt + 16 * (r - xmm0), 16);
        if (mask >> r & 1) avx() ? as.vmovaps(xmm(r), at) : as.movaps(xmm(r), at);
    }
}

/// The call of the slow path: scratch[kScratchAddress] holds the address. Keeps every register but the destination.
void X64::cold_call_slow(Cold& c) {
    const bool vec = c.type == Type::V128;
    save_xmm(c.xmms);
    const x86::Mem value_at = context(offsetof(ExecContext, scratch) + 8 * kScratchValue, 8);
    if (c.kind == Cold::write) {
        if (c.x87) x87_make(x87_[c.x87 - 1u]);
        else if (vec) vmovu(context(offsetof(ExecContext, vec), 16), c.value);
        else if (c.has_imm) as.mov(value_at, Imm(c.imm));
        else as.mov(value_at, r64(c.value));
    }
    push_progress(c.unretired);
    call_thunk(c.kind == Cold::write ? thunks.slow_write[c.what] : thunks.slow_read[c.what]);
    if (c.kind == Cold::read && !c.x87) {
        if (vec) {
            vmovu(c.value, context(offsetof(ExecContext, vec), 16));
        } else {
            x86::Mem from = value_at;
            from.setSize(bytes(c.type));
            if (bytes(c.type) < 4) as.movzx(r32(c.value), from);
            else as.mov(gp(c.value, bytes(c.type)), from);
        }
    }
    restore_xmm(c.xmms);
    if (!c.x87) return;
    const X87Access& x = x87_[c.x87 - 1u];
    c.kind == Cold::write ? cold_call(x.second) : x87_loaded(x);
}

/// unretired and block in one word on the stack, which the thunk takes away; 0 when they did not fit and are in place already.
void X64::push_progress(u32 unretired) {
    if (unretired < 1u << (31 - kBlockBits) && request_->number < 1u << kBlockBits) {
        as.push(Imm(static_cast<i32>(unretired << kBlockBits | request_->number)));
        return;
    }
    as.mov(context(offsetof(ExecContext, unretired), 4), Imm(unretired));
    as.mov(context(offsetof(ExecContext, block), 4), Imm(request_->number));
    as.push(Imm(0));
}

void X64::cold_access(Cold& c) {
    if (c.fixed) {
        mov_imm(c.index, c.rip);
        c.addr = c.index;
    }
    if (c.group) return cold_group(c);
    as.mov(context(offsetof(ExecContext, scratch) + 8 * kScratchAddress, 8), r64(c.addr));
    cold_call_slow(c);
    as.jmp(c.back_at);
}

/// An access of a group whose common check has failed: it goes alone. A leader then tries the common check again, since the usual
/// cause is an entry that the TLB lacked.
void X64::cold_group(Cold& c) {
    const Group& g = an_.groups[c.group - 1u];
    const Reg pointer = c.index;  // free for the address until the end
    const x86::Mem linear = spill_mem(g.linear, 8), address = context(offsetof(ExecContext, scratch) + 8 * kScratchAddress, 8);
    if (c.leads) {
        as.mov(linear, r64(c.addr));
        as.mov(context(offsetof(ExecContext, scratch) + 8 * kScratchLinear, 8), r64(c.addr));
    } else {
        as.mov(r64(pointer), linear);
    }
    const Reg base = c.leads ? c.addr : pointer;
    if (c.at || g.is32) {
        as.lea(gp(pointer, g.is32 ? 4 : 8), x86::ptr(r64(base), c.at));
        as.mov(address, r64(pointer));
    } else {
        as.mov(address, r64(base));
    }
    cold_call_slow(c);
    if (c.leads) {
        as.mov(context(offsetof(ExecContext, scratch) + 8 * kScratchWhat, 4), Imm(g.span));
        call_thunk(thunks.regroup[block().mode.view() | (g.write ? 4 : 0)]);
        as.mov(r64(pointer), context(offsetof(ExecContext, scratch) + 8 * kScratchValue, 8));
    } else if (c.value != pointer) {
        as.mov(r64(pointer), Imm(-1));
    }
    as.jmp(c.back_at);
}
}  // namespace calque::jit::x64
