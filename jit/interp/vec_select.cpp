// Vector ops of the interpreter that choose, widen and test elements.
#include "jit/interp/vec_op.h"

namespace calque::jit {
namespace {

/// The low lanes of type From in lanes of the type that `to` names.
template <class From>
V128 widen(Lane to, const V128& a) {
    return by_lane(to, [&](auto t) {
        using T = decltype(t);
        if constexpr (sizeof(T) > sizeof(From)) {
            const auto x = lanes_of<std::make_unsigned_t<From>>(a);
            Lanes<T> r;
            for (unsigned k = 0; k < kLanes<T>; ++k) r[k] = static_cast<T>(static_cast<From>(x[k]));
            return vec_of<T>(r);
        } else {
            return a;
        }
    });
}
template <class I8, class I16, class I32>
V128 widen_from(const InterpInst& i, const V128& a) {
    const auto to = static_cast<Lane>(i.aux);
    return i.lane() == Lane::I8 ? widen<I8>(to, a) : i.lane() == Lane::I16 ? widen<I16>(to, a) : widen<I32>(to, a);
}
}  // namespace

VEC_OP(vwiden_s) { out = widen_from<i8, i16, i32>(i, A); }
VEC_OP(vwiden_u) { out = widen_from<u8, u16, u32>(i, A); }

VEC_OP(vblend) {
    out = by_lane(i.lane(), [&](auto t) {
        using T = decltype(t);
        auto x = lanes_of<T>(A);
        const auto y = lanes_of<T>(B);
        for (unsigned k = 0; k < kLanes<T>; ++k)
            if (i.aux >> k & 1) x[k] = y[k];
        return vec_of<T>(x);
    });
}
VEC_OP(vblend_sign) {
    const V128 ones = by_lane(i.lane(), [&](auto t) {
        using T = decltype(t);
        return map<T>(f.v[i.c], f.v[i.c], [](T x, T) { return static_cast<Signed<T>>(x) < 0 ? ~T{0} : T{0}; });
    });
    out = {(A.lo & ~ones.lo) | (B.lo & ones.lo), (A.hi & ~ones.hi) | (B.hi & ones.hi)};
}
VEC_OP(vinsert_lane) {
    auto x = lanes_of<u32>(A);
    x[i.aux >> 4 & 3] = lanes_of<u32>(B)[i.aux >> 6];
    for (unsigned k = 0; k < 4; ++k)
        if (i.aux >> k & 1) x[k] = 0;
    out = vec_of<u32>(x);
}

VEC_OP(vshuffle_by) {
    const V128 by = B;
    if (lane_bytes(i.lane()) == 8) {
        const V128 a = A;
        out = {by.lo & 2 ? a.hi : a.lo, by.hi & 2 ? a.hi : a.lo};
        return;
    }
    const auto x = lanes_of<u32>(A);
    auto y = lanes_of<u32>(by);
    for (u32& v : y) v = x[v & 3];
    out = vec_of<u32>(y);
}

VEC_OP(vlookup) {
    const auto x = lanes_of<u32>(A), y = lanes_of<u32>(B);
    auto r = lanes_of<u32>(f.v[i.c]);
    for (u32& k : r) k = k & 4 ? y[k & 3] : x[k & 3];
    out = vec_of<u32>(r);
}

VEC_OP(vtest) {
    const u64 which = i.lane() == Lane::F32 ? 0x8000000080000000 : i.lane() == Lane::F64 ? 0x8000000000000000 : ~u64{0};
    const V128 a = A, b = {B.lo & which, B.hi & which};
    const bool zf = ((a.lo & b.lo) | (a.hi & b.hi)) == 0, cf = ((~a.lo & b.lo) | (~a.hi & b.hi)) == 0;
    out = {u64{fl::One} | (zf ? fl::ZF : 0) | (cf ? fl::CF : 0), 0};
}
}  // namespace calque::jit
