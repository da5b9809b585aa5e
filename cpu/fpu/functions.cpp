// D9 E0..FF, stack and control instructions of the x87.
#include "cpu/fpu/x87.h"
#include <utility>

#include "cpu/fpu/fast.h"
#include "cpu/helpers.h"
#include "cpu/memory.h"

namespace calque {

using namespace fp;

namespace {
constexpr F80 kOne80{u64{1} << 63, 0x3fff};

void examine(X87& x) {
    static constexpr u16 codes[] = {0, fsw::C0, fsw::C2, fsw::C2 | fsw::C0, fsw::C3, fsw::C3 | fsw::C2};
    const u16 c = x.empty(0) ? fsw::C3 | fsw::C0 : codes[static_cast<int>(classify(x.st(0)))];
    x.codes(static_cast<u16>(c | (x.st(0).se & 0x8000 ? fsw::C1 : 0)));
}

void set_c2(X87& x, bool on) { x.f.sw = static_cast<u16>(on ? x.f.sw | fsw::C2 : x.f.sw & ~fsw::C2); }

/// ST(0) := first and push second; both default NaNs without room or operand.
template <class F>
void two_results(X87& x, bool trig, F f) {
    if (trig) set_c2(x, false);
    if (x.empty(0) || !x.empty(7)) {
        const bool overflow = !x.empty(0);
        if (x.stack_fault(overflow)) return;
        x.set(0, kDefaultNan80);
        x.push(kDefaultNan80);
        return;
    }
    if (trig) {
        set_c2(x, !trig_in_range(x.st(0)));
        if (!trig_in_range(x.st(0))) return x.c1(false);
    }
    const auto [first, second] = f(x.st(0));
    if (x.settle()) return;
    x.set(0, first);
    x.push(second);
}

void sine_or_cosine(X87& x, F80 (*f)(F80, FpEnv&)) {
    const bool in_range = x.empty(0) || trig_in_range(x.st(0));
    set_c2(x, !in_range);
    if (x.empty(0)) return x.underflow(0);
    if (in_range) x.result(f(x.st(0), x.env), 0);
    else x.c1(false);
}

/// ST(1) := f(ST(1), ST(0)) and pop.
void two_operands(X87& x, F80 (*f)(F80, F80, FpEnv&)) {
    x.op.pops = 1;
    if (x.empty(0) || x.empty(1)) return x.underflow(1);
    x.result(f(x.st(1), x.st(0), x.env), 1);
}

void partial_remainder(X87& x, bool nearest) {
    set_c2(x, false);
    if (x.empty(0) || x.empty(1)) return x.underflow(0);
    const Remainder r = remainder(x.st(0), x.st(1), nearest, x.env);
    if (x.settle()) return;
    x.set(0, r.value);
    if (classify(r.value) == Class::nan) return;  // no quotient: C0 and C3 stay
    u16 codes = r.partial ? fsw::C2 : 0;
    if (r.quotient & 1) codes |= fsw::C1;
    if (r.quotient & 2) codes |= fsw::C3;
    if (r.quotient & 4) codes |= fsw::C0;
    x.codes(codes);
}

std::pair<F80, F80> tangent(X87& x, F80 v) {
    const F80 t = tan(v, x.env);
    // A NaN or infinity gives the same NaN twice.
    return {t, classify(t) == Class::nan && classify(v) != Class::normal ? t : kOne80};
}

void sign(X87& x, u16 se) {
    if (x.empty(0)) return x.underflow(0);
    x.c1(false);
    x.set(0, {x.st(0).sig, se});
}

void test(X87& x) {
    Relation r = Relation::unordered;
    if (x.empty(0)) {
        x.stack_fault(false);
    } else {
        r = compare(x.st(0), F80{0, 0}, true, x.env);
        x.settle();
    }
    static constexpr u16 codes[] = {fsw::C0, fsw::C3, 0, fsw::C0 | fsw::C2 | fsw::C3};
    x.codes(codes[static_cast<int>(r)]);
}

/// ST(0) := f(ST(0)).
template <class F>
void one_operand(X87& x, F f) {
    if (x.empty(0)) return x.underflow(0);
    x.result(f(x.st(0), x.env), 0);
}
}  // namespace

namespace {
/// FCHS, FABS, FSQRT.
bool fast_function(FpuState& f, u8 what) {
    if (!fast::usual(f) || !fast::valid(f, 0)) return false;
    auto& r = fast::reg(f, 0);
    if (what == 0xfa) return fast::sqrt(f, r, r);
    if (what != 0xe0 && what != 0xe1) return false;
    r.se = what == 0xe0 ? r.se ^ 0x8000 : r.se & 0x7fff;
    fast::set_c1(f, false);
    return true;
}

/// FXCH and FST ST(i) between valid registers.
bool fast_stack(FpuState& f, u64 d) {
    if (!fast::usual(f) || !fast::valid(f, 0)) return false;
    if (FpuOp::op_of(d) == fop::xch && fast::valid(f, FpuOp::index_of(d))) {
        std::swap(fast::reg(f, 0), fast::reg(f, FpuOp::index_of(d)));
    } else if (FpuOp::op_of(d) == fop::move) {
        fast::reg(f, FpuOp::index_of(d)) = fast::reg(f, 0);
        f.top_tags |= 0x100u << ((f.top_tags + FpuOp::index_of(d)) & 7);
        fast::pop(f, FpuOp::pops_of(d));
    } else {
        return false;
    }
    fast::set_c1(f, false);
    return true;
}
}  // namespace

u64 helper_fpu_function(CpuState& s, u64 a, u64, u64 c) {
    if (fast_function(s.fpu, static_cast<u8>(a))) return 0;
    X87 x{s, a, c};
    if (x.pending()) return 0;
    switch (x.op.op) {  // the ModRM byte
    case 0xd0: break;  // FNOP
    case 0xe0: sign(x, x.st(0).se ^ 0x8000); break;
    case 0xe1: sign(x, x.st(0).se & 0x7fff); break;
    case 0xe4: test(x); break;
    case 0xe5: examine(x); break;
    case 0xf0: one_operand(x, exp2_minus_1); break;
    case 0xf1: two_operands(x, y_log2_x); break;
    case 0xf2: two_results(x, true, [&](F80 v) { return tangent(x, v); }); break;
    case 0xf3: two_operands(x, atan2); break;
    case 0xf4:
        two_results(x, false, [&](F80 v) {
            const Extract r = extract(v, x.env);
            return std::pair{r.exponent, r.significand};
        });
        break;
    case 0xf5: partial_remainder(x, true); break;
    case 0xf6: x.c1(false), x.move_top(7); break;  // FDECSTP
    case 0xf7: x.c1(false), x.move_top(1); break;  // FINCSTP
    case 0xf8: partial_remainder(x, false); break;
    case 0xf9: two_operands(x, y_log2_x_plus_1); break;
    case 0xfa: one_operand(x, fp::sqrt<F80>); break;
    case 0xfb:
        two_results(x, true, [&](F80 v) {
            const F80 cosine = cos(v, x.env), sine = sin(v, x.env);
            return std::pair{sine, cosine};
        });
        break;
    case 0xfc: one_operand(x, [](F80 v, FpEnv& e) { return round_to_int(v, e); }); break;
    case 0xfd:
        if (x.empty(0) || x.empty(1)) x.underflow(0);
        else x.result(scale(x.st(0), x.st(1), x.env), 0);
        break;
    case 0xfe: sine_or_cosine(x, sin); break;
    case 0xff: sine_or_cosine(x, cos); break;
    default: break;
    }
    return 0;
}

u64 helper_fpu_stack(CpuState& s, u64 a, u64 b, u64 c) {
    if (fast_stack(s.fpu, a)) return 0;
    X87 x{s, a, c};
    if (x.pending()) return 0;
    const unsigned i = x.op.index;
    switch (x.op.op) {
    case fop::xch: {
        if (x.empty(0) || x.empty(i)) {
            if (x.stack_fault(false)) return 0;
            if (x.empty(0)) x.set(0, kDefaultNan80);
            if (x.empty(i)) x.set(i, kDefaultNan80);
        } else {
            x.c1(false);
        }
        const F80 t = x.st(0);
        x.set(0, x.st(i));
        x.set(i, t);
        break;
    }
    case fop::move:
        if (x.empty(0)) return x.underflow(i), 0;
        x.c1(false);
        x.set(i, x.st(0));
        x.pop(x.op.pops);
        break;
    case fop::move_unchecked:
        x.c1(false);
        if (!x.empty(0)) x.set(i, x.st(0));
        x.pop(x.op.pops);
        break;
    case fop::free:
        x.c1(false);
        x.free(i);
        if (x.op.pops) x.pop();
        break;
    case fop::cmov:
        if (x.empty(0) || x.empty(i)) return x.underflow(0), 0;
        if (b & 1) x.set(0, x.st(i));
        break;
    default: break;
    }
    return 0;
}

u64 helper_fpu_control(CpuState& s, u64 a, u64 b, u64 c) {
    X87 x{s, a, c};
    switch (x.op.op) {
    case fop::wait: x.pending(); break;
    case fop::ldcw:
        if (x.pending()) return 0;
        x.f.cw = static_cast<u16>((b & 0x1f3f) | 0x40);
        update_error_summary(x.f);
        break;
    case fop::nclex: x.f.sw &= static_cast<u16>(~(fsw::B | fsw::ES | fsw::SF | kAllFlags)); break;
    case fop::ninit: reset_fpu(x.f); break;
    default: break;
    }
    return 0;
}

u64 helper_fpu_note(CpuState& s, u64 a, u64 b, u64 c) {
    FpuState& f = s.fpu;
    f.opcode = a & 0x7ff;
    f.ip = c, f.ip_sel = s.seg[CS].selector;
    if (a >> 19 & 1) f.dp = b, f.dp_sel = s.seg[a >> 16 & 7].selector;
    return 0;
}

u64 helper_fpu_word(CpuState& s, u64 a, u64, u64) {
    return FpuOp::op_of(a) == fop::stcw ? s.fpu.cw : status_word(s.fpu);
}

u64 helper_mmx_begin(CpuState& s, u64 a, u64, u64) {
    X87 x{s, 0, 0};
    if (x.pending()) return 0;
    if (a == 9) return x.f.top_tags &= ~7u, 0;
    x.f.top_tags = 0xff00;
    if (a < 8) x.f.reg[a].se = 0xffff;
    return 0;
}
}  // namespace calque
