// Integer vector ops of the interpreter.
#include "jit/interp/vec_op.h"

namespace calque::jit {
namespace {

/// Every lane by the count in b, `beyond` when the count does not fit.
template <class F>
V128 shift(const InterpInst& i, const V128& a, u64 count, F f) {
    return by_lane(i.lane(), [&](auto t) {
        using T = decltype(t);
        return map<T>(a, a, [&](T x, T) { return f(x, count); });
    });
}
}  // namespace

// Lane by lane, for every width the op has: x, y of the unsigned type T.
#define LANE_OP(name, expr)                                                           \
    VEC_OP(name) {                                                                    \
        out = by_lane(i.lane(), [&](auto t) {                                         \
            using T = decltype(t);                                                    \
            using S [[maybe_unused]] = Signed<T>;                                     \
            return map<T>(A, B, [](T x, T y) { return expr; });                       \
        });                                                                           \
    }
// For lanes of 8 and 16 bits, whose arithmetic fits an i32.
#define NARROW_OP(name, expr)                                                                              \
    VEC_OP(name) {                                                                                         \
        const auto run = [&](auto t) {                                                                     \
            using T = decltype(t);                                                                         \
            using S [[maybe_unused]] = Signed<T>;                                                          \
            return map<T>(A, B, [](T x, T y) { return expr; });                                            \
        };                                                                                                 \
        out = i.lane() == Lane::I8 ? run(u8{}) : run(u16{});                                               \
    }

VEC_OP(vzero) { out = {0, 0}; }
VEC_OP(vlow) {
    const V128 a = A, b = B;
    switch (i.lane()) {
    case Lane::I8: out = {(a.lo & ~u64{0xff}) | (b.lo & 0xff), a.hi}; break;
    case Lane::I16: out = {(a.lo & ~u64{0xffff}) | (b.lo & 0xffff), a.hi}; break;
    case Lane::I32:
    case Lane::F32: out = {(a.lo & ~u64{0xffffffff}) | (b.lo & 0xffffffff), a.hi}; break;
    default: out = {b.lo, a.hi}; break;
    }
}
VEC_OP(vfrom_int) { out = {A.lo, 0}; }
VEC_OP(vextract) {
    const unsigned width = bits(i.type), bit = i.aux * width & 127;
    const u64 half = bit < 64 ? A.lo : A.hi;
    out = {half >> (bit & 63) & mask(i.type), 0};
}
VEC_OP(vinsert) {
    V128 r = A;
    const unsigned width = lane_bytes(i.lane()) * 8, bit = i.aux * width & 127;
    const u64 m = (width == 64 ? ~u64{0} : (u64{1} << width) - 1) << (bit & 63);
    u64& half = bit < 64 ? r.lo : r.hi;
    half = (half & ~m) | (B.lo << (bit & 63) & m);
    out = r;
}

VEC_OP(vand) { out = {A.lo & B.lo, A.hi & B.hi}; }
VEC_OP(vandn) { out = {~A.lo & B.lo, ~A.hi & B.hi}; }
VEC_OP(vor) { out = {A.lo | B.lo, A.hi | B.hi}; }
VEC_OP(vxor) { out = {A.lo ^ B.lo, A.hi ^ B.hi}; }

LANE_OP(vadd, x + y)
LANE_OP(vsub, x - y)
NARROW_OP(vadds_s, saturate<S>(S(x) + S(y)))
NARROW_OP(vadds_u, saturate<T>(i32{x} + y))
NARROW_OP(vsubs_s, saturate<S>(S(x) - S(y)))
NARROW_OP(vsubs_u, saturate<T>(i32{x} - y))
LANE_OP(vmul_lo, u64{x} * y)
NARROW_OP(vmul_hi_s, i32{S(x)} * S(y) >> (8 * sizeof(T)))
NARROW_OP(vmul_hi_u, u32{x} * y >> (8 * sizeof(T)))
LANE_OP(vsign, S(y) < 0 ? T{0} - x : y == 0 ? T{0} : x)
NARROW_OP(vavg_u, (u32{x} + y + 1) >> 1)
LANE_OP(vmin_s, S(x) < S(y) ? x : y)
LANE_OP(vmin_u, x < y ? x : y)
LANE_OP(vmax_s, S(x) > S(y) ? x : y)
LANE_OP(vmax_u, x > y ? x : y)
LANE_OP(vcmp_eq, x == y ? T(~T{0}) : T{0})
LANE_OP(vcmp_gt_s, S(x) > S(y) ? T(~T{0}) : T{0})

VEC_OP(vmul_even_u) {
    out = {(A.lo & 0xffffffff) * (B.lo & 0xffffffff), (A.hi & 0xffffffff) * (B.hi & 0xffffffff)};
}
VEC_OP(vmul_even_s) {
    const auto product = [](u64 x, u64 y) { return static_cast<u64>(i64{static_cast<i32>(x)} * static_cast<i32>(y)); };
    out = {product(A.lo, B.lo), product(A.hi, B.hi)};
}
VEC_OP(vmadd) {
    const auto x = lanes_of<u16>(A), y = lanes_of<u16>(B);
    Lanes<u32> r;
    for (unsigned k = 0; k < 4; ++k) {
        const auto product = [&](unsigned n) { return static_cast<u32>(i32{static_cast<i16>(x[n])} * static_cast<i16>(y[n])); };
        r[k] = product(2 * k) + product(2 * k + 1);  // wraps for four times -32768
    }
    out = vec_of<u32>(r);
}
VEC_OP(vsad) {
    const auto x = lanes_of<u8>(A), y = lanes_of<u8>(B);
    u64 sum[2] = {0, 0};
    for (unsigned k = 0; k < 16; ++k) sum[k / 8] += x[k] > y[k] ? x[k] - y[k] : y[k] - x[k];
    out = {sum[0], sum[1]};
}

VEC_OP(vshl) {
    out = shift(i, A, B.lo, [](auto x, u64 n) { return n < 8 * sizeof x ? static_cast<decltype(x)>(x << n) : decltype(x){0}; });
}
VEC_OP(vshr) {
    out = shift(i, A, B.lo, [](auto x, u64 n) { return n < 8 * sizeof x ? static_cast<decltype(x)>(x >> n) : decltype(x){0}; });
}
VEC_OP(vsar) {
    out = shift(i, A, B.lo, [](auto x, u64 n) {
        using T = decltype(x);
        return static_cast<T>(static_cast<Signed<T>>(x) >> std::min<u64>(n, 8 * sizeof x - 1));
    });
}
LANE_OP(vshl_each, y < 8 * sizeof(T) ? T(x << y) : T{0})
LANE_OP(vshr_each, y < 8 * sizeof(T) ? T(x >> y) : T{0})
LANE_OP(vsar_each, T(S(x) >> std::min<T>(y, 8 * sizeof(T) - 1)))
VEC_OP(vshl_bytes) {
    const u128 v = i.aux > 15 ? 0 : to_u128(A) << (8 * i.aux);
    out = from_u128(v);
}
VEC_OP(vshr_bytes) {
    const u128 v = i.aux > 15 ? 0 : to_u128(A) >> (8 * i.aux);
    out = from_u128(v);
}

namespace {
V128 unpack(Lane l, const V128& a, const V128& b, bool high) {
    return by_lane(l, [&](auto t) {
        using T = decltype(t);
        const auto x = lanes_of<T>(a), y = lanes_of<T>(b);
        constexpr unsigned n = kLanes<T>;
        Lanes<T> r;
        for (unsigned k = 0; k < n / 2; ++k) r[2 * k] = x[k + (high ? n / 2 : 0)], r[2 * k + 1] = y[k + (high ? n / 2 : 0)];
        return vec_of<T>(r);
    });
}
/// Lanes of `From` (signed) saturated to `To`.
template <class From, class To>
V128 pack(const V128& a, const V128& b) {
    const auto x = lanes_of<std::make_unsigned_t<From>>(a), y = lanes_of<std::make_unsigned_t<From>>(b);
    using U = std::make_unsigned_t<To>;
    Lanes<U> r;
    constexpr unsigned n = kLanes<U>;
    for (unsigned k = 0; k < n; ++k) r[k] = static_cast<U>(saturate<To>(static_cast<From>(k < n / 2 ? x[k] : y[k - n / 2])));
    return vec_of<U>(r);
}
template <class T>
V128 shuffle(const V128& a, u8 order, unsigned first, unsigned count) {
    const auto x = lanes_of<T>(a);
    auto r = x;
    for (unsigned k = 0; k < count; ++k) r[first + k] = x[first + (order >> (2 * k) & 3)];
    return vec_of<T>(r);
}
}  // namespace

VEC_OP(vunpack_lo) { out = unpack(i.lane(), A, B, false); }
VEC_OP(vunpack_hi) { out = unpack(i.lane(), A, B, true); }
VEC_OP(vpack_s) { out = i.lane() == Lane::I16 ? pack<i16, i8>(A, B) : pack<i32, i16>(A, B); }
VEC_OP(vpack_u) { out = i.lane() == Lane::I16 ? pack<i16, u8>(A, B) : pack<i32, u16>(A, B); }
VEC_OP(vshuffle) { out = shuffle<u32>(A, i.aux, 0, 4); }
VEC_OP(vshuffle_lo) { out = shuffle<u16>(A, i.aux, 0, 4); }
VEC_OP(vshuffle_hi) { out = shuffle<u16>(A, i.aux, 4, 4); }
VEC_OP(vshuffle2) {
    if (i.lane() == Lane::I64 || i.lane() == Lane::F64) {
        out = {i.aux & 1 ? A.hi : A.lo, i.aux & 2 ? B.hi : B.lo};
        return;
    }
    const auto x = lanes_of<u32>(A), y = lanes_of<u32>(B);
    out = vec_of<u32>({x[i.aux & 3], x[i.aux >> 2 & 3], y[i.aux >> 4 & 3], y[i.aux >> 6 & 3]});
}
VEC_OP(vmovmask) {
    u64 m = 0;
    by_lane(i.lane(), [&](auto t) {
        using T = decltype(t);
        const auto x = lanes_of<T>(A);
        for (unsigned k = 0; k < kLanes<T>; ++k) m |= u64{x[k]} >> (8 * sizeof(T) - 1) << k;
        return V128{};
    });
    out = {m, 0};
}
}  // namespace calque::jit
