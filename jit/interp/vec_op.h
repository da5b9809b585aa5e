// What the files that define the interpreter's vector ops share.
#pragma once
#include <algorithm>
#include <limits>
#include <type_traits>

#include "jit/interp/interp.h"
#include "jit/interp/lanes.h"

namespace calque::jit {

/// Applies f to every lane of type T.
template <class T, class F>
V128 map(const V128& a, const V128& b, F f) {
    Lanes<T> x = lanes_of<T>(a);
    const Lanes<T> y = lanes_of<T>(b);
    for (unsigned i = 0; i < kLanes<T>; ++i) x[i] = static_cast<T>(f(x[i], y[i]));
    return vec_of<T>(x);
}

/// Calls f with a value of the unsigned type of the lane.
template <class F>
V128 by_lane(Lane l, F f) {
    switch (l) {
    case Lane::I8: return f(u8{});
    case Lane::I16: return f(u16{});
    case Lane::I32:
    case Lane::F32: return f(u32{});
    default: return f(u64{});
    }
}
template <class T>
using Signed = std::make_signed_t<T>;

template <class T>
T saturate(i32 v) {
    return static_cast<T>(std::clamp<i32>(v, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}
}  // namespace calque::jit

#define A f.v[i.a]
#define B f.v[i.b]
#define VEC_OP(name) void interp_##name([[maybe_unused]] InterpFrame& f, [[maybe_unused]] const InterpInst& i, Value& out)
