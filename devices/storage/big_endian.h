// Multi-byte fields of SCSI and MMC commands: most significant byte first.
#pragma once
#include "support/types.h"

namespace calque {
constexpr u16 get_be16(const u8* p) { return static_cast<u16>(p[0] << 8 | p[1]); }
constexpr u32 get_be32(const u8* p) { return u32{get_be16(p)} << 16 | get_be16(p + 2); }
constexpr void put_be16(u8* p, u32 v) { p[0] = static_cast<u8>(v >> 8), p[1] = static_cast<u8>(v); }
constexpr void put_be32(u8* p, u32 v) { put_be16(p, v >> 16), put_be16(p + 2, v); }
}  // namespace calque
