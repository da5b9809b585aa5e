// FMA3 and F16C.
#include <array>

#include "cpu/lift/vector.h"

namespace calque {

using namespace vector;
using jit::FusedForm;

namespace {
/// The order of the operands: 1 and 3 multiplied and 2 added, 2 and 1 and 3, 2 and 3 and 1. SDM vol. 1, "FMA Instruction Operand Order
/// and Arithmetic Behavior".
struct FmaRow {
    Mn mn;
    Lane lane;
    FusedForm form;
    u8 a, b, c;   // factors and addend: which operand
};
#define ORDERS(NAME, T, LANE, SCALAR, ...)                                           \
    {Mn::NAME##132##T, LANE, {SCALAR, __VA_ARGS__, 0}, 0, 2, 1},                      \
    {Mn::NAME##213##T, LANE, {SCALAR, __VA_ARGS__, 1}, 1, 0, 2},                      \
    {Mn::NAME##231##T, LANE, {SCALAR, __VA_ARGS__, 2}, 1, 2, 0}
#define PACKED(NAME, ...) ORDERS(NAME, PS, Lane::F32, false, __VA_ARGS__), ORDERS(NAME, PD, Lane::F64, false, __VA_ARGS__)
#define ALL(NAME, ...) PACKED(NAME, __VA_ARGS__), ORDERS(NAME, SS, Lane::F32, true, __VA_ARGS__), ORDERS(NAME, SD, Lane::F64, true, __VA_ARGS__)
// Negated product, negated addend, alternating.
constexpr FmaRow kRows[] = {
    ALL(VFMADD, false, false, false), ALL(VFMSUB, false, true, false), ALL(VFNMADD, true, false, false), ALL(VFNMSUB, true, true, false),
    PACKED(VFMADDSUB, false, false, true), PACKED(VFMSUBADD, false, true, true),
};
#undef ALL
#undef PACKED
#undef ORDERS
constexpr auto kByMnemonic = [] {
    std::array<FmaRow, static_cast<size_t>(Mn::count)> t{};
    for (const FmaRow& r : kRows) t[static_cast<size_t>(r.mn)] = r;
    return t;
}();
}  // namespace

void lift_fma(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const FmaRow& row = kByMnemonic[static_cast<size_t>(in.mn)];
    Halves v[3];
    const bool scalar = row.form.scalar;
    v[2] = scalar ? Halves{source(l, in.op[2], jit::lane_bytes(row.lane)), {}} : sources(l, in.op[2], 16);
    for (const u8 n : {0, 1}) v[n] = scalar ? Halves{l.xmm(in.op[n].reg), {}} : registers(l, in.op[n].reg);
    put(l, in.op[0].reg, compute(l, {Op::vfma, row.lane, row.form.pack()}, v[row.a], v[row.b], v[row.c]));
}

void lift_vcvtph2ps(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    put(l, in.op[0].reg, compute(l, {Op::vfcvt_from_h, Lane::F32}, sources(l, in.op[1], 8)));
}

void lift_vcvtps2ph(Lifter& l, const Insn& in) {
    if (!begin_sse(l)) return;
    const Operand& to = in.op[0];
    const FpOp op{Op::vfcvt_to_h, Lane::F32, static_cast<u8>(last(in).value & 7)};
    const Halves from = registers(l, in.op[1].reg);
    if (!to.is_mem()) return put(l, to.reg, join(l, compute(l, op, from)));
    const unsigned bytes = in.vex / 2u;
    const Val at = l.linear(to, bytes, true);
    l.ir.load(bytes == 8 ? Type::I64 : Type::V128, at, true);   // MXCSR does not change when the store faults
    const Val v = join(l, compute(l, op, from));
    l.ir.store(at, bytes == 8 ? low64(l, v) : v);
}
}  // namespace calque
