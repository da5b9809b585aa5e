// Random changes of an input, the same from the same seed on every host.
#pragma once
#include <algorithm>
#include <random>

#include "tests/fuzz/fuzz.h"

namespace calque::fuzz {

class Mutator {
public:
    Mutator(const std::vector<Bytes>& seeds, u64 seed) : seeds_{seeds}, random_{seed} {}

    Bytes next() {
        Bytes b = seeds_[below(seeds_.size())];
        for (u64 n = 1 + below(6); n; --n) change(b);
        return b;
    }

private:
    u64 below(u64 n) { return n ? random_() % n : 0; }
    /// Rather not in the midst of padding.
    size_t place(const Bytes& b) {
        size_t at = static_cast<size_t>(below(b.size() + 1));
        for (unsigned n = 0; n < 6 && at > 0 && at < b.size() && b[at] == b[at - 1]; ++n) at = static_cast<size_t>(below(b.size() + 1));
        return at;
    }

    void change(Bytes& b) {
        const size_t at = place(b), n = std::min<size_t>(1 + below(below(4) ? 8 : 200), b.size() - at);
        const auto here = b.begin() + static_cast<std::ptrdiff_t>(at), end = here + static_cast<std::ptrdiff_t>(n);
        switch (below(8)) {
        case 0:
            if (n) b[at] ^= static_cast<u8>(1u << below(8));
            break;
        case 1:
            if (n) b[at] = static_cast<u8>(random_());
            break;
        case 2: {   // a number at the edge of something
            constexpr u64 kEdges[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, u64{1} << 32, u64{1} << 47, ~u64{0} >> 1, ~u64{0}};
            const u64 v = kEdges[below(std::size(kEdges))] + (below(3) - 1);
            const size_t width = size_t{1} << below(4);
            for (size_t i = 0; i < std::min(width, n); ++i) b[at + i] = static_cast<u8>(v >> (8 * i));
            break;
        }
        case 3: b.erase(here, end); break;
        case 4: {
            const Bytes copy{here, end};
            b.insert(b.begin() + static_cast<std::ptrdiff_t>(place(b)), copy.begin(), copy.end());
            break;
        }
        case 5: {
            Bytes some(n);
            for (u8& x : some) x = static_cast<u8>(below(2) ? 0x20 + below(95) : random_());
            b.insert(here, some.begin(), some.end());
            break;
        }
        case 6: {   // the rest of another
            const Bytes& other = seeds_[below(seeds_.size())];
            if (b.size() > 1 << 20 || below(3)) break;
            b.resize(at);
            b.insert(b.end(), other.begin() + static_cast<std::ptrdiff_t>(std::min(at, other.size())), other.end());
            break;
        }
        default:
            if (below(4) == 0) b.resize(at);
        }
    }

    const std::vector<Bytes>& seeds_;
    std::mt19937_64 random_;
};
}  // namespace calque::fuzz
