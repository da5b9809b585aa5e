// Values from the manuals, and a digest of many results that must be the same on every host. The digests were
// taken where softfloat_host_test.cpp had just found every one of those operations equal to a real x86's.
#include <doctest/doctest.h>

#include "tests/support/softfloat_operands.h"

using namespace calque;
using namespace calque::fp;

namespace {
constexpr F64 kOne64{0x3FF0000000000000};
constexpr F80 kOne80{0x8000000000000000, 0x3FFF}, kZero80{0, 0}, kInf80{0x8000000000000000, 0x7FFF};

class Digest {
public:
    void mix(u64 v) {
        h_ = (h_ ^ v) * 0x9E3779B97F4A7C15;
        h_ ^= h_ >> 29;
    }
    void mix(F32 v) { mix(u64{v.bits}); }
    void mix(F64 v) { mix(v.bits); }
    void mix(F80 v) { mix(v.sig), mix(u64{v.se}); }
    void mix(const FpEnv& e) { mix(u64{e.flags} << 1 | e.rounded_up); }
    u64 value() const { return h_; }

private:
    u64 h_ = 1;
};

FpEnv random_env(Random& r) {
    FpEnv e;
    const u64 bits = r.next() >> 30;
    e.rounding = static_cast<Round>(bits & 3);
    e.precision = bits & 4 ? 64 : bits & 8 ? 53 : 24;
    e.daz = (bits & 0x70) == 0;
    e.ftz = (bits & 0x380) == 0;
    return e;
}

template <class F>
u64 digest_basic() {
    Random r{4711};
    Digest d;
    for (int i = 0; i < 20000; ++i) {
        const F x = r.get(F{}), y = r.get(F{});
        FpEnv e = random_env(r);
        switch (i % 8) {
        case 0: d.mix(add(x, y, e)); break;
        case 1: d.mix(sub(x, y, e)); break;
        case 2: d.mix(mul(x, y, e)); break;
        case 3: d.mix(div(x, y, e)); break;
        case 4: d.mix(fp::sqrt(x, e)); break;
        case 5: d.mix(round_to_int(x, e)); break;
        case 6: d.mix(static_cast<u64>(to_int<i64>(x, e.rounding, e))); break;
        default: d.mix(u64(compare(x, y, i & 8, e))); break;
        }
        d.mix(e);
    }
    return d.value();
}

u64 digest_x87(bool zen) {
    Random r{1234};
    Digest d;
    for (int i = 0; i < 20000; ++i) {
        const F80 x = i & 1 ? r.f80() : r.f80_near_one(20), y = i & 2 ? r.f80() : r.f80_near_one(20);
        FpEnv e = random_env(r);
        e.zen = zen;
        switch (i % 11) {
        case 0: d.mix(fp::sin(x, e)); break;
        case 1: d.mix(fp::cos(x, e)); break;
        case 2: d.mix(fp::tan(x, e)); break;
        case 3: d.mix(atan2(x, y, e)); break;
        case 4: d.mix(exp2_minus_1(x, e)); break;
        case 5: d.mix(y_log2_x(x, y, e)); break;
        case 6: d.mix(y_log2_x_plus_1(x, y, e)); break;
        case 7: d.mix(remainder(x, y, i & 32, e).value); break;
        case 8: d.mix(scale(x, y, e)); break;
        case 9:
            for (u8 b : f80_to_bcd(x, e).bytes) d.mix(u64{b});
            break;
        default: d.mix(f80_to_f64(x, e)); break;
        }
        d.mix(e);
    }
    return d.value();
}
}  // namespace

TEST_CASE("softfloat: results and flags have the same bits on every host") {
    CHECK(digest_basic<F32>() == 0x49D8ECD4413850B2);
    CHECK(digest_basic<F64>() == 0x82E99C4B3CC992EF);
    CHECK(digest_basic<F80>() == 0x1233B1DD97858B0F);
    CHECK(digest_x87(false) == 0x74E2E0010995A890);
    CHECK(digest_x87(true) == 0x31D6B295F3DA378E);
}

TEST_CASE("softfloat: masked responses of SDM vol. 1") {
    FpEnv e;
    CHECK(div(kOne64, F64{0x8000000000000000}, e) == F64{0xFFF0000000000000});
    CHECK(e.flags == ZE);
    e = {};
    CHECK(div(F64{0}, F64{0}, e) == kDefaultNan64);
    CHECK(e.flags == IE);
    e = {};
    // A signaling first operand comes out quiet; two NaNs give the first for SSE ...
    CHECK(add(F64{0x7FF0000000000001}, F64{0x7FF8000000000002}, e) == F64{0x7FF8000000000001});
    CHECK(e.flags == IE);
    e = {};
    // ... and the larger significand for the x87.
    CHECK(add(F80{0xC000000000000001, 0x7FFF}, F80{0xC000000000000002, 0xFFFF}, e) == F80{0xC000000000000002, 0xFFFF});
    CHECK(e.flags == 0);
    // The smallest normal halved is tiny but exact: no underflow unless unmasked.
    CHECK(mul(F64{0x0010000000000000}, F64{0x3FE0000000000000}, e) == F64{0x0008000000000000});
    CHECK(e.flags == 0);
    e.masks = kAllFlags & ~UE;
    mul(F64{0x0010000000000000}, F64{0x3FE0000000000000}, e);
    CHECK(e.flags == UE);
    e = {};
    CHECK(to_int<i32>(F64{0x41E0000000000000}, Round::nearest, e) == i32(0x80000000));
    CHECK(e.flags == IE);
}

TEST_CASE("softfloat: unmasked x87 overflow wraps the exponent by 24576") {
    FpEnv e;
    e.masks = kAllFlags & ~OE;
    const F80 big{0x8000000000000000, 0x7FFE};
    CHECK(mul(big, big, e) == F80{0x8000000000000000, 0x7FFE + 0x3FFF - 24576});
    CHECK(e.flags == OE);
}

TEST_CASE("softfloat: FPREM reduces in steps and reports the quotient's low bits") {
    FpEnv e;
    const Remainder m = remainder(F80{0xE000000000000000, 0x4001}, F80{0x8000000000000000, 0x4000}, false, e);  // 7 mod 2
    CHECK(m.value == kOne80);
    CHECK(m.quotient == 3);
    CHECK_FALSE(m.partial);
    CHECK(remainder(F80{0x8000000000000000, 0x4100}, F80{0xC000000000000000, 0x3FFF}, false, e).partial);
    const Remainder n = remainder(F80{0xE000000000000000, 0x4001}, F80{0x8000000000000000, 0x4001}, true, e);  // 7 - 2*4
    CHECK(n.value == F80{0x8000000000000000, 0xBFFF});
    CHECK(n.quotient == 2);
}

TEST_CASE("softfloat: packed decimal") {
    FpEnv e;
    const Bcd d = f80_to_bcd(f80_from_int(-1234567890123), e);
    const u8 want[10] = {0x23, 0x01, 0x89, 0x67, 0x45, 0x23, 0x01, 0, 0, 0x80};
    for (int i = 0; i < 10; ++i) CHECK(d.bytes[i] == want[i]);
    CHECK(f80_from_bcd(d) == f80_from_int(-1234567890123));
    CHECK(f80_to_bcd(kInf80, e).bytes[9] == 0xFF);
    CHECK(e.flags == IE);
}

TEST_CASE("softfloat: transcendental special cases and constants") {
    FpEnv e;
    CHECK(constant(3, Round::nearest) == F80{0xC90FDAA22168C235, 0x4000});
    CHECK(constant(3, Round::zero) == F80{0xC90FDAA22168C234, 0x4000});
    CHECK(constant(5, Round::nearest) == F80{0xB17217F7D1CF79AC, 0x3FFE});
    CHECK(fp::cos(kZero80, e) == kOne80);
    CHECK(fp::sin(kZero80, e) == kZero80);
    CHECK(e.flags == 0);
    CHECK(fp::sin(kInf80, e) == kDefaultNan80);
    CHECK(e.flags == IE);
    e = {};
    CHECK(y_log2_x(kOne80, kZero80, e) == F80{0x8000000000000000, 0xFFFF});
    CHECK(e.flags == ZE);
    e = {};
    CHECK(y_log2_x(kOne80, f80_from_int(8), e) == f80_from_int(3));
    CHECK(exp2_minus_1(kOne80, e) == kOne80);
    CHECK_FALSE(trig_in_range(F80{0x8000000000000000, 0x3FFF + 63}));
}

TEST_CASE("softfloat: reciprocal estimates are within 1.5 * 2^-12") {
    CHECK(reciprocal_estimate(F32{0x40000000}) == F32{0x3F000000});
    CHECK(reciprocal_sqrt_estimate(F32{0x40800000}) == F32{0x3F000000});
    CHECK(reciprocal_estimate(F32{0x80000001}) == F32{0xFF800000});  // denormals count as zeros
    Random r{5};
    FpEnv e;
    for (int i = 0; i < 1000; ++i) {
        const F32 x{static_cast<u32>(0x3F000000 + r.below(0x01800000))};
        const F64 p = mul(f32_to_f64(x, e), f32_to_f64(reciprocal_estimate(x), e), e);
        const F64 err{sub(p, kOne64, e).bits & ~(u64{1} << 63)};
        CHECK(compare(err, F64{0x3F38000000000000}, false, e) == Relation::less);
    }
}
