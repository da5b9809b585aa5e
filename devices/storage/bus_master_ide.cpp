// Choices where the datasheet is silent: a drive that transfers against the programmed direction moves nothing (the
// guest sees a timeout); the descriptor pointer simply counts on, across a 64 KB boundary too.
#include "devices/storage/bus_master_ide.h"

#include <algorithm>
#include <array>

#include "support/log.h"
#include "support/state_io.h"

namespace calque {
static Log log{"bus_master_ide"};

u8 BusMasterIde::read(u8 reg) const {
    switch (reg) {
    case 0: return command_;
    case 2: return status_;
    case 4: case 5: case 6: case 7: return static_cast<u8>(table_ >> (8 * (reg - 4)));
    default: return 0;
    }
}

void BusMasterIde::write(u8 reg, u8 value) {
    switch (reg) {
    case 0: {
        const bool was_started = command_ & kStart;
        command_ = value & (kStart | kToMemory);
        if (!was_started && (value & kStart)) {
            status_ |= kActive;
            next_descriptor_ = table_;
            left_ = 0;
            last_ = false;
        } else if (!(value & kStart)) {
            status_ &= static_cast<u8>(~kActive);  // stopping loses whatever had not been moved
        }
        return;
    }
    case 2:
        status_ = static_cast<u8>((status_ & ~kDriveCapable & ~(value & (kError | kInterrupt))) | (value & kDriveCapable));
        return;
    case 4: case 5: case 6: case 7: {
        const unsigned shift = 8 * (reg - 4u);
        table_ = ((table_ & ~(0xFFu << shift)) | u32{value} << shift) & ~3u;
        return;
    }
    default: return;
    }
}

/// Loads the next region from the table; false at its end, which also ends the activity.
bool BusMasterIde::next_region() {
    if (last_) {
        status_ &= static_cast<u8>(~kActive);
        return false;
    }
    std::array<u8, 8> d{};
    memory_.dma_read(next_descriptor_, d);
    next_descriptor_ += 8;
    address_ = (d[0] | d[1] << 8 | d[2] << 16 | u32{d[3]} << 24) & ~1u;
    left_ = (d[4] | u32{d[5]} << 8) & ~1u;
    if (left_ == 0) left_ = 0x10000;
    last_ = d[7] & 0x80;
    return true;
}

void BusMasterIde::run(IdeDrive& drive) {
    if (!enabled_ || !(status_ & kActive)) return;
    while (drive.dmarq()) {
        if (drive.dma_to_memory() != ((command_ & kToMemory) != 0)) {
            log.debug("the drive transfers against the programmed direction");
            return;
        }
        if (left_ == 0 && !next_region()) return;
        const auto window = drive.dma_window();
        const u32 n = static_cast<u32>(std::min<size_t>(left_, window.size()));
        if (drive.dma_to_memory()) memory_.dma_write(address_, window.first(n));
        else memory_.dma_read(address_, window.first(n));
        address_ += n;
        left_ -= n;
        if (left_ == 0 && last_) status_ &= static_cast<u8>(~kActive);
        drive.dma_moved(n);
        if (!(status_ & kActive)) return;
    }
}

void BusMasterIde::reset() {
    command_ = status_ = 0;
    enabled_ = last_ = false;
    table_ = next_descriptor_ = address_ = left_ = 0;
}

void BusMasterIde::state(StateIO& s) {
    s.version(1);
    s(enabled_, last_, command_, status_, table_, next_descriptor_, address_, left_);
    if (s.loading()) left_ = std::min<u32>(left_, 0x10000);
}
}  // namespace calque
