// Conversions between formats, to and from integers, and to packed decimal.
#include <limits>

#include "support/softfloat/core.h"

namespace calque::fp {
namespace {

/// A number of one format as a result of another, rounded; `denormal_flag` as the instruction has it.
template <class To, class From>
To convert(From x, bool denormal_flag, FpEnv& env) {
    env.rounded_up = false;
    const Num a = unpack<From>(x, env.daz && !kIsX87<To> && !kIsX87<From>);
    switch (a.kind) {
    case Kind::unsupported: return invalid<To>(env);
    case Kind::signaling_nan: env.flags |= IE; [[fallthrough]];
    case Kind::quiet_nan: return pack_nan<To>(a);
    case Kind::infinity: return infinity<To>(a.sign);
    case Kind::zero: return zero<To>(a.sign);
    case Kind::finite: break;
    }
    // FLD loads a denormal even when DE is not masked, as AMD's processors do.
    if (denormal_flag && denormal_fault(a.denormal, env) && !kIsX87<To>) return zero<To>(a.sign);
    return finish<To>(a.sign, a.exp, a.sig, 0, env);
}

/// A store that overflows or underflows unmasked writes nothing and so rounds nothing.
template <class To>
To store(F80 x, FpEnv& env) {
    const u8 before = env.flags;
    const To r = convert<To>(x, false, env);
    if (env.flags & ~env.masks & (OE | UE)) {
        env.flags = static_cast<u8>(before | (env.flags & ~PE));
        env.rounded_up = false;
    }
    return r;
}

template <class F>
F80 operand(F x, FpEnv& env) {
    const Num a = unpack<F>(x);
    switch (a.kind) {
    case Kind::infinity: return infinity<F80>(a.sign);
    case Kind::zero: return zero<F80>(a.sign);
    case Kind::finite:
        env.memory_denormal = a.denormal;
        return pack<F80>(a.sign, static_cast<u32>(a.exp + 16383), a.sig);
    default: return pack<F80>(a.sign, 0x7FFF, a.sig | kTop);
    }
}

/// |a| rounded to an integer, if it is below 2^64. Raises nothing.
struct Integer {
    u64 value;
    bool overflow, inexact, up;
};
Integer to_magnitude(const Num& a, Round mode) {
    if (a.exp >= 64) return {0, true, false, false};
    const u128 v = shift_right_jam(static_cast<u128>(a.sig) << 64, static_cast<unsigned>(63 - a.exp));
    const u64 rest = static_cast<u64>(v);
    const Rounded r = round_at(static_cast<u64>(v >> 64), rest, 64, a.sign, mode);
    return {r.sig, r.carry, r.inexact, r.up};
}

template <class F>
F from_int(i64 v, FpEnv& env) {
    env.rounded_up = false;
    if (v == 0) return zero<F>(false);
    const u64 m = v < 0 ? u64{0} - static_cast<u64>(v) : static_cast<u64>(v);
    const int lz = std::countl_zero(m);
    return finish<F>(v < 0, 63 - lz, m << lz, 0, env);
}
}  // namespace

F64 f32_to_f64(F32 x, FpEnv& env) { return convert<F64>(x, true, env); }
F32 f64_to_f32(F64 x, FpEnv& env) { return convert<F32>(x, true, env); }
F32 f16_to_f32(F16 x, FpEnv& env) {
    const bool daz = std::exchange(env.daz, false);
    const F32 r = convert<F32>(x, false, env);
    env.daz = daz;
    return r;
}
F16 f32_to_f16(F32 x, FpEnv& env) {
    const bool ftz = std::exchange(env.ftz, false);
    const F16 r = convert<F16>(x, true, env);
    env.ftz = ftz;
    return r;
}
F80 widen(F32 x, FpEnv& env) { return convert<F80>(x, true, env); }
F80 widen(F64 x, FpEnv& env) { return convert<F80>(x, true, env); }
F32 f80_to_f32(F80 x, FpEnv& env) { return store<F32>(x, env); }
F64 f80_to_f64(F80 x, FpEnv& env) { return store<F64>(x, env); }
F80 widen_operand(F32 x, FpEnv& env) { return operand(x, env); }
F80 widen_operand(F64 x, FpEnv& env) { return operand(x, env); }

template <class I, class F>
I to_int(F x, Round mode, FpEnv& env) {
    constexpr I indefinite = std::numeric_limits<I>::min();
    constexpr u64 limit = static_cast<u64>(std::numeric_limits<I>::max());
    env.rounded_up = false;
    const Num a = unpack<F>(x, env.daz);
    if (a.kind == Kind::zero) return 0;
    if (a.kind == Kind::finite) {
        const Integer i = to_magnitude(a, mode);
        if (!i.overflow && i.value <= limit + a.sign) {
            if (i.inexact) env.flags |= PE;
            env.rounded_up = i.up;
            return static_cast<I>(a.sign ? u64{0} - i.value : i.value);
        }
    }
    env.flags |= IE;
    return indefinite;
}
#define INSTANTIATE(I)                       \
    template I to_int(F32, Round, FpEnv&);   \
    template I to_int(F64, Round, FpEnv&);   \
    template I to_int(F80, Round, FpEnv&);
INSTANTIATE(i16)
INSTANTIATE(i32)
INSTANTIATE(i64)
#undef INSTANTIATE

F32 f32_from_int(i64 v, FpEnv& env) { return from_int<F32>(v, env); }
F64 f64_from_int(i64 v, FpEnv& env) { return from_int<F64>(v, env); }
F80 f80_from_int(i64 v) {
    FpEnv env;
    return from_int<F80>(v, env);
}

F80 f80_from_bcd(const Bcd& d) {
    u64 v = 0;
    for (int i = 8; i >= 0; --i) v = v * 100 + (d.bytes[i] >> 4) * 10u + (d.bytes[i] & 15);
    F80 r = f80_from_int(static_cast<i64>(v));
    if (d.bytes[9] & 0x80) r.se |= 0x8000;
    return r;
}

Bcd f80_to_bcd(F80 x, FpEnv& env) {
    constexpr u64 limit = 1'000'000'000'000'000'000;
    env.rounded_up = false;
    const Num a = unpack<F80>(x);
    Integer i{0, false, false, false};
    if (a.kind == Kind::finite) i = to_magnitude(a, env.rounding);
    if (a.kind > Kind::finite || i.overflow || i.value >= limit) {
        env.flags |= IE;
        return {{0, 0, 0, 0, 0, 0, 0, 0xC0, 0xFF, 0xFF}};  // packed decimal indefinite
    }
    if (i.inexact) env.flags |= PE;
    env.rounded_up = i.up;
    Bcd d{};
    u64 v = i.value;
    for (int k = 0; k < 9; ++k, v /= 100) d.bytes[k] = static_cast<u8>((v % 100 / 10 << 4) | v % 10);
    d.bytes[9] = a.sign ? 0x80 : 0;
    return d;
}
}  // namespace calque::fp
