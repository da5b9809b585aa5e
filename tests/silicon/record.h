// Recorded vectors: small reproducers of what the host's processor does, for every rule and encoding.
#pragma once
#include <cstdio>

#include "tests/silicon/generate.h"

namespace calque::silicon {
/// Writes one file a mode into `folder`, with `per_rule` cases of each rule. The result is an exit status.
int record(const std::string& folder, unsigned per_rule, u64 seed);
}  // namespace calque::silicon
