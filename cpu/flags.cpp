// EFLAGS as a whole, and the interrupt flag, in every mode (SDM vol. 2: PUSHF, POPF, CLI, STI; vol. 3B, "Virtual-8086 Mode
// Extensions" and "Protected-Mode Virtual Interrupts").
#include "cpu/helpers.h"
#include "cpu/system.h"

namespace calque {
namespace {

unsigned iopl(const CpuState& s) { return s.eflags_system >> 12 & 3; }
bool real(const CpuState& s) { return !s.protected_mode(); }

/// Does IF belong to VIF here?
bool virtual_if(const CpuState& s) {
    if (s.vm86()) return s.cr4 & cr4::VME;
    return (s.cr4 & cr4::PVI) && s.cpl == 3 && iopl(s) < 3;
}

void set_if(CpuState& s, bool on) {
    const bool was = s.eflags_system & eflags::IF;
    s.eflags_system = on ? s.eflags_system | eflags::IF : s.eflags_system & ~eflags::IF;
    if (on && !was) s.shadow = ShadowSti, s.shadow_at = s.x.icount() + 1;
    if (on) s.cpu->check_events();
}
}  // namespace

u32 changeable_flags(const CpuState& s, unsigned size) {
    u32 may = eflags::Arithmetic | eflags::TF | eflags::DF | eflags::NT;
    if (size > 2) may |= eflags::AC | eflags::ID;
    if (real(s) || s.cpl == 0) return may | eflags::IOPL | eflags::IF;
    if (s.cpl <= iopl(s)) may |= eflags::IF;
    return may;
}

u64 helper_pushf(CpuState& s, u64 size, u64, u64) {
    u32 v = read_eflags(s) & ~(eflags::VM | eflags::RF);
    if (!s.vm86() || iopl(s) == 3) return v;
    if (!(s.cr4 & cr4::VME) || size != 2) return raise(s, vec::GP, 0), 0;
    v = (v & ~eflags::IF) | eflags::IOPL | (v & eflags::VIF ? eflags::IF : 0);
    return v;
}

u64 helper_popf(CpuState& s, u64 value, u64 size, u64 next) {
    const u32 v = static_cast<u32>(value);
    u32 may = changeable_flags(s, static_cast<unsigned>(size));
    u32 now = read_eflags(s);
    if (s.vm86()) {
        if (iopl(s) < 3) {
            if (!(s.cr4 & cr4::VME) || size != 2) return raise(s, vec::GP, 0), 0;
            if ((v & eflags::TF) || ((v & eflags::IF) && (now & eflags::VIP))) return raise(s, vec::GP, 0), 0;
            now = (now & ~eflags::VIF) | (v & eflags::IF ? eflags::VIF : 0);
            may &= ~eflags::IF;
        }
        may &= ~eflags::IOPL;
    }
    if (size > 2) now &= ~eflags::RF;
    write_eflags(s, (now & ~may) | (v & may));
    return finish(s, next);
}

u64 helper_cli(CpuState& s, u64, u64, u64) {
    if (real(s) || (s.vm86() ? iopl(s) == 3 : s.cpl <= iopl(s))) return set_if(s, false), 0;
    if (!virtual_if(s)) return raise(s, vec::GP, 0), 0;
    s.eflags_system &= ~eflags::VIF;
    return 0;
}

u64 helper_sti(CpuState& s, u64, u64, u64) {
    if (real(s) || (s.vm86() ? iopl(s) == 3 : s.cpl <= iopl(s))) return set_if(s, true), 0;
    if (!virtual_if(s) || (s.eflags_system & eflags::VIP)) return raise(s, vec::GP, 0), 0;
    s.eflags_system |= eflags::VIF;
    return 0;
}

u64 helper_clac_stac(CpuState& s, u64 on, u64, u64 next) {
    if (s.cpl || s.vm86()) return raise(s, vec::UD), 0;
    s.eflags_system = on ? s.eflags_system | eflags::AC : s.eflags_system & ~eflags::AC;
    return finish(s, next);
}
}  // namespace calque
