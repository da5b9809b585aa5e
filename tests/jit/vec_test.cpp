// The interpreter's vector ops: values from the manual, and on x86 hosts random operands beside the host's own SSE2.
#include <doctest/doctest.h>

#include "jit/interp/interp.h"
#include "jit/interp/lanes.h"
#include "tests/support/softfloat_operands.h"

using namespace calque;
using namespace calque::jit;

namespace {
using Fn = void (*)(InterpFrame&, const InterpInst&, Value&);

V128 run(Fn fn, Lane lane, V128 a, V128 b, u8 aux = 0, u32* control = nullptr, Type type = Type::V128) {
    Value values[3] = {{}, a, b};
    u32 masked = 0x1f80;
    InterpFrame f;
    f.v = values;
    f.fp_control = control ? control : &masked;
    InterpInst i;
    i.type = type, i.slot = static_cast<u8>(lane), i.aux = aux, i.a = 1, i.b = 2;
    Value out{};
    fn(f, i, out);
    return out;
}
bool same(V128 a, V128 b) { return a.lo == b.lo && a.hi == b.hi; }
}  // namespace

TEST_CASE("vector lanes round trip") {
    const V128 v{0x0706050403020100, 0x0f0e0d0c0b0a0908};
    CHECK(lanes_of<u8>(v)[15] == 15);
    CHECK(same(vec_of<u16>(lanes_of<u16>(v)), v));
}

TEST_CASE("element access") {
    const V128 v{0x1111222233334444, 0x5555666677778888};
    CHECK(run(interp_vextract, Lane::I16, v, {}, 5, nullptr, Type::I16).lo == 0x7777);
    CHECK(same(run(interp_vinsert, Lane::I16, v, {0xabcd, 0}, 4), V128{v.lo, 0x555566667777abcd}));
    CHECK(same(run(interp_vlow, Lane::F32, v, {0x9999aaaabbbbcccc, 7}), V128{0x11112222bbbbcccc, v.hi}));
}

TEST_CASE("floating-point ops raise the control word's sticky flags") {
    u32 control = 0x1f80;
    const V128 one{0x3ff0000000000000, 0x3ff0000000000000};
    CHECK(same(run(interp_vfdiv, Lane::F64, one, {0x4008000000000000, 0}, 0, &control), V128{0x3fd5555555555555, 0x7ff0000000000000}));
    CHECK(control == (0x1f80 | 0x24));
    control = 0x1f80;
    CHECK(run(interp_vfcomi, Lane::F64, one, {0x7ff8000000000000, 0}, 2, &control).lo == (fl::One | fl::ZF | fl::PF | fl::CF));
    CHECK(control == 0x1f80);  // quiet
    CHECK(run(interp_vfcvt_to_i, Lane::F32, {0x4f000000, 0}, {}, 2, &control, Type::I32).lo == 0x80000000);
    CHECK(control == (0x1f80 | 1));
}

#if defined(__SSE2__)
#include <emmintrin.h>

namespace {
__m128i host(V128 v) { return _mm_set_epi64x(static_cast<long long>(v.hi), static_cast<long long>(v.lo)); }
V128 guest(__m128i v) {
    return {static_cast<u64>(_mm_cvtsi128_si64(v)), static_cast<u64>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(v, v)))};
}
struct Row {
    const char* name;
    Fn fn;
    Lane lane;
    __m128i (*host)(__m128i, __m128i);
    u8 aux = 0;
};
#define H(expr) []([[maybe_unused]] __m128i a, [[maybe_unused]] __m128i b) -> __m128i { return expr; }
const Row kRows[] = {
    {"vadd8", interp_vadd, Lane::I8, H(_mm_add_epi8(a, b))}, {"vadd16", interp_vadd, Lane::I16, H(_mm_add_epi16(a, b))},
    {"vadd32", interp_vadd, Lane::I32, H(_mm_add_epi32(a, b))}, {"vadd64", interp_vadd, Lane::I64, H(_mm_add_epi64(a, b))},
    {"vsub8", interp_vsub, Lane::I8, H(_mm_sub_epi8(a, b))}, {"vsub64", interp_vsub, Lane::I64, H(_mm_sub_epi64(a, b))},
    {"vadds_s8", interp_vadds_s, Lane::I8, H(_mm_adds_epi8(a, b))}, {"vadds_s16", interp_vadds_s, Lane::I16, H(_mm_adds_epi16(a, b))},
    {"vadds_u8", interp_vadds_u, Lane::I8, H(_mm_adds_epu8(a, b))}, {"vadds_u16", interp_vadds_u, Lane::I16, H(_mm_adds_epu16(a, b))},
    {"vsubs_s8", interp_vsubs_s, Lane::I8, H(_mm_subs_epi8(a, b))}, {"vsubs_s16", interp_vsubs_s, Lane::I16, H(_mm_subs_epi16(a, b))},
    {"vsubs_u8", interp_vsubs_u, Lane::I8, H(_mm_subs_epu8(a, b))}, {"vsubs_u16", interp_vsubs_u, Lane::I16, H(_mm_subs_epu16(a, b))},
    {"vmul_lo", interp_vmul_lo, Lane::I16, H(_mm_mullo_epi16(a, b))}, {"vmul_hi_s", interp_vmul_hi_s, Lane::I16, H(_mm_mulhi_epi16(a, b))},
    {"vmul_hi_u", interp_vmul_hi_u, Lane::I16, H(_mm_mulhi_epu16(a, b))}, {"vmul_even_u", interp_vmul_even_u, Lane::I32, H(_mm_mul_epu32(a, b))},
    {"vmadd", interp_vmadd, Lane::I16, H(_mm_madd_epi16(a, b))}, {"vsad", interp_vsad, Lane::I8, H(_mm_sad_epu8(a, b))},
    {"vavg8", interp_vavg_u, Lane::I8, H(_mm_avg_epu8(a, b))}, {"vavg16", interp_vavg_u, Lane::I16, H(_mm_avg_epu16(a, b))},
    {"vmin_s", interp_vmin_s, Lane::I16, H(_mm_min_epi16(a, b))}, {"vmin_u", interp_vmin_u, Lane::I8, H(_mm_min_epu8(a, b))},
    {"vmax_s", interp_vmax_s, Lane::I16, H(_mm_max_epi16(a, b))}, {"vmax_u", interp_vmax_u, Lane::I8, H(_mm_max_epu8(a, b))},
    {"vcmp_eq8", interp_vcmp_eq, Lane::I8, H(_mm_cmpeq_epi8(a, b))}, {"vcmp_eq32", interp_vcmp_eq, Lane::I32, H(_mm_cmpeq_epi32(a, b))},
    {"vcmp_gt8", interp_vcmp_gt_s, Lane::I8, H(_mm_cmpgt_epi8(a, b))}, {"vcmp_gt32", interp_vcmp_gt_s, Lane::I32, H(_mm_cmpgt_epi32(a, b))},
    {"vshl16", interp_vshl, Lane::I16, H(_mm_sll_epi16(a, b))}, {"vshl64", interp_vshl, Lane::I64, H(_mm_sll_epi64(a, b))},
    {"vshr32", interp_vshr, Lane::I32, H(_mm_srl_epi32(a, b))}, {"vshr64", interp_vshr, Lane::I64, H(_mm_srl_epi64(a, b))},
    {"vsar16", interp_vsar, Lane::I16, H(_mm_sra_epi16(a, b))}, {"vsar32", interp_vsar, Lane::I32, H(_mm_sra_epi32(a, b))},
    {"vshl_bytes", interp_vshl_bytes, Lane::I8, H(_mm_slli_si128(a, 5)), 5}, {"vshr_bytes", interp_vshr_bytes, Lane::I8, H(_mm_srli_si128(a, 11)), 11},
    {"vunpack_lo8", interp_vunpack_lo, Lane::I8, H(_mm_unpacklo_epi8(a, b))}, {"vunpack_lo32", interp_vunpack_lo, Lane::I32, H(_mm_unpacklo_epi32(a, b))},
    {"vunpack_hi16", interp_vunpack_hi, Lane::I16, H(_mm_unpackhi_epi16(a, b))}, {"vunpack_hi64", interp_vunpack_hi, Lane::I64, H(_mm_unpackhi_epi64(a, b))},
    {"vpack_s16", interp_vpack_s, Lane::I16, H(_mm_packs_epi16(a, b))}, {"vpack_s32", interp_vpack_s, Lane::I32, H(_mm_packs_epi32(a, b))},
    {"vpack_u16", interp_vpack_u, Lane::I16, H(_mm_packus_epi16(a, b))}, {"vshuffle", interp_vshuffle, Lane::I32, H(_mm_shuffle_epi32(a, 0x63)), 0x63},
    {"vshuffle_lo", interp_vshuffle_lo, Lane::I16, H(_mm_shufflelo_epi16(a, 0x1e)), 0x1e}, {"vshuffle_hi", interp_vshuffle_hi, Lane::I16, H(_mm_shufflehi_epi16(a, 0xb1)), 0xb1},
    {"vshuffle2_32", interp_vshuffle2, Lane::I32, H(_mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(a), _mm_castsi128_ps(b), 0x2d))), 0x2d},
    {"vshuffle2_64", interp_vshuffle2, Lane::I64, H(_mm_castpd_si128(_mm_shuffle_pd(_mm_castsi128_pd(a), _mm_castsi128_pd(b), 1))), 1},
    {"vandn", interp_vandn, Lane::I64, H(_mm_andnot_si128(a, b))},
    {"vfadd_ps", interp_vfadd, Lane::F32, H(_mm_castps_si128(_mm_add_ps(_mm_castsi128_ps(a), _mm_castsi128_ps(b))))},
    {"vfmul_sd", interp_vfmul, Lane::F64, H(_mm_castpd_si128(_mm_mul_sd(_mm_castsi128_pd(a), _mm_castsi128_pd(b)))), 1},
    {"vfsqrt_ss", interp_vfsqrt, Lane::F32, H(_mm_castps_si128(_mm_move_ss(_mm_castsi128_ps(a), _mm_sqrt_ss(_mm_castsi128_ps(b))))), 1},
    {"vfcmp_lt", interp_vfcmp, Lane::F64, H(_mm_castpd_si128(_mm_cmplt_pd(_mm_castsi128_pd(a), _mm_castsi128_pd(b)))), 1 << 1},
    {"vfcmp_nle", interp_vfcmp, Lane::F32, H(_mm_castps_si128(_mm_cmpnle_ps(_mm_castsi128_ps(a), _mm_castsi128_ps(b)))), 6 << 1},
    {"vfcvt_f sd2ss", interp_vfcvt_f, Lane::F64, H(_mm_castps_si128(_mm_cvtsd_ss(_mm_castsi128_ps(a), _mm_castsi128_pd(b)))), 1},
    {"vfcvt_f pd2ps", interp_vfcvt_f, Lane::F64, H(_mm_castps_si128(_mm_cvtpd_ps(_mm_castsi128_pd(b))))},
    {"vfcvt_f ps2pd", interp_vfcvt_f, Lane::F32, H(_mm_castpd_si128(_mm_cvtps_pd(_mm_castsi128_ps(b))))},
    {"vfcvt_pi ps", interp_vfcvt_pi, Lane::F32, H(_mm_cvtps_epi32(_mm_castsi128_ps(a)))},
    {"vfcvt_pi tpd", interp_vfcvt_pi, Lane::F64, H(_mm_cvttpd_epi32(_mm_castsi128_pd(a))), 2},
    {"vfcvt_pf ps", interp_vfcvt_pf, Lane::F32, H(_mm_castps_si128(_mm_cvtepi32_ps(a)))},
    {"vfcvt_pf pd", interp_vfcvt_pf, Lane::F64, H(_mm_castpd_si128(_mm_cvtepi32_pd(a)))},
};
}  // namespace

TEST_CASE("vector ops agree with the host's SSE2") {
    fp::Random r{2024};
    for (const Row& row : kRows) {
        CAPTURE(row.name);
        unsigned bad = 0;
        const bool shift = row.fn == interp_vshl || row.fn == interp_vshr || row.fn == interp_vsar;
        for (int i = 0; i < 500; ++i) {
            const V128 a{r.f64().bits, i & 1 ? r.next() : r.pattern()};
            V128 b{i & 2 ? r.f64().bits : r.next(), r.pattern()};
            if (shift) b.lo = r.below(8) ? r.below(70) : r.next();
            u32 control = 0x1f80;
            const V128 got = run(row.fn, row.lane, a, b, row.aux, &control);
            _mm_setcsr(0x1f80);
            bad += !same(got, guest(row.host(host(a), host(b))));
            if (control != 0x1f80) bad += (control & 0x3f) != (_mm_getcsr() & 0x3f);
        }
        CHECK(bad == 0);
    }
    _mm_setcsr(0x1f80);
}
#endif
