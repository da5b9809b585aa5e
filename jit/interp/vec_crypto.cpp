// AES (FIPS 197), SHA (FIPS 180-4), carry-less products and arithmetic in the field GF(2^8), on vectors.
#include <bit>

#include "jit/interp/vec_op.h"

namespace calque::jit {
namespace {

// ---- GF(2^8) modulo x^8 + x^4 + x^3 + x + 1

constexpr u8 gf_mul(u8 a, u8 b) {
    unsigned r = 0, x = a;
    for (unsigned k = 0; k < 8; ++k, x = x << 1 ^ (x & 0x80 ? 0x11b : 0))
        if (b >> k & 1) r ^= x;
    return static_cast<u8>(r);
}
/// a^254: 0 stays 0.
constexpr u8 gf_inverse(u8 a) {
    u8 r = 1, x = a;
    for (unsigned k = 1; k < 8; ++k) x = gf_mul(x, x), r = gf_mul(r, x);
    return r;
}

using Bytes = std::array<u8, 256>;
constexpr Bytes kInverse = [] {
    Bytes t{};
    for (unsigned k = 0; k < 256; ++k) t[k] = gf_inverse(static_cast<u8>(k));
    return t;
}();
/// FIPS 197, "SubBytes() Transformation".
constexpr Bytes kSub = [] {
    Bytes t{};
    for (unsigned k = 0; k < 256; ++k) {
        const u8 x = kInverse[k];
        t[k] = static_cast<u8>(x ^ std::rotl(x, 1) ^ std::rotl(x, 2) ^ std::rotl(x, 3) ^ std::rotl(x, 4) ^ 0x63);
    }
    return t;
}();
constexpr Bytes kInvSub = [] {
    Bytes t{};
    for (unsigned k = 0; k < 256; ++k) t[kSub[k]] = static_cast<u8>(k);
    return t;
}();

// ---- AES: the state's columns lie one after the other

using State = Lanes<u8>;

/// ShiftRows and SubBytes: row r comes from `step` * r columns to the right.
State substitute(const State& s, const Bytes& box, unsigned step) {
    State r;
    for (unsigned k = 0; k < 16; ++k) r[k] = box[s[(k + 4 * step * (k & 3)) & 15]];
    return r;
}
/// MixColumns with the first row of its matrix.
State mix(const State& s, const std::array<u8, 4>& row) {
    State r{};
    for (unsigned k = 0; k < 16; ++k)
        for (unsigned j = 0; j < 4; ++j) r[k] ^= gf_mul(row[(j - k) & 3], s[(k & 12) + j]);
    return r;
}
constexpr std::array<u8, 4> kMix{2, 3, 1, 1}, kInvMix{14, 11, 13, 9};

V128 with_key(const State& s, const V128& key) {
    const V128 v = vec_of<u8>(s);
    return {v.lo ^ key.lo, v.hi ^ key.hi};
}
State encrypt(const V128& a) { return substitute(lanes_of<u8>(a), kSub, 1); }
State decrypt(const V128& a) { return substitute(lanes_of<u8>(a), kInvSub, 3); }
u32 sub_word(u32 w) {
    u32 r = 0;
    for (unsigned k = 0; k < 32; k += 8) r |= u32{kSub[w >> k & 0xff]} << k;
    return r;
}
}  // namespace

VEC_OP(vaes_enc) { out = with_key(mix(encrypt(A), kMix), B); }
VEC_OP(vaes_enc_last) { out = with_key(encrypt(A), B); }
VEC_OP(vaes_dec) { out = with_key(mix(decrypt(A), kInvMix), B); }
VEC_OP(vaes_dec_last) { out = with_key(decrypt(A), B); }
VEC_OP(vaes_imc) { out = vec_of<u8>(mix(lanes_of<u8>(A), kInvMix)); }
VEC_OP(vaes_keygen) {
    const auto x = lanes_of<u32>(A);
    const u32 one = sub_word(x[1]), three = sub_word(x[3]);
    out = vec_of<u32>({one, std::rotr(one, 8) ^ i.aux, three, std::rotr(three, 8) ^ i.aux});
}

VEC_OP(vclmul) {
    const u64 x = i.aux & 1 ? A.hi : A.lo, y = i.aux & 16 ? B.hi : B.lo;
    u128 r = 0;
    for (unsigned k = 0; k < 64; ++k)
        if (y >> k & 1) r ^= u128{x} << k;
    out = from_u128(r);
}

// ---- GFNI

namespace {
/// Each byte x of a (after `before`) becomes m * x + constant; m: the 8 by 8 matrix of bits in the same half of b.
V128 affine(const V128& a, const V128& b, u8 constant, const Bytes* before) {
    auto x = lanes_of<u8>(a);
    const auto m = lanes_of<u8>(b);
    for (unsigned k = 0; k < 16; ++k) {
        const u8 v = before ? (*before)[x[k]] : x[k];
        unsigned r = 0;
        for (unsigned bit = 0; bit < 8; ++bit) r |= static_cast<unsigned>(std::popcount(static_cast<u8>(m[(k & 8) + 7 - bit] & v)) & 1) << bit;
        x[k] = static_cast<u8>(r ^ constant);
    }
    return vec_of<u8>(x);
}
}  // namespace

VEC_OP(vgf_mul) { out = map<u8>(A, B, gf_mul); }
VEC_OP(vgf_affine) { out = affine(A, B, i.aux, nullptr); }
VEC_OP(vgf_affine_inv) { out = affine(A, B, i.aux, &kInverse); }

// ---- SHA-1 (SDM vol. 2, SHA1RNDS4 and its neighbours). Lane 3 holds what the standard counts first.

namespace {
u32 choose(u32 x, u32 y, u32 z) { return (x & y) ^ (~x & z); }
u32 majority(u32 x, u32 y, u32 z) { return (x & y) ^ (x & z) ^ (y & z); }
u32 parity(u32 x, u32 y, u32 z) { return x ^ y ^ z; }
struct Sha1Phase {
    u32 (*f)(u32, u32, u32);
    u32 k;
};
constexpr Sha1Phase kSha1[4] = {{choose, 0x5a827999}, {parity, 0x6ed9eba1}, {majority, 0x8f1bbcdc}, {parity, 0xca62c1d6}};
}  // namespace

VEC_OP(vsha1_rounds) {
    const Sha1Phase& phase = kSha1[i.aux & 3];
    auto s = lanes_of<u32>(A);
    const auto w = lanes_of<u32>(B);
    u32 e = 0;   // the first word has it added already
    for (unsigned k = 4; k-- > 0;) {
        const u32 a = phase.f(s[2], s[1], s[0]) + std::rotl(s[3], 5) + w[k] + e + phase.k;
        e = s[0];
        s = {s[1], std::rotl(s[2], 30), s[3], a};
    }
    out = vec_of<u32>(s);
}
VEC_OP(vsha1_next_e) {
    auto r = lanes_of<u32>(B);
    r[3] += std::rotl(lanes_of<u32>(A)[3], 30);
    out = vec_of<u32>(r);
}
VEC_OP(vsha1_msg1) { out = {A.lo ^ B.hi, A.hi ^ A.lo}; }
VEC_OP(vsha1_msg2) {
    auto w = lanes_of<u32>(A);
    const auto before = lanes_of<u32>(B);
    for (unsigned k = 3; k > 0; --k) w[k] = std::rotl(w[k] ^ before[k - 1], 1);
    w[0] = std::rotl(w[0] ^ w[3], 1);
    out = vec_of<u32>(w);
}

// ---- SHA-256: the state is A B E F in b, C D G H in a

namespace {
u32 small_sigma0(u32 x) { return std::rotr(x, 7) ^ std::rotr(x, 18) ^ x >> 3; }
u32 small_sigma1(u32 x) { return std::rotr(x, 17) ^ std::rotr(x, 19) ^ x >> 10; }
u32 big_sigma0(u32 x) { return std::rotr(x, 2) ^ std::rotr(x, 13) ^ std::rotr(x, 22); }
u32 big_sigma1(u32 x) { return std::rotr(x, 6) ^ std::rotr(x, 11) ^ std::rotr(x, 25); }
}  // namespace

VEC_OP(vsha256_rounds) {
    auto abef = lanes_of<u32>(B), cdgh = lanes_of<u32>(A);
    const auto wk = lanes_of<u32>(f.v[i.c]);
    for (unsigned k = 0; k < 2; ++k) {
        const u32 ha = abef[3], hb = abef[2], he = abef[1], hf = abef[0], hc = cdgh[3], hd = cdgh[2], hg = cdgh[1], hh = cdgh[0];
        const u32 t = choose(he, hf, hg) + big_sigma1(he) + wk[k] + hh;
        abef = {he, t + hd, ha, t + majority(ha, hb, hc) + big_sigma0(ha)};
        cdgh = {hg, hf, hc, hb};
    }
    out = vec_of<u32>(abef);
}
VEC_OP(vsha256_msg1) {
    auto w = lanes_of<u32>(A);
    const u32 next[4] = {w[1], w[2], w[3], lanes_of<u32>(B)[0]};
    for (unsigned k = 0; k < 4; ++k) w[k] += small_sigma0(next[k]);
    out = vec_of<u32>(w);
}
VEC_OP(vsha256_msg2) {
    auto w = lanes_of<u32>(A);
    const auto before = lanes_of<u32>(B);
    w[0] += small_sigma1(before[2]), w[1] += small_sigma1(before[3]);
    w[2] += small_sigma1(w[0]), w[3] += small_sigma1(w[1]);
    out = vec_of<u32>(w);
}
}  // namespace calque::jit
