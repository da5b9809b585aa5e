// AES, SHA, carry-less products and GF(2^8) by the host's instructions where it has them.
#include "jit/x64/vec.h"

namespace calque::jit::x64 {
namespace {
void by_host(X64& e, const Inst& i, bool has, InstId sse, InstId avx, int imm = -1) {
    if (!has || !e.sw.crypto) return e.compute_by_call(i);
    if (info(i.op).args == 1) return vec_unary(e, i, i.a, sse, avx, imm);
    vec_binary(e, i, sse, avx, imm);
}

/// SHA has no VEX forms, and legacy ones want memory operands aligned.
void sha(X64& e, const Inst& i, InstId op, int imm = -1) {
    if (!e.cpu.sha || !e.sw.crypto) return e.compute_by_call(i);
    const Reg b = e.use(i.b);
    const Reg d = e.use_scratch(i.a);
    if (imm < 0) e.as.emit(op, xmm(d), xmm(b));
    else e.as.emit(op, xmm(d), xmm(b), Imm(imm));
    e.define(i, d, true);
}
}  // namespace

void emit_vaes_enc(X64& e, const Inst& i) { by_host(e, i, e.cpu.aes, Inst_::kIdAesenc, Inst_::kIdVaesenc); }
void emit_vaes_enc_last(X64& e, const Inst& i) { by_host(e, i, e.cpu.aes, Inst_::kIdAesenclast, Inst_::kIdVaesenclast); }
void emit_vaes_dec(X64& e, const Inst& i) { by_host(e, i, e.cpu.aes, Inst_::kIdAesdec, Inst_::kIdVaesdec); }
void emit_vaes_dec_last(X64& e, const Inst& i) { by_host(e, i, e.cpu.aes, Inst_::kIdAesdeclast, Inst_::kIdVaesdeclast); }
void emit_vaes_imc(X64& e, const Inst& i) { by_host(e, i, e.cpu.aes, Inst_::kIdAesimc, Inst_::kIdVaesimc); }
void emit_vaes_keygen(X64& e, const Inst& i) { by_host(e, i, e.cpu.aes, Inst_::kIdAeskeygenassist, Inst_::kIdVaeskeygenassist, i.aux); }
void emit_vclmul(X64& e, const Inst& i) { by_host(e, i, e.cpu.pclmul, Inst_::kIdPclmulqdq, Inst_::kIdVpclmulqdq, i.aux & 0x11); }
void emit_vgf_mul(X64& e, const Inst& i) { by_host(e, i, e.cpu.gfni, Inst_::kIdGf2p8mulb, Inst_::kIdVgf2p8mulb); }
void emit_vgf_affine(X64& e, const Inst& i) { by_host(e, i, e.cpu.gfni, Inst_::kIdGf2p8affineqb, Inst_::kIdVgf2p8affineqb, i.aux); }
void emit_vgf_affine_inv(X64& e, const Inst& i) { by_host(e, i, e.cpu.gfni, Inst_::kIdGf2p8affineinvqb, Inst_::kIdVgf2p8affineinvqb, i.aux); }

void emit_vsha1_rounds(X64& e, const Inst& i) { sha(e, i, Inst_::kIdSha1rnds4, i.aux & 3); }
void emit_vsha1_next_e(X64& e, const Inst& i) { sha(e, i, Inst_::kIdSha1nexte); }
void emit_vsha1_msg1(X64& e, const Inst& i) { sha(e, i, Inst_::kIdSha1msg1); }
void emit_vsha1_msg2(X64& e, const Inst& i) { sha(e, i, Inst_::kIdSha1msg2); }
void emit_vsha256_msg1(X64& e, const Inst& i) { sha(e, i, Inst_::kIdSha256msg1); }
void emit_vsha256_msg2(X64& e, const Inst& i) { sha(e, i, Inst_::kIdSha256msg2); }
void emit_vsha256_rounds(X64& e, const Inst& i) {
    if (!e.cpu.sha || !e.sw.crypto) return e.compute_by_call(i);
    e.take(xmm0);
    const Reg b = e.use(i.b);
    const Reg d = e.use_scratch(i.a);
    e.load_to(xmm0, i.c);
    e.as.sha256rnds2(xmm(d), xmm(b), xmm(xmm0));
    e.define(i, d, true);
}
}  // namespace calque::jit::x64
