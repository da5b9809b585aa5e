#include "machine/verify/streams.h"

#include <algorithm>
#include <iterator>

#include "machine/snapshot/stream.h"
#include "machine/verify/lane.h"

namespace calque::verify {
namespace {
Result<u64> hash_of(const std::string& folder, u64 count) {
    const std::string path = folder + "/" + stream_name(count);
    auto lane = Lane::create({.load = path});
    if (!lane) return lane.error();
    Machine& m = (*lane)->machine();
    if (m.icount() != count) return Error{"the snapshot '" + path + "' is of instruction " + std::to_string(m.icount()) + ", not of the one in its name"};
    return m.state_hash();
}
}  // namespace

Result<Streams> Streams::open(const std::string& a, const std::string& b) {
    auto first = stream_counts(a), second = stream_counts(b);
    if (!first) return first.error();
    if (!second) return second.error();
    Streams s{a, b, {}};
    std::set_intersection(first->begin(), first->end(), second->begin(), second->end(), std::back_inserter(s.counts));
    if (s.counts.empty()) return Error{"the folders '" + a + "' and '" + b + "' have no snapshots of the same instruction count; --save-every N makes such"};
    return s;
}

Result<std::optional<Parting>> find_parting(const Streams& s) {
    Parting p;
    const auto same = [&](size_t n) -> Result<bool> {
        auto a = hash_of(s.a, s.counts[n]), b = hash_of(s.b, s.counts[n]);
        if (!a) return a.error();
        if (!b) return b.error();
        if (*a != *b) p.hash_a = *a, p.hash_b = *b;
        return *a == *b;
    };
    auto first = same(0), last = same(s.counts.size() - 1);
    if (!first) return first.error();
    if (!last) return last.error();
    if (!*first) return Error{"the two streams differ already at instruction " + std::to_string(s.counts[0]) + ", the first that both have"};
    if (*last) return std::optional<Parting>{};
    size_t low = 0, high = s.counts.size() - 1;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        auto equal = same(middle);
        if (!equal) return equal.error();
        (*equal ? low : high) = middle;
    }
    p.same = s.counts[low], p.differ = s.counts[high];
    return std::optional{p};
}
}  // namespace calque::verify
