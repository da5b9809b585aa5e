// Integer arithmetic, logic, shifts, packs and shuffles of MMX and SSE.
#include <array>

#include "cpu/lift/vector.h"

namespace calque {

using namespace vector;

namespace {

struct Row {
    Mn mn;
    Op op;
    Lane lane;
};
constexpr Row kRows[] = {
    {Mn::PADDB, Op::vadd, Lane::I8},       {Mn::PADDW, Op::vadd, Lane::I16},       {Mn::PADDD, Op::vadd, Lane::I32},
    {Mn::PADDQ, Op::vadd, Lane::I64},      {Mn::PSUBB, Op::vsub, Lane::I8},        {Mn::PSUBW, Op::vsub, Lane::I16},
    {Mn::PSUBD, Op::vsub, Lane::I32},      {Mn::PSUBQ, Op::vsub, Lane::I64},       {Mn::PADDSB, Op::vadds_s, Lane::I8},
    {Mn::PADDSW, Op::vadds_s, Lane::I16},  {Mn::PADDUSB, Op::vadds_u, Lane::I8},   {Mn::PADDUSW, Op::vadds_u, Lane::I16},
    {Mn::PSUBSB, Op::vsubs_s, Lane::I8},   {Mn::PSUBSW, Op::vsubs_s, Lane::I16},   {Mn::PSUBUSB, Op::vsubs_u, Lane::I8},
    {Mn::PSUBUSW, Op::vsubs_u, Lane::I16}, {Mn::PMULLW, Op::vmul_lo, Lane::I16},   {Mn::PMULHW, Op::vmul_hi_s, Lane::I16},
    {Mn::PMULHUW, Op::vmul_hi_u, Lane::I16}, {Mn::PMULUDQ, Op::vmul_even_u, Lane::I32}, {Mn::PMADDWD, Op::vmadd, Lane::I16},
    {Mn::PSADBW, Op::vsad, Lane::I8},      {Mn::PAVGB, Op::vavg_u, Lane::I8},      {Mn::PAVGW, Op::vavg_u, Lane::I16},
    {Mn::PMINSW, Op::vmin_s, Lane::I16},   {Mn::PMINUB, Op::vmin_u, Lane::I8},     {Mn::PMAXSW, Op::vmax_s, Lane::I16},
    {Mn::PMAXUB, Op::vmax_u, Lane::I8},    {Mn::PCMPEQB, Op::vcmp_eq, Lane::I8},   {Mn::PCMPEQW, Op::vcmp_eq, Lane::I16},
    {Mn::PCMPEQD, Op::vcmp_eq, Lane::I32}, {Mn::PCMPGTB, Op::vcmp_gt_s, Lane::I8}, {Mn::PCMPGTW, Op::vcmp_gt_s, Lane::I16},
    {Mn::PCMPGTD, Op::vcmp_gt_s, Lane::I32}, {Mn::PAND, Op::vand, Lane::I64},      {Mn::PANDN, Op::vandn, Lane::I64},
    {Mn::POR, Op::vor, Lane::I64},         {Mn::PXOR, Op::vxor, Lane::I64},        {Mn::ANDPS, Op::vand, Lane::F32},
    {Mn::ANDPD, Op::vand, Lane::F64},      {Mn::ANDNPS, Op::vandn, Lane::F32},     {Mn::ANDNPD, Op::vandn, Lane::F64},
    {Mn::ORPS, Op::vor, Lane::F32},        {Mn::ORPD, Op::vor, Lane::F64},         {Mn::XORPS, Op::vxor, Lane::F32},
    {Mn::XORPD, Op::vxor, Lane::F64},      {Mn::PUNPCKLBW, Op::vunpack_lo, Lane::I8}, {Mn::PUNPCKLWD, Op::vunpack_lo, Lane::I16},
    {Mn::PUNPCKLDQ, Op::vunpack_lo, Lane::I32}, {Mn::PUNPCKLQDQ, Op::vunpack_lo, Lane::I64}, {Mn::PUNPCKHBW, Op::vunpack_hi, Lane::I8},
    {Mn::PUNPCKHWD, Op::vunpack_hi, Lane::I16}, {Mn::PUNPCKHDQ, Op::vunpack_hi, Lane::I32}, {Mn::PUNPCKHQDQ, Op::vunpack_hi, Lane::I64},
    {Mn::UNPCKLPS, Op::vunpack_lo, Lane::I32}, {Mn::UNPCKLPD, Op::vunpack_lo, Lane::I64}, {Mn::UNPCKHPS, Op::vunpack_hi, Lane::I32},
    {Mn::UNPCKHPD, Op::vunpack_hi, Lane::I64}, {Mn::PACKSSWB, Op::vpack_s, Lane::I16}, {Mn::PACKSSDW, Op::vpack_s, Lane::I32},
    {Mn::PACKUSWB, Op::vpack_u, Lane::I16}, {Mn::PSLLW, Op::vshl, Lane::I16},      {Mn::PSLLD, Op::vshl, Lane::I32},
    {Mn::PSLLQ, Op::vshl, Lane::I64},      {Mn::PSRLW, Op::vshr, Lane::I16},       {Mn::PSRLD, Op::vshr, Lane::I32},
    {Mn::PSRLQ, Op::vshr, Lane::I64},      {Mn::PSRAW, Op::vsar, Lane::I16},       {Mn::PSRAD, Op::vsar, Lane::I32},
};
constexpr auto kByMnemonic = [] {
    std::array<Row, static_cast<size_t>(Mn::count)> t{};
    for (const Row& r : kRows) t[static_cast<size_t>(r.mn)] = r;
    return t;
}();
const Row& row_of(const Insn& in) { return kByMnemonic[static_cast<size_t>(in.mn)]; }

/// An op on the low halves, as MMX registers have it: packs and unpacks must not see the upper ones.
Val mmx_op(Lifter& l, const Row& row, Val a, Val b) {
    switch (row.op) {
    case Op::vpack_s:
    case Op::vpack_u: {
        const Val both = l.ir.vec(Op::vunpack_lo, Lane::I64, a, b);
        return low64(l, l.ir.vec(row.op, row.lane, both, both));
    }
    case Op::vunpack_hi: return high64(l, l.ir.vec(Op::vunpack_lo, row.lane, a, b));
    default: return low64(l, l.ir.vec(row.op, row.lane, a, b));
    }
}

void mmx_result(Lifter& l, u8 reg, Val v64) {
    touch_mmx(l, reg);
    set_mmx(l, reg, v64);
}
}  // namespace

void lift_vec_binary(Lifter& l, const Insn& in) {
    const Row& row = row_of(in);
    const Operand& to = in.op[0];
    if (to.kind == Operand::mmx) {
        if (!begin_mmx(l)) return;
        // The low unpacks read only half of their memory operand.
        const Val b = source(l, in.op[1], row.op == Op::vunpack_lo && in.op[1].is_mem() ? 4 : 8);
        return mmx_result(l, to.reg, mmx_op(l, row, from_int(l, mmx_value(l, to.reg)), b));
    }
    if (!begin_sse(l)) return;
    const bool cleared = in.op[1].kind == Operand::xmm && in.op[1].reg == to.reg && (row.op == Op::vxor || row.op == Op::vsub);
    if (cleared) return l.set_xmm(to.reg, l.ir.vec(Op::vzero, Lane::I64));
    const Val b = source(l, in.op[1], 16);
    l.set_xmm(to.reg, l.ir.vec(row.op, row.lane, l.xmm(to.reg), b));
}

void lift_vec_shift(Lifter& l, const Insn& in) {
    const Row& row = row_of(in);
    const Operand &to = in.op[0], &by = in.op[1];
    const bool mmx = to.kind == Operand::mmx;
    if (!(mmx ? begin_mmx(l) : begin_sse(l))) return;
    const Val count = by.kind == Operand::imm ? l.c64(by.value & 0xff) : low64(l, source(l, by, mmx ? 8 : 16));
    if (!mmx) return l.set_xmm(to.reg, l.ir.vec(row.op, row.lane, l.xmm(to.reg), count));
    mmx_result(l, to.reg, low64(l, l.ir.vec(row.op, row.lane, from_int(l, mmx_value(l, to.reg)), count)));
}

void lift_vec_shift_bytes(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const u8 n = static_cast<u8>(in.op[1].value > 16 ? 16 : in.op[1].value);
    const u8 reg = in.op[0].reg;
    l.set_xmm(reg, l.ir.vec(in.mn == Mn::PSLLDQ ? Op::vshl_bytes : Op::vshr_bytes, Lane::I8, l.xmm(reg), {}, n));
}

void lift_vec_shuffle(Lifter& l, const Insn& in) {
    const u8 order = static_cast<u8>(in.op[2].value);
    if (in.mn == Mn::PSHUFW) {
        if (!begin_mmx(l)) return;
        return mmx_result(l, in.op[0].reg, low64(l, l.ir.vec(Op::vshuffle_lo, Lane::I16, source(l, in.op[1], 8), {}, order)));
    }
    if (!begin_sse(l)) return;
    const Op op = in.mn == Mn::PSHUFD ? Op::vshuffle : in.mn == Mn::PSHUFLW ? Op::vshuffle_lo : Op::vshuffle_hi;
    l.set_xmm(in.op[0].reg, l.ir.vec(op, in.mn == Mn::PSHUFD ? Lane::I32 : Lane::I16, source(l, in.op[1], 16), {}, order));
}

void lift_shufp(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const bool single = in.mn == Mn::SHUFPS;
    const u8 order = static_cast<u8>(in.op[2].value & (single ? 0xff : 3)), reg = in.op[0].reg;
    const Val b = source(l, in.op[1], 16);
    l.set_xmm(reg, l.ir.vec(Op::vshuffle2, single ? Lane::I32 : Lane::I64, l.xmm(reg), b, order));
}

void lift_emms(Lifter& l, const Insn&) {
    if (!begin_mmx(l)) return;
    touch_mmx(l, 8);
    l.ir.set(slot::mmx_touch, l.ir.constant(Type::I32, 0));
}

// ---- by helper: SSE3's horizontal operations, estimates, SSSE3

namespace {
struct OtherRow {
    Mn mn;
    SseOther kind;
    u8 bytes;  // of a memory operand
};
constexpr OtherRow kOthers[] = {
    {Mn::RCPPS, SseOther::rcpps, 16},       {Mn::RCPSS, SseOther::rcpss, 4},         {Mn::RSQRTPS, SseOther::rsqrtps, 16},
    {Mn::RSQRTSS, SseOther::rsqrtss, 4},    {Mn::HADDPS, SseOther::haddps, 16},      {Mn::HADDPD, SseOther::haddpd, 16},
    {Mn::HSUBPS, SseOther::hsubps, 16},     {Mn::HSUBPD, SseOther::hsubpd, 16},      {Mn::ADDSUBPS, SseOther::addsubps, 16},
    {Mn::ADDSUBPD, SseOther::addsubpd, 16}, {Mn::PSHUFB, SseOther::pshufb, 16},      {Mn::PHADDW, SseOther::phaddw, 16},
    {Mn::PHADDD, SseOther::phaddd, 16},     {Mn::PHADDSW, SseOther::phaddsw, 16},    {Mn::PMADDUBSW, SseOther::pmaddubsw, 16},
    {Mn::PHSUBW, SseOther::phsubw, 16},     {Mn::PHSUBD, SseOther::phsubd, 16},      {Mn::PHSUBSW, SseOther::phsubsw, 16},
    {Mn::PSIGNB, SseOther::psignb, 16},     {Mn::PSIGNW, SseOther::psignw, 16},      {Mn::PSIGND, SseOther::psignd, 16},
    {Mn::PMULHRSW, SseOther::pmulhrsw, 16}, {Mn::PABSB, SseOther::pabsb, 16},        {Mn::PABSW, SseOther::pabsw, 16},
    {Mn::PABSD, SseOther::pabsd, 16},       {Mn::PALIGNR, SseOther::palignr, 16},
};
const OtherRow& other_of(Mn mn) {
    for (const OtherRow& r : kOthers)
        if (r.mn == mn) return r;
    return kOthers[0];
}
}  // namespace

void lift_vec_other(Lifter& l, const Insn& in) {
    const OtherRow& row = other_of(in.mn);
    const Operand& to = in.op[0];
    const Val what = l.c64(pack_other(row.kind, to.reg, in.op_count > 2 ? static_cast<u8>(in.op[2].value) : u8{0}));
    if (to.kind == Operand::mmx) {
        if (!begin_mmx(l)) return;
        const Val b = low64(l, source(l, in.op[1], 8));
        touch_mmx(l, to.reg);
        return set_mmx(l, to.reg, l.call(Helper::mmx_other, Type::I64, what, mmx_value(l, to.reg), b));
    }
    if (!begin_sse(l)) return;
    const Val b = source(l, in.op[1], row.bytes);
    l.call(Helper::sse_other, Type::None, what, low64(l, b), high64(l, b));
}
}  // namespace calque
