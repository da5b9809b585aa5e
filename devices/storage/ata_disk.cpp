// Choices where the standard leaves them: the whole range of a command is checked before anything moves; a failing
// host write reports device fault; writing to a read-only image reports write protected and command aborted.
#include "devices/storage/ata_disk.h"

#include <algorithm>
#include <cstring>

#include "support/log.h"
#include "support/state_io.h"

namespace calque {
static Log log{"ata_disk"};

namespace {
// The largest geometry that IDENTIFY may report is 16383 x 16 x 63 (ATA-6, annex "CHS translation").
AtaDisk::Geometry geometry_for(u64 sectors) {
    AtaDisk::Geometry g{1, 16, 63};
    if (sectors < 63) g.sectors = static_cast<u8>(std::max<u64>(sectors, 1));
    if (sectors < 16 * 63) g.heads = static_cast<u8>(std::max<u64>(sectors / 63, 1));
    else g.cylinders = static_cast<u16>(std::min<u64>(sectors / (16 * 63), 16383));
    return g;
}
}  // namespace

AtaDisk::AtaDisk(Clock& clock, BlockImage& image, Identity identity)
    : IdeDrive{clock}, image_{image}, identity_{std::move(identity)},
      sectors_{std::clamp<u64>((image.size() + kSector - 1) / kSector, 1, u64{1} << 48)}, default_{geometry_for(sectors_)},
      current_{default_} {}

void AtaDisk::execute(u8 opcode) {
    if (power_ == Power::sleep) return;  // only a reset wakes it
    buffer_command_ = false;
    if (execute_power(opcode)) return;
    if (power_ != Power::active) power_ = Power::active;
    if (!execute_media(opcode)) execute_other(opcode);
}

bool AtaDisk::execute_media(u8 opcode) {
    switch (opcode) {
    case 0x20: case 0x21: begin(kReadPio, false, 1); return true;             // READ SECTOR(S)
    case 0x24: begin(kReadPio, true, 1); return true;                         // READ SECTOR(S) EXT
    case 0xC4: begin(kReadPio, false, multiple_); return true;                // READ MULTIPLE
    case 0x29: begin(kReadPio, true, multiple_); return true;                 // READ MULTIPLE EXT
    case 0x30: case 0x31: begin(kAskPio, false, 1, true); return true;        // WRITE SECTOR(S)
    case 0x34: begin(kAskPio, true, 1, true); return true;                    // WRITE SECTOR(S) EXT
    case 0xC5: begin(kAskPio, false, multiple_, true); return true;           // WRITE MULTIPLE
    case 0x39: begin(kAskPio, true, multiple_, true); return true;            // WRITE MULTIPLE EXT
    case 0xC8: case 0xC9: begin(kReadDma, false, 1); return true;             // READ DMA
    case 0x25: begin(kReadDma, true, 1); return true;                         // READ DMA EXT
    case 0xCA: case 0xCB: begin(kAskDma, false, 1, true); return true;        // WRITE DMA
    case 0x35: begin(kAskDma, true, 1, true); return true;                    // WRITE DMA EXT
    case 0x40: case 0x41: begin(kVerify, false, 1); return true;              // READ VERIFY SECTOR(S)
    case 0x42: begin(kVerify, true, 1); return true;                          // READ VERIFY SECTOR(S) EXT
    default: return false;
    }
}

void AtaDisk::execute_other(u8 opcode) {
    if ((opcode & 0xF0) == 0x10) {  // RECALIBRATE
        lba_mid_ = lba_high_ = 0;
        return finish_later(0, kAccessTime);
    }
    if ((opcode & 0xF0) == 0x70) return seek();
    switch (opcode) {
    case 0x91: return initialize_parameters();
    case 0xC6: return set_multiple();
    case 0xE7: case 0xEA: return wait(kFlush, kAccessTime);  // FLUSH CACHE, FLUSH CACHE EXT
    case 0xE4: return wait(kOfferBuffer, kCommandTime);      // READ BUFFER
    case 0xE8: return wait(kAskBuffer, kCommandTime);        // WRITE BUFFER
    case 0xEC:
        identify();
        return wait(kOfferBuffer, kCommandTime);
    case 0xEF: return set_features();
    case 0xB0: return smart();
    case 0xF8: return native_max(false);
    case 0x27: return native_max(true);
    case 0x00: return finish_later(ABRT);  // NOP always ends in an error
    default:
        log.debug("command %02x aborted", opcode);
        return finish_later(ABRT);
    }
}

bool AtaDisk::execute_power(u8 opcode) {
    switch (opcode) {
    case 0xE0: case 0x94: case 0xE2: case 0x96: power_ = Power::standby; break;  // STANDBY IMMEDIATE, STANDBY
    case 0xE1: case 0x95: case 0xE3: case 0x97: power_ = Power::idle; break;     // IDLE IMMEDIATE, IDLE
    case 0xE6: case 0x99: power_ = Power::sleep; break;                          // SLEEP
    case 0xE5: case 0x98:                                                        // CHECK POWER MODE
        sector_count_ = power_ == Power::standby ? 0x00 : power_ == Power::idle ? 0x80 : 0xFF;
        break;
    default: return false;
    }
    // Whatever spins the disk down writes its cache first.
    if (power_ == Power::standby || power_ == Power::sleep) image_.flush();
    finish_later();
    return true;
}

/// Checks a media command and starts it; block 0 is a multiple command while multiple mode is disabled.
void AtaDisk::begin(u8 first_step, bool ext, unsigned block, bool writes) {
    if (block == 0) return finish_later(ABRT);
    if (writes && image_.read_only()) return finish_later(ABRT | WP);
    left_ = sector_count_;
    if (ext) left_ |= u32{hob_sector_count_} << 8;
    if (left_ == 0) left_ = ext ? 0x10000 : 0x100;
    block_ = static_cast<u8>(block);
    if (!decode_address(ext)) return finish_later(IDNF);
    if (lba_ >= sectors_ || left_ > sectors_ - lba_) {
        report_address(std::max(lba_, sectors_));
        return finish_later(IDNF);
    }
    const bool waits_for_host = first_step == kAskPio || first_step == kAskDma;
    wait(first_step, waits_for_host ? kCommandTime : kAccessTime);
}

/// Takes lba_ from the registers. False for a cylinder, head or sector that the current translation does not have.
bool AtaDisk::decode_address(bool ext) {
    if (ext) {
        addressing_ = Addressing::lba48;
        lba_ = lba_low_ | u64{lba_mid_} << 8 | u64{lba_high_} << 16 | u64{hob_lba_low_} << 24 | u64{hob_lba_mid_} << 32 |
               u64{hob_lba_high_} << 40;
        return true;
    }
    if (device_ & 0x40) {
        addressing_ = Addressing::lba28;
        lba_ = lba_low_ | u64{lba_mid_} << 8 | u64{lba_high_} << 16 | u64{device_ & 0x0Fu} << 24;
        return true;
    }
    addressing_ = Addressing::chs;
    const u32 cylinder = lba_mid_ | u32{lba_high_} << 8, head = device_ & 0x0F, sector = lba_low_;
    if (head >= current_.heads || sector == 0 || sector > current_.sectors) return false;
    lba_ = (u64{cylinder} * current_.heads + head) * current_.sectors + sector - 1;
    return true;
}

/// Puts an address into the registers in the form in which the command gave it.
void AtaDisk::report_address(u64 lba) {
    if (addressing_ == Addressing::chs) {
        const u64 track = lba / current_.sectors, cylinder = track / current_.heads;
        lba_low_ = static_cast<u8>(lba % current_.sectors + 1);
        lba_mid_ = static_cast<u8>(cylinder);
        lba_high_ = static_cast<u8>(cylinder >> 8);
        device_ = static_cast<u8>((device_ & 0xF0) | track % current_.heads);
        return;
    }
    lba_low_ = static_cast<u8>(lba);
    lba_mid_ = static_cast<u8>(lba >> 8);
    lba_high_ = static_cast<u8>(lba >> 16);
    if (addressing_ == Addressing::lba28) {
        device_ = static_cast<u8>((device_ & 0xF0) | ((lba >> 24) & 0x0F));
        return;
    }
    hob_lba_low_ = static_cast<u8>(lba >> 24);
    hob_lba_mid_ = static_cast<u8>(lba >> 32);
    hob_lba_high_ = static_cast<u8>(lba >> 40);
}

void AtaDisk::media_error(u8 error, u8 status) {
    report_address(lba_);
    sector_count_ = static_cast<u8>(left_);
    finish_now(error, status);
}

bool AtaDisk::read_media(u64 lba, u32 sectors) {
    const u64 offset = lba * kSector, size = image_.size();
    const size_t wanted = size_t{sectors} * kSector;
    const size_t there = offset < size ? static_cast<size_t>(std::min<u64>(wanted, size - offset)) : 0;
    std::memset(buffer_.data() + there, 0, wanted - there);
    return lba + sectors <= sectors_ && (there == 0 || image_.read(offset, {buffer_.data(), there}));
}

bool AtaDisk::write_media(u64 lba, u32 sectors) {
    if (lba + sectors > sectors_ || image_.read_only()) return false;
    if (!image_.write(lba * kSector, {buffer_.data(), size_t{sectors} * kSector})) return false;
    return write_cache_ || image_.flush();
}

void AtaDisk::read_step(Transfer how, u32 most) {
    chunk_ = std::min(left_, most);
    if (chunk_ == 0) return finish_now(ABRT);
    if (!read_media(lba_, chunk_)) return media_error(UNC, 0);
    lba_ += chunk_;
    left_ -= chunk_;
    report_address(lba_ - 1);
    sector_count_ = static_cast<u8>(left_);
    start_transfer(how, size_t{chunk_} * kSector, how == Transfer::pio_in);
}

void AtaDisk::ask_step(Transfer how, u32 most) {
    chunk_ = std::min(left_, most);
    if (chunk_ == 0) return finish_now(ABRT);
    start_transfer(how, size_t{chunk_} * kSector, false);
}

void AtaDisk::write_step(Transfer how, u32 most) {
    chunk_ = std::min({chunk_, left_, most});
    if (chunk_ == 0) return finish_now(ABRT);
    if (!write_media(lba_, chunk_)) return media_error(ABRT, DF);
    lba_ += chunk_;
    left_ -= chunk_;
    report_address(lba_ - 1);
    sector_count_ = static_cast<u8>(left_);
    if (left_ == 0) return finish_now(0);
    chunk_ = std::min(left_, most);
    start_transfer(how, size_t{chunk_} * kSector, how == Transfer::pio_out);
}

void AtaDisk::verify_step() {
    chunk_ = std::min<u32>(left_, kDmaSectors);
    if (!read_media(lba_, chunk_)) return media_error(UNC, 0);
    lba_ += chunk_;
    left_ -= chunk_;
    if (left_) return wait(kVerify, byte_time(size_t{chunk_} * kSector));
    report_address(lba_ - 1);
    sector_count_ = 0;
    finish_now(0);
}

void AtaDisk::step(u8 step) {
    const u32 block = std::clamp<u32>(block_, 1, kMaxMultiple);
    switch (step) {
    case kReadPio: return read_step(Transfer::pio_in, block);
    case kReadDma: return read_step(Transfer::dma_in, kDmaSectors);
    case kAskPio: return ask_step(Transfer::pio_out, block);
    case kAskDma: return ask_step(Transfer::dma_out, kDmaSectors);
    case kWritePio: return write_step(Transfer::pio_out, block);
    case kWriteDma: return write_step(Transfer::dma_out, kDmaSectors);
    case kDmaDone: return finish_now(0);
    case kOfferBuffer: return offer_buffer();
    case kAskBuffer:
        buffer_command_ = true;
        return start_transfer(Transfer::pio_out, kSector, false);
    case kVerify: return verify_step();
    case kFlush: return image_.flush() ? finish_now(0) : media_error(ABRT, DF);
    default: return finish_now(ABRT);  // a damaged saved state
    }
}

void AtaDisk::offer_buffer() {
    buffer_command_ = true;
    start_transfer(Transfer::pio_in, kSector, true);
}

void AtaDisk::transfer_done(Transfer transfer) {
    const Time moved = byte_time(size_t{chunk_} * kSector);
    switch (transfer) {
    case Transfer::pio_in:
        if (!buffer_command_ && left_) wait(kReadPio, moved);
        return;
    case Transfer::pio_out: return buffer_command_ ? finish_later() : wait(kWritePio, moved);
    case Transfer::dma_in: return wait(left_ ? kReadDma : kDmaDone, moved);
    case Transfer::dma_out: return wait(kWriteDma, moved);
    case Transfer::none: return;
    }
}

void AtaDisk::signature() {
    sector_count_ = lba_low_ = 1;
    lba_mid_ = lba_high_ = device_ = 0;
    status_ = DRDY | DSC;
    if (power_ == Power::sleep) power_ = Power::active;  // a reset is what wakes it
}

void AtaDisk::reset_command_state() { left_ = chunk_ = 0, buffer_command_ = false; }

void AtaDisk::reset() {
    current_ = default_;
    multiple_ = udma_ = mwdma_ = 0;
    write_cache_ = look_ahead_ = smart_enabled_ = smart_autosave_ = true;
    keep_settings_ = false;
    power_ = Power::active;
    IdeDrive::reset();
}

void AtaDisk::state(StateIO& s) {
    IdeDrive::state(s);
    s.version(1);
    s(current_.cylinders, current_.heads, current_.sectors, multiple_, block_, udma_, mwdma_, write_cache_, look_ahead_,
      smart_enabled_, smart_autosave_, keep_settings_, power_, addressing_, buffer_command_, lba_, left_, chunk_);
    if (!s.loading()) return;
    current_.heads = std::clamp<u8>(current_.heads, 1, 16);
    current_.sectors = std::max<u8>(current_.sectors, 1);
    multiple_ = std::min<u8>(multiple_, kMaxMultiple);
    lba_ = std::min(lba_, sectors_);  // keeps lba + left far from overflow
    left_ = std::min<u32>(left_, 0x10000);
    chunk_ = std::min<u32>(chunk_, kDmaSectors);
}
}  // namespace calque
