// The x87's functions have the same bits on every host: digests of results that softfloat_mpfr_test.cpp finds right, where libmpfr is.
#include <string>

#include <doctest/doctest.h>

#include "tests/support/x87_cases.h"

using namespace calque;
using namespace calque::fp;

namespace {
u64 digest(Fn fn) {
    Random r{seed_of(fn)};
    u64 h = 1;
    const auto mix = [&h](u64 v) {
        h = (h ^ v) * 0x9E3779B97F4A7C15;
        h ^= h >> 29;
    };
    for (unsigned i = 0; i < kDigestCases; ++i) {
        const X87Result v = run(draw(fn, r));
        mix(v.value.sig), mix(v.value.se), mix(v.second.sig), mix(v.second.se);
        for (u8 b : v.bcd.bytes) mix(b);
        mix(v.quotient | u64{v.partial} << 8 | u64{v.env.flags} << 16 | u64{v.env.rounded_up} << 24);
    }
    return h;
}
}  // namespace

TEST_CASE("softfloat: the x87's functions have the same bits on every host") {
    constexpr u64 want[] = {0x3C656FCC30AACF03, 0x03DD885DF2A16BD6, 0x31BEBEA73DCB320E, 0x79B080764FB73C8C, 0xD645BE99EA15B858, 0x2087CCC93E0982DD, 0x1985BD6C824BEF3D,
                            0x2B174DFC33467F02, 0x7C78017C0D0489B0, 0x4C4988063720B2B4, 0x8ADC90CB87C916FB, 0x947CC55F9CAE43AD, 0xE8886A15367AF09F, 0x033E8F9163D29D43};
    for (Fn fn : kFunctions) {
        CAPTURE(std::string{name_of(fn)});
        CHECK(digest(fn) == want[static_cast<int>(fn)]);
    }
}
