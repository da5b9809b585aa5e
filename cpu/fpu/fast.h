// Short cuts of the x87's commonest operations on normal numbers, for the control word that programs leave alone (nearest, 64 bits,
// all exceptions masked). Each either does exactly what the long way does, or nothing and says so.
#pragma once
#include <bit>
#include <utility>

#include "cpu/fpu/x87.h"

namespace calque::fast {

using fp::F80;
using Reg = FpuState::Reg;

/// The usual control word and no pending exception.
inline bool usual(const FpuState& f) { return f.cw == 0x37f && !(f.sw & fsw::ES); }
inline Reg& reg(FpuState& f, unsigned i) { return f.reg[(f.top_tags + i) & 7]; }
inline bool valid(const FpuState& f, unsigned i) { return f.top_tags >> (8 + ((f.top_tags + i) & 7)) & 1; }
inline void pop(FpuState& f, unsigned n) {
    for (; n; --n) f.top_tags = (f.top_tags & ~7u & ~(0x100u << (f.top_tags & 7))) | ((f.top_tags + 1) & 7);
}
/// Moves TOP for a push; false when the register is not free.
inline bool make_room(FpuState& f) {
    const unsigned top = (f.top_tags - 1) & 7;
    if (f.top_tags >> (8 + top) & 1) return false;
    f.top_tags = (f.top_tags & ~7u) | 0x100u << top | top;
    return true;
}
inline void set_c1(FpuState& f, bool up) { f.sw = static_cast<u16>(up ? f.sw | fsw::C1 : f.sw & ~fsw::C1); }

/// A double or float that is normal (or a zero) as a register; false for the others.
inline bool widen64(u64 v, Reg& out) {
    const u32 e = static_cast<u32>(v >> 52) & 0x7ff;
    const u16 sign = static_cast<u16>(v >> 48 & 0x8000);
    if (e - 1 < 0x7fe) {
        out.sig = u64{1} << 63 | v << 11;
        out.se = static_cast<u16>(sign | (e + 16383 - 1023));
        return true;
    }
    if (v << 1) return false;
    out.sig = 0, out.se = sign;
    return true;
}
inline bool widen32(u32 v, Reg& out) {
    const u32 e = v >> 23 & 0xff;
    const u16 sign = static_cast<u16>(v >> 16 & 0x8000);
    if (e - 1 < 0xfe) {
        out.sig = u64{1} << 63 | u64{v} << 40;
        out.se = static_cast<u16>(sign | (e + 16383 - 127));
        return true;
    }
    if (v << 1) return false;
    out.sig = 0, out.se = sign;
    return true;
}
inline void widen_int(i64 v, Reg& out) {
    if (v == 0) {
        out.sig = 0, out.se = 0;
        return;
    }
    const u64 m = v < 0 ? u64{0} - static_cast<u64>(v) : static_cast<u64>(v);
    const int lz = std::countl_zero(m);
    out.sig = m << lz;
    out.se = static_cast<u16>((v < 0 ? 0x8000 : 0) | (16383 + 63 - lz));
}

/// The memory operand `bits` of an instruction as a register.
inline bool operand(FpuOp::Source source, u64 bits, Reg& out) {
    switch (source) {
    case FpuOp::m64: return widen64(bits, out);
    case FpuOp::m32: return widen32(static_cast<u32>(bits), out);
    case FpuOp::i16:
    case FpuOp::i32:
    case FpuOp::i64: return widen_int(static_cast<i64>(bits), out), true;
    default: return false;
    }
}

/// A normal register rounded to a double's bits; `sw` gets PE and C1.
inline bool narrow64(const Reg& r, u64& out, u16& sw) {
    const i32 e = (r.se & 0x7fff) - 16383 + 1023;
    if (e < 1 || e > 2045 || !(r.sig >> 63)) {
        if (r.sig || (r.se & 0x7fff)) return false;
        out = static_cast<u64>(r.se) << 48, sw = 0;
        return true;
    }
    const u64 low = r.sig & 0x7ff, kept = r.sig >> 11;
    const bool up = low > 0x400 || (low == 0x400 && (kept & 1));
    // A carry out of the significand steps the exponent, which has room for it.
    out = (static_cast<u64>(r.se & 0x8000) << 48) + (static_cast<u64>(e) << 52) + (kept & ((u64{1} << 52) - 1)) + up;
    sw = static_cast<u16>((low ? fp::PE : 0) | (up ? fsw::C1 : 0));
    return true;
}

/// Two normal numbers or zeros in order: C0 for less, C3 for equal. False for all others.
inline bool compare(const Reg& a, const Reg& b, u16& codes) {
    const auto plain = [](const Reg& r) { return (r.sig >> 63 && (r.se & 0x7fff) - 1u < 0x7ffe) || (r.sig == 0 && (r.se & 0x7fff) == 0); };
    if (!plain(a) || !plain(b)) return false;
    const bool sa = a.se >> 15, sb = b.se >> 15;
    if (a.sig == 0 && b.sig == 0) return codes = fsw::C3, true;
    if (sa != sb) return codes = sa ? fsw::C0 : 0, true;
    if (a.se == b.se && a.sig == b.sig) return codes = fsw::C3, true;
    const bool smaller = a.se != b.se ? a.se < b.se : a.sig < b.sig;  // of magnitudes
    return codes = smaller != sa ? fsw::C0 : 0, true;
}

/// hi:lo rounded to hi, nearest even; hi has its top bit set. False when the exponent leaves the normal range.
inline bool round_into(FpuState& f, u32 sign, i32 e, u64 hi, u64 lo, Reg& out) {
    constexpr u64 half = u64{1} << 63;
    const bool up = lo > half || (lo == half && (hi & 1));
    hi += up;
    if (up && hi == 0) {
        hi = half;
        ++e;
    }
    if (static_cast<u32>(e) - 1 >= 0x7ffe) return false;
    out.sig = hi, out.se = static_cast<u16>(sign | e);
    f.sw = static_cast<u16>((f.sw & ~fsw::C1) | (lo ? fp::PE : 0) | (up ? fsw::C1 : 0));
    return true;
}

inline bool normal(const Reg& r) { return r.sig >> 63 && (r.se & 0x7fff) - 1u < 0x7ffe; }

// Out of line: inside its caller it would spill 16-bit values, whose reloads stall.
[[gnu::noinline]] inline bool mul(FpuState& f, const Reg& a, const Reg& b, Reg& out) {
    if (!normal(a) || !normal(b)) return false;
    const u128 p = static_cast<u128>(a.sig) * b.sig;
    u64 hi = static_cast<u64>(p >> 64), lo = static_cast<u64>(p);
    i32 e = (a.se & 0x7fff) + (b.se & 0x7fff) - 16382;
    if (!(hi >> 63)) {
        hi = hi << 1 | lo >> 63;
        lo <<= 1;
        --e;
    }
    return round_into(f, (u32{a.se} ^ b.se) & 0x8000, e, hi, lo, out);
}

/// a + b, with b's sign turned by `flip`.
[[gnu::noinline]] inline bool add(FpuState& f, const Reg& a, const Reg& b, u32 flip, Reg& out) {
    if (!normal(a) || !normal(b)) return false;
    u32 sea = a.se, seb = b.se ^ flip;
    u64 x = a.sig, y = b.sig;
    i32 e = static_cast<i32>(sea & 0x7fff), d = e - static_cast<i32>(seb & 0x7fff);
    if (d < 0 || (d == 0 && x < y)) {
        std::swap(sea, seb), std::swap(x, y);
        e -= d;
        d = -d;
    }
    u64 yh = y, yl = 0;  // y >> d, with a trace of what falls out
    if (d >= 64) {
        yh = 0;
        yl = d == 64 ? y : d < 128 ? y >> (d - 64) | ((y << (128 - d)) != 0) : 1;
    } else if (d) {
        yh = y >> d;
        yl = y << (64 - d);
    }
    u64 hi, lo;
    if ((sea ^ seb) & 0x8000) {
        lo = u64{0} - yl;
        hi = x - yh - (yl != 0);
        if (!(hi >> 63)) {
            if (hi == 0) {
                if (lo == 0) {
                    out.sig = 0, out.se = 0;
                    set_c1(f, false);
                    return true;
                }
                return false;
            }
            const int lz = std::countl_zero(hi);
            hi = hi << lz | lo >> (64 - lz);
            lo <<= lz;
            e -= lz;
        }
    } else {
        lo = yl;
        hi = x + yh;
        if (hi < x) {
            lo = lo >> 1 | (lo & 1) | hi << 63;
            hi = u64{1} << 63 | hi >> 1;
            ++e;
        }
    }
    return round_into(f, sea & 0x8000, e, hi, lo, out);
}

#if defined(__x86_64__)
// Division and roots by the host's own x87, which has the same control word then. Its flags are looked at only to see that they
// bring nothing that the guest's do not have.
inline bool take_status(FpuState& f, u16 host) {
    if (host & ~f.sw & fp::kAllFlags) [[unlikely]] {
        asm volatile("fnclex");
        return false;
    }
    f.sw = static_cast<u16>((f.sw & ~fsw::C1) | (host & fsw::C1));
    return true;
}
inline bool div(FpuState& f, const Reg& a, const Reg& b, Reg& out) {
    if (!normal(a) || !normal(b)) return false;
    u16 host;
    Reg r;
    // DE F1: ST(1) := ST(0) / ST(1) and pop; by its bytes, because assemblers disagree about the name.
    asm volatile("fldt %2\n\tfldt %3\n\t.byte 0xde, 0xf1\n\tfnstsw %0\n\tfstpt %1" : "=a"(host), "=m"(r) : "m"(b), "m"(a));
    if (!take_status(f, host)) return false;
    out.sig = r.sig, out.se = r.se;
    return true;
}
inline bool sqrt(FpuState& f, const Reg& a, Reg& out) {
    if (!normal(a)) return false;
    u16 host;
    Reg r;
    asm volatile("fldt %2\n\tfsqrt\n\tfnstsw %0\n\tfstpt %1" : "=a"(host), "=m"(r) : "m"(a));
    if (!take_status(f, host)) return false;
    out.sig = r.sig, out.se = r.se;
    return true;
}
#else
inline bool div(FpuState&, const Reg&, const Reg&, Reg&) { return false; }
inline bool sqrt(FpuState&, const Reg&, Reg&) { return false; }
#endif

/// out := left op right with the operations of fop::Arith.
inline bool arith(FpuState& f, unsigned op, const Reg& left, const Reg& right, Reg& out) {
    switch (op) {
    case fop::add: return add(f, left, right, 0, out);
    case fop::mul: return mul(f, left, right, out);
    case fop::sub: return add(f, left, right, 0x8000, out);
    case fop::subr: return add(f, right, left, 0x8000, out);
    case fop::div: return div(f, left, right, out);
    case fop::divr: return div(f, right, left, out);
    default: return false;
    }
}
}  // namespace calque::fast
