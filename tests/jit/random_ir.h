// Random, well-formed IR over a made-up guest state, for comparing executors.
#pragma once
#include <cstring>
#include <vector>

#include "jit/context.h"
#include "jit/ir/ir.h"

namespace calque::jit {

/// A guest state with more registers than any back end pins, a little memory, and a device.
struct RandomState {
    ExecContext x;
    u64 r[16]{};
    u16 flags = fl::One;
    u8 bit = 0;
    u32 fp = 0x1f80;
    V128 v[8]{};
    u64 raised = 0, accesses = 0;   // accesses: a running hash of what slow paths and helpers have seen
    u8* ram = nullptr;
    bool fill_tlb = true;
    Tlb tlb;

    static constexpr u8 kFlags = 16, kBit = 17, kFp = 18, kVec = 19, kSlots = 27;
    static constexpr u64 kRam = 16 * 4096, kDevice = kRam;  // a device's page follows, then nothing
    void forget();
};
const Layout& random_layout();
void forget_tlb(RandomState&);

class Random {
public:
    explicit Random(u64 seed) : s_{seed * 0x9e3779b97f4a7c15 + 1} {}
    u64 next() {
        s_ ^= s_ << 13, s_ ^= s_ >> 7, s_ ^= s_ << 17;
        return s_ * 0x2545f4914f6cdd1d;
    }
    u32 below(u32 n) { return static_cast<u32>(next() >> 33) % n; }
    bool one_in(u32 n) { return below(n) == 0; }
    u64 interesting(Type);

private:
    u64 s_;
};

struct RandomOptions {
    unsigned length = 40;   // guest instructions, roughly
    bool memory = true, calls = true, vectors = true, fp = true;
};
Block random_block(Random&, const RandomOptions&);
}  // namespace calque::jit
