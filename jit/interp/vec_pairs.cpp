// Vector ops of the interpreter that combine neighbours or move single bytes.
#include "jit/interp/vec_op.h"

namespace calque::jit {
namespace {

/// f of each pair of neighbours (signed): those of a give the low half, those of b the high one.
template <class T, class F>
V128 pairs(const V128& a, const V128& b, F f) {
    const auto x = lanes_of<T>(a), y = lanes_of<T>(b);
    constexpr unsigned n = kLanes<T>;
    Lanes<T> r;
    const auto one = [&](const Lanes<T>& from, unsigned k) { return static_cast<T>(f(i64{static_cast<Signed<T>>(from[k])}, i64{static_cast<Signed<T>>(from[k + 1])})); };
    for (unsigned k = 0; k < n / 2; ++k) r[k] = one(x, 2 * k), r[n / 2 + k] = one(y, 2 * k);
    return vec_of<T>(r);
}
template <class F>
V128 pairs_16_32(Lane l, const V128& a, const V128& b, F f) {
    return l == Lane::I16 ? pairs<u16>(a, b, f) : pairs<u32>(a, b, f);
}
i16 saturate16(i64 v) { return saturate<i16>(static_cast<i32>(v)); }
}  // namespace

VEC_OP(vabs) {
    out = by_lane(i.lane(), [&](auto t) {
        using T = decltype(t);
        return map<T>(A, A, [](T x, T) { return static_cast<Signed<T>>(x) < 0 ? T{0} - x : x; });
    });
}
VEC_OP(vhadd) { out = pairs_16_32(i.lane(), A, B, [](i64 x, i64 y) { return x + y; }); }
VEC_OP(vhsub) { out = pairs_16_32(i.lane(), A, B, [](i64 x, i64 y) { return x - y; }); }
VEC_OP(vhadds_s) { out = pairs<u16>(A, B, [](i64 x, i64 y) { return saturate16(x + y); }); }
VEC_OP(vhsubs_s) { out = pairs<u16>(A, B, [](i64 x, i64 y) { return saturate16(x - y); }); }

VEC_OP(vmul_round) {
    out = map<u16>(A, B, [](u16 x, u16 y) { return ((i32{static_cast<i16>(x)} * static_cast<i16>(y) >> 14) + 1) >> 1; });
}
VEC_OP(vmadd_us) {
    const auto x = lanes_of<u8>(A), y = lanes_of<u8>(B);
    Lanes<u16> r;
    const auto product = [&](unsigned k) { return i32{x[k]} * static_cast<i8>(y[k]); };
    for (unsigned k = 0; k < 8; ++k) r[k] = static_cast<u16>(saturate16(product(2 * k) + product(2 * k + 1)));
    out = vec_of<u16>(r);
}

VEC_OP(vsad_blocks) {
    const auto x = lanes_of<u8>(A), y = lanes_of<u8>(B);
    const unsigned from = i.aux & 4, block = 4 * (i.aux & 3);
    Lanes<u16> r{};
    for (unsigned k = 0; k < 8; ++k)
        for (unsigned j = 0; j < 4; ++j) {
            const u8 p = x[from + k + j], q = y[block + j];
            r[k] = static_cast<u16>(r[k] + (p > q ? p - q : q - p));
        }
    out = vec_of<u16>(r);
}
VEC_OP(vmin_index) {
    const auto x = lanes_of<u16>(A);
    const auto least = std::min_element(x.begin(), x.end());
    out = {*least | static_cast<u64>(least - x.begin()) << 16, 0};
}

VEC_OP(vshuffle_bytes) {
    const auto x = lanes_of<u8>(A);
    auto y = lanes_of<u8>(B);
    for (u8& v : y) v = v & 0x80 ? u8{0} : x[v & 15];
    out = vec_of<u8>(y);
}
VEC_OP(valign) {
    const u128 a = to_u128(A), b = to_u128(B);
    const unsigned n = 8u * i.aux;
    out = from_u128(n == 0 ? b : n < 128 ? b >> n | a << (128 - n) : n < 256 ? a >> (n - 128) : 0);
}
}  // namespace calque::jit
