// System management mode, with the state-save area of 64-bit processors as AMD's manual lays it out (APM vol. 2, "System-Management
// Mode", table "AMD64 Architecture SMM State-Save Area"). Revision 20064h: SMBASE can be relocated, I/O restart is not offered.
#include "cpu/debug.h"
#include "cpu/helpers.h"
#include "cpu/system.h"
#include "support/line.h"
#include "support/log.h"

namespace calque {
namespace {

static Log log{"smm"};
constexpr u32 Revision = 0x20064;

// Offsets from SMBASE + 8000h.
constexpr unsigned Segments = 0x7e00, Gdtr = 0x7e60, Ldtr = 0x7e70, Idtr = 0x7e80, Tr = 0x7e90, AutoHalt = 0x7ec9, NmiMask = 0x7eca,
                   Efer = 0x7ed0, RevisionAt = 0x7efc, SmBase = 0x7f00, Cr4 = 0x7f48, Cr3 = 0x7f50, Cr0 = 0x7f58, Dr7 = 0x7f60, Dr6 = 0x7f68,
                   Rflags = 0x7f70, Rip = 0x7f78, Registers = 0x7f80;

class SaveArea {
public:
    explicit SaveArea(CpuState& s) : s_{s}, at_{s.smbase + 0x8000} {}
    u64 get(unsigned offset, unsigned size) { return phys_read(s_, at_ + offset, size); }
    void put(unsigned offset, u64 v, unsigned size) { phys_write(s_, at_ + offset, v, size); }
    void put(unsigned offset, const Segment& g) {
        put(offset, g.selector, 2), put(offset + 2, (g.attr >> 8 & 0xff) | (g.attr >> 12 & 0xf00), 2), put(offset + 4, g.limit, 4), put(offset + 8, g.base, 8);
    }
    Segment segment(unsigned offset) {
        const u32 a = static_cast<u32>(get(offset + 2, 2));
        return {static_cast<u16>(get(offset, 2)), (a & 0xff) << 8 | (a & 0xf00) << 12, static_cast<u32>(get(offset + 4, 4)), get(offset + 8, 8)};
    }

private:
    CpuState& s_;
    u64 at_;
};

void save(CpuState& s, bool was_halted, bool nmi_was_blocked) {
    SaveArea a{s};
    for (unsigned i = 0; i < 16; ++i) a.put(Registers + 8 * (15 - i), s.gpr[i], 8);
    for (unsigned n = 0; n < kSegs; ++n) a.put(Segments + 16 * n, s.seg[n]);
    a.put(Gdtr + 4, s.gdtr.limit, 2), a.put(Gdtr + 8, s.gdtr.base, 8);
    a.put(Idtr + 4, s.idtr.limit, 2), a.put(Idtr + 8, s.idtr.base, 8);
    a.put(Ldtr, s.ldtr), a.put(Tr, s.tr);
    a.put(AutoHalt - 1, 0, 1), a.put(AutoHalt, was_halted, 1), a.put(NmiMask, nmi_was_blocked, 1);
    a.put(Efer, s.efer, 8), a.put(RevisionAt, Revision, 4), a.put(SmBase, s.smbase, 4);
    a.put(Cr4, s.cr4, 8), a.put(Cr3, s.cr3, 8), a.put(Cr0, s.cr0, 8), a.put(Dr7, s.dr7, 8), a.put(Dr6, s.dr6, 8);
    a.put(Rflags, read_eflags(s), 8), a.put(Rip, s.x.rip, 8);
}

/// Values that RSM refuses, with a shutdown ("Exiting SMM").
bool acceptable(u64 c0, u64 c4, u64 ef, const Segment& cs) {
    if ((c0 & cr0::PG) && !(c0 & cr0::PE)) return false;
    if ((c0 & cr0::NW) && !(c0 & cr0::CD)) return false;
    if (c0 >> 32 || (ef & ~(efer::SCE | efer::LME | efer::LMA | efer::NXE))) return false;
    if ((ef & efer::LMA) && !((c0 & cr0::PG) && (ef & efer::LME) && (c4 & cr4::PAE))) return false;
    return !((ef & efer::LMA) && cs.long_mode() && cs.big());
}

bool restore(CpuState& s) {
    SaveArea a{s};
    const u64 c0 = a.get(Cr0, 8), c4 = a.get(Cr4, 8), ef = a.get(Efer, 8);
    if (!acceptable(c0, c4, ef, a.segment(Segments + 16 * CS))) return false;
    for (unsigned i = 0; i < 16; ++i) s.gpr[i] = a.get(Registers + 8 * (15 - i), 8);
    s.cr0 = c0 | cr0::ET, s.cr3 = a.get(Cr3, 8), s.cr4 = c4, s.efer = ef;
    s.dr7 = (a.get(Dr7, 8) & 0xffff23ff) | 0x400, s.dr6 = (a.get(Dr6, 8) & 0xe00f) | 0xffff0ff0;
    s.watching = data_breakpoints(s);
    for (unsigned n = 0; n < kSegs; ++n) s.seg[n] = a.segment(Segments + 16 * n);
    s.gdtr = {a.get(Gdtr + 8, 8), static_cast<u32>(a.get(Gdtr + 4, 2))};
    s.idtr = {a.get(Idtr + 8, 8), static_cast<u32>(a.get(Idtr + 4, 2))};
    s.ldtr = a.segment(Ldtr), s.tr = a.segment(Tr);
    write_eflags(s, static_cast<u32>(a.get(Rflags, 8)));
    if (!s.protected_mode()) s.eflags_system &= ~eflags::VM;
    s.cpl = !s.protected_mode() ? 0 : s.vm86() ? 3 : s.seg[CS].selector & 3;
    s.x.rip = a.get(Rip, 8);
    s.nmi_blocked = a.get(NmiMask, 1) & 1;
    s.halted = a.get(AutoHalt, 1) & 1;
    s.wake_masked = false;
    s.smbase = a.get(SmBase, 4);
    return true;
}
}  // namespace

void enter_smm(CpuState& s) {
    const bool was_halted = s.halted, nmi_was_blocked = s.nmi_blocked;
    s.smm = true;
    if (s.debug) s.debug->moved();
    if (Line* line = s.cpu->wiring().smm_active) line->raise();
    save(s, was_halted, nmi_was_blocked);
    log.debug("SMI at %04x:%llx", s.seg[CS].selector, static_cast<unsigned long long>(s.x.rip));
    s.nmi_blocked = true;
    s.halted = false;
    s.shadow = 0;
    s.pending_debug = 0;
    write_eflags(s, 2);
    s.cr0 &= ~(cr0::PE | cr0::EM | cr0::TS | cr0::PG);
    s.cr4 = 0, s.efer = 0, s.dr7 = 0x400, s.watching = false, s.cpl = 0;
    for (Segment& g : s.seg) g = {0, 0x809300, 0xffffffff, 0};
    s.seg[CS] = {static_cast<u16>(s.smbase >> 4), 0x809300, 0xffffffff, s.smbase};
    refresh_mode(s);
    paging_changed(s);
    resume_at(s, 0x8000);
}

u64 helper_rsm(CpuState& s, u64, u64, u64) {
    if (!s.smm) return raise(s, vec::UD), 0;
    if (!restore(s)) {
        log.info("RSM with an invalid state");
        s.shut_down = true;
        s.cpu->end_slice();
        return 0;
    }
    s.smm = false;
    if (Line* line = s.cpu->wiring().smm_active) line->lower();
    if ((s.cr0 & cr0::PG) && (s.cr4 & cr4::PAE) && !s.long_active()) load_pdptes(s, s.cr3);
    refresh_mode(s);
    paging_changed(s);
    resume_at(s, s.x.rip);
    s.cpu->end_slice();
    return 0;
}
}  // namespace calque
