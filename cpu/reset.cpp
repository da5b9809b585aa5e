// State after RESET and INIT (SDM vol. 3A, "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT"), and saving it.
#include "cpu/apic.h"
#include "cpu/debug.h"
#include "cpu/decode.h"
#include "cpu/model.h"
#include "cpu/system.h"
#include "support/state_io.h"

namespace calque {
namespace {

void reset_segments(CpuState& s) {
    for (Segment& g : s.seg) g = {0, 0x9300, 0xffff, 0};
    s.seg[CS] = {0xf000, 0x9b00, 0xffff, 0xffff0000};
    s.ldtr = {0, 0x8200, 0xffff, 0};
    s.tr = {0, 0x8b00, 0xffff, 0};
    s.gdtr = s.idtr = {0, 0xffff};
}

void reset_common(CpuState& s) {
    for (u64& r : s.gpr) r = 0;
    s.gpr[RDX] = s.cpu->model().signature;
    write_eflags(s, 2);
    reset_segments(s);
    s.cr0 = 0x10 | (s.cr0 & (cr0::CD | cr0::NW));
    s.cr2 = s.cr3 = s.cr4 = 0;
    for (u64& d : s.dr) d = 0;
    s.dr6 = 0xffff0ff0, s.dr7 = 0x400;
    s.efer = 0;
    s.cpl = 0, s.shadow = 0;
    s.halted = s.shut_down = s.smm = s.nmi_blocked = s.watching = false;
    s.pending_debug = s.monitor_line = 0;
    s.x.rip = 0xfff0;
    s.x.fault = jit::Fault::none;
}

void reset_msrs(CpuState& s) {
    s.star = s.lstar = s.cstar = s.sfmask = s.kernel_gs_base = s.tsc_aux = s.tsc_deadline = 0;
    s.sysenter_cs = s.sysenter_esp = s.sysenter_eip = 0;
    s.pat = 0x0007040600070406;
    s.mtrr_def = 0;
    for (u64& m : s.mtrr_phys) m = 0;
    for (u64& m : s.mtrr_fixed) m = 0;
    s.misc_enable = 1;
    s.apic_base = s.cpu->has_feature(Isa::apic) ? 0xfee00900 : 0;   // without an APIC, INTR goes straight to the core
    s.smbase = 0x30000;
    s.xcr0 = 1, s.xss = 0;
    s.tsc_adjust = 0;
}

void reset_fpu(CpuState& s) {
    s.fpu = {};
    s.fpu.cw = 0x40;
    s.fpu.top_tags = 0xff00;   // all valid (zero)
    s.mxcsr = 0x1f80;
    for (auto& v : s.xmm) v = {0, 0};
    for (auto& v : s.ymm_high) v = {0, 0};
}

void settle(CpuState& s) {
    refresh_mode(s);
    paging_changed(s);
    s.cpu->end_slice();
}

void serialise(StateIO& io, Segment& g) { io(g.selector, g.attr, g.limit, g.base); }

void serialise(StateIO& io, FpuState& f) {
    for (auto& r : f.reg) io(r.sig, r.se);
    io(f.top_tags, f.cw, f.sw, f.opcode, f.ip_sel, f.dp_sel, f.ip, f.dp, f.reported, f.ignored);
}

/// Loaded values that the code relies on; the rest may be anything a guest could have made.
void clamp(CpuState& s) {
    s.flags = static_cast<u16>((s.flags & jit::fl::All) | jit::fl::One);
    s.df &= 1;
    s.cpl &= 3;
    s.eflags_system = (s.eflags_system & 0x3f7300) | 2;
    if (!s.protected_mode()) s.cr0 &= ~cr0::PG, s.cpl = 0, s.eflags_system &= ~eflags::VM;
    if (!(s.cr4 & cr4::PAE) || !(s.cr0 & cr0::PG)) s.efer &= ~efer::LMA;
    s.fpu.top_tags &= 0xff07;
    s.mxcsr &= 0xffff;
    s.xcr0 = (s.xcr0 & xcr0_supported(s.cpu->features())) | 1;
    s.xss = 0;
    s.gdtr.limit &= 0xffff, s.idtr.limit &= 0xffff;
    if (!s.cpu->has_feature(Isa::apic)) s.apic_base = 0;
    if (!s.cpu->has_feature(Isa::x2apic) || !(s.apic_base & 0x800)) s.apic_base &= ~u64{0x400};
}

/// RF and interrupt shadows hold at one instruction only. What is left of older ones depends on how the run was cut into slices.
void forget_past(CpuState& s, u64 count) {
    if (s.rf_at != count) s.eflags_system &= ~eflags::RF, s.rf_at = 0;
    if (s.shadow_at != count) s.shadow = 0, s.shadow_at = 0;
}

void serialise(StateIO& io, CpuState& s) {
    io(s.x.rip, s.gpr, s.flags, s.df, s.mxcsr);
    serialise(io, s.fpu);
    for (auto& v : s.xmm) io(v.lo, v.hi);
    for (auto& v : s.ymm_high) io(v.lo, v.hi);
    io(s.eflags_system);
    for (Segment& g : s.seg) serialise(io, g);
    serialise(io, s.ldtr), serialise(io, s.tr);
    io(s.gdtr.base, s.gdtr.limit, s.idtr.base, s.idtr.limit, s.cr0, s.cr2, s.cr3, s.cr4, s.dr, s.dr6, s.dr7, s.efer, s.xcr0, s.xss);
    io(s.cpl, s.shadow, s.halted, s.wake_masked, s.shut_down, s.smm, s.nmi_blocked, s.shadow_at, s.rf_at, s.pending_debug, s.pdpte, s.monitor_line, s.random);
    io(s.star, s.lstar, s.cstar, s.sfmask, s.kernel_gs_base, s.tsc_aux, s.tsc_offset, s.tsc_adjust, s.tsc_deadline);
    io(s.sysenter_cs, s.sysenter_esp, s.sysenter_eip, s.pat, s.mtrr_def, s.mtrr_phys, s.mtrr_fixed, s.apic_base, s.misc_enable, s.smbase);
}
}  // namespace

void Cpu::reset() {
    s_.cr0 = cr0::CD | cr0::NW;
    reset_common(s_);
    reset_msrs(s_);
    reset_fpu(s_);
    sync_clock();
    s_.tsc_offset = u64{0} - wiring_.clock.now();
    apic_->reset();
    forget_pins();
    settle(s_);
}

// INIT keeps the x87 and SSE state, MSRs but EFER, the APIC's base, SMBASE and caches.
void Cpu::init() {
    if (s_.debug) s_.debug->moved();
    reset_common(s_);
    apic_->init();
    settle(s_);
}

void Cpu::save_state(StateIO& io) {
    io.version(2);
    u64 count = icount();
    io(count);
    if (!io.loading()) forget_past(s_, count);
    serialise(io, s_);
    apic_->state(io);
    pins_state(io);
    if (!io.loading()) return;
    clamp(s_);
    s_.x.deadline = count, s_.x.budget = 0, s_.x.unretired = 0, s_.x.fault = jit::Fault::none;
    s_.watching = data_breakpoints(s_);
    settle(s_);
}
}  // namespace calque
