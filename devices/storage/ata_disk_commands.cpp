// The commands that do not move media data: geometry, features, SMART, IDENTIFY DEVICE.
#include <algorithm>
#include <cstring>

#include "devices/storage/ata_disk.h"
#include "devices/storage/ata_words.h"

namespace calque {

void AtaDisk::initialize_parameters() {
    if (sector_count_ == 0) return finish_later(ABRT);
    current_.sectors = sector_count_;
    current_.heads = static_cast<u8>((device_ & 0x0F) + 1);
    current_.cylinders = static_cast<u16>(std::min<u64>(sectors_ / (u64{current_.heads} * current_.sectors), 65535));
    finish_later();
}

void AtaDisk::seek() {
    const bool there = decode_address(false) && lba_ < sectors_;
    finish_later(there ? 0 : IDNF, kAccessTime);
}

void AtaDisk::set_multiple() {
    const u8 n = sector_count_;
    const bool good = n <= kMaxMultiple && (n & (n - 1)) == 0;
    // After an abort multiple mode is disabled; a count of zero disables it too (SET MULTIPLE MODE).
    multiple_ = good ? n : 0;
    finish_later(good ? 0 : ABRT);
}

void AtaDisk::native_max(bool ext) {
    if (!ext && !(device_ & 0x40)) return finish_later(ABRT);
    addressing_ = ext ? Addressing::lba48 : Addressing::lba28;
    report_address(ext ? sectors_ - 1 : std::min<u64>(sectors_ - 1, 0x0FFFFFFF));
    finish_later();
}

bool AtaDisk::set_transfer_mode(u8 mode) {
    const u8 n = mode & 7;
    switch (mode >> 3) {
    case 0: return n <= 1;  // PIO default
    case 1: return n <= 4;  // PIO flow control
    case 4:                 // multiword DMA
        if (n > 2) return false;
        mwdma_ = static_cast<u8>(n + 1), udma_ = 0;
        return true;
    case 8:  // Ultra DMA
        if (n > 5) return false;
        udma_ = static_cast<u8>(n + 1), mwdma_ = 0;
        return true;
    default: return false;
    }
}

void AtaDisk::set_features() {
    switch (features_) {
    case 0x02: write_cache_ = true; break;
    case 0x82:
        write_cache_ = false;
        image_.flush();
        break;
    case 0x03: return finish_later(set_transfer_mode(sector_count_) ? 0 : ABRT);
    case 0xAA: look_ahead_ = true; break;
    case 0x55: look_ahead_ = false; break;
    case 0x66: keep_settings_ = true; break;   // a software reset keeps them either way
    case 0xCC: keep_settings_ = false; break;
    default: return finish_later(ABRT);
    }
    finish_later();
}

void AtaDisk::smart() {
    constexpr u8 kEnable = 0xD8;
    if (lba_mid_ != 0x4F || lba_high_ != 0xC2) return finish_later(ABRT);
    if (!smart_enabled_ && features_ != kEnable) return finish_later(ABRT);
    switch (features_) {
    case 0xD0: case 0xD1: case 0xD5: return smart_data();
    case 0xD2: smart_autosave_ = sector_count_ == 0xF1; return finish_later();
    case 0xD3: case 0xD4: return finish_later();  // save values, off-line test: done at once, passed
    case kEnable: smart_enabled_ = true; return finish_later();
    case 0xD9: smart_enabled_ = false; return finish_later();
    case 0xDA: return finish_later();  // RETURN STATUS: LBA mid and high unchanged say that all is well
    default: return finish_later(ABRT);
    }
}

/// READ DATA, READ ATTRIBUTE THRESHOLDS and READ LOG: no attributes, no errors, each with its checksum.
void AtaDisk::smart_data() {
    u8* d = buffer_.data();
    std::memset(d, 0, kSector);
    if (features_ == 0xD5) {
        // The directory, the summary error log and the self-test log exist and are empty.
        if (lba_low_ != 0x00 && lba_low_ != 0x01 && lba_low_ != 0x06) return finish_later(ABRT);
        d[0] = 1;
        if (lba_low_ == 0x00) d[2] = d[12] = 1;
    } else {
        d[0] = 0x10;               // structure revision
        if (features_ == 0xD0) {
            d[362] = 0x00;         // no off-line data collection was started
            d[367] = 0x01;         // EXECUTE OFF-LINE IMMEDIATE exists
            d[368] = 0x03;         // SMART capability: saves data, autosave
            d[370] = 0x01;         // error logging
        }
    }
    u8 sum = 0;
    for (unsigned i = 0; i < kSector - 1; ++i) sum = static_cast<u8>(sum + d[i]);
    if (features_ != 0xD5 || lba_low_ != 0x00) d[511] = static_cast<u8>(-sum);  // the directory has no checksum
    wait(kOfferBuffer, kCommandTime);
}

// IDENTIFY DEVICE, tables "IDENTIFY DEVICE information".
void AtaDisk::identify() {
    u8* w = buffer_.data();
    std::memset(w, 0, kSector);
    const u64 lba28 = std::min<u64>(sectors_, 0x0FFFFFFF);
    put_word(w, 0, 0x0040);  // a fixed device
    put_word(w, 1, default_.cylinders);
    put_word(w, 3, default_.heads);
    put_word(w, 6, default_.sectors);
    put_text(w, 10, 10, identity_.serial);
    put_text(w, 23, 4, identity_.firmware);
    put_text(w, 27, 20, identity_.model);
    put_word(w, 47, 0x8000 | kMaxMultiple);
    put_word(w, 49, 0x2F00);  // standby timer as the standard says, IORDY can be disabled, LBA, DMA
    put_word(w, 50, 0x4000);
    put_word(w, 51, 0x0200);  // PIO mode 2 timing for hosts that look here
    put_word(w, 53, 0x0007);  // words 54-58, 64-70 and 88 are valid
    put_word(w, 54, current_.cylinders);
    put_word(w, 55, current_.heads);
    put_word(w, 56, current_.sectors);
    const u32 chs = u32{current_.cylinders} * current_.heads * current_.sectors;
    put_word(w, 57, static_cast<u16>(chs));
    put_word(w, 58, static_cast<u16>(chs >> 16));
    if (multiple_) put_word(w, 59, static_cast<u16>(0x0100 | multiple_));
    put_word(w, 60, static_cast<u16>(lba28));
    put_word(w, 61, static_cast<u16>(lba28 >> 16));
    put_word(w, 63, static_cast<u16>(0x0007 | (mwdma_ ? 0x0080u << mwdma_ : 0)));
    put_word(w, 64, 0x0003);  // PIO modes 3 and 4
    for (unsigned i = 65; i <= 68; ++i) put_word(w, i, 120);  // cycle times in nanoseconds
    identify_features(w);
    w[510] = 0xA5;  // signature and checksum over all bytes
    u8 sum = 0;
    for (unsigned i = 0; i < kSector - 1; ++i) sum = static_cast<u8>(sum + w[i]);
    w[511] = static_cast<u8>(-sum);
}

void AtaDisk::identify_features(u8* w) const {
    put_word(w, 80, 0x007E);  // ATA-1 to ATA/ATAPI-6
    put_word(w, 82, 0x7069);  // NOP, READ/WRITE BUFFER, look-ahead, write cache, power management, SMART
    put_word(w, 83, 0x7400);  // FLUSH CACHE, FLUSH CACHE EXT, LBA48
    put_word(w, 84, 0x4000);
    put_word(w, 85, static_cast<u16>(0x7008 | smart_enabled_ | write_cache_ << 5 | look_ahead_ << 6));
    put_word(w, 86, 0x3400);
    put_word(w, 87, 0x4000);
    put_word(w, 88, static_cast<u16>(0x003F | (udma_ ? 0x0080u << udma_ : 0)));
    put_word(w, 93, device_ & 0x10 ? 0x6B00 : 0x600B);  // 80-conductor cable; position by jumper
    for (unsigned i = 0; i < 4; ++i) put_word(w, 100 + i, static_cast<u16>(sectors_ >> (16 * i)));
}
}  // namespace calque
