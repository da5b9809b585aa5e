// Instruction set extensions and other features of a processor model.
#pragma once
#include "support/types.h"

namespace calque {

/// What an instruction set extension is called in CPUID and in --cpu.
enum class Isa : u8 { base, cmov, cx8, fpu, mmx, fxsr, sse, sse2, sse3, ssse3, cx16, clflush, clflushopt, sep, syscall, long_mode, tsc, rdtscp,
                      msr, xsave, xsaveopt, fsgsbase, smap, invpcid, movbe, popcnt, lzcnt, bmi1, bmi2, monitor, lahf64, rdrand, rdseed, adx, prefetchw, rdpid, xsavec, xsaves,
                      // features without instructions
                      vme, de, pse, pae, mce, apic, mtrr, pge, mca, pat, pse36, nx, page1g, pcid, smep, umip, x2apic, tsc_deadline, invtsc, arat, tsc_adjust, erms, xgetbv1,
                      // what AMD's Zen does where the manuals leave it open; without it, what Intel's Golden Cove does
                      zen,
                      sse4_1, sse4_2, aes, pclmulqdq, sha, avx, avx2, fma, f16c, gfni, vaes, vpclmulqdq,
                      count };

/// A set of features.
class IsaSet {
public:
    constexpr IsaSet() = default;
    template <class... F>
    static constexpr IsaSet of(F... f) {
        IsaSet r;
        (r.add(f), ...);
        return r;
    }
    static constexpr IsaSet all() { return {~u64{0}, ~u64{0}}; }
    constexpr bool has(Isa f) const { return word_[index(f)] & bit(f); }
    constexpr void add(Isa f) { word_[index(f)] |= bit(f); }
    constexpr void remove(Isa f) { word_[index(f)] &= ~bit(f); }
    constexpr IsaSet operator|(IsaSet o) const { return {word_[0] | o.word_[0], word_[1] | o.word_[1]}; }

private:
    constexpr IsaSet(u64 low, u64 high) : word_{low, high} {}
    static constexpr unsigned index(Isa f) { return static_cast<unsigned>(f) / 64; }
    static constexpr u64 bit(Isa f) { return u64{1} << static_cast<unsigned>(f) % 64; }
    u64 word_[2]{};
};
static_assert(static_cast<unsigned>(Isa::count) <= 128);
}  // namespace calque
