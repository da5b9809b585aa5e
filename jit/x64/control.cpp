// Markers, guards, choices, helper calls and terminals.
#include <algorithm>
#include <cstddef>

#include "jit/x64/x64.h"

namespace calque::jit::x64 {

void emit_insn(X64& e, const Inst&) { e.count_insn(); }

void X64::set_progress() {
    as.mov(context(offsetof(ExecContext, unretired), 4), Imm(unretired_));
    as.mov(context(offsetof(ExecContext, block), 4), Imm(request_->number));
}
void X64::clear_progress() {
    if (progress_dirty_) as.mov(context(offsetof(ExecContext, unretired), 4), Imm(0));
    progress_dirty_ = false;
}

void X64::call_host(const void* fn) {
    as.mov(x86::rax, Imm(reinterpret_cast<i64>(fn)));
    as.call(x86::rax);
}

void X64::spill_pinned(SlotSet slots) {
    for (u8 s = 0; s < pinned_; ++s) {
        if (slots >> s & 1) as.mov(slot_mem(s, 8), r64(kPinnedRegs[s]));
    }
}
void X64::load_pinned(SlotSet slots) {
    for (u8 s = 0; s < pinned_; ++s) {
        if (slots >> s & 1) as.mov(r64(kPinnedRegs[s]), slot_mem(s, 8));
    }
}

SlotSet X64::caller_saved_slots() const {
    SlotSet slots = 0;
    for (u8 s = 0; s < pinned_; ++s) {
        if (kCallerSaved >> kPinnedRegs[s] & 1) slots |= slot_bit(s);
    }
    return slots;
}

/// What dies here may be moved about.
void X64::evict_live() {
    for (Reg r = 0; r < 32; ++r) {
        if (r < 16 && !(kTempMask >> r & 1)) continue;
        bool live = false;
        for (Ref o = owners_[r]; o; o = value(o).next) live |= value(o).last_use > now_;
        if (live) evict(r);
    }
}

u32 X64::live_xmm() const {
    u32 live = 0;
    for (Reg r = xmm0; r < 32; ++r) {
        for (Ref o = owners_[r]; o; o = an_.values[o].next) {
            if (an_.values[o].last_use > now_) live |= 1u << r;
        }
    }
    return live;
}

// ---- guards and choices

void emit_guard(X64& e, const Inst& i) {
    const CC ok = e.test(i.a);
    X64::Cold& c = e.cold(X64::Cold::guard);
    c.rip = i.imm;
    e.jump_cold(x86::negateCond(ok), c);
}

void emit_select(X64& e, const Inst& i) {
    const Ref self = e.index_of(i);
    if (i.type == Type::V128) {
        CC cc = e.test(i.a);
        const Reg b = e.use(i.b), d = e.use_scratch(i.c);
        const Label skip = e.as.newLabel();
        e.as.j(x86::negateCond(cc), skip);
        e.avx() ? e.as.vmovaps(xmm(d), xmm(b)) : e.as.movaps(xmm(d), xmm(b));
        e.as.bind(skip);
        e.define(i, d, true);
        return;
    }
    const unsigned size = std::max(4u, bytes(i.type));
    // A bit that EFLAGS do not hold is tested first; only moves come after it.
    CC cc = e.test(i.a);
    Ref yes = i.b, no = i.c;
    Reg target = e.target_of(self);
    if (target != kNoReg && e.in_reg(yes, target) && !e.in_reg(no, target)) {
        std::swap(yes, no);
        cc = x86::negateCond(cc);
    } else if (target == kNoReg && !e.dies_in_temp(no) && e.dies_in_temp(yes)) {
        std::swap(yes, no);
        cc = x86::negateCond(cc);
    }
    // The choice between two bits of EFLAGS would need them twice.
    if (e.value(yes).at == At::cond) e.use(yes);
    const Operand y = e.is_const(yes) || e.size_of(yes) != size ? Operand(gp(e.use(yes), size)) : e.use_rm(yes, size);
    const Reg d = e.dest_from(self, no, target);
    e.as.emit(Inst_::cmovccFromCond(cc), gp(d, size), y);
    e.define(i, d, bytes(i.type) >= 4);
}

// ---- helper calls

void X64::call_helper(const HelperInfo& h, const Ref* args, unsigned count, Ref result) {
    fp_end();
    clobber();
    const bool faults = h.flags & HelperMayFault;
    const bool leaves = code_[now_ + 1].op == Op::leave;
    const SlotSet saved = caller_saved_slots();
    before_helper_writes(h);
    evict_live();
    spill_pinned(faults || leaves ? kAllSlots : h.reads | saved);
    static constexpr Reg kArgs[3] = {rsi, rdx, rcx};
    for (unsigned n = 0; n < count; ++n) {
        if (!args[n]) continue;
        const Reg t = kArgs[n];
        if (!in_reg(args[n], t)) {
            take(t);
            load_to(t, args[n]);
        } else {
            lock(t);
        }
    }
    // Clean only now: the same value may be wanted twice.
    for (unsigned n = 0; n < count; ++n) {
        if (!args[n]) as.xor_(r32(kArgs[n]), r32(kArgs[n]));
        else if (size_of(args[n]) == 4) as.mov(r32(kArgs[n]), r32(kArgs[n]));
        else if (size_of(args[n]) < 4) as.movzx(r32(kArgs[n]), gp(kArgs[n], size_of(args[n])));
    }
    as.lea(x86::rdi, x86::ptr(x86::rbp, -kBias));
    if (h.flags) {
        set_progress();
        progress_dirty_ = true;
    }
    call_host(reinterpret_cast<const void*>(h.fn));
    if (faults) {
        as.cmp(context(offsetof(ExecContext, fault), 1), Imm(0));
        as.jne(rx(thunks.exit_fault_clean));
    }
    if (leaves) in_memory_ = true;
    else load_pinned(h.writes | saved);
    fp_ready_ = false;
    if (!result) return;
    if (type_of(result) != Type::V128) return define(result, rax, false);
    const Reg wide = scratch_xmm();
    vmovu(wide, context(offsetof(ExecContext, vec), 16));
    define(result, wide, false);
}

void X64::before_helper_writes(const HelperInfo& h) {
    for (u8 s = 0; s < layout.slot_count; ++s) {
        if (!(h.writes >> s & 1)) continue;
        if (s < pinned_) before_set(s, 0);
        else before_set_state(s, 0);
    }
}

void X64::call_helper_if(const HelperInfo& h, Ref cond, const Ref* args) {
    before_helper_writes(h);
    // The helper leaves nothing of EFLAGS.
    const auto held = in_flags_;
    for (Ref r : held) {
        const bool argument = r == args[0] || r == args[1] || r == args[2];
        if ((value(r).last_use > now_ || argument) && (value(r).at == At::flags || value(r).at == At::cond)) materialise(r);
    }
    const CC cc = test(cond);
    Cold& c = cold(Cold::call_if);
    c.call = helper_call(h, args);
    c.back = as.newLabel();
    jump_cold(cc, c);
    as.bind(c.back);
    helper_done();
}

void X64::helper_done() {
    clobber();
    fp_ready_ = false;
}

X64::HelperCall X64::helper_call(const HelperInfo& h, const Ref* args) {
    HelperCall c;
    c.helper = &h;
    c.unretired = unretired_;
    for (unsigned n = 0; n < 3; ++n) {
        if (!args[n]) continue;
        HelperCall::Arg& a = c.args[n];
        const Value& v = value(args[n]);
        if (v.at == At::flags || v.at == At::cond || v.at == At::folded) fail(__func__);
        // A constant may stand behind the load that does the work of its call.
        a.at = is_const(args[n]) && v.at == At::nowhere ? At::constant : v.at, a.reg = v.reg, a.slot = v.slot, a.spill = v.spill, a.type = type_of(args[n]), a.imm = inst(args[n]).imm;
    }
    for (Reg r = 0; r < 16; ++r) {
        if (!(kTempMask >> r & 1)) continue;
        for (Ref o = owners_[r]; o; o = value(o).next) {
            if (value(o).last_use > now_) c.temps |= 1u << r;
        }
    }
    c.xmms = live_xmm();
    return c;
}

void X64::cold_call(const HelperCall& c) {
    const HelperInfo& h = *c.helper;
    const bool faults = h.flags & HelperMayFault;
    const SlotSet saved = caller_saved_slots();
    static constexpr Reg kArgs[3] = {rsi, rdx, rcx};
    const auto keep = [](unsigned n) { return x86::ptr(x86::rsp, kSaveAt + 88 + 8 * static_cast<i32>(n), 8); };
    // Temporaries into the frame, in the order of their numbers; then arguments are taken from wherever they were.
    static constexpr Reg kTemps[4] = {rax, rcx, rdx, rsi};
    for (unsigned n = 0; n < 4; ++n) as.mov(keep(n), r64(kTemps[n]));
    for (unsigned n = 0; n < 3; ++n) {
        const HelperCall::Arg& a = c.args[n];
        const Reg t = kArgs[n];
        const unsigned size = bytes(a.type);
        x86::Mem from;
        if (a.loaded) {
            from = context(offsetof(ExecContext, scratch) + 8 * kScratchValue, size);
            if (size == 8) as.mov(r64(t), from);
            else if (a.is_signed) size == 4 ? as.movsxd(r64(t), from) : as.movsx(r64(t), from);
            else as.mov(r32(t), from);
            continue;
        }
        if (a.at == At::nowhere) {
            as.mov(r32(t), Imm(0));
            continue;
        }
        if (a.at == At::constant) {
            mov_imm(t, a.imm);
            continue;
        }
        if (a.at == At::state) from = slot_mem(a.slot, size);
        else if (a.at == At::spill) from = spill_mem(static_cast<u16>(a.spill - 1), size);
        else if (kTempMask >> a.reg & 1) from = keep(a.reg == rax ? 0 : a.reg == rcx ? 1 : a.reg == rdx ? 2 : 3), from.setSize(size);
        else {
            if (size < 4) as.movzx(r32(t), gp(a.reg, size));
            else as.mov(gp(t, size), gp(a.reg, size));
            continue;
        }
        if (size < 4) as.movzx(r32(t), from);
        else as.mov(gp(t, size), from);
    }
    for (Reg r = xmm0; r < 32; ++r) {
        if (c.xmms >> r & 1) vmov(x86::ptr(x86::rsp, kXmmSaveAt + 16 * (r - xmm0), 16), r);
    }
    spill_pinned(faults ? kAllSlots : h.reads | saved);
    const Label plain = as.newLabel();
    as.cmp(context(offsetof(ExecContext, scratch) + 8 * kScratchFp, 1), Imm(0));
    as.je(plain);
    call_thunk(thunks.fp_leave);
    as.bind(plain);
    as.lea(x86::rdi, x86::ptr(x86::rbp, -kBias));
    if (h.flags) {
        as.mov(context(offsetof(ExecContext, unretired), 4), Imm(c.unretired));
        as.mov(context(offsetof(ExecContext, block), 4), Imm(request_->number));
    }
    call_host(reinterpret_cast<const void*>(h.fn));
    if (faults) {
        as.cmp(context(offsetof(ExecContext, fault), 1), Imm(0));
        as.jne(rx(thunks.exit_fault_clean));
    }
    if (h.flags) as.mov(context(offsetof(ExecContext, unretired), 4), Imm(0));
    if (c.keep_result) as.mov(context(offsetof(ExecContext, scratch) + 8 * kScratchValue, 8), x86::rax);
    load_pinned(h.writes | saved);
    for (unsigned n = 0; n < 4; ++n) {
        if (c.temps >> kTemps[n] & 1) as.mov(r64(kTemps[n]), keep(n));
    }
    for (Reg r = xmm0; r < 32; ++r) {
        if (c.xmms >> r & 1) avx() ? as.vmovaps(xmm(r), x86::ptr(x86::rsp, kXmmSaveAt + 16 * (r - xmm0), 16)) : as.movaps(xmm(r), x86::ptr(x86::rsp, kXmmSaveAt + 16 * (r - xmm0), 16));
    }
}

void emit_call(X64& e, const Inst& i) {
    if (emit_x87(e, i)) return;
    const Ref args[3] = {i.a, i.b, i.c};
    e.call_helper(e.layout.helpers[i.imm], args, 3, i.type == Type::None ? Ref{0} : e.index_of(i));
}
void emit_call_if(X64& e, const Inst& i) {
    const Ref args[3] = {i.b, i.c, i.d};
    e.call_helper_if(e.layout.helpers[i.imm], i.a, args);
}

// ---- terminals

u64 X64::linear_of(u64 rip) const { return block_->mode.base ? static_cast<u32>(rip + block_->mode.base) : rip; }
bool X64::same_page(u64 rip) const { return ((linear_of(rip) ^ request_->linear) & ~u64{4095}) == 0; }

void X64::go(u64 rip) {
    if (same_page(rip) && sw.link) {
        if (rip == block_->rip) {
            if (in_cold_) as.jmp(loop_at_);
            else as.jmp(loop_);
            return;
        }
        as.long_().jmp(rx(0));  // to a stub out of line, once that has its place
        links_.push_back({position() - 4, rip});
        return;
    }
    if (sw.inline_lookup && !same_page(rip)) return lookup_const(rip);
    mov_imm(rdx, rip);
    as.jmp(rx(thunks.exit_lookup));
}

void X64::go_if(CC cc, u64 rip) {
    if (same_page(rip) && sw.link) {
        if (rip == block_->rip) {
            as.j(cc, loop_);
            return;
        }
        as.long_().j(cc, rx(0));
        links_.push_back({position() - 4, rip});
        return;
    }
    Cold& c = cold(Cold::go);
    c.rip = rip;
    jump_cold(cc, c);
}

/// rax: the entry's table, ecx: the offset in the page scaled by `off`.
static x86::Mem fetch_field(const X64& e, x86::Gp index, i32 more, size_t field) {
    const i32 at = static_cast<i32>(e.layout.tlb_offset + offsetof(Tlb, fetch)) - kBias + more + static_cast<i32>(field);
    return index.isValid() ? x86::ptr(x86::rbp, index, 0, at, 8) : x86::ptr(x86::rbp, at, 8);
}

static i32 fetch_index(u64 linear) { return static_cast<i32>((linear >> 12 & ((1u << kFetchBits) - 1)) * sizeof(FetchEntry)); }

/// Compares the tag of the fetch TLB's entry for this address; changes rax.
void X64::compare_fetch_tag(u64 linear) {
    const u64 tag = (linear & ~u64{4095}) | request_->mode_id;
    const x86::Mem field = fetch_field(*this, x86::Gp{}, fetch_index(linear), offsetof(FetchEntry, tag));
    if (static_cast<i64>(tag) == static_cast<i32>(tag)) {
        as.cmp(field, Imm(static_cast<i64>(tag)));
    } else {
        as.mov(x86::rax, Imm(static_cast<i64>(tag)));
        as.cmp(field, x86::rax);
    }
}

/// At a block's entry: the instruction's second page must be the one that it was lifted from.
void X64::check_second_page() {
    const u64 linear = (request_->linear | 4095) + 1;
    compare_fetch_tag(linear);
    jump_cold(CC::kNE, cold(Cold::refused));
    as.mov(x86::rax, Imm(reinterpret_cast<i64>(request_->second_entries)));
    as.cmp(fetch_field(*this, x86::Gp{}, fetch_index(linear), offsetof(FetchEntry, entries)), x86::rax);
    jump_cold(CC::kNE, cold(Cold::refused));
}

void X64::lookup_const(u64 rip) {
    const u64 linear = linear_of(rip);
    mov_imm(rdx, rip);
    const auto field = [&](size_t f) { return fetch_field(*this, x86::Gp{}, fetch_index(linear), f); };
    compare_fetch_tag(linear);
    as.jne(rx(thunks.exit_lookup));
    as.mov(x86::rax, field(offsetof(FetchEntry, entries)));
    as.mov(x86::eax, x86::ptr(x86::rax, static_cast<i32>((linear & 4095) * 4), 4));
    jump_entry();
}

/// rax: an offset in the arena; rdx: RIP, for the code at offset 0.
void X64::jump_entry() {
    as.add(x86::rax, context(offsetof(ExecContext, scratch) + 8 * kScratchArena, 8));
    as.jmp(x86::rax);
}

void X64::lookup_reg(Ref target) {
    if (!in_reg(target, rdx)) {
        take(rdx);
        load_to(rdx, target);
    }
    if (!sw.inline_lookup) {
        as.jmp(rx(thunks.exit_lookup));
        return;
    }
    x86::Gpq linear = x86::rdx;
    if (block_->mode.base) {
        as.lea(x86::esi, x86::ptr(x86::rdx, static_cast<i32>(block_->mode.base)));
        linear = x86::rsi;
    }
    const auto field = [&](size_t f) { return fetch_field(*this, x86::rcx, 0, f); };
    as.mov(x86::rax, linear);
    as.mov(x86::ecx, linear.r32());
    as.and_(x86::rax, Imm(-4096));
    as.shr(x86::ecx, 8);
    as.or_(x86::rax, Imm(request_->mode_id));
    as.and_(x86::ecx, Imm(((1u << kFetchBits) - 1) << 4));
    static_assert(sizeof(FetchEntry) == 16);
    as.cmp(field(offsetof(FetchEntry, tag)), x86::rax);
    as.jne(rx(thunks.exit_lookup));
    as.mov(x86::rax, field(offsetof(FetchEntry, entries)));
    as.mov(x86::ecx, linear.r32());
    as.and_(x86::ecx, Imm(4095));
    as.mov(x86::eax, x86::ptr(x86::rax, x86::rcx, 2, 0, 4));
    jump_entry();
}

void emit_jump(X64& e, const Inst& i) {
    e.clear_progress();
    e.go(i.imm);
}
void emit_branch(X64& e, const Inst& i) {
    e.clear_progress();  // a move: EFLAGS stay
    const CC cc = e.test(i.a);
    e.go_if(cc, i.imm);
    e.go(e.block().end_rip);
}
void emit_jump_to(X64& e, const Inst& i) {
    e.clear_progress();
    e.clobber();
    e.lookup_reg(i.a);
}
void emit_leave(X64& e, const Inst&) {
    e.clear_progress();
    e.leave();
}
void X64::leave() { as.jmp(rx(in_memory_ ? thunks.exit_leave_clean : thunks.exit_leave)); }

// ---- floating-point control

void X64::fp_begin() {
    if (fp_ready_) return;
    clobber();
    Cold& c = cold(Cold::fp_in);
    c.back = as.newLabel();
    as.test(context(offsetof(ExecContext, scratch) + 8 * kScratchFp, 1), Imm(kLiveMxcsr));
    jump_cold(CC::kZ, c);
    as.bind(c.back);
    fp_ready_ = true;
}
void X64::fp_end() {
    clobber();
    Cold& c = cold(Cold::fp_out);
    c.back = as.newLabel();
    as.cmp(context(offsetof(ExecContext, scratch) + 8 * kScratchFp, 1), Imm(0));
    jump_cold(CC::kNE, c);
    as.bind(c.back);
    fp_ready_ = false;
    x87_out_ = true;
}
}  // namespace calque::jit::x64
