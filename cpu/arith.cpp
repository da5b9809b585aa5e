// Arithmetic that no straight line of IR expresses well.
#include "cpu/cpu.h"
#include "cpu/helpers.h"
#include "cpu/system.h"

namespace calque {
namespace {

u16 szp_flags(u8 v) {
    return static_cast<u16>(jit::fl::One | (v ? 0 : jit::fl::ZF) | (v & 0x80 ? jit::fl::SF : 0) | (__builtin_parity(v) ? 0 : jit::fl::PF));
}
bool flag(const CpuState& s, u16 f) { return s.flags & f; }

// OF is undefined after DAA and DAS: Intel clears it; on Zen it is that of the correction.
u8 decimal_add(CpuState& s, u8 al) {
    const bool low = (al & 15) > 9 || flag(s, jit::fl::AF), high = al > 0x99 || flag(s, jit::fl::CF);
    const u8 r = static_cast<u8>(al + (low ? 6 : 0) + (high ? 0x60 : 0));
    const bool overflow = s.cpu->zen() && (~al & r & 0x80);
    s.flags = static_cast<u16>(szp_flags(r) | (low ? jit::fl::AF : 0) | (high ? jit::fl::CF : 0) | (overflow ? jit::fl::OF : 0));
    return r;
}

u8 decimal_sub(CpuState& s, u8 al) {
    const bool low = (al & 15) > 9 || flag(s, jit::fl::AF), high = al > 0x99 || flag(s, jit::fl::CF);
    const bool borrow = low && al < 6;
    const u8 r = static_cast<u8>(al - (low ? 6 : 0) - (high ? 0x60 : 0));
    const bool overflow = s.cpu->zen() && (al & ~r & 0x80);
    s.flags = static_cast<u16>(szp_flags(r) | (low ? jit::fl::AF : 0) | (high || borrow ? jit::fl::CF : 0) | (overflow ? jit::fl::OF : 0));
    return r;
}

/// AAA and AAS. SF, ZF, PF and OF are undefined: Intel takes them from AL as it ends up; Zen from the 16-bit correction.
u16 ascii_adjust(CpuState& s, u16 ax, int sign) {
    const bool adjust = (ax & 15) > 9 || flag(s, jit::fl::AF);
    const u16 before = ax;
    if (adjust) ax = static_cast<u16>(ax + sign * 0x106);
    const u16 carry = adjust ? jit::fl::AF | jit::fl::CF : 0;
    if (!s.cpu->zen()) {
        s.flags = szp_flags(static_cast<u8>(ax & 15)) | carry;
        return ax & 0xff0f;
    }
    const bool overflow = (sign > 0 ? ~before & ax : before & ~ax) & 0x8000;
    s.flags = static_cast<u16>(jit::fl::One | (ax ? 0 : jit::fl::ZF) | (ax & 0x8000 ? jit::fl::SF : 0) | (szp_flags(static_cast<u8>(ax)) & jit::fl::PF) |
                               (overflow ? jit::fl::OF : 0) | carry);
    return ax & 0xff0f;
}
}  // namespace

u64 helper_bcd(CpuState& s, u64 a, u64 kind, u64) {
    const u16 ax = static_cast<u16>(a);
    switch (kind) {
    case 0: return (ax & 0xff00u) | decimal_add(s, static_cast<u8>(ax));
    case 1: return (ax & 0xff00u) | decimal_sub(s, static_cast<u8>(ax));
    case 2: return ascii_adjust(s, ax, 1);
    default: return ascii_adjust(s, ax, -1);
    }
}

u64 helper_aam(CpuState& s, u64 a, u64 base, u64) {
    const u8 al = static_cast<u8>(a), b = static_cast<u8>(base ? base : 10);
    const u8 high = al / b, low = al % b;
    s.flags = szp_flags(low);
    return u64{high} << 8 | low;
}

u64 helper_div64(CpuState& s, u64 divisor, u64 is_signed, u64) {
    const u128 n = u128{s.gpr[RDX]} << 64 | s.gpr[RAX];
    if (!divisor) return raise(s, vec::DE), 0;
    if (!is_signed) {
        if (s.gpr[RDX] >= divisor) return raise(s, vec::DE), 0;
        s.gpr[RAX] = static_cast<u64>(n / divisor), s.gpr[RDX] = static_cast<u64>(n % divisor);
        return 0;
    }
    const bool n_neg = static_cast<i64>(s.gpr[RDX]) < 0, d_neg = static_cast<i64>(divisor) < 0;
    const u128 un = n_neg ? u128{0} - n : n;
    const u64 ud = d_neg ? u64{0} - divisor : divisor;
    const u128 q = un / ud;
    const bool q_neg = n_neg != d_neg;
    const u64 most = u64{1} << 63;
    if (q > (q_neg ? most : most - 1)) return raise(s, vec::DE), 0;
    const u64 r = static_cast<u64>(un % ud);
    s.gpr[RAX] = q_neg ? u64{0} - static_cast<u64>(q) : static_cast<u64>(q);
    s.gpr[RDX] = n_neg ? u64{0} - r : r;
    return 0;
}

u64 helper_cmpxchg16b(CpuState& s, u64 at, u64, u64) {
    if (at & 15) return fault(s, vec::GP, 0);
    if (!probe_linear(s, at, 16, true)) return 0;
    u64 m[2];
    if (!read_linear(s, at, m, 16)) return 0;
    const bool equal = m[0] == s.gpr[RAX] && m[1] == s.gpr[RDX];
    const u64 now[2] = {equal ? s.gpr[RBX] : m[0], equal ? s.gpr[RCX] : m[1]};
    if (!write_linear(s, at, now, 16)) return 0;
    if (equal) s.flags |= jit::fl::ZF;
    else s.gpr[RAX] = m[0], s.gpr[RDX] = m[1], s.flags = static_cast<u16>(s.flags & ~jit::fl::ZF);
    return 0;
}

u64 helper_arpl(CpuState& s, u64 at, u64 rpl, u64 seg) {
    u16 selector;
    if (!read_linear(s, at, selector)) return 0;
    const bool raise_it = (selector & 3) < rpl;
    if (raise_it && !s.seg[seg].writable()) return fault(s, vec::GP, 0);
    if (raise_it && !write_linear_value(s, at, static_cast<u16>((selector & ~3u) | rpl))) return 0;
    s.flags = static_cast<u16>((s.flags & ~jit::fl::ZF) | (raise_it ? jit::fl::ZF : 0));
    return 0;
}

// ENTER with a nesting level (SDM vol. 2A): pushes RBP, copies level - 1 frame pointers, pushes the new one.
u64 helper_enter(CpuState& s, u64 a, u64 operand, u64) {
    const unsigned size = static_cast<unsigned>(operand), level = a >> 16 & 31;
    const u64 allocation = a & 0xffff;
    Stack st = Stack::current(s);
    if (!st.push(s.gpr[RBP], size)) return 0;
    // FrameTemp is ESP with 32-bit operands, also where the stack uses SP only.
    const u64 frame = st.width == 2 ? (s.gpr[RSP] & ~u64{0xffff}) | st.sp : st.sp;
    Stack display = st;
    display.sp = display.cut(s.gpr[RBP]);
    for (unsigned i = 1; i < level; ++i) {
        u64 v;
        display.skip(u64{0} - size);
        if (!display.peek(0, v, size) || !st.push(v, size)) return 0;
    }
    if (!st.push(frame, size)) return 0;
    st.skip(u64{0} - allocation);
    // The manual checks that the allocated space's end could be written.
    Stack probe = st;
    if (!in_segment(s, s.seg[SS], probe.sp, size, true) && st.width != 8) return fault(s, vec::SS, 0);
    const u64 end = st.width == 8 ? probe.sp : (s.seg[SS].base + probe.sp) & 0xffffffff;
    if ((s.x.mode.bits & mode::AlignCheck) && (end & (size - 1))) return fault(s, vec::AC, 0);
    if (!probe_linear(s, end, size, true)) return 0;
    st.commit();
    u64& bp = s.gpr[RBP];
    bp = size == 8 ? frame : size == 4 ? frame & 0xffffffff : (bp & ~u64{0xffff}) | (frame & 0xffff);
    return 0;
}

/// splitmix64: the machine must repeat, so RDRAND's numbers are part of its state.
u64 helper_random(CpuState& s, u64, u64, u64) {
    u64 z = s.random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    s.flags = jit::fl::One | jit::fl::CF;
    return z ^ z >> 31;
}
}  // namespace calque
