// What stores and loads the x87's and SSE's state in memory: FNSTENV, FNSAVE, FBSTP, FXSAVE and their inverses.
#include <cstring>

#include "cpu/fpu/save.h"
#include "cpu/fpu/x87.h"
#include "cpu/helpers.h"
#include "cpu/memory.h"

namespace calque {

using namespace fp;

namespace {

bool real_format(const CpuState& s) { return !s.protected_mode() || s.vm86(); }

// SDM vol. 1, "Saving the x87 FPU's State": four layouts of the environment.
unsigned write_environment(const CpuState& s, bool wide, Image m) {
    const FpuState& f = s.fpu;
    const unsigned w = wide ? 4 : 2;
    const u64 filler = wide ? 0xffff0000 : 0;
    m.put(0, f.cw | filler, w);
    m.put(w, status_word(f) | filler, w);
    m.put(2 * w, full_tags(f) | filler, w);
    if (real_format(s)) {
        const u32 ip = static_cast<u32>(f.ip + 16 * f.ip_sel), dp = static_cast<u32>(f.dp + 16 * f.dp_sel);
        m.put(3 * w, ip & 0xffff, w);
        m.put(4 * w, (ip >> 16 << 12) | f.opcode, w);
        m.put(5 * w, dp & 0xffff, w);
        m.put(6 * w, dp >> 16 << 12, w);
    } else {
        m.put(3 * w, f.ip, w);
        m.put(4 * w, f.ip_sel | (wide ? u32{f.opcode} << 16 : 0), w);
        m.put(5 * w, f.dp, w);
        m.put(6 * w, f.dp_sel | filler, w);
    }
    return 7 * w;
}

unsigned read_environment(CpuState& s, bool wide, Image m) {
    FpuState& f = s.fpu;
    const unsigned w = wide ? 4 : 2;
    f.cw = static_cast<u16>((m.get(0, 2) & 0x1f3f) | 0x40);
    set_status_word(f, static_cast<u16>(m.get(w, 2)));
    set_full_tags(f, static_cast<u16>(m.get(2 * w, 2)));
    const u64 ip = m.get(3 * w, w), second = m.get(4 * w, w), dp = m.get(5 * w, w), fourth = m.get(6 * w, w);
    if (real_format(s)) {
        f.ip = (ip & 0xffff) | second >> 12 << 16;
        f.opcode = second & 0x7ff;
        f.dp = (dp & 0xffff) | fourth >> 12 << 16;
        f.ip_sel = f.dp_sel = 0;
    } else {
        f.ip = ip, f.dp = dp;
        f.ip_sel = static_cast<u16>(second), f.dp_sel = static_cast<u16>(fourth);
        if (wide) f.opcode = second >> 16 & 0x7ff;
        else if (s.cpu->zen()) f.opcode = 0;
    }
    update_error_summary(f);
    return 7 * w;
}

void put_register(Image m, unsigned offset, F80 v) {
    m.put(offset, v.sig, 8);
    m.put(offset + 8, v.se, 2);
}
F80 get_register(Image m, unsigned offset) { return {m.get(offset, 8), static_cast<u16>(m.get(offset + 8, 2))}; }

/// The first field and then the last byte are checked, so that the latter is what a fault reports when the next page is missing (AMD's Zen).
bool probe_ends(CpuState& s, u64 address, unsigned size, bool write, unsigned first) {
    return probe_linear(s, address, first, write) && probe_linear(s, address + size - 1, 1, write);
}

void store_environment(X87& x, bool wide, u64 address, bool registers) {
    u8 buffer[108]{};
    const Image m{buffer};
    unsigned n = write_environment(x.s, wide, m);
    if (registers)
        for (unsigned i = 0; i < 8; ++i, n += 10) put_register(m, n, x.st(i));
    if (!probe_ends(x.s, address, n, true, wide ? 4 : 2) || !write_linear(x.s, address, buffer, n)) return;
    if (registers) {
        reset_fpu(x.f);
    } else {
        x.f.cw |= kAllFlags;
        update_error_summary(x.f);
    }
}

void load_environment(X87& x, bool wide, u64 address, bool registers) {
    u8 buffer[108];
    const Image m{buffer};
    const unsigned env_bytes = wide ? 28 : 14;
    const unsigned size_bytes = env_bytes + (registers ? 80 : 0);
    if (!probe_ends(x.s, address, size_bytes, false, wide ? 4 : 2) || !read_linear(x.s, address, buffer, size_bytes)) return;
    unsigned n = read_environment(x.s, wide, m);
    if (!registers) return;
    const u32 tags = x.f.top_tags;
    for (unsigned i = 0; i < 8; ++i, n += 10) x.set(i, get_register(m, n));
    x.f.top_tags = tags;
}

void load_bcd(X87& x, u64 address) {
    Bcd d;
    if (!read_linear(x.s, address, d.bytes, sizeof d.bytes)) return;
    if (!x.empty(7)) {
        if (!x.stack_fault(true)) x.push(kDefaultNan80);
        return;
    }
    x.c1(false);
    x.push(f80_from_bcd(d));
}

void store_bcd(X87& x, u64 address) {
    const bool none = x.empty(0);
    // An empty register stores what a NaN would: the indefinite.
    const Bcd d = f80_to_bcd(none ? kDefaultNan80 : x.st(0), x.env);
    // What is not stored must be writable all the same.
    const bool kept = x.env.flags & ~x.env.masks & IE;
    if (kept ? !probe_linear(x.s, address, sizeof d.bytes, true) : !write_linear(x.s, address, d.bytes, sizeof d.bytes)) return;
    if (none) x.f.sw |= fsw::SF;
    if (!x.settle()) x.pop();
}

void store_extended(X87& x, u64 address) {
    const bool none = x.empty(0);
    if (!none || (x.env.masks & IE)) {
        u8 buffer[10];
        put_register(Image{buffer}, 0, none ? kDefaultNan80 : x.st(0));
        if (!write_linear(x.s, address, buffer, sizeof buffer)) return;
    } else if (!probe_linear(x.s, address, 10, true)) {
        return;
    }
    if (none && x.stack_fault(false)) return;
    if (!none) x.c1(false);
    x.pop();
}
}  // namespace

u64 helper_fpu_memory(CpuState& s, u64 a, u64 b, u64 c) {
    X87 x{s, a, b};
    const bool wide = x.op.to_index;
    const bool waits = x.op.op != fop::nstenv && x.op.op != fop::nsave;
    if (waits && x.pending()) return 0;
    switch (x.op.op) {
    case fop::nstenv: store_environment(x, wide, c, false); break;
    case fop::nsave: store_environment(x, wide, c, true); break;
    case fop::ldenv: load_environment(x, wide, c, false); break;
    case fop::rstor: load_environment(x, wide, c, true); break;
    case fop::bld: load_bcd(x, c); break;
    case fop::bstp: store_bcd(x, c); break;
    case fop::stp80: store_extended(x, c); break;
    default: break;
    }
    return 0;
}

// ---- FXSAVE: SDM vol. 1, "FXSAVE and FXRSTOR Instructions"

void write_x87(const CpuState& s, bool rex_w, Image m) {
    const FpuState& f = s.fpu;
    m.put(0, f.cw, 2);
    m.put(2, status_word(f), 2);
    m.put(4, f.top_tags >> 8 & 0xff, 2);
    // Zen stores the pointers only while an exception is pending.
    const bool pointers = f.sw & fsw::ES || !s.cpu->zen();
    m.put(6, pointers ? f.opcode : 0, 2);
    m.put(8, !pointers ? 0 : rex_w ? f.ip : (f.ip & 0xffffffff) | u64{f.ip_sel} << 32, 8);
    m.put(16, !pointers ? 0 : rex_w ? f.dp : (f.dp & 0xffffffff) | u64{f.dp_sel} << 32, 8);
    for (unsigned i = 0; i < 8; ++i) {
        const auto& r = f.reg[(f.top_tags + i) & 7];
        m.put(32 + 16 * i, r.sig, 8);
        m.put(40 + 16 * i, r.se, 8);
    }
}

void read_x87(CpuState& s, bool rex_w, Image m) {
    FpuState& f = s.fpu;
    f.cw = static_cast<u16>((m.get(0, 2) & 0x1f3f) | 0x40);
    f.top_tags = static_cast<u32>(m.get(4, 1) << 8);
    set_status_word(f, static_cast<u16>(m.get(2, 2)));
    f.opcode = m.get(6, 2) & 0x7ff;
    f.ip = m.get(8, rex_w ? 8 : 4);
    f.dp = m.get(16, rex_w ? 8 : 4);
    f.ip_sel = rex_w ? 0 : static_cast<u16>(m.get(12, 2));
    f.dp_sel = rex_w ? 0 : static_cast<u16>(m.get(20, 2));
    for (unsigned i = 0; i < 8; ++i) {
        auto& r = f.reg[(f.top_tags + i) & 7];
        r.sig = m.get(32 + 16 * i, 8);
        r.se = static_cast<u16>(m.get(40 + 16 * i, 2));
    }
    update_error_summary(f);
}

void write_xmm(const CpuState& s, Image m) {
    for (unsigned i = 0; i < vector_registers(s); ++i) m.put(kXmmArea + 16 * i, s.xmm[i]);
}
void read_xmm(CpuState& s, Image m) {
    for (unsigned i = 0; i < vector_registers(s); ++i) s.xmm[i] = m.vec(kXmmArea + 16 * i);
}
void write_mxcsr(const CpuState& s, Image m) {
    m.put(24, s.mxcsr, 4);
    m.put(28, kMxcsrMask, 4);
}

void set_mxcsr(CpuState& s, u32 v) {
    s.mxcsr = v;
    compute_mode(s);
}

u64 helper_fxsave(CpuState& s, u64 a, u64 b, u64) {
    u8 buffer[kLegacyBytes];
    // What is reserved stays as it is; but it is a store that faults.
    if (!probe_linear(s, a, kLegacyBytes, true) || !read_linear(s, a, buffer, kLegacyBytes)) return 0;
    const Image m{buffer};
    write_x87(s, b & 1, m);
    write_mxcsr(s, m);
    write_xmm(s, m);
    write_linear(s, a, buffer, kLegacyBytes);
    return 0;
}

u64 helper_fxrstor(CpuState& s, u64 a, u64 b, u64 c) {
    u8 buffer[kLegacyBytes];
    if (!read_linear(s, a, buffer, kLegacyBytes)) return 0;
    const Image m{buffer};
    const u32 mxcsr = static_cast<u32>(m.get(24, 4));
    if (mxcsr & ~kMxcsrMask) return raise(s, vec::GP, 0), 0;
    read_x87(s, b & 1, m);
    read_xmm(s, m);
    set_mxcsr(s, mxcsr);
    s.x.rip = c;
    return 0;
}

u64 helper_ldmxcsr(CpuState& s, u64 a, u64, u64 c) {
    if (a & ~u64{kMxcsrMask}) return raise(s, vec::GP, 0), 0;
    set_mxcsr(s, static_cast<u32>(a));
    s.x.rip = c;
    return 0;
}

u64 helper_stmxcsr(CpuState& s, u64, u64, u64) { return s.mxcsr; }
}  // namespace calque
