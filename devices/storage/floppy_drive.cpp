#include "devices/storage/floppy_drive.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "support/state_io.h"

namespace calque {
namespace {
// Data rate codes: 0 500 kb/s, 1 300 kb/s, 2 250 kb/s, 3 1 Mb/s. Double density disks are read at 250 kb/s in their
// own drives and at 300 kb/s in the faster turning 1.2 MB drive.
constexpr u8 kDouble = 1 << 1 | 1 << 2, kHigh = 1 << 0, kExtra = 1 << 3;
constexpr std::array<FloppyFormat, 11> kFormats{{
    {320, 40, 1, 8, kDouble, FloppyType::k360},     // 160 KB
    {360, 40, 1, 9, kDouble, FloppyType::k360},     // 180 KB
    {640, 40, 2, 8, kDouble, FloppyType::k360},     // 320 KB
    {720, 40, 2, 9, kDouble, FloppyType::k360},     // 360 KB
    {1280, 80, 2, 8, kDouble, FloppyType::k720},    // 640 KB
    {1440, 80, 2, 9, kDouble, FloppyType::k720},    // 720 KB
    {2400, 80, 2, 15, kHigh, FloppyType::m1200},    // 1.2 MB
    {2880, 80, 2, 18, kHigh, FloppyType::m1440},    // 1.44 MB
    {3360, 80, 2, 21, kHigh, FloppyType::m1440},    // 1.68 MB, distribution media format
    {3444, 82, 2, 21, kHigh, FloppyType::m1440},    // 1.72 MB
    {5760, 80, 2, 36, kExtra, FloppyType::m2880},   // 2.88 MB
}};
}  // namespace

const FloppyFormat& FloppyDrive::format_for(u64 bytes) {
    const u64 sectors = (bytes + kSector - 1) / kSector;
    for (const auto& f : kFormats)
        if (f.sectors_total == sectors) return f;
    // Truncated images come from tools that write 1.44 MB disks.
    constexpr u64 kUsual = 2880;
    for (const auto& f : kFormats)
        if (f.sectors_total >= std::max(sectors, kUsual)) return f;
    return kFormats.back();
}

void FloppyDrive::insert(BlockImage* medium) {
    medium_ = medium;
    changed_ = true;
    if (medium) format_ = &format_for(medium->size());
}

void FloppyDrive::step(int steps) {
    if (type_ == FloppyType::none) return;
    track_ = static_cast<u8>(std::clamp(track_ + steps, 0, kLastTrack));
    // A step pulse with a disk in the drive clears the disk change line.
    if (steps != 0 && medium_) changed_ = false;
}

int FloppyDrive::cylinder() const {
    // A 96 tpi drive needs two steps for each cylinder of a 48 tpi disk.
    const bool double_step = type_ == FloppyType::m1200 && format_->cylinders == 40;
    const int c = double_step ? track_ / 2 : track_;
    return c < format_->cylinders ? c : -1;
}

u64 FloppyDrive::offset(u8 head, u8 sector) const {
    const u64 track = static_cast<u64>(cylinder()) * format_->heads + head;
    return (track * format_->sectors + sector - 1u) * kSector;
}

bool FloppyDrive::read(u8 head, u8 sector, std::span<u8, kSector> out) {
    const u64 at = offset(head, sector), size = medium_->size();
    const size_t there = at < size ? static_cast<size_t>(std::min<u64>(kSector, size - at)) : 0;
    std::memset(out.data() + there, 0, kSector - there);
    return there == 0 || medium_->read(at, out.first(there));
}

// What an image of odd size lacks at its end reads as zeros and cannot be written.
bool FloppyDrive::write(u8 head, u8 sector, std::span<const u8, kSector> in) {
    return !write_protected() && medium_->write(offset(head, sector), in);
}

void FloppyDrive::state(StateIO& s) {
    s(changed_, track_);
    track_ = std::min<u8>(track_, kLastTrack);
}
}  // namespace calque
