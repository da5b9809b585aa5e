// Views of the architectural state: EFLAGS, the translation mode, and the copies of segments that IR reads.
#include "cpu/state.h"

#include "cpu/xsave.h"

namespace calque {

u32 read_eflags(const CpuState& s) {
    const u32 rf_over = s.rf_at == s.x.icount() ? 0 : eflags::RF;
    return (s.eflags_system & ~rf_over) | unpack_flags(s.flags) | (s.df ? eflags::DF : 0);
}

void write_eflags(CpuState& s, u32 value) {
    constexpr u32 System = eflags::TF | eflags::IF | eflags::IOPL | eflags::NT | eflags::RF | eflags::VM | eflags::AC | eflags::VIF |
                           eflags::VIP | eflags::ID;
    s.flags = pack_flags(value);
    s.df = (value & eflags::DF) != 0;
    s.eflags_system = (value & System) | 2;
    if (value & eflags::RF) s.rf_at = s.x.icount() + s.x.unretired;
}

namespace {
bool flat(const Segment& g) {
    return g.base == 0 && g.limit == 0xffffffff && g.present() && g.writable() && !g.expand_down();
}

u32 view_of(const CpuState& s) {
    if (s.cpl == 3) return mode::ViewUser;
    return (s.cr4 & cr4::SMAP) && (s.eflags_system & eflags::AC) ? mode::ViewSmapOff : mode::ViewSupervisor;
}

u32 fpu_bits(const CpuState& s) {
    u32 m = 0;
    if (s.cr0 & (cr0::EM | cr0::TS)) m |= mode::FpuTrap;
    if ((s.cr0 & cr0::MP) && (s.cr0 & cr0::TS)) m |= mode::WaitTrap;
    if ((s.cr0 & cr0::EM) || !(s.cr4 & cr4::OSFXSR)) m |= mode::SseUd;
    if (s.cr0 & cr0::TS) m |= mode::SseNm;
    if ((~s.mxcsr >> 7 & 0x3f) != 0) m |= mode::SseUnmasked;
    if (s.cr0 & cr0::EM) m |= mode::MmxEm;
    constexpr u64 Needed = xsave::Sse | xsave::Avx;
    if (!(s.cr4 & cr4::OSXSAVE) || (s.xcr0 & Needed) != Needed) m |= mode::AvxUd;
    return m;
}

u32 code_bits(const CpuState& s) {
    const Segment& cs = s.seg[CS];
    u32 m = cs.big() ? mode::Code32 : 0;
    if (s.seg[SS].big()) m |= mode::Stack32;
    if (cs.base == 0 && cs.limit == 0xffffffff) m |= mode::FlatCs;
    // 8086 code loads segments without ending its blocks: nothing may be baked in.
    if (!s.protected_mode() || s.vm86()) return m;
    if (flat(s.seg[DS])) m |= mode::FlatDs;
    if (flat(s.seg[ES])) m |= mode::FlatEs;
    if (flat(s.seg[SS])) m |= mode::FlatSs;
    return m;
}
}  // namespace

void compute_mode(CpuState& s) {
    u32 m = view_of(s) | fpu_bits(s);
    if (s.long_active() && s.seg[CS].long_mode()) {
        m |= mode::Code64 | mode::FlatCs | mode::FlatDs | mode::FlatEs | mode::FlatSs | mode::Protected;
        s.x.mode.base = 0;
    } else {
        m |= code_bits(s);
        if (s.protected_mode()) m |= s.vm86() ? mode::Protected | mode::Vm86 : mode::Protected;
        s.x.mode.base = static_cast<u32>(s.seg[CS].base);
    }
    if ((s.cr0 & cr0::AM) && (s.eflags_system & eflags::AC) && s.cpl == 3) m |= mode::AlignCheck;
    s.x.mode.bits = m;
}

// SDM vol. 3A, "Limit Checking" and "Type Checking". In real mode types do not matter, limits do.
void update_segment(CpuState& s, Seg n) {
    const Segment& g = s.seg[n];
    const bool real = !s.protected_mode();
    s.seg_base[n] = g.base;
    const u64 end = u64{g.limit} + 1;
    const bool up = (real || g.present()) && (real ? !(g.attr & 0x400) || g.code() : !g.expand_down());
    s.read_end[n] = up && (real || g.readable()) ? end : 0;
    s.write_end[n] = up && (real || g.writable()) ? end : 0;
    if (n == CS) s.code_end = end;
}

void refresh_mode(CpuState& s) {
    for (unsigned n = 0; n < kSegs; ++n) update_segment(s, static_cast<Seg>(n));
    compute_mode(s);
}
}  // namespace calque
