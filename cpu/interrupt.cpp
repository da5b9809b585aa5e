// Delivery of interrupts and exceptions (SDM vol. 3A, chapter "Interrupt and Exception Handling"; real mode: chapter "8086
// Emulation").
#include <utility>

#include "cpu/debug.h"
#include "cpu/helpers.h"
#include "cpu/observer.h"
#include "cpu/system.h"
#include "support/log.h"

namespace calque {
namespace {

Log log{"interrupt"};

struct Gate {
    Descriptor d;
    u64 offset = 0;
    unsigned ist = 0;
    bool wide = false;   // 32-bit gate (64-bit gates aside)
    bool masks_if = false;
};

u32 idt_error(u8 vector) { return vector * 8u + 2; }

/// After a real-mode style push of FLAGS, CS and IP: to the IVT's handler.
bool enter_ivt(CpuState& s, u8 vector, u64 ivt, u32 pushed_flags, u32 clear, u64 rip) {
    u32 target;
    if (!read_linear(s, ivt + vector * 4u, target, Rights::supervisor)) return false;
    Stack st = Stack::current(s);
    if (!st.push(pushed_flags & 0xffff, 2) || !st.push(s.seg[CS].selector, 2) || !st.push(rip, 2)) return false;
    st.commit();
    const u16 cs = static_cast<u16>(target >> 16);
    load_segment(s, CS, s.vm86() ? vm86_segment(cs) : real_segment(s, CS, cs));
    s.eflags_system &= ~clear;
    resume_at(s, target & 0xffff);
    return true;
}

bool enter_real(CpuState& s, const Event& e) {
    if (e.vector * 4u + 3 > s.idtr.limit) return fault(s, vec::GP, idt_error(e.vector));
    return enter_ivt(s, e.vector, s.idtr.base, read_eflags(s), eflags::IF | eflags::TF | eflags::AC | eflags::RF, e.rip);
}

/// Reads and checks the gate. Task gates come back with their type.
bool fetch_gate(CpuState& s, const Event& e, Gate& g) {
    const bool lm = s.long_active();
    const unsigned size = lm ? 16 : 8;
    if (e.vector * size + size - 1 > s.idtr.limit) return fault(s, vec::GP, idt_error(e.vector));
    const u64 at = s.idtr.base + e.vector * size;
    u32 w[4] = {};
    if (!read_linear(s, lm ? at : at & 0xffffffff, w, size, Rights::supervisor)) return false;
    g.d.lo = w[0], g.d.hi = w[1], g.d.upper = w[2];
    g.offset = g.d.gate_offset() | u64{w[2]} << 32;
    const unsigned t = g.d.type();
    using namespace sysdesc;
    const bool known = lm ? t == IntGate32 || t == TrapGate32 : t == TaskGate || t == IntGate16 || t == TrapGate16 || t == IntGate32 || t == TrapGate32;
    if (!g.d.system() || !known) return fault(s, vec::GP, idt_error(e.vector));
    if (e.software && g.d.dpl() < s.cpl) return fault(s, vec::GP, idt_error(e.vector));
    if (!g.d.present()) return fault(s, vec::NP, idt_error(e.vector));
    g.wide = t == IntGate32 || t == TrapGate32;
    g.masks_if = t == IntGate16 || t == IntGate32;
    if (!g.wide) g.offset &= 0xffff;
    if (lm) g.ist = w[1] & 7;
    return true;
}

bool fetch_handler(CpuState& s, u16 selector, Descriptor& d) {
    const u16 code = selector & 0xfffc;
    if (is_null(selector)) return fault(s, vec::GP, 0);
    if (!fetch_descriptor(s, selector, vec::GP, d)) return false;
    if (d.system() || !d.code() || d.dpl() > s.cpl) return fault(s, vec::GP, code);
    if (s.long_active() && (!d.long_mode() || d.big())) return fault(s, vec::GP, code);
    if (!d.present()) return fault(s, vec::NP, code);
    return true;
}

u32 clear_for(const Gate& g) { return eflags::TF | eflags::NT | eflags::RF | eflags::VM | (g.masks_if ? eflags::IF : 0); }

u32 flags_to_push(const CpuState& s, const Event& e) { return read_eflags(s) | (e.fault ? eflags::RF : 0); }

bool push_frame(Stack& st, const Event& e, u32 flags, unsigned size) {
    const CpuState& s = st.s;
    return st.push(flags, size) && st.push(s.seg[CS].selector, size) && st.push(e.rip, size) && (!e.has_error || st.push(e.error, size));
}

void enter_code(CpuState& s, const Gate& g, const Descriptor& code, unsigned cpl) {
    s.cpl = static_cast<u8>(cpl);
    load_segment(s, CS, code.segment(static_cast<u16>((g.d.gate_selector() & ~3u) | cpl)));
    s.eflags_system &= ~clear_for(g);
    resume_at(s, g.offset);
}

/// 64-bit mode: always five words, on a 16-byte boundary, perhaps on a stack from the IST.
bool enter_long(CpuState& s, const Event& e, const Gate& g, Descriptor& code, unsigned cpl) {
    u64 sp = s.gpr[RSP];
    u16 ss = s.seg[SS].selector;
    if (g.ist) {
        const u64 at = 36 + 8 * (g.ist - 1);
        if (at + 7 > s.tr.limit) return fault(s, vec::TS, s.tr.selector & 0xfffc);
        if (!read_linear(s, s.tr.base + at, sp, Rights::supervisor)) return false;
    } else if (cpl != s.cpl) {
        if (!tss_stack(s, cpl, ss, sp)) return false;
    }
    Stack st{s, {}, sp & ~u64{15}, 8, cpl == s.cpl ? Rights::current : Rights::supervisor};
    if (!st.push(s.seg[SS].selector, 8) || !st.push(s.gpr[RSP], 8) || !push_frame(st, e, flags_to_push(s, e), 8)) return false;
    if (!canonical(g.offset)) return fault(s, vec::GP, 0);
    if (!mark_accessed(s, code)) return false;
    if (cpl != s.cpl) load_segment(s, SS, {static_cast<u16>(cpl), 0, 0, 0});
    st.commit();
    enter_code(s, g, code, cpl);
    return true;
}

bool enter_inner(CpuState& s, const Event& e, const Gate& g, Descriptor& code, unsigned cpl) {
    const unsigned size = g.wide ? 4 : 2;
    const bool from_vm86 = s.vm86();
    u16 ss;
    u64 sp;
    Descriptor stack;
    if (!tss_stack(s, cpl, ss, sp) || !check_stack(s, ss, cpl, vec::TS, stack)) return false;
    Stack st = Stack::of(s, stack.segment(ss), sp, cpl, false);
    st.error = ss & 0xfffc;
    if (from_vm86)
        for (const Seg n : {GS, FS, DS, ES})
            if (!st.push(s.seg[n].selector, size)) return false;
    if (!st.push(s.seg[SS].selector, size) || !st.push(s.gpr[RSP], size) || !push_frame(st, e, flags_to_push(s, e), size)) return false;
    if (!check_rip(s, code.segment(0), g.offset) || !mark_accessed(s, code)) return false;
    if (from_vm86)
        for (const Seg n : {GS, FS, DS, ES}) load_segment(s, n, {0, 0, 0, 0});
    load_segment(s, SS, stack.segment(ss));
    st.commit();
    enter_code(s, g, code, cpl);
    if (from_vm86) refresh_mode(s);
    return true;
}

bool enter_same(CpuState& s, const Event& e, const Gate& g, Descriptor& code) {
    Stack st = Stack::current(s);
    if (!push_frame(st, e, flags_to_push(s, e), g.wide ? 4 : 2)) return false;
    if (!check_rip(s, code.segment(0), g.offset) || !mark_accessed(s, code)) return false;
    st.commit();
    enter_code(s, g, code, s.cpl);
    return true;
}

Outcome enter_task(CpuState& s, const Event& e, const Gate& g) {
    Descriptor tss;
    const u16 selector = g.d.gate_selector();
    if (!fetch_tss(s, selector, tss)) return Outcome::refused;
    return task_switch(s, selector, tss, TaskReason::interrupt, e.rip, e.has_error ? &e.error : nullptr, e.fault);
}

bool enter_gate(CpuState& s, const Event& e, const Gate& g) {
    const u16 selector = g.d.gate_selector();
    Descriptor code;
    if (!fetch_handler(s, selector, code)) return false;
    const unsigned cpl = code.conforming() ? s.cpl : code.dpl();
    if (s.vm86() && cpl != 0) return fault(s, vec::GP, selector & 0xfffc);
    if (s.long_active()) return enter_long(s, e, g, code, cpl);
    return cpl < s.cpl ? enter_inner(s, e, g, code, cpl) : enter_same(s, e, g, code);
}

Outcome enter_protected(CpuState& s, const Event& e) {
    Gate g;
    if (!fetch_gate(s, e, g)) return Outcome::refused;
    if (g.d.type() == sysdesc::TaskGate) return enter_task(s, e, g);
    return enter_gate(s, e, g) ? Outcome::done : Outcome::refused;
}

bool contributory(u8 v) { return v == vec::DE || (v >= vec::TS && v <= vec::GP); }

/// "Conditions for Generating a Double Fault". Returns what to deliver; false: shut down.
bool combine(Event& e, bool first_is_exception, const Exception& second) {
    if (first_is_exception && e.vector == vec::DF) return false;
    const bool df = first_is_exception && ((contributory(e.vector) && contributory(second.vector)) ||
                                           (e.vector == vec::PF && (contributory(second.vector) || second.vector == vec::PF)));
    if (df) e = {vec::DF, true, 0, false, true, e.rip};
    else e = {second.vector, second.has_error, second.error, false, true, e.rip};
    return true;
}

// ---- INT n in virtual-8086 mode

/// The software interrupt redirection bitmap: 32 bytes below the I/O permission map. True: the 8086 program's own handler.
bool redirected(CpuState& s, u8 vector, bool& own) {
    own = false;
    u16 map;
    if (s.tr.limit < 0x67 || !read_linear(s, s.tr.base + 0x66, map, Rights::supervisor)) return s.x.fault == jit::Fault::none;
    if (map < 32) return true;
    const u64 at = u64{map} - 32 + vector / 8;
    if (at > s.tr.limit) return true;
    u8 bits;
    if (!read_linear(s, s.tr.base + at, bits, Rights::supervisor)) return false;
    own = !(bits >> (vector & 7) & 1);
    return true;
}

bool interrupt_own(CpuState& s, u8 vector, u64 next) {
    u32 flags = read_eflags(s);
    const bool iopl3 = (flags & eflags::IOPL) == eflags::IOPL;
    if (!iopl3) {
        flags = (flags & ~eflags::IF) | eflags::IOPL | (flags & eflags::VIF ? eflags::IF : 0);
    }
    return enter_ivt(s, vector, 0, flags, eflags::TF | (iopl3 ? eflags::IF : eflags::VIF), next);
}

/// A delivery between two iterations ends the instruction for those who count it as one.
void leave_repeated(CpuState& s) {
    if (!std::exchange(s.tracing.repeating, false)) return;
    ++s.tracing.faults;
    if (s.tracing.stepping) s.cpu->shorten(0);
}

/// Somebody who looks on wants the run to stop instead of this delivery.
bool stops(CpuState& s, const Exception& x) {
    if (x.vector != s.tracing.stop_vector) return false;
    s.exception = x;
    s.tracing.stopped = true;
    leave_repeated(s);
    s.cpu->shorten(0);
    return true;
}
}  // namespace

bool tss_stack(CpuState& s, unsigned level, u16& ss, u64& sp) {
    const u32 code = s.tr.selector & 0xfffc;
    if (s.long_active()) {
        const u64 at = 4 + 8 * level;
        if (at + 7 > s.tr.limit) return fault(s, vec::TS, code);
        ss = static_cast<u16>(level);
        return read_linear(s, s.tr.base + at, sp, Rights::supervisor);
    }
    if (s.tr.type() == sysdesc::Tss32Busy || s.tr.type() == sysdesc::Tss32) {
        const u64 at = 4 + 8 * level;
        u32 esp;
        if (at + 5 > s.tr.limit) return fault(s, vec::TS, code);
        if (!read_linear(s, s.tr.base + at, esp, Rights::supervisor) || !read_linear(s, s.tr.base + at + 4, ss, Rights::supervisor)) return false;
        sp = esp;
        return true;
    }
    const u64 at = 2 + 4 * level;
    u16 sp16;
    if (at + 3 > s.tr.limit) return fault(s, vec::TS, code);
    if (!read_linear(s, s.tr.base + at, sp16, Rights::supervisor) || !read_linear(s, s.tr.base + at + 2, ss, Rights::supervisor)) return false;
    sp = sp16;
    return true;
}

Outcome enter_interrupt(CpuState& s, const Event& e) {
    if (s.protected_mode()) return enter_protected(s, e);
    return enter_real(s, e) ? Outcome::done : Outcome::refused;
}

void deliver(CpuState& s, Event e) {
    bool exception = e.fault;
    leave_repeated(s);
    s.shadow = 0;
    s.halted = false;
    s.monitor_line = 0;
    s.external_event = true;
    for (Outcome r; (r = enter_interrupt(s, e)) != Outcome::done;) {
        if (s.x.fault != jit::Fault::raise) s.x.fault = jit::Fault::none;   // code was overwritten: the same store succeeds now
        else {
            s.x.fault = jit::Fault::none;
            const Exception second = s.exception;
            if (second.vector == vec::PF) s.cr2 = second.address;
            if (!combine(e, exception, second)) {
                log.info("triple fault at %04x:%llx", s.seg[CS].selector, static_cast<unsigned long long>(s.x.rip));
                s.shut_down = true;
                break;
            }
            exception = true;
            if (r == Outcome::faulted) e.rip = s.x.rip;
            if (e.vector == vec::DF && stops(s, {vec::DF, true, 0})) break;   // not for what keeps another exception from its handler
        }
    }
    s.external_event = false;
    s.cpu->end_slice();
}

void deliver_exception(CpuState& s) {
    const Exception x = s.exception;
    s.x.fault = jit::Fault::none;
    Event e{x.vector, x.has_error, x.error, false, true, s.x.rip};
    if (x.vector == vec::PF) s.cr2 = x.address;
    if (x.vector == vec::DB) {
        // Bits 0-3 and the causes are set; the others are left alone, as the manual asks handlers to clear them.
        s.dr6 = (s.dr6 & ~u64{15}) | x.address;
        s.dr7 &= ~u64{0x2000};   // GD
        e.fault = !x.trap;
    }
    ++s.tracing.exceptions;
    s.tracing.last = x;
    if (s.debug) s.debug->delivers(x, s.x.rip);
    tell_delivery(s, {.rip = s.x.rip, .vector = x.vector, .has_error = x.has_error, .error = x.error});
    if (!stops(s, x)) deliver(s, e);
}

u64 helper_interrupt(CpuState& s, u64 v, u64 kind, u64 next) {
    const u8 vector = static_cast<u8>(v);
    enum { IntN, Int3, Into, Int1 };
    if (kind == Into && !(s.flags & jit::fl::OF)) return finish(s, next);
    if (s.debug && s.debug->refuses({kind == IntN ? Debug::Event::software : Debug::Event::exception, vector, 0, 0, true, true})) return 0;
    if (s.vm86() && kind == IntN) {
        bool own = false;
        if ((s.cr4 & cr4::VME) && !redirected(s, vector, own)) return 0;
        if (own) {
            if (stops(s, {vector})) return finish(s, next);
            if (s.debug) s.debug->delivers(vector, Debug::Delivery::Kind::software, next);
            tell_delivery(s, {.rip = next, .vector = vector, .kind = Debug::Delivery::Kind::software});
            s.step_trap_off = interrupt_own(s, vector, next);
            return 0;
        }
        if ((s.eflags_system & eflags::IOPL) != eflags::IOPL) return raise(s, vec::GP, 0), 0;
    }
    if (stops(s, {vector})) return finish(s, next);
    if (s.debug) s.debug->delivers(vector, Debug::Delivery::Kind::software, next);
    tell_delivery(s, {.rip = next, .vector = vector, .kind = Debug::Delivery::Kind::software});
    s.external_event = kind == Int1;
    const Outcome r = enter_interrupt(s, {vector, false, 0, kind != Int1, false, next});
    s.external_event = false;
    if (r == Outcome::refused) return 0;
    s.step_trap_off = true;
    s.shadow = 0;
    if (r == Outcome::faulted) deliver_exception(s);
    return 0;
}
}  // namespace calque
