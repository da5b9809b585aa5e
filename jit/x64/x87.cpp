// The guest's x87 in the host's. Under a control word that masks all exceptions both compute the same bits, flags and condition codes,
// so from the first x87 instruction on the host's registers, TOP, tags and control and status words are the guest's, across blocks,
// and an instruction of the guest is one of the host's. They return to memory before C++ runs and before code that names the slots
// which lie in them (kLiveX87 in ExecContext::scratch[kScratchFp] says where they are).
//
// Each instruction looks at that bit first. When it is clear, code out of line moves the registers; and when it may not, because an
// exception is not masked or one is pending, calls the helper.
//
// Memory operands are read and written by the x87 instruction itself, behind the TLB check, so a fault finds the x87 as it was.
#include <cstddef>

#include "jit/x64/x64.h"

namespace calque::jit::x64 {
namespace {
constexpr u16 kMasks = 0x3f, kPrecision = 0x300, kReservedPrecision = 0x100, kErrorSummary = 0x80, kTop = 0x3800;

x86::Mem state_at(u32 offset, unsigned size) { return x86::ptr(x86::rbp, static_cast<i32>(offset) - kBias, size); }
x86::Mem fp_flag() { return state_at(offsetof(ExecContext, scratch) + 8 * kScratchFp, 1); }

/// FSAVE's image on the stack, in its 32-bit form: control, status and tag words at 0, 4 and 8, ST(0) to ST(7) from 28 on.
constexpr i32 kImage = 112;
x86::Mem image(i32 at, unsigned size) { return x86::ptr(x86::rsp, at, size); }
x86::Mem image_reg(unsigned i, i32 more, unsigned size) { return image(28 + 10 * static_cast<i32>(i) + more, size); }
/// The guest's register whose physical number times 16 is in rcx.
x86::Mem physical(const X87Layout& at, u32 more, unsigned size) { return x86::ptr(x86::rbp, x86::rcx, 0, static_cast<i32>(at.registers + more) - kBias, size); }
}  // namespace

/// Loads the host's x87 when that is allowed. Afterwards ZF is clear if it is loaded.
void emit_x87_enter(x86::Assembler& as, const X87Layout& at) {
    const Label out = as.newLabel();
    for (const auto& r : {x86::rax, x86::rcx, x86::rdx}) as.push(r);
    as.movzx(x86::eax, state_at(at.control, 2));
    as.mov(x86::ecx, x86::eax);
    as.not_(x86::ecx);
    as.test(x86::ecx, Imm(kMasks));
    as.jne(out);
    as.mov(x86::ecx, x86::eax);
    as.and_(x86::ecx, Imm(kPrecision));
    as.cmp(x86::ecx, Imm(kReservedPrecision));
    as.je(out);
    as.movzx(x86::edx, state_at(at.status, 2));
    as.test(x86::edx, Imm(kErrorSummary));
    as.jne(out);
    as.sub(x86::rsp, Imm(kImage));
    as.mov(image(0, 4), x86::eax);
    as.mov(x86::eax, state_at(at.top_tags, 4));
    as.mov(x86::ecx, x86::eax);
    as.and_(x86::ecx, Imm(7));
    as.shl(x86::ecx, 11);
    as.or_(x86::edx, x86::ecx);
    as.mov(image(4, 4), x86::edx);
    as.shr(x86::ecx, 7);  // TOP times 16
    // Two bits a register; but for 3, empty, the processor finds out itself.
    as.shr(x86::eax, 8);
    for (const auto& [shift, mask] : {std::pair{4, 0x0f0f}, std::pair{2, 0x3333}, std::pair{1, 0x5555}}) {
        as.mov(x86::edx, x86::eax);
        as.shl(x86::edx, Imm(shift));
        as.or_(x86::eax, x86::edx);
        as.and_(x86::eax, Imm(mask));
    }
    as.lea(x86::eax, x86::ptr(x86::rax, x86::rax, 1));
    as.not_(x86::eax);
    as.mov(image(8, 4), x86::eax);
    as.xor_(x86::eax, x86::eax);
    for (i32 n = 12; n < 28; n += 4) as.mov(image(n, 4), x86::eax);
    for (unsigned i = 0; i < 8; ++i) {
        as.mov(x86::rax, physical(at, 0, 8));
        as.movzx(x86::edx, physical(at, 8, 2));
        as.mov(image_reg(i, 0, 8), x86::rax);
        as.mov(image_reg(i, 8, 2), x86::dx);
        as.add(x86::ecx, Imm(16));
        as.and_(x86::ecx, Imm(127));
    }
    as.frstor(image(0, 0));
    as.add(x86::rsp, Imm(kImage));
    as.or_(fp_flag(), Imm(kLiveX87));
    as.bind(out);
    for (const auto& r : {x86::rdx, x86::rcx, x86::rax}) as.pop(r);
    as.test(fp_flag(), Imm(kLiveX87));
    as.ret();
}

/// Stores the host's x87, which becomes as a process has it. Changes rax, rcx and rdx.
void emit_x87_leave(x86::Assembler& as, const X87Layout& at) {
    as.sub(x86::rsp, Imm(kImage));
    as.fnsave(image(0, 0));
    as.and_(fp_flag(), Imm(0xff & ~kLiveX87));
    as.mov(x86::eax, image(4, 4));
    as.mov(x86::ecx, x86::eax);
    as.and_(x86::eax, Imm(0xffff & ~kTop));
    as.mov(state_at(at.status, 2), x86::ax);
    as.and_(x86::ecx, Imm(kTop));
    // The tags: 3 becomes 0, all else 1, and two bits one.
    as.mov(x86::eax, image(8, 4));
    as.mov(x86::edx, x86::eax);
    as.shr(x86::edx, 1);
    as.and_(x86::eax, x86::edx);
    as.not_(x86::eax);
    as.and_(x86::eax, Imm(0x5555));
    for (const auto& [shift, mask] : {std::pair{1, 0x3333}, std::pair{2, 0x0f0f}, std::pair{4, 0x00ff}}) {
        as.mov(x86::edx, x86::eax);
        as.shr(x86::edx, Imm(shift));
        as.or_(x86::eax, x86::edx);
        as.and_(x86::eax, Imm(mask));
    }
    as.shl(x86::eax, 8);
    as.mov(x86::edx, x86::ecx);
    as.shr(x86::edx, 11);
    as.or_(x86::eax, x86::edx);
    as.mov(state_at(at.top_tags, 4), x86::eax);
    as.shr(x86::ecx, 7);
    for (unsigned i = 0; i < 8; ++i) {
        as.mov(x86::rax, image_reg(i, 0, 8));
        as.movzx(x86::edx, image_reg(i, 8, 2));
        as.mov(physical(at, 0, 8), x86::rax);
        as.mov(physical(at, 8, 2), x86::dx);
        as.add(x86::ecx, Imm(16));
        as.and_(x86::ecx, Imm(127));
    }
    as.add(x86::rsp, Imm(kImage));
}

X87Form X64::x87_form(const Inst& call) const { return sw.x87 ? jit::x64::x87_form(layout, code_, call) : X87Form{}; }

void X64::x87_check(Cold& c) {
    c.again = as.newLabel();
    as.test(fp_flag(), Imm(kLiveX87));
    jump_cold(CC::kZ, c);
    as.bind(c.again);
    x87_out_ = false;
}

/// Before code that names slots which lie in the x87.
void X64::x87_end() {
    if (x87_out_) return;
    clobber();
    Cold& c = cold(Cold::x87_out);
    c.back = as.newLabel();
    as.test(fp_flag(), Imm(kLiveX87));
    jump_cold(CC::kNZ, c);
    as.bind(c.back);
    x87_out_ = true;
}

x86::Mem X64::x87_value(unsigned size) const { return context(offsetof(ExecContext, scratch) + 8 * kScratchX87, size); }

bool emit_x87(X64& e, const Inst& i) {
    const X87Form f = e.x87_form(i);
    const Ref self = e.index_of(i);
    const HelperInfo& h = e.layout.helpers[i.imm];
    const Ref args[3] = {i.a, i.b, i.c};
    switch (f.kind) {
    case X87Form::none:
    case X87Form::store_wide:
    case X87Form::stored: return false;
    case X87Form::store:
        if (!e.value(self).x87) return false;
        e.x87_early(i);
        return true;
    case X87Form::control_word: {
        const Reg d = e.scratch();
        e.as.movzx(r32(d), e.state(e.layout.x87->control, 2));
        e.define(i, d, true);
        return true;
    }
    default: break;
    }
    e.clobber();
    e.before_helper_writes(h);
    const bool needs_rax = f.kind == X87Form::status_word || f.kind == X87Form::compare_flags || f.kind == X87Form::load_control;
    if (needs_rax) {
        e.take(rax);
        e.lock(rax);
    }
    x86::Mem m;
    Reg b = kNoReg;
    if (f.in_memory()) {
        // The significand goes over what lies below the exponent in the descriptor.
        m = f.source == X87Form::m80 ? e.context(offsetof(ExecContext, vec), 8) : e.x87_value(8);
        if (f.source == X87Form::m80) e.as.mov(e.context(offsetof(ExecContext, vec) + 2, 8), r64(e.use_clean(i.a)));
        e.as.mov(m, r64(e.use_clean(i.b)));
    } else if (f.kind == X87Form::conditional || f.kind == X87Form::load_control) {
        b = e.use_clean(i.b);
    }
    X64::Cold& c = e.cold(X64::Cold::x87_plain);
    c.call = e.helper_call(h, args);
    c.back = e.as.newLabel();
    e.x87_check(c);
    if (f.kind == X87Form::conditional) e.as.test(r32(b), r32(b));
    if (f.kind == X87Form::load_control) e.x87_load_control(b, h, args, c.back);
    emit_x87_host(e.as, f, m);
    if (f.kind == X87Form::compare_flags) {
        e.as.lahf();
        static_assert(fl::ZF == 0x4000 && fl::PF == 0x400 && fl::CF == 0x100);
        e.as.and_(x86::eax, Imm(fl::ZF | fl::PF | fl::CF));
        e.as.or_(x86::eax, Imm(fl::One));
        e.as.mov(e.state(e.layout.x87->flags, 2), x86::ax);
    } else if (f.kind == X87Form::status_word) {
        e.as.movzx(x86::eax, x86::ax);
    }
    e.as.bind(c.back);
    e.helper_done();
    if (i.type != Type::None) e.define(i, rax, true);
    return true;
}

/// FLDCW: a control word under which the host may go on.
void X64::x87_load_control(Reg value, const HelperInfo& h, const Ref* args, const Label& back) {
    Cold& c = cold(Cold::call_if);
    c.call = helper_call(h, args);
    c.back = back;
    as.mov(x86::eax, r32(value));
    as.not_(x86::eax);
    as.test(x86::eax, Imm(kMasks));
    jump_cold(CC::kNZ, c);
    Cold& reserved = cold(Cold::call_if);
    reserved.call = c.call;
    reserved.back = back;
    as.mov(x86::eax, r32(value));
    as.and_(x86::eax, Imm(kPrecision));
    as.cmp(x86::eax, Imm(kReservedPrecision));
    jump_cold(CC::kE, reserved);
    as.mov(x86::eax, r32(value));
    as.and_(x86::eax, Imm(0x1f3f));
    as.or_(x86::eax, Imm(0x40));
    as.mov(state(layout.x87->control, 2), x86::ax);
    as.fldcw(state(layout.x87->control, 2));
}

// ---- operands in memory

X64::X87Access& X64::x87_access(const Inst& call) {
    x87_.push_back({});
    x87_.back().form = x87_form(call);
    return x87_.back();
}

/// A load whose value is the operand of an x87 instruction.
void X64::x87_load(const Inst& i, u8 what) {
    const Ref self = index_of(i);
    const Inst& call = inst(value(self).x87);
    const HelperInfo& h = layout.helpers[call.imm];
    before_helper_writes(h);
    Cold& miss = cold(Cold::read);
    miss.type = i.type, miss.what = what, miss.at = value(self).group_at;
    const Probe p = probe(i, bytes(i.type), false, 0, miss);
    miss.xmms = live_xmm();
    X87Access& x = x87_access(call);
    miss.x87 = static_cast<u16>(x87_.size());
    const Ref args[3] = {call.a, 0, call.c};
    x.first = helper_call(h, args);
    x.first.args[1].loaded = true;
    x.first.args[1].type = i.type;
    x.first.args[1].is_signed = x.form.source == X87Form::i16 || x.form.source == X87Form::i32;
    if (p.host != kNoReg) {
        Cold& c = cold(Cold::x87_load);
        c.x87 = miss.x87, c.mem = p.at, c.back = p.back;
        x87_check(c);
        emit_x87_host(as, x.form, p.at);
    }
    as.bind(p.back);
    helper_done();
}

/// A store of what an x87 instruction has made; its two helpers are those of `x87_early` and of behind the store.
void X64::x87_store(const Inst& i, u8 what) {
    if (x87_wide_store(code_, i)) return x87_store_wide(i);
    const Ref self = index_of(i);
    const Inst& done = inst(value(self).x87);
    const Inst& made = inst(inst(i.b).op == Op::trunc ? inst(i.b).a : i.b);
    before_helper_writes(layout.helpers[made.imm]);
    before_helper_writes(layout.helpers[done.imm]);
    Cold& miss = cold(Cold::write);
    miss.type = i.type, miss.what = what, miss.at = value(self).group_at;
    const Probe p = probe(i, bytes(i.type), true, 0, miss);
    miss.xmms = live_xmm();
    X87Access& x = x87_access(made);
    miss.x87 = static_cast<u16>(x87_.size());
    x.early = value(index_of(made)).x87 != 0;
    const Ref value_args[3] = {made.a, made.b, made.c}, done_args[3] = {done.a, done.b, done.c};
    x.first = helper_call(layout.helpers[made.imm], value_args);
    x.first.keep_result = true;
    x.second = helper_call(layout.helpers[done.imm], done_args);
    if (p.host != kNoReg) {
        Cold& c = cold(Cold::x87_store);
        c.x87 = miss.x87, c.mem = p.at, c.back = p.back;
        // What the address is made of lives until the store.
        for (Reg r : {p.addr, p.host}) {
            if (r != kNoReg) x.first.temps |= kTempMask & 1u << r;
        }
        x87_check(c);
        emit_x87_host(as, x.form, p.at);
    }
    as.bind(p.back);
    helper_done();
}

/// The second of the two stores of ten bytes, which does both unless their addresses are not neighbours (at a segment's end).
void X64::x87_store_wide(const Inst& i) {
    const Ref behind = value(index_of(i)).x87;
    const Inst &done = inst(behind), &low = inst(value(behind).x87), &made = *x87_wide_store(code_, i);
    before_helper_writes(layout.helpers[made.imm]);
    before_helper_writes(layout.helpers[done.imm]);
    const Reg at = use_clean(low.a), next = use_clean(i.a), page = scratch(), index = scratch();
    X87Access& x = x87_access(made);
    const Ref value_args[3] = {made.a, made.b, made.c}, done_args[3] = {done.a, done.b, done.c};
    x.first = helper_call(layout.helpers[made.imm], value_args);
    x.second = helper_call(layout.helpers[done.imm], done_args);
    const Label back = as.newLabel();
    const auto aside = [&]() -> Cold& {
        Cold& c = cold(Cold::x87_wide);
        c.x87 = static_cast<u16>(x87_.size()), c.addr = at, c.value = next, c.back = back;
        return c;
    };
    if (sw.inline_tlb) {
        as.lea(r64(page), x86::ptr(r64(at), 8));
        as.cmp(r64(page), r64(next));
        jump_cold(CC::kNE, aside());
        check_page(at, page, index, 10, true, aside());
        as.mov(r64(index), tlb_field(index, true, offsetof(TlbEntry, addend)));
        x87_check(aside());
        emit_x87_host(as, x.form, x86::ptr(r64(at), r64(index), 0, 0, 10));
    } else {
        jump_cold(aside());
    }
    as.bind(back);
    helper_done();
}

/// Checks of segment limits stand between the value and the store. An exception that is pending or not masked comes before theirs, so
/// the helper is called now if it will be.
void X64::x87_early(const Inst& i) {
    clobber();
    const HelperInfo& h = layout.helpers[i.imm];
    before_helper_writes(h);
    const Ref args[3] = {i.a, i.b, i.c};
    Cold& c = cold(Cold::x87_early);
    c.call = helper_call(h, args);
    c.call.keep_result = true;
    x87_check(c);
    helper_done();
}

// ---- out of line

/// To c.again if the x87 is in the host now.
void X64::x87_try(Cold& c) {
    call_thunk(thunks.x87_enter);
    as.jnz(c.again_at);
}

/// The instruction with its operand in scratch[kScratchValue].
void X64::x87_loaded(const X87Access& x) {
    const Label live = as.newLabel(), done = as.newLabel();
    as.test(fp_flag(), Imm(kLiveX87));
    as.jnz(live);
    call_thunk(thunks.x87_enter);
    as.jnz(live);
    cold_call(x.first);
    as.jmp(done);
    as.bind(live);
    emit_x87_host(as, x.form, context(offsetof(ExecContext, scratch) + 8 * kScratchValue, 8));
    as.bind(done);
}

/// What is to be stored, to scratch[kScratchValue], by the helper unless that has been called.
void X64::x87_make(const X87Access& x) {
    const Label fresh = as.newLabel(), done = as.newLabel();
    if (x.early) {
        as.test(fp_flag(), Imm(kEarlyX87));
        as.jz(fresh);
        as.and_(fp_flag(), Imm(0xff & ~kEarlyX87));
        as.push(x87_value(8));
        as.pop(context(offsetof(ExecContext, scratch) + 8 * kScratchValue, 8));
        as.jmp(done);
        as.bind(fresh);
    }
    cold_call(x.first);
    as.bind(done);
}

void X64::x87_wide(Cold& c) {
    const X87Access& x = x87_[c.x87 - 1u];
    const auto scratch_at = [&](unsigned n) { return context(offsetof(ExecContext, scratch) + 8 * n, 8); };
    const auto keep = [](i32 n) { return x86::ptr(x86::rsp, kSaveAt + 120 + 8 * n, 8); };
    if (c.again_at) x87_try(c);
    as.mov(scratch_at(kScratchLinear), r64(c.addr));
    as.mov(scratch_at(kScratchX87), r64(c.value));
    cold_call(x.first);
    save_xmm(x.first.xmms);
    as.mov(keep(0), x86::rax);
    as.mov(x86::rax, context(offsetof(ExecContext, vec) + 8, 8));
    as.mov(keep(1), x86::rax);
    as.mov(x86::rax, context(offsetof(ExecContext, vec), 8));
    as.mov(scratch_at(kScratchValue), x86::rax);
    as.mov(x86::rax, scratch_at(kScratchLinear));
    as.mov(scratch_at(kScratchAddress), x86::rax);
    as.mov(x86::rax, keep(0));
    push_progress(c.unretired);
    call_thunk(thunks.slow_write[3 | block().mode.view() << 4]);
    as.mov(keep(0), x86::rax);
    as.mov(x86::rax, keep(1));
    as.mov(scratch_at(kScratchValue), x86::rax);
    as.mov(x86::rax, scratch_at(kScratchX87));
    as.mov(scratch_at(kScratchAddress), x86::rax);
    as.mov(x86::rax, keep(0));
    push_progress(c.unretired);
    call_thunk(thunks.slow_write[1 | block().mode.view() << 4]);
    restore_xmm(x.first.xmms);
    cold_call(x.second);
}

void X64::cold_x87(Cold& c) {
    const x86::Mem value = context(offsetof(ExecContext, scratch) + 8 * kScratchValue, 8);
    switch (c.kind) {
    case Cold::x87_plain:
        x87_try(c);
        cold_call(c.call);
        break;
    case Cold::x87_load: {
        const X87Access& x = x87_[c.x87 - 1u];
        x87_try(c);
        as.push(x86::rax);
        x86::Mem from = c.mem;  // its registers are temporaries, pinned ones or rax itself, never rsp
        from.size() < 4 ? as.movzx(x86::eax, from) : as.mov(gp(rax, from.size()), from);
        as.mov(value, x86::rax);
        as.pop(x86::rax);
        cold_call(x.first);
        break;
    }
    case Cold::x87_store: {
        const X87Access& x = x87_[c.x87 - 1u];
        const Label made = as.newLabel();
        if (x.early) {
            as.test(fp_flag(), Imm(kEarlyX87));
            as.jnz(made);
        }
        x87_try(c);
        as.bind(made);
        x87_make(x);
        Reg t = rax;
        while (c.mem.baseId() == t || c.mem.indexId() == t) ++t;  // rax, rcx or rdx
        as.push(r64(t));
        as.mov(r64(t), value);
        as.mov(c.mem, gp(t, c.mem.size()));
        as.pop(r64(t));
        cold_call(x.second);
        break;
    }
    case Cold::x87_wide: x87_wide(c); break;
    case Cold::x87_early:
        x87_try(c);
        cold_call(c.call);
        as.push(value);
        as.pop(x87_value(8));
        as.or_(fp_flag(), Imm(kEarlyX87));
        as.jmp(c.again_at);
        return;
    default:
        call_thunk(thunks.x87_leave);
        break;
    }
    as.jmp(c.back_at);
}
}  // namespace calque::jit::x64
