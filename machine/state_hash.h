// A fast 64-bit hash for comparing machine states; not for adversaries.
#pragma once
#include <span>

#include "support/types.h"

namespace calque {

/// Of a multiple of 8 bytes at such an address.
bool is_zero(std::span<const u8> bytes);

class StateHash {
public:
    void add(std::span<const u8> bytes);
    void add(u64 value);
    u64 value() const;

private:
    u64 a_ = 0x9e3779b97f4a7c15, b_ = 0xd1b54a32d192ed03, length_ = 0;
};
}  // namespace calque
