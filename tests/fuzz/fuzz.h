// A fuzz target is a file that defines `target`; driver.cpp mutates its seeds (README.md).
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "support/types.h"

namespace calque::fuzz {

using Bytes = std::vector<u8>;
inline Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

struct Target {
    const char* name;
    std::vector<Bytes> (*seeds)();
    /// Must come back, whatever the bytes are, and keep nothing. Whether they were good: those of seeds are.
    bool (*run)(std::span<const u8>);
};
extern const Target target;
}  // namespace calque::fuzz
