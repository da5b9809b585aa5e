// Little-endian numbers in byte vectors, for tables that firmware and guests read. Readers check their bounds.
#pragma once
#include <span>
#include <string_view>

#include "bios/fw_cfg_items.h"
#include "support/assert.h"

namespace calque {

inline void put(Bytes& out, u64 value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i) out.push_back(static_cast<u8>(value >> (8 * i)));
}
inline void put(Bytes& out, std::string_view s) { out.insert(out.end(), s.begin(), s.end()); }
inline void put(Bytes& out, std::span<const u8> s) { out.insert(out.end(), s.begin(), s.end()); }
/// Text in a field of fixed size, padded with `fill`.
inline void put_field(Bytes& out, std::string_view s, size_t size, char fill = '\0') {
    for (size_t i = 0; i < size; ++i) out.push_back(static_cast<u8>(i < s.size() ? s[i] : fill));
}
inline void poke(std::span<u8> at, size_t offset, u64 value, unsigned bytes) {
    ASSERT(offset + bytes <= at.size());
    for (unsigned i = 0; i < bytes; ++i) at[offset + i] = static_cast<u8>(value >> (8 * i));
}
/// Zero outside the span: whoever reads untrusted bytes checks sizes first where zero is not an answer.
inline u64 peek(std::span<const u8> from, u64 offset, unsigned bytes) {
    u64 v = 0;
    if (offset > from.size() || from.size() - offset < bytes) return 0;
    for (unsigned i = 0; i < bytes; ++i) v |= u64{from[offset + i]} << (8 * i);
    return v;
}
inline u8 checksum(std::span<const u8> bytes) {  // what to add to make the sum zero
    u8 sum = 0;
    for (const u8 b : bytes) sum = static_cast<u8>(sum + b);
    return static_cast<u8>(-sum);
}
inline void align(Bytes& out, size_t to) { out.resize((out.size() + to - 1) / to * to); }
}  // namespace calque
