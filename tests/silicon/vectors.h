// What particular vector instructions want, so that cases are not all alike. Part of maker.h.
#pragma once
#include "tests/silicon/maker.h"

namespace calque::silicon {

inline void Generator::Maker::set_vector(const Operand& o, const jit::V128& lo, const jit::V128* hi) {
    if (o.kind == Operand::xmm) {
        c.fx.xmm[o.reg] = lo;
        if (hi) c.fx.high[o.reg] = *hi;
    } else if (o.is_mem()) {
        put(linear(o), lo.lo, 8), put(linear(o) + 8, lo.hi, 8);
        if (hi) put(linear(o) + 16, hi->lo, 8), put(linear(o) + 24, hi->hi, 8);
    }
}

/// PCMPESTRI and its like: few different elements, ends, and lengths about as long as that.
inline void Generator::Maker::strings_of_bytes() {
    for (unsigned n = 0; n < 2; ++n) {
        const u32 kinds = 2 + r.below(4), base = r.chance(50) ? 0 : 0x7e + r.below(4), end = r.chance(60) ? r.below(17) : 99;
        u64 v[2]{};
        for (unsigned k = 0; k < 16; ++k) v[k / 8] |= u64{k == end ? 0 : (base + r.below(kinds)) & 0xff} << 8 * (k & 7);
        if (r.chance(30)) v[0] &= 0x00ff00ff00ff00ff, v[1] &= 0x00ff00ff00ff00ff;
        set_vector(c.in.op[n], {v[0], v[1]});
    }
    const Operand& o = c.in.op[1];
    for (const u8 reg : {RAX, RDX}) {
        if (o.is_mem() && (o.base == reg || o.index == reg)) continue;
        if (r.chance(80)) c.gpr[reg] = r.chance(70) ? r.below(18) : u64{0} - r.below(20) - (r.chance(20) ? u64{1} << 31 : 0);
        if (!long64()) c.gpr[reg] &= 0xffffffff;
    }
}

/// sum := a * b of registers, with the sign turned round, or nearly.
template <class T>
void Generator::Maker::cancel(u8 a, u8 b, u8 sum) {
    const auto lanes = [&](u8 reg) { return reinterpret_cast<u8*>(&c.fx.xmm[reg]); };
    for (unsigned i = 0; i < 16; i += sizeof(T)) {
        T x, y, z;
        std::memcpy(&x, lanes(a) + i, sizeof x), std::memcpy(&y, lanes(b) + i, sizeof y);
        z = r.chance(50) ? -(x * y) : x * y;
        u64 bits = 0;
        std::memcpy(&bits, &z, sizeof z);
        if (r.chance(50)) bits += r.below(5) - u64{2};
        std::memcpy(lanes(sum) + i, &bits, sizeof z);
    }
}

/// FMA: an addend that cancels the product.
inline void Generator::Maker::fused_specials() {
    const std::string_view n = mnemonic_name(c.in.mn);
    const auto reg = [&](unsigned i) { return c.in.op[i].is_mem() ? u8{0} : c.in.op[i].reg; };
    const bool last_is_factor = n.find("213") == n.npos;
    const u8 sum = n.find("132") != n.npos ? reg(1) : last_is_factor ? reg(0) : reg(2);
    const u8 one = n.find("132") != n.npos ? reg(0) : reg(1), other = last_is_factor ? reg(2) : reg(0);
    n.back() == 'D' ? cancel<double>(one, other, sum) : cancel<float>(one, other, sum);
}

/// VPSLLV and its like: most random counts are too great.
inline void Generator::Maker::shift_counts() {
    const bool wide = named({"VPSLLVQ", "VPSRLVQ"});
    const auto counts = [&] { return wide ? u64{r.below(70)} : r.below(34) | u64{r.below(34)} << 32; };
    const jit::V128 lo{counts(), counts()}, hi{counts(), counts()};
    set_vector(c.in.op[2], lo, &hi);
}

/// Indices that lead somewhere, and masks of every density.
inline void Generator::Maker::gather() {
    const Operand& o = c.in.op[1];
    const unsigned size = o.size, index = named({"VGATHERQ", "VPGATHERQ"}) ? 8 : 4, count = c.in.vex / std::max(size, index);
    const u64 origin = effective(o);
    const unsigned elsewhere = r.chance(50) ? 0 : r.below(40), density = std::array<unsigned, 4>{100, 50, 80, 10}[r.below(4)];
    const u64 around = where::data + 0x400 + r.below(0x1000);
    u64 indices[4]{}, masks[4]{};
    for (unsigned k = 0; k < count; ++k) {
        const u64 target = offset_of(r.chance(elsewhere) ? pick_target(size) : around + r.below(0x800), o.seg);
        u64 n = static_cast<u64>(static_cast<i64>(target - origin) >> __builtin_ctz(o.scale));
        if (c.in.addr_size == 4) n = static_cast<u64>(i64{static_cast<i32>(target - origin)} >> __builtin_ctz(o.scale));
        if (r.chance(3)) n = r.next();
        if (c.in.addr_size == 4 && index == 8 && r.chance(50)) n ^= u64{r.below(1000)} << 32;
        if (index == 8) indices[k] = n;
        else indices[k / 2] |= (n & 0xffffffff) << 32 * (k & 1);
        const u64 m = r.chance(50) ? r.next() : r.chance(50) ? 0 : ~u64{0};
        const u64 bit = u64{r.chance(density)} << (8 * size - 1);
        const u64 lane = (m & (mask_of(size) >> 1)) | bit;
        if (size == 8) masks[k] = lane;
        else masks[k / 2] |= lane << 32 * (k & 1);
    }
    const auto set = [&](u8 reg, const u64* v, unsigned words) {
        u64 w[4] = {c.fx.xmm[reg].lo, c.fx.xmm[reg].hi, c.fx.high[reg].lo, c.fx.high[reg].hi};
        std::copy(v, v + words, w);
        c.fx.xmm[reg] = {w[0], w[1]}, c.fx.high[reg] = {w[2], w[3]};
    };
    set(static_cast<u8>(o.index), indices, count * index / 8);
    set(c.in.op[2].reg, masks, count * size / 8);
}

inline void Generator::Maker::vector_specials() {
    if (named({"VFM", "VFNM"}) && r.chance(30)) fused_specials();
    if (named({"PTEST"}) && r.chance(60)) {   // bits within a, or outside of it, or few
        const jit::V128 a = c.fx.xmm[c.in.op[0].reg];
        const u64 flip = r.chance(50) ? ~u64{0} : 0, some = r.chance(50) ? ~u64{0} : r.chance(50) ? r.next() : 0;
        set_vector(c.in.op[1], {(a.lo ^ flip) & some, (a.hi ^ flip) & some});
    }
    if (named({"PCMPESTR", "PCMPISTR"}) && r.chance(85)) strings_of_bytes();
    if (named({"VPSLLV", "VPSRLV", "VPSRAV"}) && r.chance(70)) shift_counts();
    if (named({"VGATHER", "VPGATHER"}) && r.chance(95)) gather();
}
}  // namespace calque::silicon
