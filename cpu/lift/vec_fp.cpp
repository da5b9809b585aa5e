// Floating-point arithmetic, comparison and conversion of SSE and AVX.
#include <array>

#include "cpu/lift/vector.h"

namespace calque {

using namespace vector;

namespace {
struct FpRow {
    Mn mn;
    Op op;
    Lane lane;
    bool scalar;
};
#define FOUR(NAME, OP) \
    {Mn::NAME##PS, OP, Lane::F32, false}, {Mn::NAME##PD, OP, Lane::F64, false}, {Mn::NAME##SS, OP, Lane::F32, true}, {Mn::NAME##SD, OP, Lane::F64, true}
constexpr FpRow kRows[] = {
    FOUR(ADD, Op::vfadd), FOUR(SUB, Op::vfsub), FOUR(MUL, Op::vfmul), FOUR(DIV, Op::vfdiv),
    FOUR(MIN, Op::vfmin), FOUR(MAX, Op::vfmax), FOUR(SQRT, Op::vfsqrt), FOUR(CMP, Op::vfcmp),
    FOUR(ROUND, Op::vfround),
    {Mn::CVTSS2SD, Op::vfcvt_f, Lane::F32, true},  {Mn::CVTSD2SS, Op::vfcvt_f, Lane::F64, true},
    {Mn::HADDPS, Op::vfhadd, Lane::F32, false},    {Mn::HADDPD, Op::vfhadd, Lane::F64, false},
    {Mn::HSUBPS, Op::vfhsub, Lane::F32, false},    {Mn::HSUBPD, Op::vfhsub, Lane::F64, false},
    {Mn::ADDSUBPS, Op::vfaddsub, Lane::F32, false}, {Mn::ADDSUBPD, Op::vfaddsub, Lane::F64, false},
    {Mn::CVTPS2PD, Op::vfcvt_f, Lane::F32, false}, {Mn::CVTPD2PS, Op::vfcvt_f, Lane::F64, false},
};
#undef FOUR
constexpr auto kByMnemonic = [] {
    std::array<FpRow, static_cast<size_t>(Mn::count)> t{};
    for (const FpRow& r : kRows) t[static_cast<size_t>(r.mn)] = r;
    return t;
}();
constexpr u8 kScalar = 1, kTruncate = 2, kQuiet = 2;
constexpr u8 truncation(bool on) { return on ? kTruncate : u8{0}; }

void arithmetic(Lifter& l, const Insn& in, u8 aux) {
    if (!begin_sse(l)) return;
    const FpRow& row = kByMnemonic[static_cast<size_t>(in.mn)];
    const u8 to = in.op[0].reg;
    if (row.scalar) {
        const Val b = source(l, second(in), jit::lane_bytes(row.lane));
        return put(l, to, compute(l, {row.op, row.lane, static_cast<u8>(aux | kScalar)}, l.xmm(first(in).reg), b));
    }
    const Halves b = sources(l, second(in), in.mn == Mn::CVTPS2PD ? 8 : 16), a = registers(l, first(in).reg);
    const Halves r = compute(l, {row.op, row.lane, aux}, a, b);
    put(l, to, in.mn == Mn::CVTPD2PS ? Halves{join(l, r), {}} : r);
}

/// To the integers of a general register.
void to_integer(Lifter& l, const Insn& in, Lane lane, bool truncate) {
    if (!begin_sse(l)) return;
    const Val v = source(l, in.op[1], jit::lane_bytes(lane));
    l.write(in.op[0], compute(l, {Op::vfcvt_to_i, lane, truncation(truncate), jit::int_type(in.op[0].size)}, v));
}

void from_integer(Lifter& l, const Insn& in, Lane lane) {
    if (!begin_sse(l)) return;
    const Val n = l.ir.sext(l.read(second(in)), Type::I64);
    put(l, in.op[0].reg, compute(l, {Op::vfcvt_from_i, lane, kScalar}, l.xmm(first(in).reg), n));
}

/// Packed integers and floating point; results replace the whole register. `bytes`: of the source, for each half.
void packed(Lifter& l, const Insn& in, Op op, Lane lane, unsigned bytes, bool truncate = false) {
    if (!begin_sse(l)) return;
    const Halves r = compute(l, {op, lane, truncation(truncate)}, sources(l, in.op[1], bytes));
    put(l, in.op[0].reg, op == Op::vfcvt_pi && lane == Lane::F64 ? Halves{join(l, r), {}} : r);
}

/// To the two integers of an MMX register.
void to_mmx(Lifter& l, const Insn& in, Lane lane, bool truncate) {
    if (!begin_sse(l)) return;
    Val v = source(l, in.op[1], lane == Lane::F32 ? 8 : 16);
    if (lane == Lane::F32) v = from_int(l, low64(l, v));  // the upper two must raise nothing
    if (l.has(mode::SseUnmasked)) touch_mmx(l, 8);  // also before #XM, but that leaves the register alone
    else touch_mmx(l, in.op[0].reg);
    const Val r = low64(l, compute(l, {Op::vfcvt_pi, lane, truncation(truncate)}, v));
    if (l.has(mode::SseUnmasked)) touch_mmx(l, in.op[0].reg);
    set_mmx(l, in.op[0].reg, r);
}
}  // namespace

void lift_vec_fp(Lifter& l, const Insn& in) { arithmetic(l, in, 0); }
void lift_vec_fp_compare(Lifter& l, const Insn& in) { arithmetic(l, in, static_cast<u8>((last(in).value & (in.vex ? 31 : 7)) << 1)); }
void lift_vec_fp_round(Lifter& l, const Insn& in) { arithmetic(l, in, static_cast<u8>((last(in).value & 15) << 1)); }
void lift_cmpsd_sse(Lifter& l, const Insn& in) { lift_vec_fp_compare(l, in); }

void lift_comis(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const bool quiet = in.mn == Mn::UCOMISS || in.mn == Mn::UCOMISD;
    const Lane lane = in.mn == Mn::UCOMISS || in.mn == Mn::COMISS ? Lane::F32 : Lane::F64;
    const Val b = source(l, in.op[1], jit::lane_bytes(lane));
    l.set_flags(compute(l, {Op::vfcomi, lane, quiet ? kQuiet : u8{0}, Type::I16}, l.xmm(in.op[0].reg), b));
}

// SDM vol. 2A, "DPPS": products that the immediate leaves out are +0.0 and raise nothing, which those of zeros are. The sums are
// made of neighbours, in two steps of which each raises its exceptions; that is HADDPS.
void lift_dot(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const bool wide = in.mn == Mn::DPPD;
    const Lane lane = wide ? Lane::F64 : Lane::F32, bits = wide ? Lane::I64 : Lane::I32;
    const u8 all = wide ? 3 : 15, taken = static_cast<u8>(last(in).value >> 4 & all), given = static_cast<u8>(last(in).value & all);
    const auto only = [&](u8 lanes, Halves v) {
        if (lanes == all) return v;
        return each(v, [&](Val x) { return l.ir.vec(Op::vblend, bits, l.ir.vec(Op::vzero, Lane::I64), x, lanes); });
    };
    const Halves b = sources(l, second(in), 16), a = registers(l, first(in).reg);
    Halves r = compute(l, {Op::vfmul, lane}, only(taken, a), only(taken, b));
    for (unsigned n = wide ? 1 : 0; n < 2; ++n) r = compute(l, {Op::vfhadd, lane}, r, r);
    put(l, in.op[0].reg, only(given, r));
}

void lift_cvtss2si(Lifter& l, const Insn& in) { to_integer(l, in, Lane::F32, false); }
void lift_cvtsd2si(Lifter& l, const Insn& in) { to_integer(l, in, Lane::F64, false); }
void lift_cvttss2si(Lifter& l, const Insn& in) { to_integer(l, in, Lane::F32, true); }
void lift_cvttsd2si(Lifter& l, const Insn& in) { to_integer(l, in, Lane::F64, true); }
void lift_cvtsi2ss(Lifter& l, const Insn& in) { from_integer(l, in, Lane::F32); }
void lift_cvtsi2sd(Lifter& l, const Insn& in) { from_integer(l, in, Lane::F64); }

void lift_cvtdq2ps(Lifter& l, const Insn& in) { packed(l, in, Op::vfcvt_pf, Lane::F32, 16); }
void lift_cvtdq2pd(Lifter& l, const Insn& in) { packed(l, in, Op::vfcvt_pf, Lane::F64, 8); }
void lift_cvtps2dq(Lifter& l, const Insn& in) { packed(l, in, Op::vfcvt_pi, Lane::F32, 16); }
void lift_cvttps2dq(Lifter& l, const Insn& in) { packed(l, in, Op::vfcvt_pi, Lane::F32, 16, true); }
void lift_cvtpd2dq(Lifter& l, const Insn& in) { packed(l, in, Op::vfcvt_pi, Lane::F64, 16); }
void lift_cvttpd2dq(Lifter& l, const Insn& in) { packed(l, in, Op::vfcvt_pi, Lane::F64, 16, true); }

void lift_cvtps2pi(Lifter& l, const Insn& in) { to_mmx(l, in, Lane::F32, in.mn == Mn::CVTTPS2PI); }
void lift_cvtpd2pi(Lifter& l, const Insn& in) { to_mmx(l, in, Lane::F64, in.mn == Mn::CVTTPD2PI); }

void lift_cvtpi2ps(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Val v = source(l, in.op[1], 8);
    if (!in.op[1].is_mem()) touch_mmx(l, 8);
    const Val r = compute(l, {Op::vfcvt_pf, Lane::F32}, v);
    l.set_xmm(in.op[0].reg, l.ir.vec(Op::vlow, Lane::I64, l.xmm(in.op[0].reg), r));
}
void lift_cvtpi2pd(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Val v = source(l, in.op[1], 8);
    if (!in.op[1].is_mem()) touch_mmx(l, 8);
    l.set_xmm(in.op[0].reg, compute(l, {Op::vfcvt_pf, Lane::F64}, v));
}
}  // namespace calque
