// Far jumps, calls and returns, and the fast system calls (SDM vol. 2 Operation sections; vol. 3A, chapter "Protection").
#include <algorithm>

#include "cpu/helpers.h"
#include "cpu/system.h"

namespace calque {
namespace {

/// A code segment for a JMP or CALL without change of level.
bool check_code_same_level(CpuState& s, u16 selector, const Descriptor& d) {
    const u16 code = selector & 0xfffc;
    if (d.system() || !d.code()) return fault(s, vec::GP, code);
    if (d.conforming() ? d.dpl() > s.cpl : (selector & 3u) > s.cpl || d.dpl() != s.cpl) return fault(s, vec::GP, code);
    if (s.long_active() && d.long_mode() && d.big()) return fault(s, vec::GP, code);
    if (!d.present()) return fault(s, vec::NP, code);
    return true;
}

void set_cs(CpuState& s, u16 selector, const Descriptor& d, unsigned cpl) {
    s.cpl = static_cast<u8>(cpl);
    load_segment(s, CS, d.segment(static_cast<u16>((selector & ~3u) | cpl)));
}

/// Real-address and virtual-8086 mode.
bool far_8086(CpuState& s, u16 selector, u64 offset) {
    if (offset > s.seg[CS].limit) return fault(s, vec::GP, 0);
    load_segment(s, CS, s.vm86() ? vm86_segment(selector) : real_segment(s, CS, selector));
    resume_at(s, offset);
    return true;
}

bool is_8086(const CpuState& s) { return !s.protected_mode() || s.vm86(); }

struct Target {
    u16 selector = 0;
    Descriptor code;
    u64 offset = 0;
    unsigned size = 4;    // of what the gate pushes
    unsigned params = 0;
};

/// Call gates: checks the gate and fetches the code segment it names.
bool open_gate(CpuState& s, u16 selector, Descriptor& gate, Target& t) {
    const u16 code = selector & 0xfffc;
    if (gate.dpl() < std::max<unsigned>(s.cpl, selector & 3)) return fault(s, vec::GP, code);
    if (!gate.present()) return fault(s, vec::NP, code);
    if (!fetch_upper(s, selector, vec::GP, gate)) return false;
    t.selector = gate.gate_selector();
    const bool wide = gate.type() == sysdesc::CallGate32;
    t.offset = wide ? gate.gate_offset() | u64{gate.upper} << 32 : gate.gate_offset() & 0xffff;
    t.size = s.long_active() ? 8 : wide ? 4 : 2;
    t.params = s.long_active() ? 0 : gate.hi & 31;
    const u16 target = t.selector & 0xfffc;
    if (is_null(t.selector)) return fault(s, vec::GP, 0);
    if (!fetch_descriptor(s, t.selector, vec::GP, t.code)) return false;
    if (t.code.system() || !t.code.code() || t.code.dpl() > s.cpl) return fault(s, vec::GP, target);
    if (s.long_active() && (!t.code.long_mode() || t.code.big())) return fault(s, vec::GP, target);
    return true;
}

bool jump_gate(CpuState& s, u16 selector, Descriptor& gate) {
    Target t;
    if (!open_gate(s, selector, gate, t)) return false;
    if (!t.code.conforming() && t.code.dpl() != s.cpl) return fault(s, vec::GP, t.selector & 0xfffc);
    if (!t.code.present()) return fault(s, vec::NP, t.selector & 0xfffc);
    if (!check_rip(s, t.code.segment(0), t.offset) || !mark_accessed(s, t.code)) return false;
    set_cs(s, t.selector, t.code, s.cpl);
    resume_at(s, t.offset);
    return true;
}

bool call_same_level(CpuState& s, u16 selector, Descriptor& d, u64 offset, unsigned size, u64 next) {
    Stack st = Stack::current(s);
    if (!st.push(s.seg[CS].selector, size) || !st.push(next, size)) return false;
    if (!check_rip(s, d.segment(0), offset) || !mark_accessed(s, d)) return false;
    st.commit();
    set_cs(s, selector, d, s.cpl);
    resume_at(s, offset);
    return true;
}

bool copy_parameters(CpuState& s, Stack& to, const Target& t) {
    const Stack from = Stack::current(s);
    Stack source = from;
    for (unsigned i = t.params; i-- > 0;) {
        u64 v;
        if (!source.peek(u64{i} * t.size, v, t.size) || !to.push(v, t.size)) return false;
    }
    return true;
}

bool call_inner(CpuState& s, Target& t, u64 next) {
    const unsigned cpl = t.code.dpl();
    u16 ss;
    u64 sp;
    if (!tss_stack(s, cpl, ss, sp)) return false;
    const bool lm = s.long_active();
    Descriptor stack;
    Segment seg{static_cast<u16>(cpl), 0, 0, 0};
    if (!lm) {
        if (!check_stack(s, ss, cpl, vec::TS, stack)) return false;
        seg = stack.segment(ss);
    }
    Stack st = Stack::of(s, seg, sp, cpl, lm);
    st.error = lm ? 0 : ss & 0xfffc;
    if (!st.push(s.seg[SS].selector, t.size) || !st.push(s.gpr[RSP], t.size) || !copy_parameters(s, st, t)) return false;
    if (!st.push(s.seg[CS].selector, t.size) || !st.push(next, t.size)) return false;
    if (!check_rip(s, t.code.segment(0), t.offset) || !mark_accessed(s, t.code)) return false;
    load_segment(s, SS, seg);
    st.commit();
    set_cs(s, t.selector, t.code, cpl);
    resume_at(s, t.offset);
    return true;
}

bool call_gate(CpuState& s, u16 selector, Descriptor& gate, u64 next) {
    Target t;
    if (!open_gate(s, selector, gate, t)) return false;
    if (!t.code.present()) return fault(s, vec::NP, t.selector & 0xfffc);
    if (!t.code.conforming() && t.code.dpl() < s.cpl) return call_inner(s, t, next);
    return call_same_level(s, t.selector, t.code, t.offset, t.size, next);
}

bool to_task(CpuState& s, u16 selector, Descriptor& d, TaskReason why, u64 next) {
    if (d.dpl() < std::max<unsigned>(s.cpl, selector & 3)) return fault(s, vec::GP, selector & 0xfffc);
    u16 tss_selector = selector;
    if (d.type() == sysdesc::TaskGate) {
        if (!d.present()) return fault(s, vec::NP, selector & 0xfffc);
        tss_selector = d.gate_selector();
    }
    Descriptor tss;
    return fetch_tss(s, tss_selector, tss) && switch_task(s, tss_selector, tss, why, next);
}

bool far_system(CpuState& s, u16 selector, Descriptor& d, bool call, u64 next) {
    const bool lm = s.long_active();
    switch (d.type()) {
    case sysdesc::CallGate16:
        if (lm) break;
        [[fallthrough]];
    case sysdesc::CallGate32: return call ? call_gate(s, selector, d, next) : jump_gate(s, selector, d);
    case sysdesc::TaskGate:
    case sysdesc::Tss16:
    case sysdesc::Tss32:
        if (lm) break;
        return to_task(s, selector, d, call ? TaskReason::call : TaskReason::jump, next);
    default: break;
    }
    return fault(s, vec::GP, selector & 0xfffc);
}

// ---- returns

/// The code segment that a far return or IRET goes to.
bool check_return_code(CpuState& s, u16 selector, Descriptor& d) {
    const u16 code = selector & 0xfffc;
    const unsigned rpl = selector & 3;
    if (is_null(selector)) return fault(s, vec::GP, 0);
    if (!fetch_descriptor(s, selector, vec::GP, d)) return false;
    if (d.system() || !d.code() || rpl < s.cpl) return fault(s, vec::GP, code);
    if (d.conforming() ? d.dpl() > rpl : d.dpl() != rpl) return fault(s, vec::GP, code);
    if (s.long_active() && d.long_mode() && d.big()) return fault(s, vec::GP, code);
    if (!d.present()) return fault(s, vec::NP, code);
    return true;
}

bool check_return_stack(CpuState& s, u16 ss, unsigned cpl, bool to_long, Segment& out) {
    if (to_long && is_null(ss) && cpl != 3 && (ss & 3u) == cpl) return out = {ss, 0, 0, 0}, true;
    Descriptor d;
    if (!check_stack(s, ss, cpl, vec::GP, d)) return false;
    out = d.segment(ss);
    return true;
}

/// Pops SS and RSP of an outer level and checks everything; then changes CS, SS, RSP and CPL.
bool return_outer(CpuState& s, Stack& st, u16 cs, Descriptor& code, u64 rip, unsigned size, unsigned release) {
    u64 sp, ss;
    if (!st.pop(sp, size) || !st.pop(ss, size)) return false;
    const unsigned cpl = cs & 3;
    const bool to_long = s.long_active() && code.long_mode();
    Segment stack;
    if (!check_return_stack(s, static_cast<u16>(ss), cpl, to_long, stack)) return false;
    if (!check_rip(s, code.segment(0), rip) || !mark_accessed(s, code)) return false;
    load_segment(s, SS, stack);
    set_cs(s, cs, code, cpl);
    const unsigned width = to_long ? 8 : stack.big() ? 4 : 2;
    set_sp(s, sp + release, width);
    return true;
}

bool return_protected(CpuState& s, unsigned release, unsigned size) {
    Stack st = Stack::current(s);
    u64 rip, cs64;
    if (!st.pop(rip, size) || !st.pop(cs64, size)) return false;
    const u16 cs = static_cast<u16>(cs64);
    Descriptor code;
    if (!check_return_code(s, cs, code)) return false;
    st.skip(release);
    if ((cs & 3u) == s.cpl) {
        if (!check_rip(s, code.segment(0), rip) || !mark_accessed(s, code)) return false;
        st.commit();
        set_cs(s, cs, code, s.cpl);
    } else {
        if (!return_outer(s, st, cs, code, rip, size, release)) return false;
        drop_inner_segments(s);
    }
    resume_at(s, rip);
    return true;
}

bool return_8086(CpuState& s, unsigned release, unsigned size) {
    Stack st = Stack::current(s);
    u64 ip, cs;
    if (!st.pop(ip, size) || !st.pop(cs, size)) return false;
    if (!far_8086(s, static_cast<u16>(cs), ip)) return false;
    st.skip(release);
    st.commit();
    return true;
}

// ---- IRET

/// Merges popped flags into EFLAGS as far as this level may.
void merge_flags(CpuState& s, u64 popped, u32 may) {
    const u32 old = read_eflags(s);
    write_eflags(s, (old & ~may) | (static_cast<u32>(popped) & may));
}

u32 iret_mask(const CpuState& s, unsigned size) {
    u32 may = changeable_flags(s, size);
    if (size > 2) {
        may |= eflags::RF;
        if (s.cpl == 0) may |= eflags::VIF | eflags::VIP;
    }
    return may;
}

bool iret_8086(CpuState& s, unsigned size) {
    Stack st = Stack::current(s);
    u64 ip, cs, fl;
    if (!st.pop(ip, size) || !st.pop(cs, size) || !st.pop(fl, size)) return false;
    u32 may = iret_mask(s, size) & ~(eflags::VIF | eflags::VIP);
    if (s.vm86()) {
        const bool iopl3 = (s.eflags_system & eflags::IOPL) == eflags::IOPL;
        if (!iopl3) {
            // "Virtual-8086 mode extensions": IF goes to VIF.
            if (!(s.cr4 & cr4::VME) || size != 2) return fault(s, vec::GP, 0);
            if ((fl & eflags::TF) || ((fl & eflags::IF) && (s.eflags_system & eflags::VIP))) return fault(s, vec::GP, 0);
        }
        may &= ~(eflags::IOPL | (iopl3 ? 0 : eflags::IF));
        if (!far_8086(s, static_cast<u16>(cs), ip)) return false;
        if (!iopl3) s.eflags_system = (s.eflags_system & ~eflags::VIF) | (fl & eflags::IF ? eflags::VIF : 0);
    } else if (!far_8086(s, static_cast<u16>(cs), ip)) {
        return false;
    }
    st.commit();
    merge_flags(s, fl, may);
    resume_at(s, ip);
    return true;
}

bool iret_to_vm86(CpuState& s, Stack& st, u64 eip, u64 cs, u64 fl) {
    u64 esp, v[5];   // SS ES DS FS GS
    if (!st.pop(esp, 4)) return false;
    for (u64& x : v)
        if (!st.pop(x, 4)) return false;
    if (eip > 0xffff) return fault(s, vec::GP, 0);
    write_eflags(s, static_cast<u32>(fl));
    s.cpl = 3;
    const Seg order[5] = {SS, ES, DS, FS, GS};
    for (unsigned i = 0; i < 5; ++i) s.seg[order[i]] = vm86_segment(static_cast<u16>(v[i]));
    s.seg[CS] = vm86_segment(static_cast<u16>(cs));
    refresh_mode(s);
    s.gpr[RSP] = esp & 0xffffffff;
    resume_at(s, eip);
    return true;
}

/// Return from a nested task: to the TSS that the link names.
bool iret_task(CpuState& s, u64 next) {
    u16 link;
    if (!read_linear(s, s.tr.base, link, Rights::supervisor)) return false;
    const u16 code = link & 0xfffc;
    Descriptor d;
    if (link & 4) return fault(s, vec::TS, code);
    if (!fetch_descriptor(s, link, vec::TS, d)) return false;
    if (!d.system() || (d.type() != sysdesc::Tss32Busy && d.type() != sysdesc::Tss16Busy)) return fault(s, vec::TS, code);
    if (!d.present()) return fault(s, vec::NP, code);
    return switch_task(s, link, d, TaskReason::iret, next);
}

bool iret_protected(CpuState& s, unsigned size) {
    Stack st = Stack::current(s);
    u64 rip, cs64, fl;
    if (!st.pop(rip, size) || !st.pop(cs64, size) || !st.pop(fl, size)) return false;
    const u16 cs = static_cast<u16>(cs64);
    if ((fl & eflags::VM) && size == 4 && s.cpl == 0 && !s.long_active()) return iret_to_vm86(s, st, rip, cs, fl);
    Descriptor code;
    if (!check_return_code(s, cs, code)) return false;
    const u32 may = iret_mask(s, size);
    const bool outer = (cs & 3u) != s.cpl;
    if (outer || s.code64()) {
        if (!return_outer(s, st, cs, code, rip, size, 0)) return false;
        if (outer) drop_inner_segments(s);
    } else {
        if (!check_rip(s, code.segment(0), rip) || !mark_accessed(s, code)) return false;
        st.commit();
        set_cs(s, cs, code, s.cpl);
    }
    merge_flags(s, fl, may);
    resume_at(s, rip);
    return true;
}

Segment flat_segment(u16 selector, u32 attr) { return {selector, attr, 0xffffffff, 0}; }
constexpr u32 Code64Attr = 0xa09b00, Code32Attr = 0xc09b00, DataAttr = 0xc09300;

void set_flat(CpuState& s, u16 cs, u16 ss, u32 code_attr, unsigned cpl) {
    s.cpl = static_cast<u8>(cpl);
    load_segment(s, CS, flat_segment(static_cast<u16>((cs & ~3u) | cpl), code_attr | cpl << 13));
    load_segment(s, SS, flat_segment(static_cast<u16>((ss & ~3u) | cpl), DataAttr | cpl << 13));
}
}  // namespace

u64 helper_far_jump(CpuState& s, u64 a, u64 offset, u64 next) {
    const u16 selector = static_cast<u16>(a);
    if (is_8086(s)) return far_8086(s, selector, offset), 0;
    Descriptor d;
    if (is_null(selector)) return fault(s, vec::GP, 0);
    if (!fetch_descriptor(s, selector, vec::GP, d)) return 0;
    if (d.system()) return far_system(s, selector, d, false, next), 0;
    if (!check_code_same_level(s, selector, d) || !check_rip(s, d.segment(0), offset) || !mark_accessed(s, d)) return 0;
    set_cs(s, selector, d, s.cpl);
    return finish(s, offset);
}

u64 helper_far_call(CpuState& s, u64 a, u64 offset, u64 next) {
    const u16 selector = static_cast<u16>(a);
    const unsigned size = static_cast<unsigned>(a >> 16 & 15);
    if (is_8086(s)) {
        Stack st = Stack::current(s);
        if (!st.push(s.seg[CS].selector, size) || !st.push(next, size) || !far_8086(s, selector, offset)) return 0;
        st.commit();
        return 0;
    }
    Descriptor d;
    if (is_null(selector)) return fault(s, vec::GP, 0);
    if (!fetch_descriptor(s, selector, vec::GP, d)) return 0;
    if (d.system()) return far_system(s, selector, d, true, next), 0;
    if (check_code_same_level(s, selector, d)) call_same_level(s, selector, d, offset, size, next);
    return 0;
}

u64 helper_far_return(CpuState& s, u64 release, u64 size, u64) {
    const unsigned n = static_cast<unsigned>(size), bytes = static_cast<unsigned>(release & 0xffff);
    is_8086(s) ? return_8086(s, bytes, n) : return_protected(s, bytes, n);
    return 0;
}

u64 helper_iret(CpuState& s, u64, u64 size, u64 next) {
    const unsigned n = static_cast<unsigned>(size);
    bool ok;
    if (is_8086(s)) ok = iret_8086(s, n);
    else if (s.eflags_system & eflags::NT) ok = s.long_active() ? fault(s, vec::GP, 0) : iret_task(s, next);
    else ok = iret_protected(s, n);
    if (ok) s.nmi_blocked = false, s.cpu->check_events();
    return 0;
}

/// Intel's processors know SYSCALL and SYSRET in 64-bit mode only, AMD's also in others.
static bool has_syscall(const CpuState& s) { return (s.efer & efer::SCE) && (s.code64() || s.cpu->zen()); }

u64 helper_syscall(CpuState& s, u64, u64, u64 next) {
    if (!has_syscall(s)) return raise(s, vec::UD), 0;
    const u16 cs = static_cast<u16>(s.star >> 32 & 0xfffc);
    s.gpr[RCX] = next;
    if (s.long_active()) {
        s.gpr[R11] = read_eflags(s) & ~eflags::RF;
        const u64 target = s.code64() ? s.lstar : s.cstar;
        write_eflags(s, read_eflags(s) & ~(static_cast<u32>(s.sfmask) | eflags::RF));
        set_flat(s, cs, static_cast<u16>(cs + 8), Code64Attr, 0);
        resume_at(s, target);
    } else {   // AMD's legacy mode form
        write_eflags(s, read_eflags(s) & ~(eflags::VM | eflags::IF | eflags::RF));
        set_flat(s, cs, static_cast<u16>(cs + 8), Code32Attr, 0);
        resume_at(s, s.star & 0xffffffff);
    }
    s.step_trap_off = !(s.eflags_system & eflags::TF);
    return 0;
}

u64 helper_sysret(CpuState& s, u64, u64 size, u64) {
    if (!has_syscall(s)) return raise(s, vec::UD), 0;
    if (!s.protected_mode() || s.cpl) return fault(s, vec::GP, 0);
    const u16 base = static_cast<u16>(s.star >> 48);
    u64 rip = s.gpr[RCX];
    const bool to64 = s.long_active() && size == 8;
    if (to64) {
        if (!canonical(rip)) return fault(s, vec::GP, 0);
    } else {
        rip &= 0xffffffff;
    }
    constexpr u32 Keep = 0x3c7fd7;   // all but RF and VM
    if (s.long_active()) write_eflags(s, static_cast<u32>(s.gpr[R11] & Keep));
    else write_eflags(s, read_eflags(s) | eflags::IF);
    set_flat(s, static_cast<u16>(to64 ? base + 16 : base), static_cast<u16>(base + 8), to64 ? Code64Attr : Code32Attr, 3);
    // Whether a single-step trap follows is for the TF that has been loaded, so that it comes "from" the SYSCALL.
    s.step_trap_off = true;
    if (s.eflags_system & eflags::TF) s.pending_debug |= kSingleStep;
    return finish(s, rip);
}

u64 helper_sysenter(CpuState& s, u64, u64, u64) {
    const u16 cs = static_cast<u16>(s.sysenter_cs & 0xfffc);
    if (!s.protected_mode() || cs == 0) return fault(s, vec::GP, 0);
    s.eflags_system &= ~(eflags::VM | eflags::IF | eflags::RF);
    const bool lm = s.long_active();
    set_flat(s, cs, static_cast<u16>(cs + 8), lm ? Code64Attr : Code32Attr, 0);
    refresh_mode(s);
    s.gpr[RSP] = lm ? s.sysenter_esp : s.sysenter_esp & 0xffffffff;
    return finish(s, lm ? s.sysenter_eip : s.sysenter_eip & 0xffffffff);
}

u64 helper_sysexit(CpuState& s, u64, u64 size, u64) {
    const u16 cs = static_cast<u16>(s.sysenter_cs & 0xfffc);
    if (!s.protected_mode() || cs == 0 || s.cpl) return fault(s, vec::GP, 0);
    const bool to64 = s.long_active() && size == 8;
    u64 rip = s.gpr[RDX], rsp = s.gpr[RCX];
    if (to64) {
        if (!canonical(rip) || !canonical(rsp)) return fault(s, vec::GP, 0);
    } else {
        rip &= 0xffffffff, rsp &= 0xffffffff;
    }
    set_flat(s, static_cast<u16>(cs + (to64 ? 32 : 16)), static_cast<u16>(cs + (to64 ? 40 : 24)), to64 ? Code64Attr : Code32Attr, 3);
    s.gpr[RSP] = rsp;
    return finish(s, rip);
}
}  // namespace calque
