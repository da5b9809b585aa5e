// Results and flags beside those of the host's own SSE and x87, where it has them. All exceptions are masked for
// SSE; for the x87 masks are random, because its exceptions wait for an instruction that never comes here.
#if defined(__x86_64__)
#include <algorithm>
#include <csignal>
#include <cstdarg>
#include <cstring>
#include <cstdio>
#include <string>
#include <ucontext.h>
#include <doctest/doctest.h>

#include "tests/support/softfloat_operands.h"

using namespace calque;
using namespace calque::fp;

namespace {

[[gnu::format(printf, 1, 2)]] std::string text(const char* fmt, ...) {
    char buf[400];
    va_list args;
    va_start(args, fmt);
    std::vsnprintf(buf, sizeof buf, fmt, args);
    va_end(args);
    return buf;
}
unsigned long long ull(u64 v) { return v; }

struct SseControl {
    u32 mxcsr;
    FpEnv env;
};
SseControl random_control(Random& r) {
    SseControl c;
    const u64 bits = r.next() >> 20;
    c.env.rounding = static_cast<Round>(bits & 3);
    c.env.daz = (bits & 0x1C) == 0;
    c.env.ftz = (bits & 0xE0) == 0;
    c.mxcsr = 0x1F80 | u32(bits & 3) << 13 | u32{c.env.daz} << 6 | u32{c.env.ftz} << 15;
    return c;
}

// Runs an instruction under `mxcsr`; returns the flags it raised.
#define SSE2OP(NAME, INSN, F, T)                                                                  \
    u8 NAME(u32 mxcsr, F& x, F y) {                                                               \
        u32 saved, after;                                                                         \
        T a, b;                                                                                   \
        std::memcpy(&a, &x, sizeof a), std::memcpy(&b, &y, sizeof b);                             \
        asm volatile("stmxcsr %2\n ldmxcsr %3\n" INSN " %4, %0\n stmxcsr %1\n ldmxcsr %2"         \
                     : "+x"(a), "=m"(after), "=m"(saved)                                          \
                     : "m"(mxcsr), "x"(b));                                                       \
        std::memcpy(&x, &a, sizeof a);                                                            \
        return after & 0x3F;                                                                      \
    }
#define SSE2OPS(INSN)                                       \
    SSE2OP(host_##INSN, #INSN "ss", F32, float)             \
    SSE2OP(host_##INSN, #INSN "sd", F64, double)
SSE2OPS(add)
SSE2OPS(sub)
SSE2OPS(mul)
SSE2OPS(div)
SSE2OPS(min)
SSE2OPS(max)
SSE2OPS(sqrt)

template <class F, class Host, class Ours>
void compare_sse(const char* what, unsigned n, Host host, Ours ours) {
    Random r{0x5EED + n};
    unsigned bad = 0;
    for (unsigned i = 0; i < n && bad < 10; ++i) {
        const F x = r.get(F{}), y = r.below(8) ? r.get(F{}) : x;
        SseControl c = random_control(r);
        F want = x;
        const u8 flags = host(c.mxcsr, want, y);
        const F got = ours(x, y, c.env);
        if (got == want && c.env.flags == flags) continue;
        ++bad;
        MESSAGE(text("%s x=%llx y=%llx mxcsr=%x want %llx/%x got %llx/%x", what, ull(x.bits), ull(y.bits), c.mxcsr, ull(want.bits), flags,
                     ull(got.bits), c.env.flags));
    }
    CHECK(bad == 0);
}

template <class F>
void sse_arithmetic(unsigned n) {
    using H = u8 (*)(u32, F&, F);
    compare_sse<F>("add", n, H{host_add}, [](F x, F y, FpEnv& e) { return add(x, y, e); });
    compare_sse<F>("sub", n, H{host_sub}, [](F x, F y, FpEnv& e) { return sub(x, y, e); });
    compare_sse<F>("mul", n, H{host_mul}, [](F x, F y, FpEnv& e) { return mul(x, y, e); });
    compare_sse<F>("div", n, H{host_div}, [](F x, F y, FpEnv& e) { return div(x, y, e); });
    compare_sse<F>("min", n, H{host_min}, [](F x, F y, FpEnv& e) { return fp::min(x, y, e); });
    compare_sse<F>("max", n, H{host_max}, [](F x, F y, FpEnv& e) { return fp::max(x, y, e); });
    compare_sse<F>("sqrt", n, H{host_sqrt}, [](F, F y, FpEnv& e) { return fp::sqrt(y, e); });
}

template <class To, class From, class Host, class Ours>
void compare_convert(const char* what, unsigned n, Host host, Ours ours) {
    Random r{0xC0DE + n};
    unsigned bad = 0;
    for (unsigned i = 0; i < n && bad < 10; ++i) {
        From x;
        if constexpr (std::is_integral_v<From>) x = static_cast<From>(static_cast<i64>(r.pattern()) >> r.below(64));
        else x = r.get(From{});
        SseControl c = random_control(r);
        To want;
        const u8 flags = host(c.mxcsr, want, x);
        const To got = ours(x, c.env);
        if (!std::memcmp(&got, &want, sizeof got) && c.env.flags == flags) continue;
        ++bad;
        u64 xb = 0, wb = 0, gb = 0;
        std::memcpy(&xb, &x, sizeof x), std::memcpy(&wb, &want, sizeof want), std::memcpy(&gb, &got, sizeof got);
        MESSAGE(text("%s x=%llx mxcsr=%x want %llx/%x got %llx/%x", what, ull(xb), c.mxcsr, ull(wb), flags, ull(gb), c.env.flags));
    }
    CHECK(bad == 0);
}

#define CONVERT(TAG, TO, FROM, INSN, TOC, TOT, FROMC, FROMT)                                      \
    u8 TAG(u32 mxcsr, TO& out, FROM in) {                                                         \
        u32 saved, after;                                                                         \
        TOT t{};                                                                                  \
        FROMT f;                                                                                  \
        std::memcpy(&f, &in, sizeof in);                                                          \
        asm volatile("stmxcsr %2\n ldmxcsr %3\n" INSN "\n stmxcsr %1\n ldmxcsr %2"                \
                     : TOC(t), "=m"(after), "=m"(saved)                                           \
                     : "m"(mxcsr), FROMC(f));                                                     \
        std::memcpy(&out, &t, sizeof out);                                                        \
        return after & 0x3F;                                                                      \
    }
CONVERT(host_ss2sd, F64, F32, "cvtss2sd %4, %0", "+x", double, "x", float)
CONVERT(host_sd2ss, F32, F64, "cvtsd2ss %4, %0", "+x", float, "x", double)
CONVERT(host_ss2i32, i32, F32, "cvtss2si %4, %0", "=r", i32, "x", float)
CONVERT(host_ss2i64, i64, F32, "cvtss2si %4, %0", "=r", i64, "x", float)
CONVERT(host_sd2i32, i32, F64, "cvtsd2si %4, %0", "=r", i32, "x", double)
CONVERT(host_sd2i64, i64, F64, "cvtsd2si %4, %0", "=r", i64, "x", double)
CONVERT(host_tss2i32, i32, F32, "cvttss2si %4, %0", "=r", i32, "x", float)
CONVERT(host_tsd2i64, i64, F64, "cvttsd2si %4, %0", "=r", i64, "x", double)
CONVERT(host_i642ss, F32, i64, "cvtsi2ssq %4, %0", "+x", float, "r", i64)
CONVERT(host_i642sd, F64, i64, "cvtsi2sdq %4, %0", "+x", double, "r", i64)
CONVERT(host_roundss, F32, F32, "roundss $4, %4, %0", "+x", float, "x", float)
CONVERT(host_roundsd, F64, F64, "roundsd $4, %4, %0", "+x", double, "x", double)

#define COMPARE(TAG, F, INSN, T)                                                                         \
    u8 TAG(u32 mxcsr, F a, F b, Relation& rel) {                                                         \
        u32 saved, after;                                                                                \
        u8 z, p, cf;                                                                                     \
        T x, y;                                                                                          \
        std::memcpy(&x, &a, sizeof a), std::memcpy(&y, &b, sizeof b);                                    \
        asm volatile("stmxcsr %1\n ldmxcsr %5\n" INSN " %7, %6\n setz %2\n setp %3\n setc %4\n stmxcsr %0\n ldmxcsr %1" \
                     : "=m"(after), "=m"(saved), "=&q"(z), "=&q"(p), "=&q"(cf)                           \
                     : "m"(mxcsr), "x"(x), "x"(y) : "cc");                                               \
        rel = p ? Relation::unordered : z ? Relation::equal : cf ? Relation::less : Relation::greater;   \
        return after & 0x3F;                                                                             \
    }
COMPARE(host_comi, F32, "comiss", float)
COMPARE(host_comi, F64, "comisd", double)
COMPARE(host_ucomi, F32, "ucomiss", float)
COMPARE(host_ucomi, F64, "ucomisd", double)

template <class F>
void sse_compare(unsigned n) {
    Random r{77};
    unsigned bad = 0;
    for (unsigned i = 0; i < n; ++i) {
        const F x = r.get(F{}), y = r.below(4) ? r.get(F{}) : x;
        SseControl c = random_control(r);
        const bool signaling = r.below(2);
        Relation want;
        const u8 flags = signaling ? host_comi(c.mxcsr, x, y, want) : host_ucomi(c.mxcsr, x, y, want);
        bad += compare(x, y, signaling, c.env) != want || c.env.flags != flags;
    }
    CHECK(bad == 0);
}

// --- SSE with unmasked exceptions: the handler notes MXCSR, masks everything and lets the instruction run again ---

volatile u32 faulted_mxcsr;
void on_sigfpe(int, siginfo_t*, void* context) {
    auto* fp = static_cast<ucontext_t*>(context)->uc_mcontext.fpregs;
    faulted_mxcsr = fp->mxcsr;
    fp->mxcsr = (fp->mxcsr & ~0x3Fu) | 0x1F80;
}

template <class F, class Ours>
void unmasked_sse(const char* what, u8 (*host)(u32, F&, F), Ours ours) {
    struct sigaction action {}, before;
    action.sa_sigaction = on_sigfpe;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGFPE, &action, &before);
    Random r{0xFA17};
    unsigned bad = 0;
    for (unsigned i = 0; i < 3000 && bad < 10; ++i) {
        const F x = r.get(F{}), y = r.get(F{});
        SseControl c = random_control(r);
        c.env.masks = r.below(64);
        c.mxcsr = (c.mxcsr & ~0x1F80u) | u32{c.env.masks} << 7;
        F out = x;
        faulted_mxcsr = 0;
        u8 flags = host(c.mxcsr, out, y);
        if (faulted_mxcsr) flags = faulted_mxcsr & 0x3F;
        ours(x, y, c.env);
        if (flags == c.env.flags && (faulted_mxcsr != 0) == c.env.unmasked()) continue;
        ++bad;
        MESSAGE(text("%s unmasked x=%llx y=%llx mxcsr=%x want %x got %x", what, ull(x.bits), ull(y.bits), c.mxcsr, flags, c.env.flags));
    }
    CHECK(bad == 0);
    sigaction(SIGFPE, &before, nullptr);
}

// --- x87 ---

struct X87Image {  // FNSAVE, 32-bit protected-mode format
    u16 cw, r0, sw, r1, tw, r2;
    u32 ip, cs, op, ds;
    u8 st[8][10];
    F80 reg(int i) const {
        F80 v;
        std::memcpy(&v.sig, st[i], 8);
        std::memcpy(&v.se, st[i] + 8, 2);
        return v;
    }
};
struct Mem80 {
    u8 b[10];
    explicit Mem80(F80 v) {
        std::memcpy(b, &v.sig, 8);
        std::memcpy(b + 8, &v.se, 2);
    }
};
struct X87Control {
    u16 cw;
    FpEnv env;
};
X87Control random_x87(Random& r) {
    X87Control c;
    const u64 bits = r.next() >> 20;
    c.env.rounding = static_cast<Round>(bits & 3);
    constexpr unsigned pcs[] = {3, 3, 2, 0};
    const unsigned pc = pcs[bits >> 2 & 3];
    c.env.precision = precision_of(pc);
    c.env.zen = __builtin_cpu_is("amd") != 0;
    c.env.masks = bits & 0x10 ? kAllFlags : bits >> 5 & kAllFlags;
    c.cw = static_cast<u16>(c.env.masks | pc << 8 | u16(bits & 3) << 10 | 0x40);
    return c;
}

// ST0 = x, ST1 = y, then the instruction, which may use the 16 bytes at `mem`.
using X87Op = void (*)(u16 cw, const Mem80& x, const Mem80& y, u8* mem, X87Image& out);
#define X87(NAME, INSN)                                                                                      \
    void NAME(u16 cw, const Mem80& x, const Mem80& y, u8* mem, X87Image& out) {                              \
        asm volatile("fninit\n fldt %1\n fldt %2\n fldcw %3\n" INSN "\n fnsave %0"                           \
                     : "=m"(out)                                                                             \
                     : "m"(y), "m"(x), "m"(cw), "r"(mem)                                                     \
                     : "memory");                                                                            \
    }
X87(x87_add, "fadd %%st(1), %%st")
X87(x87_sub, "fsub %%st(1), %%st")
X87(x87_mul, "fmul %%st(1), %%st")
X87(x87_div, "fdiv %%st(1), %%st")
X87(x87_sqrt, "fsqrt")
X87(x87_rint, "frndint")
X87(x87_scale, "fscale")
X87(x87_prem, "fprem")
X87(x87_prem1, "fprem1")
X87(x87_xtract, "fxtract")
X87(x87_com, "fcom %%st(1)")
X87(x87_ucom, "fucom %%st(1)")
X87(x87_st32, "fsts (%4)")
X87(x87_st64, "fstl (%4)")
X87(x87_ist16, "fistps (%4)")
X87(x87_ist32, "fistpl (%4)")
X87(x87_ist64, "fistpll (%4)")
X87(x87_istt32, "fisttpl (%4)")
X87(x87_bst, "fbstp (%4)")
X87(x87_ld32, "ffree %%st(7)\n flds (%4)")
X87(x87_ld64, "fldl (%4)")
X87(x87_add32, "fadds (%4)")
X87(x87_div64, "fdivl (%4)")
X87(x87_com32, "fcoms (%4)")
X87(x87_bld, "fbld (%4)")
X87(x87_sin, "fsin")
X87(x87_cos, "fcos")
X87(x87_tan, "fptan")
X87(x87_atan, "fpatan")
X87(x87_f2xm1, "f2xm1")
X87(x87_yl2x, "fyl2x")
X87(x87_yl2xp1, "fyl2xp1")

constexpr u16 kC1 = 0x200, kC2 = 0x400;
constexpr u8 kBefore = IE | DE | ZE;

struct X87Case {
    F80 x, y;
    u8 mem[16]{};
    FpEnv env;
    u8 got_mem[16]{};
    bool mem_result = false;  // compare memory instead of a register
    bool no_c1 = false;
    int reg = 0;  // where the result is
    unsigned ulps = 0;
    u8 stops = kBefore;    // unmasked, these keep the result from being written
};

template <class Ours>
void compare_x87(const char* what, unsigned n, X87Op host, Ours ours, F80 (*operand)(Random&) = [](Random& r) { return r.f80(); }) {
    Random r{0x8087 + n};
    unsigned bad = 0;
    for (unsigned i = 0; i < n && bad < 10; ++i) {
        X87Case c;
        c.x = operand(r);
        c.y = r.below(8) ? operand(r) : c.x;
        for (u8& b : c.mem) b = static_cast<u8>(r.next() >> 32);
        const F64 m64 = r.f64();
        const F32 m32 = r.f32();
        if (r.below(2)) std::memcpy(c.mem, &m64, 8);
        else std::memcpy(c.mem, &m32, 4);
        X87Control k = random_x87(r);
        c.env = k.env;
        X87Image out;
        u8 mem[16];
        std::memcpy(mem, c.mem, 16);
        std::memcpy(c.got_mem, c.mem, 16);
        host(k.cw, Mem80{c.x}, Mem80{c.y}, mem, out);
        const F80 got = ours(c), want = out.reg(c.reg);
        bool ok = c.env.flags == (out.sw & 0x3F);
        if (ok && !(c.env.flags & ~c.env.masks & c.stops)) {
            if (c.mem_result) ok = !(c.env.unmasked()) ? !std::memcmp(mem, c.got_mem, 16) : true;
            else if (c.ulps) ok = want.se == got.se ? static_cast<u64>(want.sig - got.sig + c.ulps) <= 2 * c.ulps : std::min(want.sig, got.sig) == u64{1} << 63;
            else ok = want == got;
            if (!c.no_c1 && !c.ulps && (c.env.flags & PE)) ok = ok && c.env.rounded_up == ((out.sw & kC1) != 0);
        }
        if (ok) continue;
        ++bad;
        u64 mx, mw, mg;
        std::memcpy(&mx, c.mem, 8), std::memcpy(&mw, mem, 8), std::memcpy(&mg, c.got_mem, 8);
        MESSAGE(text("%s x=%x:%llx y=%x:%llx mem=%llx cw=%x want %x:%llx/%llx sw=%x got %x:%llx/%llx flags=%x c1=%d", what, c.x.se, ull(c.x.sig),
                     c.y.se, ull(c.y.sig), ull(mx), k.cw, want.se, ull(want.sig), ull(mw), out.sw, got.se, ull(got.sig), ull(mg),
                     c.env.flags, c.env.rounded_up));
    }
    CHECK(bad == 0);
}

template <class T>
T from_mem(const u8* m) {
    T v;
    std::memcpy(&v, m, sizeof v);
    return v;
}
template <class T>
F80 to_mem(X87Case& c, T v) {
    std::memcpy(c.got_mem, &v, sizeof v);
    c.mem_result = true;
    return {};
}
}  // namespace

TEST_CASE("softfloat: SSE arithmetic agrees with the host") {
    sse_arithmetic<F32>(50000);
    sse_arithmetic<F64>(50000);
}

TEST_CASE("softfloat: unmasked SSE exceptions raise the host's flags") {
    unmasked_sse<F32>("add", host_add, [](F32 x, F32 y, FpEnv& e) { return add(x, y, e); });
    unmasked_sse<F64>("mul", host_mul, [](F64 x, F64 y, FpEnv& e) { return mul(x, y, e); });
    unmasked_sse<F64>("div", host_div, [](F64 x, F64 y, FpEnv& e) { return div(x, y, e); });
    unmasked_sse<F32>("sqrt", host_sqrt, [](F32, F32 y, FpEnv& e) { return fp::sqrt(y, e); });
}

TEST_CASE("softfloat: SSE conversions and comparisons agree with the host") {
    constexpr unsigned n = 50000;
    compare_convert<F64, F32>("ss2sd", n, host_ss2sd, [](F32 x, FpEnv& e) { return f32_to_f64(x, e); });
    compare_convert<F32, F64>("sd2ss", n, host_sd2ss, [](F64 x, FpEnv& e) { return f64_to_f32(x, e); });
    compare_convert<i32, F32>("ss2i32", n, host_ss2i32, [](F32 x, FpEnv& e) { return to_int<i32>(x, e.rounding, e); });
    compare_convert<i64, F32>("ss2i64", n, host_ss2i64, [](F32 x, FpEnv& e) { return to_int<i64>(x, e.rounding, e); });
    compare_convert<i32, F64>("sd2i32", n, host_sd2i32, [](F64 x, FpEnv& e) { return to_int<i32>(x, e.rounding, e); });
    compare_convert<i64, F64>("sd2i64", n, host_sd2i64, [](F64 x, FpEnv& e) { return to_int<i64>(x, e.rounding, e); });
    compare_convert<i32, F32>("tss2i32", n, host_tss2i32, [](F32 x, FpEnv& e) { return to_int<i32>(x, Round::zero, e); });
    compare_convert<i64, F64>("tsd2i64", n, host_tsd2i64, [](F64 x, FpEnv& e) { return to_int<i64>(x, Round::zero, e); });
    compare_convert<F32, i64>("i642ss", n, host_i642ss, [](i64 x, FpEnv& e) { return f32_from_int(x, e); });
    compare_convert<F64, i64>("i642sd", n, host_i642sd, [](i64 x, FpEnv& e) { return f64_from_int(x, e); });
    if (__builtin_cpu_supports("sse4.1")) {
        compare_convert<F32, F32>("roundss", n, host_roundss, [](F32 x, FpEnv& e) { return round_to_int(x, e); });
        compare_convert<F64, F64>("roundsd", n, host_roundsd, [](F64 x, FpEnv& e) { return round_to_int(x, e); });
    }
    sse_compare<F32>(n);
    sse_compare<F64>(n);
}

TEST_CASE("softfloat: x87 arithmetic agrees with the host") {
    constexpr unsigned n = 50000;
    compare_x87("fadd", n, x87_add, [](X87Case& c) { return add(c.x, c.y, c.env); });
    compare_x87("fsub", n, x87_sub, [](X87Case& c) { return sub(c.x, c.y, c.env); });
    compare_x87("fmul", n, x87_mul, [](X87Case& c) { return mul(c.x, c.y, c.env); });
    compare_x87("fdiv", n, x87_div, [](X87Case& c) { return div(c.x, c.y, c.env); });
    compare_x87("fsqrt", n, x87_sqrt, [](X87Case& c) { return fp::sqrt(c.x, c.env); });
    compare_x87("frndint", n, x87_rint, [](X87Case& c) { return round_to_int(c.x, c.env); });
    compare_x87("fscale", n, x87_scale, [](X87Case& c) { return scale(c.x, c.y, c.env); });
    compare_x87("fscale near", n, x87_scale, [](X87Case& c) { return scale(c.x, c.y, c.env); }, [](Random& r) { return r.below(8) ? r.f80_near_one(16) : r.f80(); });
    compare_x87("fprem", n, x87_prem, [](X87Case& c) { c.no_c1 = true; return remainder(c.x, c.y, false, c.env).value; });
    compare_x87("fprem1", n, x87_prem1, [](X87Case& c) { c.no_c1 = true; return remainder(c.x, c.y, true, c.env).value; });
    compare_x87("fxtract", n, x87_xtract, [](X87Case& c) { return extract(c.x, c.env).significand; });
    compare_x87("fadd m32", n, x87_add32, [](X87Case& c) { return add(c.x, widen_operand(from_mem<F32>(c.mem), c.env), c.env); });
    compare_x87("fdiv m64", n, x87_div64, [](X87Case& c) { return div(c.x, widen_operand(from_mem<F64>(c.mem), c.env), c.env); });
    compare_x87("fcom m32", n, x87_com32, [](X87Case& c) { compare(c.x, widen_operand(from_mem<F32>(c.mem), c.env), true, c.env); return c.x; });
    compare_x87("fld m32", n, x87_ld32, [](X87Case& c) { return widen(from_mem<F32>(c.mem), c.env); });
    compare_x87("fld m64", n, x87_ld64, [](X87Case& c) { return widen(from_mem<F64>(c.mem), c.env); });
}

TEST_CASE("softfloat: x87 stores agree with the host") {
    constexpr unsigned n = 50000;
    compare_x87("fst m32", n, x87_st32, [](X87Case& c) { return to_mem(c, f80_to_f32(c.x, c.env)); });
    compare_x87("fst m64", n, x87_st64, [](X87Case& c) { return to_mem(c, f80_to_f64(c.x, c.env)); });
    compare_x87("fistp m16", n, x87_ist16, [](X87Case& c) { return to_mem(c, to_int<i16>(c.x, c.env.rounding, c.env)); });
    compare_x87("fistp m32", n, x87_ist32, [](X87Case& c) { return to_mem(c, to_int<i32>(c.x, c.env.rounding, c.env)); });
    compare_x87("fistp m64", n, x87_ist64, [](X87Case& c) { return to_mem(c, to_int<i64>(c.x, c.env.rounding, c.env)); });
    compare_x87("fisttp m32", n, x87_istt32, [](X87Case& c) { return to_mem(c, to_int<i32>(c.x, Round::zero, c.env)); });
    compare_x87("fbld", n, x87_bld, [](X87Case& c) { return f80_from_bcd(from_mem<Bcd>(c.mem)); });
    compare_x87("fbstp", n, x87_bst, [](X87Case& c) { return to_mem(c, f80_to_bcd(c.x, c.env)); });
    compare_x87("fbstp near", n, x87_bst, [](X87Case& c) { return to_mem(c, f80_to_bcd(c.x, c.env)); }, [](Random& r) { return r.f80_near_one(66); });
}

TEST_CASE("softfloat: x87 comparisons and remainder bits agree with the host") {
    Random r{99};
    unsigned bad = 0;
    for (unsigned i = 0; i < 40000 && bad < 10; ++i) {
        const F80 x = r.f80(), y = r.below(4) ? r.f80() : x;
        X87Control k = random_x87(r);
        X87Image out;
        u8 mem[16]{};
        const unsigned op = static_cast<unsigned>(r.below(4));
        X87Op host[] = {x87_com, x87_ucom, x87_prem, x87_prem1};
        host[op](k.cw, Mem80{x}, Mem80{y}, mem, out);
        bool ok;
        const u16 cc = out.sw & 0x4700;
        if (op < 2) {
            static constexpr u16 codes[] = {0x0100, 0x4000, 0x0000, 0x4500};
            const Relation rel = compare(x, y, op == 0, k.env);
            ok = (k.env.unmasked() || codes[static_cast<int>(rel)] == cc) && (out.sw & 0x3F) == k.env.flags;
        } else {
            const Remainder m = remainder(x, y, op == 3, k.env);
            const u16 want = m.partial ? kC2 : static_cast<u16>((m.quotient & 4) << 6 | (m.quotient & 2) << 13 | (m.quotient & 1) << 9);
            // Quotient bits mean nothing after an exception that stops the operation.
            ok = (out.sw & 0x3F) == k.env.flags && ((k.env.flags & (IE | DE | UE)) || want == cc);
        }
        if (ok) continue;
        ++bad;
        MESSAGE(text("op %u x=%x:%llx y=%x:%llx cw=%x sw=%x flags=%x", op, x.se, ull(x.sig), y.se, ull(y.sig), k.cw, out.sw, k.env.flags));
    }
    CHECK(bad == 0);
}

TEST_CASE("softfloat: transcendentals are within one unit of the host's") {
    constexpr unsigned n = 5000;
    const auto trig = [](F80 (*f)(F80, FpEnv&)) {
        return [f](X87Case& c) {
            c.ulps = 1;
            return trig_in_range(c.x) ? f(c.x, c.env) : c.x;
        };
    };
    const auto near = [](Random& r) { return r.below(8) ? r.f80_near_one(12) : r.f80(); };
    compare_x87("fsin", n, x87_sin, trig(fp::sin), near);
    compare_x87("fcos", n, x87_cos, trig(fp::cos), near);
    compare_x87("fptan", n, x87_tan, [](X87Case& c) {
        c.ulps = 1;
        c.reg = trig_in_range(c.x) && classify(c.x) != Class::nan && classify(c.x) != Class::unsupported && classify(c.x) != Class::infinity;
        return trig_in_range(c.x) ? fp::tan(c.x, c.env) : c.x;
    }, near);
    compare_x87("fpatan", n, x87_atan, [](X87Case& c) { c.ulps = 1; return atan2(c.y, c.x, c.env); }, near);
    compare_x87("f2xm1", n, x87_f2xm1, [](X87Case& c) { c.ulps = 1; return exp2_minus_1(c.x, c.env); }, [](Random& r) { F80 v = r.f80_near_one(12); if ((v.se & 0x7FFF) >= 16383) v.se -= 14; return v; });
    compare_x87("fyl2x", n, x87_yl2x, [](X87Case& c) { c.ulps = 1; return y_log2_x(c.y, c.x, c.env); }, near);
    compare_x87("fyl2xp1", n, x87_yl2xp1, [](X87Case& c) { c.ulps = 1; return y_log2_x_plus_1(c.y, c.x, c.env); }, [](Random& r) { F80 v = r.f80_near_one(12); if ((v.se & 0x7FFF) >= 16381) v.se -= 14; return v; });
}
#endif
