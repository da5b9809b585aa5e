// SSE and SSE2 floating-point arithmetic, comparison and conversion.
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

void arithmetic(Lifter& l, const Insn& in, u8 aux) {
    if (!begin_sse(l)) return;
    const FpRow& row = kByMnemonic[static_cast<size_t>(in.mn)];
    const unsigned bytes = row.scalar ? jit::lane_bytes(row.lane) : in.mn == Mn::CVTPS2PD ? 8 : 16;
    fp_op(l, row.op, row.lane, static_cast<u8>(aux | (row.scalar ? kScalar : 0)), in.op[0].reg, source(l, in.op[1], bytes));
}

/// To the integers of a general register.
void to_integer(Lifter& l, const Insn& in, Lane lane, bool truncate) {
    if (!begin_sse(l)) return;
    const Val v = source(l, in.op[1], jit::lane_bytes(lane));
    l.write(in.op[0], fp_op(l, Op::vfcvt_to_i, lane, truncate ? kTruncate : u8{0}, 0, v, true, jit::int_type(in.op[0].size)));
}

void from_integer(Lifter& l, const Insn& in, Lane lane) {
    if (!begin_sse(l)) return;
    fp_op(l, Op::vfcvt_from_i, lane, kScalar, in.op[0].reg, l.ir.sext(l.read(in.op[1]), Type::I64));
}

/// Packed integers and floating point; results replace the whole register.
void packed(Lifter& l, const Insn& in, Op op, Lane lane, unsigned bytes, bool truncate = false) {
    if (!begin_sse(l)) return;
    fp_op(l, op, lane, truncate ? kTruncate : u8{0}, in.op[0].reg, source(l, in.op[1], bytes));
}

/// To the two integers of an MMX register.
void to_mmx(Lifter& l, const Insn& in, Lane lane, bool truncate) {
    if (!begin_sse(l)) return;
    Val v = source(l, in.op[1], lane == Lane::F32 ? 8 : 16);
    if (lane == Lane::F32) v = from_int(l, low64(l, v));  // the upper two must raise nothing
    if (l.has(mode::SseUnmasked)) touch_mmx(l, 8);  // also before #XM, but that leaves the register alone
    else touch_mmx(l, in.op[0].reg);
    const Val r = low64(l, fp_op(l, Op::vfcvt_pi, lane, truncate ? kTruncate : u8{0}, 0, v, true));
    if (l.has(mode::SseUnmasked)) touch_mmx(l, in.op[0].reg);
    set_mmx(l, in.op[0].reg, r);
}
}  // namespace

void lift_vec_fp(Lifter& l, const Insn& in) { arithmetic(l, in, 0); }
void lift_vec_fp_compare(Lifter& l, const Insn& in) { arithmetic(l, in, static_cast<u8>((in.op[2].value & 7) << 1)); }
void lift_cmpsd_sse(Lifter& l, const Insn& in) { lift_vec_fp_compare(l, in); }

void lift_comis(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const bool quiet = in.mn == Mn::UCOMISS || in.mn == Mn::UCOMISD;
    const Lane lane = in.mn == Mn::UCOMISS || in.mn == Mn::COMISS ? Lane::F32 : Lane::F64;
    const Val b = source(l, in.op[1], jit::lane_bytes(lane));
    if (l.has(mode::SseUnmasked)) {
        const SseOp d{Op::vfcomi, Type::I16, lane, quiet ? kQuiet : u8{0}, in.op[0].reg, false};
        l.call(Helper::sse_fp, Type::None, l.c64(d.pack()), low64(l, b), high64(l, b));
        return;
    }
    l.set_flags(l.ir.vec(Op::vfcomi, lane, l.xmm(in.op[0].reg), b, quiet ? kQuiet : u8{0}, Type::I16));
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
    const Val r = fp_op(l, Op::vfcvt_pf, Lane::F32, 0, 0, v, true);
    l.set_xmm(in.op[0].reg, l.ir.vec(Op::vlow, Lane::I64, l.xmm(in.op[0].reg), r));
}
void lift_cvtpi2pd(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Val v = source(l, in.op[1], 8);
    if (!in.op[1].is_mem()) touch_mmx(l, 8);
    fp_op(l, Op::vfcvt_pf, Lane::F64, 0, in.op[0].reg, v);
}
}  // namespace calque
