// A floppy drive and the disk in it: geometry, head position, disk change. The controller reads and writes sectors.
#pragma once
#include <span>

#include "support/host.h"

namespace calque {

class StateIO;

/// The numbers that CMOS register 10h uses.
enum class FloppyType : u8 { none, k360, m1200, k720, m1440, m2880 };

struct FloppyFormat {
    u32 sectors_total;
    u8 cylinders, heads, sectors;
    u8 rates;         // one bit for each data rate code (CCR bits 1-0) at which this disk can be read
    FloppyType type;  // the drive it was made for
};

class FloppyDrive {
public:
    static constexpr unsigned kSector = 512;
    /// The format of an image of this size. A size that no format has belongs to the smallest one that holds it
    /// (what is missing reads as zeros), or to 2.88 MB.
    static const FloppyFormat& format_for(u64 bytes);
    static FloppyType type_for(u64 bytes) { return format_for(bytes).type; }

    void install(FloppyType type) { type_ = type; }
    void insert(BlockImage* medium);  // nullptr: takes the disk out. Sets the disk change line
    FloppyType type() const { return type_; }
    BlockImage* medium() const { return medium_; }
    bool loaded() const { return type_ != FloppyType::none && medium_; }
    bool write_protected() const { return !medium_ || medium_->read_only(); }
    bool disk_changed() const { return changed_ && type_ != FloppyType::none; }

    /// Moves the head by `steps`; the drive stops at track 0 and at its last track.
    void step(int steps);
    u8 track() const { return track_; }
    bool at_track0() const { return type_ != FloppyType::none && track_ == 0; }
    /// The cylinder of the disk under the head, or -1 where it has none.
    int cylinder() const;
    const FloppyFormat& format() const { return *format_; }
    bool readable_at(u8 rate) const { return loaded() && (format_->rates >> rate & 1); }

    bool read(u8 head, u8 sector, std::span<u8, kSector> out);
    bool write(u8 head, u8 sector, std::span<const u8, kSector> in);

    void state(StateIO&);

private:
    u64 offset(u8 head, u8 sector) const;
    static constexpr int kLastTrack = 82;
    FloppyType type_ = FloppyType::none;
    BlockImage* medium_ = nullptr;
    const FloppyFormat* format_ = &format_for(1440 * kKiB);
    bool changed_ = true;
    u8 track_ = 0;
};
}  // namespace calque
