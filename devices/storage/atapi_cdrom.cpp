// The drive on its cable: the PACKET protocol (ATA/ATAPI-6, "PACKET command protocol"), tray and media.
// Choices: a byte count limit of zero means 65534, as hosts that use it expect; new media announce themselves at once
// by a unit attention, without a "becoming ready" time.
#include "devices/storage/atapi_cdrom.h"

#include <algorithm>
#include <cstring>

#include "devices/storage/ata_words.h"
#include "devices/storage/cd_sector.h"
#include "support/log.h"
#include "support/state_io.h"

namespace calque {
static Log log{"atapi_cdrom"};

AtapiCdrom::AtapiCdrom(Clock& clock, Identity identity) : IdeDrive{clock}, identity_{std::move(identity)} {}

void AtapiCdrom::insert(BlockImage* medium) {
    medium_ = medium;
    tray_open_ = false;
    if (!medium) return;
    attention_ = {0x06, 0x28, 0x00};  // not ready to ready change, medium may have changed
    event_ = MediaEvent::new_media;
}

bool AtapiCdrom::eject(bool force) {
    if (locked_ && !force) {
        event_ = MediaEvent::eject_request;
        return false;
    }
    if (loaded()) event_ = MediaEvent::removal;
    medium_ = nullptr;
    tray_open_ = true;
    locked_ = false;
    return true;
}

void AtapiCdrom::move_tray(bool open) {
    if (open == tray_open_) return;
    tray_open_ = open;
    if (medium_) {
        event_ = open ? MediaEvent::removal : MediaEvent::new_media;
        if (!open) attention_ = {0x06, 0x28, 0x00};
    }
    if (on_tray_moved) on_tray_moved(open);
}

u32 AtapiCdrom::blocks() const {
    return medium_ ? static_cast<u32>(std::min<u64>((medium_->size() + kCdDataSize - 1) / kCdDataSize, 0xFFFFFFF0u)) : 0;
}

void AtapiCdrom::execute(u8 opcode) {
    switch (opcode) {
    case 0x08: return wait(kDeviceReset, kResetTime);  // DEVICE RESET
    case 0xA0: return packet_command();
    case 0xA1: return identify_packet_device();
    case 0xEF: return set_features();
    case 0xE0: case 0xE1: case 0xE2: case 0xE3: case 0xE6: return finish_later();  // power modes
    case 0xE5:
        sector_count_ = 0xFF;  // CHECK POWER MODE: active
        return finish_later();
    case 0x20: case 0xEC:  // READ SECTOR(S) and IDENTIFY DEVICE tell what we are
        signature();
        return finish_later(ABRT);
    default: return finish_later(ABRT);
    }
}

void AtapiCdrom::set_features() {
    const u8 mode = sector_count_, n = mode & 7;
    if (features_ != 0x03) return finish_later(ABRT);
    switch (mode >> 3) {
    case 0: return finish_later(n <= 1 ? 0 : ABRT);
    case 1: return finish_later(n <= 4 ? 0 : ABRT);
    case 4:
        if (n > 2) return finish_later(ABRT);
        mwdma_ = static_cast<u8>(n + 1), udma_ = 0;
        return finish_later();
    case 8:
        if (n > 2) return finish_later(ABRT);
        udma_ = static_cast<u8>(n + 1), mwdma_ = 0;
        return finish_later();
    default: return finish_later(ABRT);
    }
}

// IDENTIFY PACKET DEVICE, table "IDENTIFY PACKET DEVICE information".
void AtapiCdrom::identify_packet_device() {
    u8* w = reply(512);
    put_word(w, 0, 0x85C0);  // CD-ROM, removable, DRQ within 50 us of PACKET, 12-byte packets
    put_text(w, 10, 10, identity_.serial);
    put_text(w, 23, 4, identity_.revision);
    put_text(w, 27, 20, identity_.vendor + " " + identity_.product);
    put_word(w, 49, 0x0F00);  // DMA, LBA, IORDY
    put_word(w, 53, 0x0006);
    put_word(w, 63, static_cast<u16>(0x0007 | (mwdma_ ? 0x0080u << mwdma_ : 0)));
    put_word(w, 64, 0x0003);
    for (unsigned i = 65; i <= 68; ++i) put_word(w, i, 120);
    put_word(w, 80, 0x007E);
    put_word(w, 82, 0x4218);  // NOP, DEVICE RESET, PACKET, power management
    put_word(w, 83, 0x4000);
    put_word(w, 84, 0x4000);
    put_word(w, 85, 0x4218);
    put_word(w, 87, 0x4000);
    put_word(w, 88, static_cast<u16>(0x0007 | (udma_ ? 0x0080u << udma_ : 0)));
    dma_ = false;
    at_ = 0, filled_ = 512, blocks_left_ = 0;
    identify_ = true;
    wait(kSendData, kCommandTime);
}

void AtapiCdrom::packet_command() {
    dma_ = features_ & 1;
    byte_limit_ = static_cast<u16>(lba_mid_ | lba_high_ << 8);
    if (byte_limit_ == 0 || byte_limit_ == 0xFFFF) byte_limit_ = 0xFFFE;
    in_packet_ = true;
    wait(kAskPacket, kCommandTime / 4);
}

void AtapiCdrom::step(u8 step) {
    switch (step) {
    case kAskPacket:
        sector_count_ = kCommandData;
        return start_transfer(Transfer::pio_out, packet_.size(), false);
    case kRunPacket: return dispatch();
    case kSendData: return send_block();
    case kRefill: return refill();
    case kDeviceReset: {
        const u8 selected = device_ & 0x10;
        signature();
        device_ = selected;
        error_ = 0x01;
        return;
    }
    default: return complete();
    }
}

void AtapiCdrom::transfer_done(Transfer transfer) {
    if (transfer == Transfer::pio_out || transfer == Transfer::dma_out) {
        if (!in_packet_) return at_ < filled_ ? receive_block() : data_received();
        in_packet_ = false;
        std::memcpy(packet_.data(), buffer_.data(), packet_.size());
        return wait(kRunPacket, kCommandTime);
    }
    if (identify_) {  // not a packet command: no interrupt follows the data
        identify_ = false;
        return;
    }
    if (at_ < filled_) return wait(kSendData, kCommandTime / 4);
    wait(blocks_left_ ? kRefill : kComplete, byte_time(filled_));
}

u8* AtapiCdrom::reply(size_t bytes) {
    std::memset(buffer_.data(), 0, bytes);
    return buffer_.data();
}

/// Answers with what reply() has prepared, as far as the host has allocated room for it.
void AtapiCdrom::send(size_t bytes, size_t allocation) {
    at_ = 0;
    filled_ = static_cast<u32>(std::min({bytes, allocation, kBufferSize}));
    blocks_left_ = 0;
    filled_ ? send_block() : complete();
}

/// The size of the next DRQ block: an odd number of bytes is allowed only at the end.
static u32 block_size(u32 left, u32 limit) {
    if (left <= limit) return left;
    return std::max<u32>(limit & ~1u, 2);
}

void AtapiCdrom::send_block() {
    if (at_ >= filled_) return complete();
    const u32 from = at_, bytes = dma_ ? filled_ - at_ : block_size(filled_ - at_, identify_ ? 512 : byte_limit_);
    at_ += bytes;
    if (!identify_) {
        sector_count_ = kToHost;
        lba_mid_ = static_cast<u8>(bytes);
        lba_high_ = static_cast<u8>(bytes >> 8);
    }
    start_transfer(dma_ ? Transfer::dma_in : Transfer::pio_in, bytes, !dma_, from);
}

void AtapiCdrom::receive(size_t bytes) {
    at_ = 0;
    filled_ = static_cast<u32>(std::min(bytes, kBufferSize));
    blocks_left_ = 0;
    filled_ ? receive_block() : data_received();
}

void AtapiCdrom::receive_block() {
    const u32 from = at_, bytes = dma_ ? filled_ - at_ : block_size(filled_ - at_, byte_limit_);
    at_ += bytes;
    sector_count_ = 0;
    lba_mid_ = static_cast<u8>(bytes);
    lba_high_ = static_cast<u8>(bytes >> 8);
    start_transfer(dma_ ? Transfer::dma_out : Transfer::pio_out, bytes, !dma_, from);
}

void AtapiCdrom::complete() {
    sector_count_ = kCommandData | kToHost;
    finish_now(0);
}

void AtapiCdrom::fail(Sense sense) {
    constexpr u8 kIllegalRequest = 0x05;
    log.debug("packet %02x fails: sense %x/%02x/%02x", packet_[0], sense.key, sense.asc, sense.ascq);
    sense_ = sense;
    sector_count_ = kCommandData | kToHost;
    finish_now(static_cast<u8>(sense.key << 4 | (sense.key == kIllegalRequest ? ABRT : 0)));
}

void AtapiCdrom::signature() {
    sector_count_ = lba_low_ = 1;
    lba_mid_ = 0x14;
    lba_high_ = 0xEB;
    device_ = 0;
    status_ = 0;  // DRDY stays clear until the first command
}

void AtapiCdrom::reset_command_state() {
    in_packet_ = identify_ = false;
    at_ = filled_ = blocks_left_ = 0;
}

void AtapiCdrom::reset() {
    locked_ = dma_ = false;
    sense_ = {};
    attention_ = {0x06, 0x29, 0x00};  // power on or reset
    event_ = loaded() ? MediaEvent::new_media : MediaEvent::none;
    error_recovery_ = {};
    speed_ = 0;
    udma_ = mwdma_ = 0;
    IdeDrive::reset();
}

void AtapiCdrom::Sense::state(StateIO& s) { s(key, asc, ascq); }

void AtapiCdrom::state(StateIO& s) {
    IdeDrive::state(s);
    s.version(1);
    s(tray_open_, locked_, sense_, attention_, event_, packet_, in_packet_, identify_, dma_, at_, filled_, byte_limit_, lba_,
      blocks_left_, parts_, error_recovery_, speed_, udma_, mwdma_);
    if (!s.loading()) return;
    filled_ = std::min<u32>(filled_, kBufferSize);
    at_ = std::min(at_, filled_);
    sense_.key &= 0x0F;
    attention_.key &= 0x0F;
    if (event_ > MediaEvent::removal) event_ = MediaEvent::none;
}
}  // namespace calque
