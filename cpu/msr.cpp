// Model-specific registers and the time stamp counter (SDM vol. 4; vol. 3B, "Time-Stamp Counter").
#include "cpu/apic.h"
#include "cpu/debug.h"
#include "cpu/helpers.h"
#include "cpu/model.h"
#include "cpu/system.h"
#include "support/log.h"

namespace calque {
namespace {

Log log{"msr"};

namespace msr {
constexpr u32 P5McAddr = 0, P5McType = 1, Tsc = 0x10, PlatformId = 0x17, ApicBase = 0x1b, EblCrPowerOn = 0x2a, FeatureControl = 0x3a, TscAdjust = 0x3b,
              BiosUpdate = 0x79, BiosSign = 0x8b, PlatformInfo = 0xce, MtrrCap = 0xfe, SysenterCs = 0x174, SysenterEsp = 0x175,
              SysenterEip = 0x176, McgCap = 0x179, McgStatus = 0x17a, McgCtl = 0x17b, MiscEnable = 0x1a0, DebugCtl = 0x1d9, MtrrPhys = 0x200,
              MtrrFix64K = 0x250, MtrrFix16K = 0x258, MtrrFix4K = 0x268, Pat = 0x277, MtrrDef = 0x2ff, TscDeadline = 0x6e0, Xss = 0xda0, X2Apic = 0x800,
              Efer = 0xc0000080, Star = 0xc0000081, LStar = 0xc0000082, CStar = 0xc0000083, SfMask = 0xc0000084, FsBase = 0xc0000100,
              GsBase = 0xc0000101, KernelGsBase = 0xc0000102, TscAux = 0xc0000103;
}
constexpr unsigned kMtrrPairs = 8;

u64 now_tsc(CpuState& s) {
    s.cpu->sync_clock();
    return s.cpu->clock().now() + s.tsc_offset;
}

u64* fixed_mtrr(CpuState& s, u32 n) {
    if (n == msr::MtrrFix64K) return &s.mtrr_fixed[0];
    if (n == msr::MtrrFix16K || n == msr::MtrrFix16K + 1) return &s.mtrr_fixed[1 + n - msr::MtrrFix16K];
    if (n >= msr::MtrrFix4K && n < msr::MtrrFix4K + 8) return &s.mtrr_fixed[3 + n - msr::MtrrFix4K];
    return nullptr;
}

bool memory_type(u64 t, bool pat) { return t == 0 || t == 1 || t == 4 || t == 5 || t == 6 || (pat && t == 7); }

bool all_types(u64 v, bool pat) {
    for (unsigned i = 0; i < 8; ++i)
        if (!memory_type(v >> (8 * i) & 0xff, pat)) return false;
    return true;
}

}  // namespace

bool read_msr(CpuState& s, u32 n, u64& v) {
    const Cpu& cpu = *s.cpu;
    const auto has = [&](Isa f) { return cpu.has_feature(f); };
    const bool p6 = cpu.model().family() >= 6;
    v = 0;
    switch (n) {
    case msr::P5McAddr:
    case msr::P5McType: return has(Isa::mce);
    case msr::Tsc: return v = now_tsc(s), true;
    case msr::PlatformId:
    case msr::EblCrPowerOn: return p6;
    case msr::ApicBase: return v = s.apic_base, has(Isa::apic);
    case msr::FeatureControl: return v = 1, has(Isa::long_mode);   // locked, nothing enabled
    case msr::TscAdjust: return v = s.tsc_adjust, has(Isa::tsc_adjust);
    case msr::BiosSign: return v = u64{1} << 32, p6;
    case msr::PlatformInfo: return v = 10u << 8, has(Isa::tsc_deadline);   // base frequency in units of 100 MHz
    case msr::MtrrCap: return v = kMtrrPairs | 1u << 8 | 1u << 10, has(Isa::mtrr);   // fixed ranges and write combining
    case msr::SysenterCs: return v = s.sysenter_cs, has(Isa::sep);
    case msr::SysenterEsp: return v = s.sysenter_esp, has(Isa::sep);
    case msr::SysenterEip: return v = s.sysenter_eip, has(Isa::sep);
    case msr::McgCap:
    case msr::McgStatus: return has(Isa::mca);
    case msr::MiscEnable: return v = s.misc_enable | 0x1800, has(Isa::long_mode);   // neither branch trace store nor PEBS
    case msr::DebugCtl: return p6;
    case msr::Pat: return v = s.pat, has(Isa::pat);
    case msr::MtrrDef: return v = s.mtrr_def, has(Isa::mtrr);
    case msr::TscDeadline: return v = s.cpu->apic().tsc_deadline(), has(Isa::tsc_deadline);
    case msr::Xss: return v = s.xss, has(Isa::xsaves);
    case msr::Efer: return v = s.efer, has(Isa::long_mode) || has(Isa::nx) || has(Isa::syscall);
    case msr::Star: return v = s.star, has(Isa::syscall);
    case msr::LStar: return v = s.lstar, has(Isa::long_mode);
    case msr::CStar: return v = s.cstar, has(Isa::long_mode);
    case msr::SfMask: return v = s.sfmask, has(Isa::long_mode);
    case msr::FsBase: return v = s.seg[FS].base, has(Isa::long_mode);
    case msr::GsBase: return v = s.seg[GS].base, has(Isa::long_mode);
    case msr::KernelGsBase: return v = s.kernel_gs_base, has(Isa::long_mode);
    case msr::TscAux: return v = s.tsc_aux, has(Isa::rdtscp);
    default: break;
    }
    if (n >= msr::MtrrPhys && n < msr::MtrrPhys + 2 * kMtrrPairs) return v = s.mtrr_phys[n - msr::MtrrPhys], has(Isa::mtrr);
    if (const u64* f = fixed_mtrr(s, n)) return v = *f, has(Isa::mtrr);
    if (n >= msr::X2Apic && n < msr::X2Apic + 0x100) return s.cpu->sync_clock(), s.cpu->apic().read_msr(n, v);
    return false;
}

namespace {
bool write_efer(CpuState& s, u64 v) {
    if (v & ~efer_allowed(s)) return false;
    if (((v ^ s.efer) & efer::LME) && (s.cr0 & cr0::PG)) return false;
    const u64 changed = v ^ s.efer;
    s.efer = (v & ~efer::LMA) | (s.efer & efer::LMA);
    if (changed & efer::NXE) tlb_flush_all(s);
    return true;
}

// Fast strings, the automatic thermal control that there is not, MONITOR (without effect), and the limit of CPUID. XD disable
// is refused: no execution is prevented by pages already marked.
bool write_misc_enable(CpuState& s, u64 v) {
    constexpr u64 Writable = 1u | 1u << 3 | 1u << 16 | 1u << 18 | 1u << 22 | 1u << 23, ReadOnly = 1u << 7 | 1u << 11 | 1u << 12;
    if (v & ~(Writable | ReadOnly)) return false;
    s.misc_enable = v & Writable;
    return true;
}

bool write_tsc(CpuState& s, u64 v) {
    const u64 delta = v - now_tsc(s);
    s.tsc_offset += delta, s.tsc_adjust += delta;
    s.cpu->apic().tsc_moved();
    return true;
}

bool write_base(CpuState& s, Seg n, u64 v) {
    if (!canonical(v)) return false;
    s.seg[n].base = v;
    update_segment(s, n);
    return true;
}

bool set_canonical(u64& where, u64 v) { return canonical(v) && (where = v, true); }

}  // namespace

bool write_msr(CpuState& s, u32 n, u64 v) {
    switch (n) {
    case msr::P5McAddr:
    case msr::P5McType:
    case msr::PlatformId:
    case msr::PlatformInfo:
    case msr::MtrrCap:
    case msr::McgCap:
    case msr::FeatureControl: return false;
    case msr::EblCrPowerOn:
    case msr::BiosUpdate:
    case msr::BiosSign: return true;
    case msr::McgStatus: return v == 0;
    case msr::DebugCtl: return (v & ~u64{0xffff}) == 0;   // LBR and BTF: accepted without effect, as on models without them
    case msr::Tsc: return write_tsc(s, v);
    case msr::TscAdjust: {
        s.cpu->sync_clock();
        s.tsc_offset += v - s.tsc_adjust, s.tsc_adjust = v;
        return s.cpu->apic().tsc_moved(), true;
    }
    case msr::ApicBase: {
        s.cpu->sync_clock();
        const u64 old = s.apic_base;
        if (!s.cpu->apic().write_base(v)) return false;
        if (old != s.apic_base) tlb_flush_all(s);
        return true;
    }
    case msr::SysenterCs: return s.sysenter_cs = v & 0xffffffff, true;
    case msr::SysenterEsp: return set_canonical(s.sysenter_esp, v);
    case msr::SysenterEip: return set_canonical(s.sysenter_eip, v);
    case msr::MiscEnable: return write_misc_enable(s, v);
    case msr::Pat: return all_types(v, true) && (s.pat = v, true);
    case msr::MtrrDef: return !(v & ~u64{0xcff}) && memory_type(v & 0xff, false) && (s.mtrr_def = v, true);
    case msr::TscDeadline: return s.cpu->sync_clock(), s.cpu->apic().set_tsc_deadline(v), true;
    case msr::Xss: return v == 0 && s.cpu->has_feature(Isa::xsaves);   // no supervisor components
    case msr::Efer: return write_efer(s, v);
    case msr::Star: return s.star = v, true;
    case msr::LStar: return set_canonical(s.lstar, v);
    case msr::CStar: return set_canonical(s.cstar, v);
    case msr::SfMask: return !(v >> 32) && (s.sfmask = v, true);
    case msr::FsBase: return write_base(s, FS, v);
    case msr::GsBase: return write_base(s, GS, v);
    case msr::KernelGsBase: return set_canonical(s.kernel_gs_base, v);
    case msr::TscAux: return !(v >> 32) && (s.tsc_aux = v, true);
    default: break;
    }
    if (n >= msr::MtrrPhys && n < msr::MtrrPhys + 2 * kMtrrPairs) {
        const bool mask = n & 1;
        if (v & ~kPhysMask || (mask ? v & 0x7ff : (v & 0xf00) || !memory_type(v & 0xff, false))) return false;
        return s.mtrr_phys[n - msr::MtrrPhys] = v, true;
    }
    if (u64* f = fixed_mtrr(s, n)) return all_types(v, false) && (*f = v, true);
    if (n >= msr::X2Apic && n < msr::X2Apic + 0x100) return s.cpu->sync_clock(), s.cpu->apic().write_msr(n, v);
    return false;
}

namespace {
u64 unknown(CpuState& s, const char* what, u32 n) {
    log.debug("%s of unknown or refused MSR %08xh at %llx", what, n, static_cast<unsigned long long>(s.x.rip));
    return fault(s, vec::GP, 0);
}

bool tsc_denied(CpuState& s) { return (s.cr4 & cr4::TSD) && s.cpl && !fault(s, vec::GP, 0); }

void put_edx_eax(CpuState& s, u64 v) { s.gpr[RAX] = v & 0xffffffff, s.gpr[RDX] = v >> 32; }
}  // namespace

u64 efer_allowed(const CpuState& s) {
    const auto f = [&](Isa isa, u64 bits) { return s.cpu->has_feature(isa) ? bits : 0; };
    return f(Isa::syscall, efer::SCE) | f(Isa::long_mode, efer::LME | efer::LMA) | f(Isa::nx, efer::NXE);
}

u64 helper_rdmsr(CpuState& s, u64, u64, u64) {
    if (s.cpl) return fault(s, vec::GP, 0);
    const u32 n = static_cast<u32>(s.gpr[RCX]);
    u64 v;
    if (s.debug && s.debug->refuses({Debug::Event::msr, n, 0, 8, true, false})) return 0;
    // Reading needs the feature as writing does.
    if (!read_msr(s, n, v)) return unknown(s, "read", n);
    put_edx_eax(s, v);
    return 0;
}

u64 helper_wrmsr(CpuState& s, u64, u64, u64 next) {
    if (s.cpl) return fault(s, vec::GP, 0);
    const u32 n = static_cast<u32>(s.gpr[RCX]);
    u64 present;
    const bool write_only = n == msr::BiosUpdate || (n >= msr::X2Apic && n < msr::X2Apic + 0x100);
    const u64 v = s.gpr[RDX] << 32 | (s.gpr[RAX] & 0xffffffff);
    if (s.debug && s.debug->refuses({Debug::Event::msr, n, v, 8, false, true})) return 0;
    if ((!write_only && !read_msr(s, n, present)) || !write_msr(s, n, v)) return unknown(s, "write", n);
    return finish(s, next);
}

u64 helper_rdtsc(CpuState& s, u64, u64, u64) {
    if (!tsc_denied(s)) put_edx_eax(s, now_tsc(s));
    return 0;
}

u64 helper_rdtscp(CpuState& s, u64, u64, u64) {
    if (tsc_denied(s)) return 0;
    put_edx_eax(s, now_tsc(s));
    s.gpr[RCX] = s.tsc_aux;
    return 0;
}

u64 helper_rdpid(CpuState& s, u64, u64, u64) { return s.tsc_aux; }

// There are no performance counters: every index is out of range.
u64 helper_rdpmc(CpuState& s, u64, u64, u64) { return fault(s, vec::GP, 0); }
}  // namespace calque
