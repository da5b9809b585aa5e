#include "cpu/fpu/sse.h"

#include <algorithm>

#include "cpu/helpers.h"
#include "cpu/memory.h"
#include "jit/interp/lanes.h"
#include "jit/interp/vec_fp.h"

namespace calque {
namespace {

using jit::V128;
using namespace fp;

/// Sticky flags into MXCSR; #XM when one of them is unmasked. True then.
bool settle(CpuState& s, const FpEnv& env) {
    s.mxcsr |= env.flags;
    if (!env.unmasked()) return false;
    raise(s, s.cr4 & cr4::OSXMMEXCPT ? vec::XM : vec::UD);
    return true;
}

bool takes_source_first(jit::Op op) { return op == jit::Op::vfcvt_to_i || op == jit::Op::vfcvt_pi || op == jit::Op::vfcvt_pf; }

template <class F>
using Raw = decltype(F::bits);

/// HADDPS and kin: neighbours of a, then of b.
template <class F>
V128 horizontal(const V128& a, const V128& b, bool subtract, FpEnv& env) {
    using T = Raw<F>;
    constexpr unsigned n = jit::kLanes<T>;
    const auto x = jit::lanes_of<T>(a), y = jit::lanes_of<T>(b);
    jit::Lanes<T> r;
    for (unsigned i = 0; i < n; ++i) {
        const auto& src = i < n / 2 ? x : y;
        const F even{src[2 * i % n]}, odd{src[2 * i % n + 1]};
        r[i] = subtract ? sub(even, odd, env).bits : add(even, odd, env).bits;
    }
    return jit::vec_of<T>(r);
}

template <class F>
V128 add_subtract(const V128& a, const V128& b, FpEnv& env) {
    using T = Raw<F>;
    auto x = jit::lanes_of<T>(a);
    const auto y = jit::lanes_of<T>(b);
    for (unsigned i = 0; i < x.size(); ++i) x[i] = i & 1 ? add(F{x[i]}, F{y[i]}, env).bits : sub(F{x[i]}, F{y[i]}, env).bits;
    return jit::vec_of<T>(x);
}

V128 estimate(const V128& a, const V128& b, bool scalar, F32 (*f)(F32)) {
    if (scalar) return {(a.lo & ~u64{0xffffffff}) | f({static_cast<u32>(b.lo)}).bits, a.hi};
    auto y = jit::lanes_of<u32>(b);
    for (u32& v : y) v = f({v}).bits;
    return jit::vec_of<u32>(y);
}

// ---- SSSE3 on registers of `bytes` bytes, 8 or 16, in an array of lanes

i32 saturate16(i32 v) { return std::clamp(v, -32768, 32767); }

template <class T, class F>
V128 pairs(const V128& a, const V128& b, unsigned bytes, F f) {
    using U = std::make_unsigned_t<T>;
    const unsigned n = bytes / sizeof(T);
    const auto x = jit::lanes_of<U>(a), y = jit::lanes_of<U>(b);
    jit::Lanes<U> r{};
    for (unsigned i = 0; i < n; ++i) {
        const auto& src = i < n / 2 ? x : y;
        const unsigned k = 2 * (i % (n / 2));
        r[i] = static_cast<U>(f(i64{static_cast<T>(src[k])}, i64{static_cast<T>(src[k + 1])}));
    }
    return jit::vec_of<U>(r);
}

template <class T, class F>
V128 lanes(const V128& a, const V128& b, F f) {
    using U = std::make_unsigned_t<T>;
    auto x = jit::lanes_of<U>(a);
    const auto y = jit::lanes_of<U>(b);
    for (unsigned i = 0; i < x.size(); ++i) x[i] = static_cast<U>(f(i64{static_cast<T>(x[i])}, i64{static_cast<T>(y[i])}));
    return jit::vec_of<U>(x);
}

i64 sign_of(i64 v, i64 s) { return s < 0 ? -v : s == 0 ? 0 : v; }

V128 shuffle_bytes(const V128& a, const V128& b, unsigned bytes) {
    const auto x = jit::lanes_of<u8>(a);
    auto y = jit::lanes_of<u8>(b);
    for (u8& v : y) v = v & 0x80 ? 0 : x[v & (bytes - 1)];
    return jit::vec_of<u8>(y);
}

V128 multiply_add_bytes(const V128& a, const V128& b) {
    const auto x = jit::lanes_of<u8>(a), y = jit::lanes_of<u8>(b);
    jit::Lanes<u16> r;
    const auto product = [&](unsigned i) { return i32{x[i]} * static_cast<i8>(y[i]); };
    for (unsigned i = 0; i < 8; ++i) r[i] = static_cast<u16>(saturate16(product(2 * i) + product(2 * i + 1)));
    return jit::vec_of<u16>(r);
}

/// a:b shifted right by imm bytes.
V128 align(const V128& a, const V128& b, unsigned bytes, unsigned imm) {
    u8 all[48]{};
    for (unsigned i = 0; i < bytes; ++i) {
        all[i] = jit::lanes_of<u8>(b)[i];
        all[bytes + i] = jit::lanes_of<u8>(a)[i];
    }
    jit::Lanes<u8> r{};
    for (unsigned i = 0; i < bytes; ++i) r[i] = imm + i < 2 * bytes ? all[imm + i] : u8{0};
    return jit::vec_of<u8>(r);
}

V128 ssse3(SseOther kind, const V128& a, const V128& b, unsigned bytes, u8 imm) {
    switch (kind) {
    case SseOther::pshufb: return shuffle_bytes(a, b, bytes);
    case SseOther::phaddw: return pairs<i16>(a, b, bytes, [](i64 x, i64 y) { return x + y; });
    case SseOther::phaddd: return pairs<i32>(a, b, bytes, [](i64 x, i64 y) { return x + y; });
    case SseOther::phaddsw: return pairs<i16>(a, b, bytes, [](i64 x, i64 y) { return saturate16(static_cast<i32>(x + y)); });
    case SseOther::phsubw: return pairs<i16>(a, b, bytes, [](i64 x, i64 y) { return x - y; });
    case SseOther::phsubd: return pairs<i32>(a, b, bytes, [](i64 x, i64 y) { return x - y; });
    case SseOther::phsubsw: return pairs<i16>(a, b, bytes, [](i64 x, i64 y) { return saturate16(static_cast<i32>(x - y)); });
    case SseOther::pmaddubsw: return multiply_add_bytes(a, b);
    case SseOther::psignb: return lanes<i8>(a, b, sign_of);
    case SseOther::psignw: return lanes<i16>(a, b, sign_of);
    case SseOther::psignd: return lanes<i32>(a, b, sign_of);
    case SseOther::pmulhrsw: return lanes<i16>(a, b, [](i64 x, i64 y) { return ((x * y >> 14) + 1) >> 1; });
    case SseOther::pabsb: return lanes<i8>(b, b, [](i64 x, i64) { return x < 0 ? -x : x; });
    case SseOther::pabsw: return lanes<i16>(b, b, [](i64 x, i64) { return x < 0 ? -x : x; });
    case SseOther::pabsd: return lanes<i32>(b, b, [](i64 x, i64) { return x < 0 ? -x : x; });
    case SseOther::palignr: return align(a, b, bytes, imm);
    default: return a;
    }
}
}  // namespace

u64 helper_sse_fp(CpuState& s, u64 a, u64 b, u64 c) {
    const SseOp op = SseOp::unpack(a);
    FpEnv env = jit::fp_environment(s.mxcsr);
    const V128 source{b, c}, first = takes_source_first(op.op) ? source : s.xmm[op.reg];
    const V128 r = jit::vec_fp(op.op, op.type, op.lane, op.aux, first, source, env);
    if (settle(s, env)) return 0;
    if (op.op == jit::Op::vfcomi) s.flags = static_cast<u16>(r.lo);
    else if (op.store) s.xmm[op.reg] = r;
    return r.lo;
}

u64 helper_sse_other(CpuState& s, u64 a, u64 b, u64 c) {
    const auto kind = static_cast<SseOther>(a & 0xff);
    V128& reg = s.xmm[a >> 8 & 15];
    const V128 source{b, c};
    FpEnv env = jit::fp_environment(s.mxcsr);
    V128 r;
    switch (kind) {
    case SseOther::rcpps: r = estimate(reg, source, false, reciprocal_estimate); break;
    case SseOther::rcpss: r = estimate(reg, source, true, reciprocal_estimate); break;
    case SseOther::rsqrtps: r = estimate(reg, source, false, reciprocal_sqrt_estimate); break;
    case SseOther::rsqrtss: r = estimate(reg, source, true, reciprocal_sqrt_estimate); break;
    case SseOther::haddps: r = horizontal<F32>(reg, source, false, env); break;
    case SseOther::haddpd: r = horizontal<F64>(reg, source, false, env); break;
    case SseOther::hsubps: r = horizontal<F32>(reg, source, true, env); break;
    case SseOther::hsubpd: r = horizontal<F64>(reg, source, true, env); break;
    case SseOther::addsubps: r = add_subtract<F32>(reg, source, env); break;
    case SseOther::addsubpd: r = add_subtract<F64>(reg, source, env); break;
    default: r = ssse3(kind, reg, source, 16, static_cast<u8>(a >> 16)); break;
    }
    constexpr u8 before = IE | DE | ZE;
    if (env.flags & ~env.masks & before) env.flags &= before;
    if (!settle(s, env)) reg = r;
    return 0;
}

u64 helper_mmx_other(CpuState&, u64 a, u64 b, u64 c) {
    return ssse3(static_cast<SseOther>(a & 0xff), {b, 0}, {c, 0}, 8, static_cast<u8>(a >> 16)).lo;
}

namespace {
/// Faults do not depend on the mask, as on AMD's Zen; the manual leaves that to the implementation.
void move_masked(CpuState& s, u64 address, u64 data, u64 mask) {
    for (unsigned i = 0; i < 8; ++i)
        if (mask >> (8 * i + 7) & 1)
            if (!write_linear_value(s, address + i, static_cast<u8>(data >> (8 * i)))) return;
}
}  // namespace

u64 helper_mask_move(CpuState& s, u64 a, u64 b, u64 c) {
    if (probe_linear(s, a, 8, true)) move_masked(s, a, b, c);
    return 0;
}

u64 helper_mask_move16(CpuState& s, u64 a, u64 b, u64 c) {
    const V128 data = s.xmm[b & 15], mask = s.xmm[c & 15];
    if (!probe_linear(s, a, 8, true) || !probe_linear(s, a + 8, 8, true)) return 0;
    move_masked(s, a, data.lo, mask.lo);
    if (s.x.fault == jit::Fault::none) move_masked(s, a + 8, data.hi, mask.hi);
    return 0;
}
}  // namespace calque
