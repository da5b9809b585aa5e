// The raw form of a CD-ROM Mode 1 sector (ECMA-130, "Digital data structure of sectors" and annexes A and B).
#pragma once
#include <span>

#include "support/types.h"

namespace calque {

constexpr unsigned kCdDataSize = 2048, kCdRawSize = 2352;

struct Msf {
    u8 minute, second, frame;  // binary
};
Msf msf_of_frames(u64 frames);
/// Logical block 0 is at 00:02:00.
Msf msf_of(u32 lba);
u32 lba_of(Msf);  // wraps below 00:02:00

/// Sync, header, the given 2048 bytes of user data, EDC and ECC.
void build_raw_sector(u32 lba, std::span<const u8, kCdDataSize> user_data, std::span<u8, kCdRawSize> out);
}  // namespace calque
