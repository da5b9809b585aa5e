// The MMX and SSE instructions that are one op of the IR on two operands, or one operand and an immediate.
#include <array>

#include "cpu/lift/vector.h"

namespace calque::vector {
namespace {

constexpr u8 to(Lane l) { return static_cast<u8>(l); }
constexpr Row kRows[] = {
    // ---- arithmetic
    {Mn::PADDB, Op::vadd, Lane::I8},
    {Mn::PADDW, Op::vadd, Lane::I16},
    {Mn::PADDD, Op::vadd, Lane::I32},
    {Mn::PADDQ, Op::vadd, Lane::I64},
    {Mn::PSUBB, Op::vsub, Lane::I8},
    {Mn::PSUBW, Op::vsub, Lane::I16},
    {Mn::PSUBD, Op::vsub, Lane::I32},
    {Mn::PSUBQ, Op::vsub, Lane::I64},
    {Mn::PADDSB, Op::vadds_s, Lane::I8},
    {Mn::PADDSW, Op::vadds_s, Lane::I16},
    {Mn::PADDUSB, Op::vadds_u, Lane::I8},
    {Mn::PADDUSW, Op::vadds_u, Lane::I16},
    {Mn::PSUBSB, Op::vsubs_s, Lane::I8},
    {Mn::PSUBSW, Op::vsubs_s, Lane::I16},
    {Mn::PSUBUSB, Op::vsubs_u, Lane::I8},
    {Mn::PSUBUSW, Op::vsubs_u, Lane::I16},
    {Mn::PMULLW, Op::vmul_lo, Lane::I16},
    {Mn::PMULLD, Op::vmul_lo, Lane::I32},
    {Mn::PMULHW, Op::vmul_hi_s, Lane::I16},
    {Mn::PMULHUW, Op::vmul_hi_u, Lane::I16},
    {Mn::PMULHRSW, Op::vmul_round, Lane::I16},
    {Mn::PMULUDQ, Op::vmul_even_u, Lane::I32},
    {Mn::PMULDQ, Op::vmul_even_s, Lane::I32},
    {Mn::PMADDWD, Op::vmadd, Lane::I16},
    {Mn::PMADDUBSW, Op::vmadd_us, Lane::I8},
    {Mn::PSADBW, Op::vsad, Lane::I8},
    {Mn::MPSADBW, Op::vsad_blocks, Lane::I16, 7},
    {Mn::PAVGB, Op::vavg_u, Lane::I8},
    {Mn::PAVGW, Op::vavg_u, Lane::I16},
    {Mn::PSIGNB, Op::vsign, Lane::I8},
    {Mn::PSIGNW, Op::vsign, Lane::I16},
    {Mn::PSIGND, Op::vsign, Lane::I32},
    {Mn::PABSB, Op::vabs, Lane::I8},
    {Mn::PABSW, Op::vabs, Lane::I16},
    {Mn::PABSD, Op::vabs, Lane::I32},
    {Mn::PHADDW, Op::vhadd, Lane::I16},
    {Mn::PHADDD, Op::vhadd, Lane::I32},
    {Mn::PHSUBW, Op::vhsub, Lane::I16},
    {Mn::PHSUBD, Op::vhsub, Lane::I32},
    {Mn::PHADDSW, Op::vhadds_s, Lane::I16},
    {Mn::PHSUBSW, Op::vhsubs_s, Lane::I16},
    // ---- comparison
    {Mn::PMINSB, Op::vmin_s, Lane::I8},
    {Mn::PMINSW, Op::vmin_s, Lane::I16},
    {Mn::PMINSD, Op::vmin_s, Lane::I32},
    {Mn::PMINUB, Op::vmin_u, Lane::I8},
    {Mn::PMINUW, Op::vmin_u, Lane::I16},
    {Mn::PMINUD, Op::vmin_u, Lane::I32},
    {Mn::PMAXSB, Op::vmax_s, Lane::I8},
    {Mn::PMAXSW, Op::vmax_s, Lane::I16},
    {Mn::PMAXSD, Op::vmax_s, Lane::I32},
    {Mn::PMAXUB, Op::vmax_u, Lane::I8},
    {Mn::PMAXUW, Op::vmax_u, Lane::I16},
    {Mn::PMAXUD, Op::vmax_u, Lane::I32},
    {Mn::PHMINPOSUW, Op::vmin_index, Lane::I16},
    {Mn::PCMPEQB, Op::vcmp_eq, Lane::I8},
    {Mn::PCMPEQW, Op::vcmp_eq, Lane::I16},
    {Mn::PCMPEQD, Op::vcmp_eq, Lane::I32},
    {Mn::PCMPEQQ, Op::vcmp_eq, Lane::I64},
    {Mn::PCMPGTB, Op::vcmp_gt_s, Lane::I8},
    {Mn::PCMPGTW, Op::vcmp_gt_s, Lane::I16},
    {Mn::PCMPGTD, Op::vcmp_gt_s, Lane::I32},
    {Mn::PCMPGTQ, Op::vcmp_gt_s, Lane::I64},
    // ---- logic
    {Mn::PAND, Op::vand, Lane::I64},
    {Mn::PANDN, Op::vandn, Lane::I64},
    {Mn::POR, Op::vor, Lane::I64},
    {Mn::PXOR, Op::vxor, Lane::I64},
    {Mn::ANDPS, Op::vand, Lane::F32},
    {Mn::ANDPD, Op::vand, Lane::F64},
    {Mn::ANDNPS, Op::vandn, Lane::F32},
    {Mn::ANDNPD, Op::vandn, Lane::F64},
    {Mn::ORPS, Op::vor, Lane::F32},
    {Mn::ORPD, Op::vor, Lane::F64},
    {Mn::XORPS, Op::vxor, Lane::F32},
    {Mn::XORPD, Op::vxor, Lane::F64},
    // ---- shifts
    {Mn::PSLLW, Op::vshl, Lane::I16},
    {Mn::PSLLD, Op::vshl, Lane::I32},
    {Mn::PSLLQ, Op::vshl, Lane::I64},
    {Mn::PSRLW, Op::vshr, Lane::I16},
    {Mn::PSRLD, Op::vshr, Lane::I32},
    {Mn::PSRLQ, Op::vshr, Lane::I64},
    {Mn::PSRAW, Op::vsar, Lane::I16},
    {Mn::PSRAD, Op::vsar, Lane::I32},
    {Mn::VPSLLVD, Op::vshl_each, Lane::I32},
    {Mn::VPSLLVQ, Op::vshl_each, Lane::I64},
    {Mn::VPSRLVD, Op::vshr_each, Lane::I32},
    {Mn::VPSRLVQ, Op::vshr_each, Lane::I64},
    {Mn::VPSRAVD, Op::vsar_each, Lane::I32},
    // ---- moves between elements
    {Mn::PUNPCKLBW, Op::vunpack_lo, Lane::I8},
    {Mn::PUNPCKLWD, Op::vunpack_lo, Lane::I16},
    {Mn::PUNPCKLDQ, Op::vunpack_lo, Lane::I32},
    {Mn::PUNPCKLQDQ, Op::vunpack_lo, Lane::I64},
    {Mn::PUNPCKHBW, Op::vunpack_hi, Lane::I8},
    {Mn::PUNPCKHWD, Op::vunpack_hi, Lane::I16},
    {Mn::PUNPCKHDQ, Op::vunpack_hi, Lane::I32},
    {Mn::PUNPCKHQDQ, Op::vunpack_hi, Lane::I64},
    {Mn::UNPCKLPS, Op::vunpack_lo, Lane::I32},
    {Mn::UNPCKLPD, Op::vunpack_lo, Lane::I64},
    {Mn::UNPCKHPS, Op::vunpack_hi, Lane::I32},
    {Mn::UNPCKHPD, Op::vunpack_hi, Lane::I64},
    {Mn::PACKSSWB, Op::vpack_s, Lane::I16},
    {Mn::PACKSSDW, Op::vpack_s, Lane::I32},
    {Mn::PACKUSWB, Op::vpack_u, Lane::I16},
    {Mn::PACKUSDW, Op::vpack_u, Lane::I32},
    {Mn::PMOVSXBW, Op::vwiden_s, Lane::I8, 0, to(Lane::I16), 8},
    {Mn::PMOVSXBD, Op::vwiden_s, Lane::I8, 0, to(Lane::I32), 4},
    {Mn::PMOVSXBQ, Op::vwiden_s, Lane::I8, 0, to(Lane::I64), 2},
    {Mn::PMOVSXWD, Op::vwiden_s, Lane::I16, 0, to(Lane::I32), 8},
    {Mn::PMOVSXWQ, Op::vwiden_s, Lane::I16, 0, to(Lane::I64), 4},
    {Mn::PMOVSXDQ, Op::vwiden_s, Lane::I32, 0, to(Lane::I64), 8},
    {Mn::PMOVZXBW, Op::vwiden_u, Lane::I8, 0, to(Lane::I16), 8},
    {Mn::PMOVZXBD, Op::vwiden_u, Lane::I8, 0, to(Lane::I32), 4},
    {Mn::PMOVZXBQ, Op::vwiden_u, Lane::I8, 0, to(Lane::I64), 2},
    {Mn::PMOVZXWD, Op::vwiden_u, Lane::I16, 0, to(Lane::I32), 8},
    {Mn::PMOVZXWQ, Op::vwiden_u, Lane::I16, 0, to(Lane::I64), 4},
    {Mn::PMOVZXDQ, Op::vwiden_u, Lane::I32, 0, to(Lane::I64), 8},
    {Mn::PSHUFB, Op::vshuffle_bytes, Lane::I8},
    {Mn::PALIGNR, Op::valign, Lane::I8, 0xff},
    {Mn::PSHUFW, Op::vshuffle_lo, Lane::I16, 0xff},
    {Mn::PSHUFD, Op::vshuffle, Lane::I32, 0xff},
    {Mn::PSHUFLW, Op::vshuffle_lo, Lane::I16, 0xff},
    {Mn::PSHUFHW, Op::vshuffle_hi, Lane::I16, 0xff},
    {Mn::SHUFPS, Op::vshuffle2, Lane::I32, 0xff},
    {Mn::SHUFPD, Op::vshuffle2, Lane::I64, 3},
    {Mn::INSERTPS, Op::vinsert_lane, Lane::I32, 0xff, 0, 4},
    {Mn::PBLENDW, Op::vblend, Lane::I16, 0xff},
    {Mn::VPBLENDD, Op::vblend, Lane::I32, 15},
    {Mn::BLENDPS, Op::vblend, Lane::I32, 15},
    {Mn::BLENDPD, Op::vblend, Lane::I64, 3},
    {Mn::PBLENDVB, Op::vblend_sign, Lane::I8},
    {Mn::BLENDVPS, Op::vblend_sign, Lane::I32},
    {Mn::BLENDVPD, Op::vblend_sign, Lane::I64},
    // ---- cryptography
    {Mn::AESENC, Op::vaes_enc, Lane::I8},
    {Mn::AESENCLAST, Op::vaes_enc_last, Lane::I8},
    {Mn::AESDEC, Op::vaes_dec, Lane::I8},
    {Mn::AESDECLAST, Op::vaes_dec_last, Lane::I8},
    {Mn::AESIMC, Op::vaes_imc, Lane::I8},
    {Mn::AESKEYGENASSIST, Op::vaes_keygen, Lane::I8, 0xff},
    {Mn::PCLMULQDQ, Op::vclmul, Lane::I64, 0x11},
    {Mn::SHA1RNDS4, Op::vsha1_rounds, Lane::I32, 3},
    {Mn::SHA1NEXTE, Op::vsha1_next_e, Lane::I32},
    {Mn::SHA1MSG1, Op::vsha1_msg1, Lane::I32},
    {Mn::SHA1MSG2, Op::vsha1_msg2, Lane::I32},
    {Mn::SHA256RNDS2, Op::vsha256_rounds, Lane::I32},
    {Mn::SHA256MSG1, Op::vsha256_msg1, Lane::I32},
    {Mn::SHA256MSG2, Op::vsha256_msg2, Lane::I32},
    {Mn::GF2P8MULB, Op::vgf_mul, Lane::I8},
    {Mn::GF2P8AFFINEQB, Op::vgf_affine, Lane::I8, 0xff},
    {Mn::GF2P8AFFINEINVQB, Op::vgf_affine_inv, Lane::I8, 0xff},
};
constexpr auto kByMnemonic = [] {
    std::array<Row, static_cast<size_t>(Mn::count)> t{};
    for (const Row& r : kRows) t[static_cast<size_t>(r.mn)] = r;
    return t;
}();
}  // namespace

const Row& row_of(Mn mn) { return kByMnemonic[static_cast<size_t>(mn)]; }

u8 aux_of(const Row& row, const Insn& in) {
    if (!row.imm) return row.aux;
    u8 imm = static_cast<u8>(last(in).value & row.imm);
    // SDM vol. 2A, "INSERTPS": a memory operand is the element, whatever COUNT_S says.
    if (row.op == Op::vinsert_lane && in.op[in.op_count - 2].is_mem()) imm &= 0x3f;
    return row.aux | imm;
}

u8 upper_aux(const Row& row, const Insn& in, u8 aux) {
    const auto above = [&](unsigned bits) { return static_cast<u8>(last(in).value >> bits & row.imm); };
    switch (row.op) {
    case Op::vsad_blocks: return above(3);
    case Op::vblend: return row.lane == Lane::I16 ? aux : above(16 / jit::lane_bytes(row.lane));
    case Op::vshuffle2: return row.lane == Lane::I32 ? aux : above(2);
    default: return aux;
    }
}

Val compute(Lifter& l, const Row& row, u8 aux, Val a, Val b, Val c) {
    if (jit::info(row.op).args == 1) return l.ir.vec(row.op, row.lane, b, {}, aux);
    return l.ir.vec(row.op, row.lane, a, b, aux, Type::V128, c);
}
}  // namespace calque::vector
