// Numbers of 1 to 8 bytes in memory, least significant byte first, whatever the host's own order is.
#pragma once
#include <bit>
#include <cstring>

#include "support/types.h"

namespace calque {

inline u64 load_little(const u8* from, unsigned bytes) {
    u64 v = 0;
    if (std::endian::native == std::endian::little && bytes == sizeof v) return std::memcpy(&v, from, sizeof v), v;   // compilers do not see it
    for (unsigned i = 0; i < bytes; ++i) v |= u64{from[i]} << (8 * i);
    return v;
}
inline void store_little(u8* to, u64 v, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) to[i] = static_cast<u8>(v >> (8 * i));
}
}  // namespace calque
