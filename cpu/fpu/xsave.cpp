// The XSAVE family (SDM vol. 1, "Managing State Using the XSAVE Feature Set"). As on silicon, x87 and SSE state always count as in use,
// and AVX state while an upper half is not zero. The modified optimisation, which the manual leaves to the processor, is not made.
#include "cpu/cpu.h"
#include "cpu/fpu/save.h"
#include "cpu/fpu/x87.h"
#include "cpu/helpers.h"
#include "cpu/memory.h"
#include "cpu/model.h"
#include "cpu/system.h"
#include "cpu/xsave.h"

namespace calque {
namespace {
using namespace xsave;

constexpr unsigned kHeader = 512;      // XSTATE_BV; XCOMP_BV at + 8
constexpr u64 kCompacted = u64{1} << 63;

/// One XSAVE or XRSTOR at work, with a copy of its area.
struct Area {
    CpuState& s;
    const u64 address;
    const XsaveOp op;
    u8 bytes[kAvxOffset + kAvxSize];
    const Image m{bytes};

    /// The checks that come before the operand is touched. True when they hold.
    bool allowed() {
        if (!(s.cr4 & cr4::OSXSAVE)) return raise(s, vec::UD), false;
        if (s.cr0 & cr0::TS) return raise(s, vec::NM), false;
        if (op.supervisor && s.cpl) return raise(s, vec::GP, 0), false;
        if (address & 63) return raise(s, vec::GP, 0), false;
        return true;
    }
    u64 requested() const {
        const u64 enabled = s.xcr0 | (op.supervisor ? s.xss : 0);
        return (s.gpr[RDX] << 32 | (s.gpr[RAX] & 0xffffffff)) & enabled;
    }
    /// The part behind the header is subject to the segment's limit too.
    bool reaches_avx(bool write) {
        if (s.code64()) return true;
        helper_seg_check(s, static_cast<u32>(address - s.seg_base[op.seg]), kAvxOffset + kAvxSize / 2, op.seg | u64{write} << 8);
        return s.x.fault == jit::Fault::none;
    }
};

u64 in_use(const CpuState& s) {
    u64 any = 0;
    for (const auto& v : s.ymm_high) any |= v.lo | v.hi;
    return Fpu | Sse | (any ? Avx : 0);
}

/// XSAVE and XSAVEOPT keep what they do not write; `present` goes to XSTATE_BV.
void save(Area& a, u64 rfbm, u64 present) {
    CpuState& s = a.s;
    const bool optimise = a.op.optimised || a.op.compacted;
    const u64 written = optimise ? rfbm & present : rfbm;
    if (written & Fpu) write_x87(s, a.op.rex_w, a.m);
    if (a.op.compacted ? (written & Sse) : (rfbm & (Sse | Avx))) write_mxcsr(s, a.m);
    if (written & Sse) write_xmm(s, a.m);
    if (written & Avx)
        for (unsigned i = 0; i < vector_registers(s); ++i) a.m.put(kAvxOffset + 16 * i, s.ymm_high[i]);
    a.m.put(kHeader, a.op.compacted ? rfbm & present : (a.m.get(kHeader, 8) & ~rfbm) | (rfbm & present), 8);
    if (a.op.compacted) a.m.put(kHeader + 8, rfbm | kCompacted, 8);
}

/// What the header says; false after #GP.
struct Header {
    u64 present = 0;
    bool compacted = false;
};
bool read_header(Area& a, Header& h) {
    h.present = a.m.get(kHeader, 8);
    const u64 layout = a.m.get(kHeader + 8, 8), components = layout & ~kCompacted, enabled = a.s.xcr0 | (a.op.supervisor ? a.s.xss : 0);
    h.compacted = layout & kCompacted;
    u64 reserved = h.present & ~enabled;
    for (unsigned at = h.compacted ? 16 : 8; at < (h.compacted ? 64 : 24); at += 8) reserved |= a.m.get(kHeader + at, 8);
    if (h.compacted) reserved |= (components & ~enabled) | (h.present & ~components);
    const bool known = a.s.cpu->has_feature(Isa::xsavec) || a.s.cpu->has_feature(Isa::xsaves);
    if (reserved || (h.compacted && !known) || (a.op.supervisor && !h.compacted)) return raise(a.s, vec::GP, 0), false;
    return true;
}

void restore(Area& a, u64 rfbm, u64 present) {
    CpuState& s = a.s;
    if (rfbm & Fpu) {
        if (present & Fpu) {
            read_x87(s, a.op.rex_w, a.m);
        } else {
            reset_fpu(s.fpu);
            for (auto& r : s.fpu.reg) r = {};
        }
    }
    const unsigned n = vector_registers(s);
    if (rfbm & Sse) {
        if (present & Sse) read_xmm(s, a.m);
        else
            for (unsigned i = 0; i < n; ++i) s.xmm[i] = {0, 0};
    }
    if (rfbm & Avx)
        for (unsigned i = 0; i < n; ++i) s.ymm_high[i] = present & Avx ? a.m.vec(kAvxOffset + 16 * i) : jit::V128{0, 0};
}
}  // namespace

u64 helper_xsave(CpuState& s, u64 address, u64 b, u64) {
    Area a{s, address, XsaveOp::unpack(b), {}};
    if (!a.allowed()) return 0;
    const u64 rfbm = a.requested(), present = in_use(s);
    const bool avx = rfbm & Avx & (a.op.optimised || a.op.compacted ? present : ~u64{0});
    if (avx && !a.reaches_avx(true)) return 0;
    const unsigned size = avx ? kAvxOffset + (s.code64() ? kAvxSize : kAvxSize / 2) : kHeader + 16;
    if (!probe_linear(s, address, size, true) || !read_linear(s, address, a.bytes, size)) return 0;
    save(a, rfbm, present);
    write_linear(s, address, a.bytes, size);
    return 0;
}

u64 helper_xrstor(CpuState& s, u64 address, u64 b, u64 next) {
    Area a{s, address, XsaveOp::unpack(b), {}};
    if (!a.allowed() || !read_linear(s, address, a.bytes, kAvxOffset)) return 0;
    Header h;
    if (!read_header(a, h)) return 0;
    const u64 rfbm = a.requested();
    // In the standard form MXCSR comes from memory whatever XSTATE_BV says.
    const bool from_memory = h.compacted ? rfbm & h.present & Sse : rfbm & (Sse | Avx);
    const u32 mxcsr = from_memory ? static_cast<u32>(a.m.get(24, 4)) : h.compacted && (rfbm & Sse) ? 0x1f80 : s.mxcsr;
    if (mxcsr & ~kMxcsrMask) return raise(s, vec::GP, 0), 0;
    if (rfbm & h.present & Avx) {
        const unsigned size = s.code64() ? kAvxSize : kAvxSize / 2;
        if (!a.reaches_avx(false) || !read_linear(s, address + kAvxOffset, a.bytes + kAvxOffset, size)) return 0;
    }
    restore(a, rfbm, h.present);
    set_mxcsr(s, mxcsr);
    s.x.rip = next;
    return 0;
}

u64 helper_xgetbv(CpuState& s, u64, u64, u64 next) {
    if (!(s.cr4 & cr4::OSXSAVE)) return raise(s, vec::UD), 0;
    const u32 n = static_cast<u32>(s.gpr[RCX]);
    if (n > 1 || (n == 1 && !s.cpu->has_feature(Isa::xgetbv1))) return raise(s, vec::GP, 0), 0;
    const u64 v = n == 0 ? s.xcr0 : s.xcr0 & in_use(s);
    s.gpr[RAX] = v & 0xffffffff, s.gpr[RDX] = v >> 32;
    s.x.rip = next;
    return 0;
}

u64 helper_xsetbv(CpuState& s, u64, u64, u64 next) {
    if (!(s.cr4 & cr4::OSXSAVE)) return raise(s, vec::UD), 0;
    const u64 v = (s.gpr[RDX] & 0xffffffff) << 32 | (s.gpr[RAX] & 0xffffffff);
    const bool whole = (v & Fpu) && (!(v & Avx) || (v & Sse)) && !(v & ~xcr0_supported(s.cpu->features()));
    if (s.cpl || static_cast<u32>(s.gpr[RCX]) || !whole) return raise(s, vec::GP, 0), 0;
    s.xcr0 = v;
    return finish(s, next);
}

u64 xcr0_supported(const IsaSet& features) {
    if (!features.has(Isa::xsave)) return Fpu;
    return Fpu | (features.has(Isa::sse) ? Sse : 0) | (features.has(Isa::avx) ? Avx : 0);
}

// The legacy region and the header; then AVX state, which has the same place in both formats.
u32 xsave_size(u64 components) { return components & Avx ? kAvxOffset + kAvxSize : kAvxOffset; }
}  // namespace calque
