// 64-bit code with vectors, and RBX at the data, on a processor that has everything.
#pragma once
#include "guest.h"

namespace calque::test {
constexpr u64 D = at::Data;

struct Vec : Guest {
    Vec(Engine e, std::string_view hex) : Guest{e, Mode::long64, hex, "max"} {
        rbx = D;
        s().cr4 |= cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE;
        s().xcr0 = 7;
        refresh();
    }
    jit::V128& xmm(unsigned n) { return s().xmm[n]; }
    jit::V128& high(unsigned n) { return s().ymm_high[n]; }
};
}  // namespace calque::test
