// Control and debug registers, descriptor-base and TLB instructions, MONITOR (SDM vol. 2; vol. 3A, chapter "System Architecture
// Overview").
#include "cpu/apic.h"
#include "cpu/debug.h"
#include "cpu/helpers.h"
#include "cpu/model.h"
#include "cpu/system.h"

namespace calque {
namespace {

bool privileged(CpuState& s) { return s.cpl == 0 || fault(s, vec::GP, 0); }
u64 gp(CpuState& s) { return fault(s, vec::GP, 0), 0; }

bool pae_paging(const CpuState& s, u64 c0, u64 c4) { return (c0 & cr0::PG) && (c4 & cr4::PAE) && !(s.efer & efer::LME); }

/// Turning paging on or off with EFER.LME set enters or leaves IA-32e mode.
bool check_long_switch(CpuState& s, u64 now) {
    const u64 was = s.cr0;
    if ((now & cr0::PG) && !(was & cr0::PG) && (s.efer & efer::LME))
        return (s.cr4 & cr4::PAE) && !s.seg[CS].long_mode();
    if (!(now & cr0::PG) && (was & cr0::PG) && s.long_active()) return !s.code64() && !(s.cr4 & cr4::PCIDE);
    return !(!(now & cr0::PG) && (s.cr4 & cr4::PCIDE));
}

bool write_cr0(CpuState& s, u64 v) {
    constexpr u64 Defined = cr0::PE | cr0::MP | cr0::EM | cr0::TS | cr0::NE | cr0::WP | cr0::AM | cr0::NW | cr0::CD | cr0::PG;
    if (v >> 32) return fault(s, vec::GP, 0);
    if ((v & cr0::PG) && !(v & cr0::PE)) return fault(s, vec::GP, 0);
    if ((v & cr0::NW) && !(v & cr0::CD)) return fault(s, vec::GP, 0);
    if (!check_long_switch(s, v)) return fault(s, vec::GP, 0);
    const u64 now = (v & Defined) | cr0::ET, changed = now ^ s.cr0;
    constexpr u64 Reload = cr0::PG | cr0::CD | cr0::NW;
    if ((changed & Reload) && pae_paging(s, now, s.cr4) && !load_pdptes(s, s.cr3)) return fault(s, vec::GP, 0);
    s.cr0 = now;
    if (changed & cr0::PG) s.efer = (now & cr0::PG) && (s.efer & efer::LME) ? s.efer | efer::LMA : s.efer & ~efer::LMA;
    if (changed & cr0::PG) tlb_flush_all(s);   // PE alone changes nothing: without paging all translations are the identity
    else if (changed & cr0::WP) s.mmu->clear_inline(s, false), s.cpu->engine().forget_fetch_all();
    if (changed & cr0::PE) refresh_mode(s);
    return true;
}

bool write_cr4(CpuState& s, u64 v) {
    if (v & ~cr4_allowed(s)) return fault(s, vec::GP, 0);
    const u64 changed = v ^ s.cr4;
    if (s.long_active() && !(v & cr4::PAE)) return fault(s, vec::GP, 0);
    if ((changed & v & cr4::PCIDE) && (!s.long_active() || (s.cr3 & 0xfff))) return fault(s, vec::GP, 0);
    constexpr u64 Paging = cr4::PSE | cr4::PAE | cr4::PGE | cr4::PCIDE | cr4::SMEP;
    if ((changed & (Paging | cr4::SMAP)) && pae_paging(s, s.cr0, v) && !load_pdptes(s, s.cr3)) return fault(s, vec::GP, 0);
    s.cr4 = v;
    if (changed & Paging) paging_changed(s);
    else if (changed & cr4::SMAP) s.mmu->clear_inline(s, false);
    return true;
}

bool write_cr3(CpuState& s, u64 v) {
    const bool keep = s.cr4 & cr4::PCIDE ? v >> 63 : false;
    if (s.cr4 & cr4::PCIDE) v &= ~(u64{1} << 63);
    if (s.long_active() && (v & ~kPhysMask)) return fault(s, vec::GP, 0);
    if (pae_paging(s, s.cr0, s.cr4) && !load_pdptes(s, v)) return fault(s, vec::GP, 0);
    s.cr3 = s.long_active() ? v : v & 0xffffffff;
    const u16 pcid = s.cr4 & cr4::PCIDE ? v & 0xfff : 0;
    if (!keep) s.mmu->drop_context(pcid);
    s.mmu->enter(pcid);
    s.mmu->clear_inline(s, true);
    s.cpu->engine().forget_fetch_all();
    return true;
}

// ---- debug registers

bool dr_access(CpuState& s, u64& n) {
    if (n == 4 || n == 5) {
        if (s.cr4 & cr4::DE) return raise(s, vec::UD), false;
        n += 2;
    }
    if (n > 7) return raise(s, vec::UD), false;
    if (!privileged(s)) return false;
    if (!(s.dr7 & 0x2000)) return true;
    raise(s, vec::DB);   // general detect
    s.exception.address = 0x2000;
    return false;
}
}  // namespace

u64 cr4_allowed(const CpuState& s) {
    const auto f = [&](Isa isa, u64 bits) { return s.cpu->has_feature(isa) ? bits : 0; };
    return f(Isa::vme, cr4::VME | cr4::PVI) | f(Isa::tsc, cr4::TSD) | f(Isa::de, cr4::DE) | f(Isa::pse, cr4::PSE) | f(Isa::pae, cr4::PAE) |
           f(Isa::mce, cr4::MCE) | f(Isa::pge, cr4::PGE) | f(Isa::mmx, cr4::PCE) | f(Isa::fxsr, cr4::OSFXSR) | f(Isa::sse, cr4::OSXMMEXCPT) |
           f(Isa::umip, cr4::UMIP) | f(Isa::fsgsbase, cr4::FSGSBASE) | f(Isa::pcid, cr4::PCIDE) | f(Isa::xsave, cr4::OSXSAVE) |
           f(Isa::smep, cr4::SMEP) | f(Isa::smap, cr4::SMAP);
}

bool load_cr3(CpuState& s, u64 value) { return write_cr3(s, value); }

bool data_breakpoints(const CpuState& s) {
    for (unsigned n = 0; n < 4; ++n)
        if ((s.dr7 >> (2 * n) & 3) && (s.dr7 >> (16 + 4 * n) & 1)) return true;
    return false;
}

u64 helper_read_cr(CpuState& s, u64 n, u64, u64) {
    if (!privileged(s)) return 0;
    switch (n) {
    case 0: return s.cr0;
    case 2: return s.cr2;
    case 3: return s.cr3;
    case 4: return s.cr4;
    case 8: return s.cpu->apic().cr8();
    default: return raise(s, vec::UD), 0;
    }
}

/// A debugger wants to look before control register `n` becomes `v`.
static bool refused(CpuState& s, u64 n, u64 v) { return s.debug && s.debug->refuses({Debug::Event::control, n, v, 8, false, true}); }

u64 helper_write_cr(CpuState& s, u64 n, u64 v, u64 next) {
    if (!privileged(s) || refused(s, n, v)) return 0;
    bool ok = true;
    switch (n) {
    case 0: ok = write_cr0(s, v); break;
    case 2: s.cr2 = v; break;
    case 3: ok = write_cr3(s, v); break;
    case 4: ok = write_cr4(s, v); break;
    case 8:
        if (v > 15) return gp(s);
        s.cpu->apic().set_cr8(static_cast<u8>(v));
        break;
    default: return raise(s, vec::UD), 0;
    }
    return ok ? finish(s, next) : 0;
}

u64 helper_smsw(CpuState& s, u64, u64, u64) {
    if ((s.cr4 & cr4::UMIP) && s.cpl) return gp(s);
    return s.cr0;
}

u64 helper_lmsw(CpuState& s, u64 v, u64, u64 next) {
    if (!privileged(s)) return 0;
    u64 now = (s.cr0 & ~u64{14}) | (v & 15);   // PE can be set but not cleared
    if (refused(s, 0, now)) return 0;
    return write_cr0(s, now) ? finish(s, next) : 0;
}

u64 helper_clts(CpuState& s, u64, u64, u64 next) {
    if (!privileged(s) || refused(s, 0, s.cr0 & ~cr0::TS)) return 0;
    s.cr0 &= ~cr0::TS;
    return finish(s, next);
}

u64 helper_read_dr(CpuState& s, u64 n, u64, u64) {
    if (!dr_access(s, n)) return 0;
    return n < 4 ? s.dr[n] : n == 6 ? s.dr6 : s.dr7;
}

u64 helper_write_dr(CpuState& s, u64 n, u64 v, u64 next) {
    if (!dr_access(s, n)) return 0;
    if (n >= 6 && v >> 32) return gp(s);
    if (n < 4) s.dr[n] = v;
    else if (n == 6) s.dr6 = (v & 0xe00f) | 0xffff0ff0;
    else s.dr7 = (v & 0xffff23ff) | 0x400;
    s.watching = data_breakpoints(s);
    s.mmu->clear_inline(s, false);
    return finish(s, next);
}

u64 helper_invlpg(CpuState& s, u64 linear, u64, u64 next) {
    if (!privileged(s)) return 0;
    if (!s.code64() || canonical(linear)) tlb_flush_page(s, linear);
    return finish(s, next);
}

// SDM vol. 2A, "INVPCID".
u64 helper_invpcid(CpuState& s, u64 type, u64 at, u64 next) {
    if (!privileged(s)) return 0;
    u64 d[2];
    if (!read_linear(s, at, d, 16)) return 0;
    const bool on = s.cr4 & cr4::PCIDE;
    if (type > 3 || d[0] >> 12) return gp(s);
    if (type < 2 && !on && d[0]) return gp(s);
    if (type == 0 && !canonical(d[1])) return gp(s);
    const u16 pcid = static_cast<u16>(d[0]);
    switch (type) {
    case 0: s.mmu->drop_page(s, d[1], pcid, false); break;
    case 1: s.mmu->drop_context(pcid); break;
    case 2: s.mmu->drop_all(); break;
    default: s.mmu->drop_contexts(); break;
    }
    s.mmu->clear_inline(s, type != 2);
    s.cpu->engine().forget_fetch_all();
    return finish(s, next);
}

u64 helper_wbinvd(CpuState& s, u64, u64, u64) { return privileged(s), 0; }

u64 helper_swapgs(CpuState& s, u64, u64, u64 next) {
    if (!s.code64()) return raise(s, vec::UD), 0;
    if (!privileged(s)) return 0;
    std::swap(s.seg[GS].base, s.kernel_gs_base);
    update_segment(s, GS);
    s.x.rip = next;
    return 0;
}

u64 helper_read_base(CpuState& s, u64 n, u64, u64) {
    if (!s.code64() || !(s.cr4 & cr4::FSGSBASE)) return raise(s, vec::UD), 0;
    return s.seg[n == FS ? FS : GS].base;
}

u64 helper_write_base(CpuState& s, u64 n, u64 v, u64) {
    if (!s.code64() || !(s.cr4 & cr4::FSGSBASE)) return raise(s, vec::UD), 0;
    if (!canonical(v)) return gp(s);
    const Seg seg = n == FS ? FS : GS;
    s.seg[seg].base = v;
    update_segment(s, seg);
    return 0;
}

// MONITOR and MWAIT: the monitored line is never written while this processor sleeps (there is one), so MWAIT sleeps like HLT, and an
// interrupt ends it, with "interrupts break even if masked" (ECX bit 0) looked at by the run loop.
u64 helper_monitor(CpuState& s, u64, u64, u64) {
    if (s.cpl) return raise(s, vec::UD), 0;   // not #GP (SDM vol. 2B, "MONITOR", "MWAIT")
    if (static_cast<u32>(s.gpr[RCX])) return gp(s);
    s.monitor_line = 1;
    return 0;
}

u64 helper_mwait(CpuState& s, u64, u64, u64 next) {
    if (s.cpl) return raise(s, vec::UD), 0;
    const u32 extensions = static_cast<u32>(s.gpr[RCX]);
    if (extensions & ~1u) return gp(s);
    s.x.rip = next;
    s.cpu->end_slice();
    if (!s.monitor_line) return 0;   // not armed: falls through
    s.monitor_line = 0;
    s.halted = true;
    s.wake_masked = extensions & 1;
    return 0;
}

u64 helper_hlt(CpuState& s, u64, u64, u64 next) {
    if (!privileged(s)) return 0;
    s.x.rip = next;
    s.halted = true;
    s.wake_masked = false;
    s.cpu->end_slice();
    return 0;
}
}  // namespace calque
