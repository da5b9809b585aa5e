// Fused multiply-add on the host's own unit.
#include "jit/x64/vec.h"

namespace calque::jit::x64 {
namespace {
/// Which operand is overwritten: the first factor, the second, or the addend. The host looks for NaNs as the IR does, in the order of
/// factors and addend, in each of these forms.
struct Forms { InstId over_a, over_b, over_c; };

#define FORMS(name, t) {Inst_::kIdVf##name##132##t, Inst_::kIdVf##name##213##t, Inst_::kIdVf##name##231##t}
#define PACKED(name) FORMS(name, ps), FORMS(name, pd)
#define SCALAR(name) FORMS(name, ss), FORMS(name, sd)
/// By the signs (negated product, negated addend), then by the type of element.
constexpr Forms kPacked[4][2] = {{PACKED(madd)}, {PACKED(nmadd)}, {PACKED(msub)}, {PACKED(nmsub)}};
constexpr Forms kScalar[4][2] = {{SCALAR(madd)}, {SCALAR(nmadd)}, {SCALAR(msub)}, {SCALAR(nmsub)}};
constexpr Forms kAlternate[2][2] = {{PACKED(maddsub)}, {PACKED(msubadd)}};

const Forms& forms_of(const FusedForm& f, bool wide) {
    if (f.alternate) return kAlternate[f.negate_addend][wide];
    return (f.scalar ? kScalar : kPacked)[f.negate_product | f.negate_addend << 1][wide];
}
}  // namespace

void emit_vfma(X64& e, const Inst& i) {
    const FusedForm f = FusedForm::unpack(i.aux);
    if (!e.avx() || !e.cpu.fma || (f.alternate && f.negate_product)) return e.compute_by_call(i);
    e.fp_begin();
    const Forms& forms = forms_of(f, i.lane() == Lane::F64);
    const Reg a = e.use(i.a), b = e.use(i.b), c = e.use(i.c);
    // Of packed forms an operand that is not needed any more is overwritten.
    const unsigned over = f.scalar ? f.keep : e.dies_in_temp(i.c) ? 2 : e.dies_in_temp(i.a) ? 0 : e.dies_in_temp(i.b) ? 1 : 2;
    const Reg d = e.use_scratch(over == 0 ? i.a : over == 1 ? i.b : i.c);
    if (over == 0) e.as.emit(forms.over_a, xmm(d), xmm(c), xmm(b));
    else if (over == 1) e.as.emit(forms.over_b, xmm(d), xmm(a), xmm(c));
    else e.as.emit(forms.over_c, xmm(d), xmm(a), xmm(b));
    e.define(i, d, true);
}
}  // namespace calque::jit::x64
