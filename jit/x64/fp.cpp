// Floating point on the host's own unit, under the guest's control word: the host's MXCSR is the guest's with every exception
// masked, and its sticky flags are collected when translated code is left.
#include "jit/x64/vec.h"

namespace calque::jit::x64 {
namespace {
/// Scalar forms of both element types, then packed ones.
struct Forms { InstId ss, sd, ps, pd, vss, vsd, vps, vpd; };

void fp_binary(X64& e, const Inst& i, const Forms& f, int imm = -1) {
    e.fp_begin();
    const bool wide = i.lane() == Lane::F64;
    if (!(i.aux & 1)) return vec_binary(e, i, wide ? f.pd : f.ps, wide ? f.vpd : f.vps, imm);
    const InstId sse = wide ? f.sd : f.ss, avx = wide ? f.vsd : f.vss;
    // The second operand of a scalar form is only read in lane 0, so memory is never read beyond it.
    const Reg b = e.use(i.b);
    if (e.avx()) {
        const Reg a = e.use(i.a);
        const Reg d = e.dies_in_temp(i.a) ? a : e.scratch_xmm();
        if (imm < 0) e.as.emit(avx, xmm(d), xmm(a), xmm(b));
        else e.as.emit(avx, xmm(d), xmm(a), xmm(b), Imm(imm));
        e.define(i, d, true);
        return;
    }
    const Reg d = e.use_scratch(i.a);
    if (imm < 0) e.as.emit(sse, xmm(d), xmm(b));
    else e.as.emit(sse, xmm(d), xmm(b), Imm(imm));
    e.define(i, d, true);
}

/// What has only packed forms.
void fp_packed(X64& e, const Inst& i, InstId ps, InstId pd, InstId vps, InstId vpd) {
    e.fp_begin();
    i.lane() == Lane::F64 ? vec_binary(e, i, pd, vpd) : vec_binary(e, i, ps, vps);
}

#define VFORMS(n, v)                                                                                                              \
    {                                                                                                                             \
        Inst_::kId##n##ss, Inst_::kId##n##sd, Inst_::kId##n##ps, Inst_::kId##n##pd, Inst_::kIdV##v##ss, Inst_::kIdV##v##sd, Inst_::kIdV##v##ps, Inst_::kIdV##v##pd \
    }
}  // namespace

void emit_vfadd(X64& e, const Inst& i) { fp_binary(e, i, VFORMS(Add, add)); }
void emit_vfsub(X64& e, const Inst& i) { fp_binary(e, i, VFORMS(Sub, sub)); }
void emit_vfmul(X64& e, const Inst& i) { fp_binary(e, i, VFORMS(Mul, mul)); }
void emit_vfdiv(X64& e, const Inst& i) { fp_binary(e, i, VFORMS(Div, div)); }
void emit_vfmin(X64& e, const Inst& i) { fp_binary(e, i, VFORMS(Min, min)); }
void emit_vfmax(X64& e, const Inst& i) { fp_binary(e, i, VFORMS(Max, max)); }
void emit_vfhadd(X64& e, const Inst& i) { fp_packed(e, i, Inst_::kIdHaddps, Inst_::kIdHaddpd, Inst_::kIdVhaddps, Inst_::kIdVhaddpd); }
void emit_vfhsub(X64& e, const Inst& i) { fp_packed(e, i, Inst_::kIdHsubps, Inst_::kIdHsubpd, Inst_::kIdVhsubps, Inst_::kIdVhsubpd); }
void emit_vfaddsub(X64& e, const Inst& i) { fp_packed(e, i, Inst_::kIdAddsubps, Inst_::kIdAddsubpd, Inst_::kIdVaddsubps, Inst_::kIdVaddsubpd); }
void emit_vfcmp(X64& e, const Inst& i) {
    const int predicate = i.aux >> 1 & 31;
    if (predicate > 7 && !e.avx()) return e.compute_by_call(i);
    fp_binary(e, i, VFORMS(Cmp, cmp), predicate);
}
void emit_vfsqrt(X64& e, const Inst& i) {
    if (i.aux & 1) return fp_binary(e, i, VFORMS(Sqrt, sqrt));
    e.fp_begin();
    const bool wide = i.lane() == Lane::F64;
    vec_unary(e, i, i.b, wide ? Inst_::kIdSqrtpd : Inst_::kIdSqrtps, wide ? Inst_::kIdVsqrtpd : Inst_::kIdVsqrtps);
}

void emit_vfround(X64& e, const Inst& i) {
    const int how = i.aux >> 1 & 15;
    if (i.aux & 1) return fp_binary(e, i, VFORMS(Round, round), how);
    e.fp_begin();
    const bool wide = i.lane() == Lane::F64;
    vec_unary(e, i, i.b, wide ? Inst_::kIdRoundpd : Inst_::kIdRoundps, wide ? Inst_::kIdVroundpd : Inst_::kIdVroundps, how);
}

void emit_vfcomi(X64& e, const Inst& i) {
    e.fp_begin();
    e.clobber();
    const bool wide = i.lane() == Lane::F64, quiet = i.aux & 2;
    const Reg a = e.use(i.a), b = e.use(i.b);
    const InstId sse = wide ? (quiet ? Inst_::kIdUcomisd : Inst_::kIdComisd) : (quiet ? Inst_::kIdUcomiss : Inst_::kIdComiss);
    const InstId avx = wide ? (quiet ? Inst_::kIdVucomisd : Inst_::kIdVcomisd) : (quiet ? Inst_::kIdVucomiss : Inst_::kIdVcomiss);
    e.as.emit(e.avx() ? avx : sse, xmm(a), xmm(b));
    e.holds_flags(e.index_of(i), FlagKind::exact);  // the host too clears OF, SF and AF
}

void emit_vfcvt_f(X64& e, const Inst& i) {
    const bool wide = i.lane() == Lane::F64;  // the source
    if (i.aux & 1) {
        const Forms f{Inst_::kIdCvtss2sd, Inst_::kIdCvtsd2ss, 0, 0, Inst_::kIdVcvtss2sd, Inst_::kIdVcvtsd2ss, 0, 0};
        return fp_binary(e, i, f);
    }
    e.fp_begin();
    vec_unary(e, i, i.b, wide ? Inst_::kIdCvtpd2ps : Inst_::kIdCvtps2pd, wide ? Inst_::kIdVcvtpd2ps : Inst_::kIdVcvtps2pd);
}

void emit_vfcvt_to_i(X64& e, const Inst& i) {
    e.fp_begin();
    const bool wide = i.lane() == Lane::F64, truncate = i.aux & 2;
    const Reg s = e.use(i.a);
    const Reg d = e.dest(e.index_of(i));
    const InstId sse = wide ? (truncate ? Inst_::kIdCvttsd2si : Inst_::kIdCvtsd2si) : (truncate ? Inst_::kIdCvttss2si : Inst_::kIdCvtss2si);
    const InstId avx = wide ? (truncate ? Inst_::kIdVcvttsd2si : Inst_::kIdVcvtsd2si) : (truncate ? Inst_::kIdVcvttss2si : Inst_::kIdVcvtss2si);
    e.as.emit(e.avx() ? avx : sse, gp(d, bytes(i.type)), xmm(s));
    e.define(i, d, true);
}

void emit_vfcvt_from_i(X64& e, const Inst& i) {
    e.fp_begin();
    const bool wide = i.lane() == Lane::F64;
    const Reg b = e.use(i.b);
    const Reg d = e.use_scratch(i.a);
    const x86::Gp from = gp(b, e.size_of(i.b));
    if (e.avx()) wide ? e.as.vcvtsi2sd(xmm(d), xmm(d), from) : e.as.vcvtsi2ss(xmm(d), xmm(d), from);
    else wide ? e.as.cvtsi2sd(xmm(d), from) : e.as.cvtsi2ss(xmm(d), from);
    e.define(i, d, true);
}

void emit_vfcvt_pi(X64& e, const Inst& i) {
    e.fp_begin();
    const bool wide = i.lane() == Lane::F64, truncate = i.aux & 2;
    if (wide) vec_unary(e, i, i.a, truncate ? Inst_::kIdCvttpd2dq : Inst_::kIdCvtpd2dq, truncate ? Inst_::kIdVcvttpd2dq : Inst_::kIdVcvtpd2dq);
    else vec_unary(e, i, i.a, truncate ? Inst_::kIdCvttps2dq : Inst_::kIdCvtps2dq, truncate ? Inst_::kIdVcvttps2dq : Inst_::kIdVcvtps2dq);
}
void emit_vfcvt_pf(X64& e, const Inst& i) {
    e.fp_begin();
    const bool wide = i.lane() == Lane::F64;
    vec_unary(e, i, i.a, wide ? Inst_::kIdCvtdq2pd : Inst_::kIdCvtdq2ps, wide ? Inst_::kIdVcvtdq2pd : Inst_::kIdVcvtdq2ps);
}

void emit_vfcvt_from_h(X64& e, const Inst& i) {
    if (!e.avx() || !e.cpu.f16c) return e.compute_by_call(i);
    e.fp_begin();
    vec_unary(e, i, i.a, 0, Inst_::kIdVcvtph2ps);
}
void emit_vfcvt_to_h(X64& e, const Inst& i) {
    if (!e.avx() || !e.cpu.f16c) return e.compute_by_call(i);
    e.fp_begin();
    vec_unary(e, i, i.a, 0, Inst_::kIdVcvtps2ph, i.aux & 7);
}
}  // namespace calque::jit::x64
