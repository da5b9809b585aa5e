// Moves between elements: shuffles, insertions, choices, widening.
#include "jit/x64/vec.h"
#include "support/planted.h"

namespace calque::jit::x64 {

void emit_vlow(X64& e, const Inst& i) {
    e.use(i.b);  // these instructions merge only between registers
    switch (i.lane()) {
    case Lane::I32: case Lane::F32: vec_binary(e, i, Inst_::kIdMovss, Inst_::kIdVmovss); return;
    case Lane::I64: case Lane::F64: vec_binary(e, i, Inst_::kIdMovsd, Inst_::kIdVmovsd); return;
    default: e.fail(__func__);
    }
}

void emit_vfrom_int(X64& e, const Inst& i) {
    const unsigned size = e.size_of(i.a);
    if (size == 8 && e.value(i.a).at != At::reg) {
        const Operand s = e.use_rm(i.a, 8);
        const Reg d = e.scratch_xmm();
        e.as.emit(e.avx() ? Inst_::kIdVmovq : Inst_::kIdMovq, xmm(d), s);
        e.define(i, d, true);
        return;
    }
    const Reg s = size < 4 ? e.use_clean(i.a) : e.use(i.a);
    const Reg d = e.scratch_xmm();
    if (size == 8) e.avx() ? e.as.vmovq(xmm(d), r64(s)) : e.as.movq(xmm(d), r64(s));
    else e.avx() ? e.as.vmovd(xmm(d), r32(s)) : e.as.movd(xmm(d), r32(s));
    e.define(i, d, true);
}

void emit_vextract(X64& e, const Inst& i) {
    static constexpr InstId sse[] = {Inst_::kIdPextrb, Inst_::kIdPextrw, Inst_::kIdPextrd, Inst_::kIdPextrq};
    static constexpr InstId avx[] = {Inst_::kIdVpextrb, Inst_::kIdVpextrw, Inst_::kIdVpextrd, Inst_::kIdVpextrq};
    const unsigned size = bytes(i.type);
    const Reg s = e.use(i.a);
    const Reg d = e.dest(e.index_of(i));
    if (i.aux == 0 && size >= 4) {
        if (size == 8) e.avx() ? e.as.vmovq(r64(d), xmm(s)) : e.as.movq(r64(d), xmm(s));
        else e.avx() ? e.as.vmovd(r32(d), xmm(s)) : e.as.movd(r32(d), xmm(s));
    } else {
        const unsigned n = static_cast<unsigned>(__builtin_ctz(size));
        e.as.emit(e.avx() ? avx[n] : sse[n], gp(d, std::max(4u, size)), xmm(s), Imm(i.aux));
    }
    e.define(i, d, true);
}

void emit_vinsert(X64& e, const Inst& i) {
    static constexpr InstId sse[] = {Inst_::kIdPinsrb, Inst_::kIdPinsrw, Inst_::kIdPinsrd, Inst_::kIdPinsrq};
    static constexpr InstId avx[] = {Inst_::kIdVpinsrb, Inst_::kIdVpinsrw, Inst_::kIdVpinsrd, Inst_::kIdVpinsrq};
    const unsigned size = lane_bytes(i.lane()), n = static_cast<unsigned>(__builtin_ctz(size));
    const x86::Gp b = gp(e.use(i.b), std::max(4u, size));
    if (e.avx()) {
        const Reg a = e.use(i.a);
        const Reg d = e.dies_in_temp(i.a) ? a : e.scratch_xmm();
        e.as.emit(avx[n], xmm(d), xmm(a), b, Imm(i.aux));
        e.define(i, d, true);
        return;
    }
    const Reg d = e.use_scratch(i.a);
    e.as.emit(sse[n], xmm(d), b, Imm(i.aux));
    e.define(i, d, true);
}

void emit_vshuffle(X64& e, const Inst& i) { vec_unary(e, i, i.a, Inst_::kIdPshufd, Inst_::kIdVpshufd, i.aux); }
void emit_vshuffle_lo(X64& e, const Inst& i) { vec_unary(e, i, i.a, Inst_::kIdPshuflw, Inst_::kIdVpshuflw, i.aux); }
void emit_vshuffle_hi(X64& e, const Inst& i) { vec_unary(e, i, i.a, Inst_::kIdPshufhw, Inst_::kIdVpshufhw, i.aux); }
void emit_vshuffle_by(X64& e, const Inst& i) {
    if (!e.avx()) return e.compute_by_call(i);
    const Reg a = e.use(i.a), b = e.use(i.b);
    const Reg d = e.dies_in_temp(i.a) ? a : e.scratch_xmm();
    lane_bytes(i.lane()) == 8 ? e.as.vpermilpd(xmm(d), xmm(a), xmm(b)) : e.as.vpermilps(xmm(d), xmm(a), xmm(b));
    e.define(i, d, true);
}
void emit_valign(X64& e, const Inst& i) { vec_binary(e, i, Inst_::kIdPalignr, Inst_::kIdVpalignr, i.aux); }
void emit_vshuffle2(X64& e, const Inst& i) {
    const bool wide = i.lane() == Lane::I64 || i.lane() == Lane::F64;
    vec_binary(e, i, wide ? Inst_::kIdShufpd : Inst_::kIdShufps, wide ? Inst_::kIdVshufpd : Inst_::kIdVshufps, wide ? i.aux & 3 : i.aux);
}

void emit_vinsert_lane(X64& e, const Inst& i) {
    e.use(i.b);  // from memory these instructions take no other lane than the first
    vec_binary(e, i, Inst_::kIdInsertps, Inst_::kIdVinsertps, i.aux);
}

// ---- choices

void emit_vblend(X64& e, const Inst& i) {
    switch (i.lane()) {
    case Lane::I16: return vec_binary(e, i, Inst_::kIdPblendw, Inst_::kIdVpblendw, i.aux);
    case Lane::I32: case Lane::F32: return vec_binary(e, i, Inst_::kIdBlendps, Inst_::kIdVblendps, i.aux & 15);
    case Lane::I64: case Lane::F64: return vec_binary(e, i, Inst_::kIdBlendpd, Inst_::kIdVblendpd, i.aux & 3);
    default: e.fail(__func__);
    }
}

/// Without AVX the host's instruction wants its mask in xmm0, so the sign is spread over each lane and bits are chosen.
static void blend_by_mask(X64& e, const Inst& i) {
    const Reg c = e.use(i.c), b = e.use(i.b);
    const Reg m = e.scratch_xmm(), t = e.scratch_xmm();
    if (i.lane() == Lane::I8) {
        e.as.pxor(xmm(m), xmm(m));
        e.as.pcmpgtb(xmm(m), xmm(c));
    } else {
        e.as.movdqa(xmm(m), xmm(c));
        e.as.psrad(xmm(m), Imm(31));
        if (lane_bytes(i.lane()) == 8) e.as.pshufd(xmm(m), xmm(m), Imm(0xf5));
    }
    e.as.movdqa(xmm(t), xmm(b));
    const Reg d = e.use_scratch(i.a);
    e.as.pxor(xmm(t), xmm(d));
    e.as.pand(xmm(t), xmm(m));
    e.as.pxor(xmm(d), xmm(t));
    e.define(i, d, true);
}
void emit_vblend_sign(X64& e, const Inst& i) {
    if (!e.avx()) return blend_by_mask(e, i);
    const Reg a = e.use(i.a), b = e.use(i.b), c = e.use(i.c);
    const Reg d = e.dies_in_temp(i.a) ? a : e.scratch_xmm();
    const unsigned size = lane_bytes(i.lane());
    e.as.emit(size == 1 ? Inst_::kIdVpblendvb : size == 4 ? Inst_::kIdVblendvps : Inst_::kIdVblendvpd, xmm(d), xmm(a), xmm(b), xmm(c));
    e.define(i, d, true);
}

/// Both tables are asked, and bit 2 of the index, as a sign, says whose answer holds.
void emit_vlookup(X64& e, const Inst& i) {
    if (!e.avx()) return e.compute_by_call(i);
    const Reg a = e.use(i.a), b = e.use(i.b), c = e.use(i.c);
    const Reg t = e.scratch_xmm(), d = e.scratch_xmm();
    e.as.vpermilps(xmm(t), xmm(a), xmm(c));
    e.as.vpermilps(xmm(d), xmm(b), xmm(c));
    const Reg sign = e.dies_in_temp(i.c) ? c : e.scratch_xmm();
    e.as.vpslld(xmm(sign), xmm(c), Imm(29));
    e.as.vblendvps(xmm(d), xmm(t), xmm(d), xmm(sign));
    e.define(i, d, true);
}

// ---- widening

static void widen(X64& e, const Inst& i, const InstId (&sse)[3][4], const InstId (&avx)[3][4]) {
    const unsigned from = static_cast<unsigned>(i.lane()), to = i.aux;
    if (from > 2 || to > 3 || to <= from) return e.fail(__func__);
    vec_unary(e, i, i.a, sse[from][to], avx[from][to]);
}
void emit_vwiden_s(X64& e, const Inst& i) {
    widen(e, i, {{0, Inst_::kIdPmovsxbw, Inst_::kIdPmovsxbd, Inst_::kIdPmovsxbq}, {0, 0, Inst_::kIdPmovsxwd, Inst_::kIdPmovsxwq}, {0, 0, 0, Inst_::kIdPmovsxdq}},
          {{0, Inst_::kIdVpmovsxbw, Inst_::kIdVpmovsxbd, Inst_::kIdVpmovsxbq}, {0, 0, Inst_::kIdVpmovsxwd, Inst_::kIdVpmovsxwq}, {0, 0, 0, Inst_::kIdVpmovsxdq}});
}
void emit_vwiden_u(X64& e, const Inst& i) {
    widen(e, i, {{0, Inst_::kIdPmovzxbw, Inst_::kIdPmovzxbd, Inst_::kIdPmovzxbq}, {0, 0, Inst_::kIdPmovzxwd, Inst_::kIdPmovzxwq}, {0, 0, 0, Inst_::kIdPmovzxdq}},
          {{0, Inst_::kIdVpmovzxbw, Inst_::kIdVpmovzxbd, Inst_::kIdVpmovzxbq}, {0, 0, Inst_::kIdVpmovzxwd, Inst_::kIdVpmovzxwq}, {0, 0, 0, Inst_::kIdVpmovzxdq}});
}

// ---- to integers and flags

void emit_vtest(X64& e, const Inst& i) {
    const bool signs = i.lane() == Lane::F32 || i.lane() == Lane::F64;
    if (signs && !e.avx()) return e.compute_by_call(i);
    e.clobber();
    const Reg a = e.use(i.a), b = e.use(i.b);
    if (signs) i.lane() == Lane::F32 ? e.as.vtestps(xmm(a), xmm(b)) : e.as.vtestpd(xmm(a), xmm(b));
    else e.avx() ? e.as.vptest(xmm(a), xmm(b)) : e.as.ptest(xmm(a), xmm(b));
    e.holds_flags(e.index_of(i), FlagKind::exact);  // the host too clears OF, SF, AF and PF
}

void emit_vmovmask(X64& e, const Inst& i) {
    const Reg s = e.use(i.a);
    const Reg d = e.dest(e.index_of(i));
    switch (i.lane()) {
    case Lane::I8: e.avx() ? e.as.vpmovmskb(r32(d), xmm(s)) : e.as.pmovmskb(r32(d), xmm(s)); break;
    case Lane::F32: case Lane::I32: e.avx() ? e.as.vmovmskps(r32(d), xmm(s)) : e.as.movmskps(r32(d), xmm(s)); break;
    case Lane::F64: case Lane::I64: e.avx() ? e.as.vmovmskpd(r32(d), xmm(s)) : e.as.movmskpd(r32(d), xmm(s)); break;
    default: e.fail(__func__);
    }
    if (planted("x64_movemask") && i.lane() == Lane::I8) e.as.and_(r32(d), Imm(0x7fff));
    e.define(i, d, true);
}
}  // namespace calque::jit::x64
