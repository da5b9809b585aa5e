// The x87's short cuts beside the long way, on operands near each other, where cancellation and carries happen.
#include <doctest/doctest.h>

#include "cpu/fpu/fast.h"
#include "tests/support/softfloat_operands.h"

using namespace calque;
using fp::F80;

namespace {
FpuState::Reg reg_of(F80 v) {
    FpuState::Reg r;
    r.sig = v.sig, r.se = v.se;
    return r;
}
F80 slow(unsigned op, F80 a, F80 b, fp::FpEnv& e) {
    switch (op) {
    case fop::add: return fp::add(a, b, e);
    case fop::mul: return fp::mul(a, b, e);
    case fop::sub: return fp::sub(a, b, e);
    case fop::subr: return fp::sub(b, a, e);
    case fop::div: return fp::div(a, b, e);
    default: return fp::div(b, a, e);
    }
}
}  // namespace

TEST_CASE("x87 short cuts give the long way's results and flags") {
    fp::Random r{31};
    unsigned taken = 0, bad = 0;
    for (int i = 0; i < 200000; ++i) {
        const F80 a = r.below(8) ? r.f80_near_one(70) : r.f80();
        F80 b = r.below(8) ? r.f80_near_one(3) : r.f80();
        if (r.below(4) == 0) b = {a.sig + r.below(5) - 2, static_cast<u16>(a.se ^ (r.below(2) ? 0x8000 : 0))};
        constexpr u8 ops[] = {fop::add, fop::mul, fop::sub, fop::subr, fop::div, fop::divr};
        const unsigned op = ops[r.below(6)];
        fp::FpEnv e;
        const F80 want = slow(op, a, b, e);
        FpuState f;
        f.sw = r.below(2) ? 0x3f : 0;
        const u16 before = f.sw & 0x3f;
        FpuState::Reg out;
        if (!fast::arith(f, op, reg_of(a), reg_of(b), out)) continue;
        ++taken;
        bad += out.sig != want.sig || out.se != want.se || (f.sw & 0x3f) != (before | e.flags) || !(f.sw & fsw::C1) == e.rounded_up;
    }
    CHECK(bad == 0);
    CHECK(taken > 50000);
}

TEST_CASE("x87 short cuts of loads, stores and comparisons") {
    fp::Random r{32};
    unsigned bad = 0;
    for (int i = 0; i < 100000; ++i) {
        const fp::F64 d = r.f64();
        const fp::F32 s = r.f32();
        const F80 a = r.below(2) ? r.f80_near_one(1100) : r.f80(), b = r.below(4) ? r.f80_near_one(3) : a;
        fp::FpEnv e;
        FpuState::Reg out;
        if (fast::widen64(d.bits, out)) bad += F80{out.sig, out.se} != fp::widen(d, e);
        if (fast::widen32(s.bits, out)) bad += F80{out.sig, out.se} != fp::widen(s, e);
        const i64 n = static_cast<i64>(r.pattern()) >> r.below(64);
        fast::widen_int(n, out);
        bad += F80{out.sig, out.se} != fp::f80_from_int(n);
        bad += e.flags != 0;
        u64 bits;
        u16 sw;
        if (fast::narrow64(reg_of(a), bits, sw)) {
            fp::FpEnv n64;
            bad += bits != fp::f80_to_f64(a, n64).bits || (sw & 0x3f) != n64.flags || !(sw & fsw::C1) == n64.rounded_up;
        }
        u16 codes;
        if (fast::compare(reg_of(a), reg_of(b), codes)) {
            const fp::Relation rel = fp::compare(a, b, true, e);
            bad += codes != (rel == fp::Relation::less ? fsw::C0 : rel == fp::Relation::equal ? fsw::C3 : 0);
        }
    }
    CHECK(bad == 0);
}
