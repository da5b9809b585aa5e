// The two ways in which IDENTIFY data is put into a sector.
#pragma once
#include <string_view>

#include "support/types.h"

namespace calque {

inline void put_word(u8* sector, unsigned word, u16 value) {
    sector[2 * word] = static_cast<u8>(value);
    sector[2 * word + 1] = static_cast<u8>(value >> 8);
}

/// ATA strings: the first character of each pair is in the word's upper byte; padded with spaces.
inline void put_text(u8* sector, unsigned word, unsigned words, std::string_view text) {
    for (unsigned i = 0; i < 2 * words; ++i)
        sector[2 * word + (i ^ 1)] = static_cast<u8>(i < text.size() ? text[i] : ' ');
}
}  // namespace calque
