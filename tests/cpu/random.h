// Pseudo-random numbers from a seed (splitmix64).
#pragma once
#include "support/types.h"

namespace calque::test {

struct Random {
    u64 state;
    u64 next() {
        u64 z = state += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
    u64 below(u64 n) { return next() % n; }
};
}  // namespace calque::test
