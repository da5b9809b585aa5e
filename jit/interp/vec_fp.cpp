#include "jit/interp/vec_fp.h"

#include "jit/interp/interp.h"
#include "jit/interp/lanes.h"

namespace calque::jit {
namespace {

using namespace fp;

template <class F>
using Raw = decltype(F::bits);

/// Lane by lane, or lane 0 with the rest from a.
template <class F, class Fn>
V128 lanewise(const V128& a, const V128& b, bool scalar, FpEnv& env, Fn f) {
    using T = Raw<F>;
    if (scalar) {
        const T r = static_cast<T>(f(F{static_cast<T>(a.lo)}, F{static_cast<T>(b.lo)}, env));
        if constexpr (sizeof(T) == 8) return {r, a.hi};
        else return {(a.lo & ~u64{0xffffffff}) | r, a.hi};
    }
    auto x = lanes_of<T>(a);
    const auto y = lanes_of<T>(b);
    for (unsigned i = 0; i < kLanes<T>; ++i) x[i] = static_cast<T>(f(F{x[i]}, F{y[i]}, env));
    return vec_of<T>(x);
}

/// Sums or differences of neighbours: of a, then of b.
template <class F>
V128 neighbours(const V128& a, const V128& b, bool subtract, FpEnv& env) {
    using T = Raw<F>;
    constexpr unsigned n = kLanes<T>;
    const auto x = lanes_of<T>(a), y = lanes_of<T>(b);
    Lanes<T> r;
    for (unsigned i = 0; i < n; ++i) {
        const auto& from = i < n / 2 ? x : y;
        const F even{from[2 * i % n]}, odd{from[2 * i % n + 1]};
        r[i] = subtract ? sub(even, odd, env).bits : add(even, odd, env).bits;
    }
    return vec_of<T>(r);
}

template <class F>
V128 add_subtract(const V128& a, const V128& b, FpEnv& env) {
    using T = Raw<F>;
    auto x = lanes_of<T>(a);
    const auto y = lanes_of<T>(b);
    for (unsigned i = 0; i < x.size(); ++i) x[i] = i & 1 ? add(F{x[i]}, F{y[i]}, env).bits : sub(F{x[i]}, F{y[i]}, env).bits;
    return vec_of<T>(x);
}

/// The 32 predicates of SDM vol. 2A, "CMPPD", as the relations for which they hold.
constexpr u8 kLess = 1, kEqual = 2, kGreater = 4, kUnordered = 8;
constexpr u8 kPredicates[16] = {
    kEqual, kLess, kLess | kEqual, kUnordered,                                                                      // eq lt le unord
    kLess | kGreater | kUnordered, kEqual | kGreater | kUnordered, kGreater | kUnordered, kLess | kEqual | kGreater,  // neq nlt nle ord
    kEqual | kUnordered, kLess | kUnordered, kLess | kEqual | kUnordered, 0,                                        // eq_u nge ngt false
    kLess | kGreater, kEqual | kGreater, kGreater, kLess | kEqual | kGreater | kUnordered,                          // neq_o ge gt true
};

template <class F>
bool predicate(unsigned p, F x, F y, FpEnv& env) {
    const bool ordering = (p & 3) == 1 || (p & 3) == 2;   // these signal, unless bit 4 turns it round
    switch (compare(x, y, ordering != ((p & 16) != 0), env)) {
    case Relation::less: return kPredicates[p & 15] & kLess;
    case Relation::equal: return kPredicates[p & 15] & kEqual;
    case Relation::greater: return kPredicates[p & 15] & kGreater;
    case Relation::unordered: break;
    }
    return kPredicates[p & 15] & kUnordered;
}

template <class F>
u64 compare_flags(F x, F y, bool quiet, FpEnv& env) {
    switch (compare(x, y, !quiet, env)) {
    case Relation::less: return fl::One | fl::CF;
    case Relation::equal: return fl::One | fl::ZF;
    case Relation::greater: return fl::One;
    case Relation::unordered: break;
    }
    return fl::One | fl::CF | fl::ZF | fl::PF;
}

template <class F>
u64 to_integer(Type t, F x, bool truncate, FpEnv& env) {
    const Round mode = truncate ? Round::zero : env.rounding;
    if (t == Type::I64) return static_cast<u64>(to_int<i64>(x, mode, env));
    return static_cast<u32>(to_int<i32>(x, mode, env));
}

/// `how`: the immediate of ROUNDPS.
template <class F>
F round_as(F x, unsigned how, FpEnv& env) {
    const Round usual = env.rounding;
    if (!(how & 4)) env.rounding = static_cast<Round>(how & 3);
    const F r = round_to_int(x, env, !(how & 8));
    env.rounding = usual;
    return r;
}

template <class F>
V128 arithmetic(Op op, Type type, u8 aux, const V128& a, const V128& b, FpEnv& env) {
    const bool scalar = aux & 1;
    using T = Raw<F>;
    const auto run = [&](auto f) { return lanewise<F>(a, b, scalar, env, f); };
    switch (op) {
    case Op::vfadd: return run([](F x, F y, FpEnv& e) { return add(x, y, e).bits; });
    case Op::vfsub: return run([](F x, F y, FpEnv& e) { return sub(x, y, e).bits; });
    case Op::vfmul: return run([](F x, F y, FpEnv& e) { return mul(x, y, e).bits; });
    case Op::vfdiv: return run([](F x, F y, FpEnv& e) { return div(x, y, e).bits; });
    case Op::vfmin: return run([](F x, F y, FpEnv& e) { return fp::min(x, y, e).bits; });
    case Op::vfmax: return run([](F x, F y, FpEnv& e) { return fp::max(x, y, e).bits; });
    case Op::vfsqrt: return run([](F, F y, FpEnv& e) { return fp::sqrt(y, e).bits; });
    case Op::vfround: return run([how = aux >> 1](F, F y, FpEnv& e) { return round_as(y, static_cast<unsigned>(how), e).bits; });
    case Op::vfhadd: return neighbours<F>(a, b, false, env);
    case Op::vfhsub: return neighbours<F>(a, b, true, env);
    case Op::vfaddsub: return add_subtract<F>(a, b, env);
    case Op::vfcmp: return run([p = aux >> 1](F x, F y, FpEnv& e) { return predicate(p, x, y, e) ? ~T{0} : T{0}; });
    case Op::vfcomi: return {compare_flags(F{static_cast<T>(a.lo)}, F{static_cast<T>(b.lo)}, aux & 2, env), 0};
    case Op::vfcvt_to_i: return {to_integer(type, F{static_cast<T>(a.lo)}, aux & 2, env), 0};
    default: return {0, 0};
    }
}

template <class F>
V128 fused(FusedForm form, const V128& a, const V128& b, const V128& c, FpEnv& env) {
    using T = Raw<F>;
    const auto x = lanes_of<T>(a), y = lanes_of<T>(b), z = lanes_of<T>(c);
    Lanes<T> r = form.keep == 0 ? x : form.keep == 1 ? y : z;
    for (unsigned i = 0; i < (form.scalar ? 1 : kLanes<T>); ++i) {
        const bool negate_addend = form.negate_addend != (form.alternate && i % 2 == 0);
        r[i] = fused_multiply_add(F{x[i]}, F{y[i]}, F{z[i]}, {form.negate_product, negate_addend}, env).bits;
    }
    return vec_of<T>(r);
}

V128 from_half(const V128& a, FpEnv& env) {
    const auto x = lanes_of<u16>(a);
    Lanes<u32> r;
    for (unsigned i = 0; i < 4; ++i) r[i] = f16_to_f32({x[i]}, env).bits;
    return vec_of<u32>(r);
}

V128 to_half(unsigned how, const V128& a, FpEnv& env) {
    const Round usual = env.rounding;
    if (!(how & 4)) env.rounding = static_cast<Round>(how & 3);
    const auto x = lanes_of<u32>(a);
    Lanes<u16> r{};
    for (unsigned i = 0; i < 4; ++i) r[i] = f32_to_f16({x[i]}, env).bits;
    env.rounding = usual;
    return vec_of<u16>(r);
}

/// Between F32 and F64; `lane` is the source's.
V128 convert(Lane lane, bool scalar, const V128& a, const V128& b, FpEnv& env) {
    if (lane == Lane::F32) {
        const u64 r = f32_to_f64({static_cast<u32>(b.lo)}, env).bits;
        return {r, scalar ? a.hi : f32_to_f64({static_cast<u32>(b.lo >> 32)}, env).bits};
    }
    const u64 r = f64_to_f32({b.lo}, env).bits;
    if (scalar) return {(a.lo & ~u64{0xffffffff}) | r, a.hi};
    return {r | u64{f64_to_f32({b.hi}, env).bits} << 32, 0};
}

V128 from_integer(Lane lane, const V128& a, i64 n, FpEnv& env) {
    if (lane == Lane::F64) return {f64_from_int(n, env).bits, a.hi};
    return {(a.lo & ~u64{0xffffffff}) | f32_from_int(n, env).bits, a.hi};
}

V128 packed_to_int(Lane lane, bool truncate, const V128& a, FpEnv& env) {
    if (lane == Lane::F64) {
        const u64 lo = to_integer(Type::I32, F64{a.lo}, truncate, env);
        return {lo | to_integer(Type::I32, F64{a.hi}, truncate, env) << 32, 0};
    }
    auto x = lanes_of<u32>(a);
    for (u32& v : x) v = static_cast<u32>(to_integer(Type::I32, F32{v}, truncate, env));
    return vec_of<u32>(x);
}

V128 packed_from_int(Lane lane, const V128& a, FpEnv& env) {
    auto x = lanes_of<u32>(a);
    if (lane == Lane::F64) return {f64_from_int(static_cast<i32>(x[0]), env).bits, f64_from_int(static_cast<i32>(x[1]), env).bits};
    for (u32& v : x) v = f32_from_int(static_cast<i32>(v), env).bits;
    return vec_of<u32>(x);
}
}  // namespace

V128 vec_fp(Op op, Type type, Lane lane, u8 aux, const V128& a, const V128& b, const V128& c, FpEnv& env) {
    V128 r;
    switch (op) {
    case Op::vfcvt_f: r = convert(lane, aux & 1, a, b, env); break;
    case Op::vfcvt_from_i: r = from_integer(lane, a, static_cast<i64>(b.lo), env); break;
    case Op::vfcvt_pi: r = packed_to_int(lane, aux & 2, a, env); break;
    case Op::vfcvt_pf: r = packed_from_int(lane, a, env); break;
    case Op::vfcvt_from_h: r = from_half(a, env); break;
    case Op::vfcvt_to_h: r = to_half(aux, a, env); break;
    case Op::vfma: r = (lane == Lane::F32 ? fused<F32> : fused<F64>)(FusedForm::unpack(aux), a, b, c, env); break;
    default: r = lane == Lane::F32 ? arithmetic<F32>(op, type, aux, a, b, env) : arithmetic<F64>(op, type, aux, a, b, env);
    }
    // SDM vol. 1, "SSE and SSE2 SIMD Floating-Point Exceptions": pre-computation exceptions of any element come first.
    constexpr u8 before = IE | DE | ZE;
    if (env.flags & ~env.masks & before) env.flags &= before;
    return r;
}

void interp_vfcvt_from_i(InterpFrame& f, const InterpInst& i, Value& out) {
    FpEnv env = fp_environment(*f.fp_control);
    V128 n = f.v[i.b];
    if (i.type_b == Type::I32) n.lo = static_cast<u64>(i64{static_cast<i32>(n.lo)});
    out = vec_fp(Op::vfcvt_from_i, i.type, i.lane(), i.aux, f.v[i.a], n, {}, env);
    *f.fp_control |= env.flags;
}

#define FP_OP(name)                                                                                  \
    void interp_##name(InterpFrame& f, const InterpInst& i, Value& out) {                            \
        FpEnv env = fp_environment(*f.fp_control);                                                   \
        out = vec_fp(Op::name, i.type, i.lane(), i.aux, f.v[i.a], f.v[i.b], f.v[i.c], env);          \
        *f.fp_control |= env.flags;                                                                  \
    }
FP_OP(vfadd)
FP_OP(vfsub)
FP_OP(vfmul)
FP_OP(vfdiv)
FP_OP(vfmin)
FP_OP(vfmax)
FP_OP(vfsqrt)
FP_OP(vfround)
FP_OP(vfhadd)
FP_OP(vfhsub)
FP_OP(vfaddsub)
FP_OP(vfma)
FP_OP(vfcmp)
FP_OP(vfcomi)
FP_OP(vfcvt_f)
FP_OP(vfcvt_to_i)
FP_OP(vfcvt_pi)
FP_OP(vfcvt_pf)
FP_OP(vfcvt_from_h)
FP_OP(vfcvt_to_h)
}  // namespace calque::jit
