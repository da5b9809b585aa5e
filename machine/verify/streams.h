// Two runs that were kept as snapshots (machine/snapshot/stream.h), and between which of them they part.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "support/result.h"
#include "support/types.h"

namespace calque::verify {

struct Streams {
    std::string a, b;              // folders
    std::vector<u64> counts;       // of snapshots that both have
    static Result<Streams> open(const std::string& a, const std::string& b);
};

struct Parting {
    u64 same = 0, differ = 0;      // the last count at which they are the same, and the next
    u64 hash_a = 0, hash_b = 0;    // of the machines there
};

/// By hashes of a few of them: what differs once is taken to differ for good. Nothing: the last ones are the same. An error: they do not
/// even begin alike, or a snapshot cannot be loaded.
Result<std::optional<Parting>> find_parting(const Streams&);
}  // namespace calque::verify
