// Integer vectors. With AVX every op has a destination of its own; without, the first operand is copied and overwritten.
#include "jit/x64/vec.h"

namespace calque::jit::x64 {

/// A register for the result: a dying operand's or a free one.
static Reg vector_dest(X64& e, Ref a, Ref b) {
    if (e.dies_in_temp(a)) return e.value(a).reg;
    if (b && e.dies_in_temp(b)) return e.value(b).reg;
    return e.scratch_xmm();
}

void vec_binary(X64& e, const Inst& i, InstId sse, InstId avx, int imm) {
    if (!sse) {
        e.fail(__func__);
        return;
    }
    if (e.avx()) {
        const Reg a = e.use(i.a);
        const Operand b = e.use_rm(i.b, 16);
        const Reg d = vector_dest(e, i.a, i.b);
        if (imm < 0) e.as.emit(avx, xmm(d), xmm(a), b);
        else e.as.emit(avx, xmm(d), xmm(a), b, Imm(imm));
        e.define(i, d, true);
        return;
    }
    const Reg b = e.use(i.b);
    const Reg d = e.use_scratch(i.a);
    if (imm < 0) e.as.emit(sse, xmm(d), xmm(b));
    else e.as.emit(sse, xmm(d), xmm(b), Imm(imm));
    e.define(i, d, true);
}

void vec_unary(X64& e, const Inst& i, Ref a, InstId sse, InstId avx, int imm) {
    const Reg s = e.use(a);
    const Reg d = e.dies_in_temp(a) ? s : e.scratch_xmm();
    if (imm < 0) e.as.emit(e.avx() ? avx : sse, xmm(d), xmm(s));
    else e.as.emit(e.avx() ? avx : sse, xmm(d), xmm(s), Imm(imm));
    e.define(i, d, true);
}

namespace {
/// One instruction for each width of lane; 0: the op does not exist there.
struct ByLane { InstId sse[4], avx[4]; };
void lanes(X64& e, const Inst& i, const ByLane& t) {
    const unsigned n = i.lane() == Lane::F32 ? 2 : i.lane() == Lane::F64 ? 3 : static_cast<unsigned>(i.lane());
    vec_binary(e, i, t.sse[n], t.avx[n]);
}
}  // namespace

#define SSE(name) Inst_::kId##name
#define AVX(name) Inst_::kIdV##name
#define WHOLE(op, sse, avx) \
    void emit_##op(X64& e, const Inst& i) { vec_binary(e, i, Inst_::kId##sse, Inst_::kId##avx); }
#define LANES(op, s0, s1, s2, s3, a0, a1, a2, a3) \
    void emit_##op(X64& e, const Inst& i) { lanes(e, i, {{s0, s1, s2, s3}, {a0, a1, a2, a3}}); }

WHOLE(vand, Pand, Vpand)
WHOLE(vandn, Pandn, Vpandn)
WHOLE(vor, Por, Vpor)
WHOLE(vxor, Pxor, Vpxor)
WHOLE(vmul_hi_s, Pmulhw, Vpmulhw)
WHOLE(vmul_hi_u, Pmulhuw, Vpmulhuw)
WHOLE(vmul_even_u, Pmuludq, Vpmuludq)
WHOLE(vmul_even_s, Pmuldq, Vpmuldq)
WHOLE(vmul_round, Pmulhrsw, Vpmulhrsw)
WHOLE(vmadd, Pmaddwd, Vpmaddwd)
WHOLE(vmadd_us, Pmaddubsw, Vpmaddubsw)
WHOLE(vsad, Psadbw, Vpsadbw)
WHOLE(vhadds_s, Phaddsw, Vphaddsw)
WHOLE(vhsubs_s, Phsubsw, Vphsubsw)
WHOLE(vshuffle_bytes, Pshufb, Vpshufb)
LANES(vadd, SSE(Paddb), SSE(Paddw), SSE(Paddd), SSE(Paddq), AVX(paddb), AVX(paddw), AVX(paddd), AVX(paddq))
LANES(vsub, SSE(Psubb), SSE(Psubw), SSE(Psubd), SSE(Psubq), AVX(psubb), AVX(psubw), AVX(psubd), AVX(psubq))
LANES(vadds_s, SSE(Paddsb), SSE(Paddsw), 0, 0, AVX(paddsb), AVX(paddsw), 0, 0)
LANES(vadds_u, SSE(Paddusb), SSE(Paddusw), 0, 0, AVX(paddusb), AVX(paddusw), 0, 0)
LANES(vsubs_s, SSE(Psubsb), SSE(Psubsw), 0, 0, AVX(psubsb), AVX(psubsw), 0, 0)
LANES(vsubs_u, SSE(Psubusb), SSE(Psubusw), 0, 0, AVX(psubusb), AVX(psubusw), 0, 0)
LANES(vavg_u, SSE(Pavgb), SSE(Pavgw), 0, 0, AVX(pavgb), AVX(pavgw), 0, 0)
LANES(vsign, SSE(Psignb), SSE(Psignw), SSE(Psignd), 0, AVX(psignb), AVX(psignw), AVX(psignd), 0)
LANES(vhadd, 0, SSE(Phaddw), SSE(Phaddd), 0, 0, AVX(phaddw), AVX(phaddd), 0)
LANES(vhsub, 0, SSE(Phsubw), SSE(Phsubd), 0, 0, AVX(phsubw), AVX(phsubd), 0)
LANES(vmul_lo, 0, SSE(Pmullw), SSE(Pmulld), 0, 0, AVX(pmullw), AVX(pmulld), 0)
LANES(vmin_s, SSE(Pminsb), SSE(Pminsw), SSE(Pminsd), 0, AVX(pminsb), AVX(pminsw), AVX(pminsd), 0)
LANES(vmin_u, SSE(Pminub), SSE(Pminuw), SSE(Pminud), 0, AVX(pminub), AVX(pminuw), AVX(pminud), 0)
LANES(vmax_s, SSE(Pmaxsb), SSE(Pmaxsw), SSE(Pmaxsd), 0, AVX(pmaxsb), AVX(pmaxsw), AVX(pmaxsd), 0)
LANES(vmax_u, SSE(Pmaxub), SSE(Pmaxuw), SSE(Pmaxud), 0, AVX(pmaxub), AVX(pmaxuw), AVX(pmaxud), 0)
LANES(vcmp_eq, SSE(Pcmpeqb), SSE(Pcmpeqw), SSE(Pcmpeqd), SSE(Pcmpeqq), AVX(pcmpeqb), AVX(pcmpeqw), AVX(pcmpeqd), AVX(pcmpeqq))
LANES(vcmp_gt_s, SSE(Pcmpgtb), SSE(Pcmpgtw), SSE(Pcmpgtd), SSE(Pcmpgtq), AVX(pcmpgtb), AVX(pcmpgtw), AVX(pcmpgtd), AVX(pcmpgtq))
LANES(vunpack_lo, SSE(Punpcklbw), SSE(Punpcklwd), SSE(Punpckldq), SSE(Punpcklqdq), AVX(punpcklbw), AVX(punpcklwd), AVX(punpckldq), AVX(punpcklqdq))
LANES(vunpack_hi, SSE(Punpckhbw), SSE(Punpckhwd), SSE(Punpckhdq), SSE(Punpckhqdq), AVX(punpckhbw), AVX(punpckhwd), AVX(punpckhdq), AVX(punpckhqdq))
LANES(vpack_s, 0, SSE(Packsswb), SSE(Packssdw), 0, 0, AVX(packsswb), AVX(packssdw), 0)
LANES(vpack_u, 0, SSE(Packuswb), SSE(Packusdw), 0, 0, AVX(packuswb), AVX(packusdw), 0)

void emit_vabs(X64& e, const Inst& i) {
    static constexpr InstId sse[] = {SSE(Pabsb), SSE(Pabsw), SSE(Pabsd)}, avx[] = {AVX(pabsb), AVX(pabsw), AVX(pabsd)};
    const unsigned n = static_cast<unsigned>(i.lane());
    if (n > 2) return e.fail(__func__);
    vec_unary(e, i, i.a, sse[n], avx[n]);
}

void emit_vmin_index(X64& e, const Inst& i) { vec_unary(e, i, i.a, Inst_::kIdPhminposuw, Inst_::kIdVphminposuw); }
void emit_vsad_blocks(X64& e, const Inst& i) { vec_binary(e, i, Inst_::kIdMpsadbw, Inst_::kIdVmpsadbw, i.aux & 7); }

void emit_vzero(X64& e, const Inst& i) {
    const Reg d = e.scratch_xmm();
    e.avx() ? e.as.vpxor(xmm(d), xmm(d), xmm(d)) : e.as.pxor(xmm(d), xmm(d));
    e.define(i, d, true);
}

// ---- shifts

static void vec_shift(X64& e, const Inst& i, const InstId (&sse)[3], const InstId (&avx)[3], bool arithmetic) {
    const unsigned n = static_cast<unsigned>(i.lane()) - 1;
    if (n > 2 || !sse[n]) {
        e.fail(__func__);
        return;
    }
    const Reg a = e.use(i.a);
    if (e.is_const(i.b)) {
        const u64 count = std::min<u64>(e.inst(i.b).imm, 255);
        const Reg d = e.avx() ? (e.dies_in_temp(i.a) ? a : e.scratch_xmm()) : e.use_scratch(i.a);
        if (e.avx()) e.as.emit(avx[n], xmm(d), xmm(a), Imm(count));
        else e.as.emit(sse[n], xmm(d), Imm(count));
        e.define(i, d, true);
        return;
    }
    (void)arithmetic;
    const Reg t = e.scratch_xmm();
    const Reg b = e.use(i.b);
    e.avx() ? e.as.vmovq(xmm(t), r64(b)) : e.as.movq(xmm(t), r64(b));
    const Reg d = e.avx() ? (e.dies_in_temp(i.a) ? a : e.scratch_xmm()) : e.use_scratch(i.a);
    if (e.avx()) e.as.emit(avx[n], xmm(d), xmm(a), xmm(t));
    else e.as.emit(sse[n], xmm(d), xmm(t));
    e.define(i, d, true);
}
void emit_vshl(X64& e, const Inst& i) {
    vec_shift(e, i, {Inst_::kIdPsllw, Inst_::kIdPslld, Inst_::kIdPsllq}, {Inst_::kIdVpsllw, Inst_::kIdVpslld, Inst_::kIdVpsllq}, false);
}
void emit_vshr(X64& e, const Inst& i) {
    vec_shift(e, i, {Inst_::kIdPsrlw, Inst_::kIdPsrld, Inst_::kIdPsrlq}, {Inst_::kIdVpsrlw, Inst_::kIdVpsrld, Inst_::kIdVpsrlq}, false);
}
void emit_vsar(X64& e, const Inst& i) {
    vec_shift(e, i, {Inst_::kIdPsraw, Inst_::kIdPsrad, 0}, {Inst_::kIdVpsraw, Inst_::kIdVpsrad, 0}, true);
}

static void shift_each(X64& e, const Inst& i, InstId narrow, InstId wide) {
    const InstId id = i.lane() == Lane::I64 ? wide : narrow;
    if (!e.avx2() || !id) return e.compute_by_call(i);
    vec_binary(e, i, id, id);
}
void emit_vshl_each(X64& e, const Inst& i) { shift_each(e, i, Inst_::kIdVpsllvd, Inst_::kIdVpsllvq); }
void emit_vshr_each(X64& e, const Inst& i) { shift_each(e, i, Inst_::kIdVpsrlvd, Inst_::kIdVpsrlvq); }
void emit_vsar_each(X64& e, const Inst& i) { shift_each(e, i, Inst_::kIdVpsravd, 0); }

static void shift_bytes(X64& e, const Inst& i, InstId sse, InstId avx) {
    const unsigned n = std::min<unsigned>(i.aux, 16);
    if (e.avx()) {
        const Reg a = e.use(i.a);
        const Reg d = e.dies_in_temp(i.a) ? a : e.scratch_xmm();
        e.as.emit(avx, xmm(d), xmm(a), Imm(n));
        e.define(i, d, true);
        return;
    }
    const Reg d = e.use_scratch(i.a);
    e.as.emit(sse, xmm(d), Imm(n));
    e.define(i, d, true);
}
void emit_vshl_bytes(X64& e, const Inst& i) { shift_bytes(e, i, Inst_::kIdPslldq, Inst_::kIdVpslldq); }
void emit_vshr_bytes(X64& e, const Inst& i) { shift_bytes(e, i, Inst_::kIdPsrldq, Inst_::kIdVpsrldq); }
}  // namespace calque::jit::x64
