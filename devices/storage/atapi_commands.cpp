// Packet commands: dispatch, reading, medium and tray (MMC-3 and SPC-2, one function a command).
#include <algorithm>
#include <cstring>
#include <utility>

#include "devices/storage/atapi_cdrom.h"
#include "devices/storage/big_endian.h"
#include "devices/storage/cd_sector.h"
#include "support/log.h"

namespace calque {
static Log log{"atapi_commands"};

namespace {
constexpr u8 kNotReady = 0x02, kMediumError = 0x03, kIllegalRequest = 0x05;
constexpr u8 kSync = 0x80, kHeader = 0x20, kUserData = 0x10, kEdcEcc = 0x08;  // READ CD byte 9
}  // namespace

void AtapiCdrom::dispatch() {
    const u8 opcode = packet_[0];
    const bool asks_for_status = opcode == 0x03 || opcode == 0x12 || opcode == 0x46 || opcode == 0x4A;
    if (attention_.key && !asks_for_status) {
        const Sense s = attention_;
        attention_ = {};
        return fail(s);
    }
    if (opcode != 0x03) sense_ = {};
    if (dispatch_media(opcode) || dispatch_status(opcode)) return;
    log.debug("packet command %02x is not one of a CD-ROM drive", opcode);
    fail({kIllegalRequest, 0x20, 0x00});
}

bool AtapiCdrom::dispatch_media(u8 opcode) {
    const u8* p = packet_.data();
    switch (opcode) {
    case 0x00: test_unit_ready(); return true;
    case 0x1B: start_stop(); return true;
    case 0x1E: prevent_allow(); return true;
    case 0x25: read_capacity(); return true;
    case 0x28: read_blocks(get_be32(p + 2), get_be16(p + 7), kUserData); return true;
    case 0x2B: seek(); return true;
    case 0xA8: read_blocks(get_be32(p + 2), get_be32(p + 6), kUserData); return true;
    case 0xB9: read_cd(true); return true;
    case 0xBE: read_cd(false); return true;
    case 0x42: read_sub_channel(); return true;
    case 0x43: read_toc(); return true;
    case 0x51: read_disc_information(); return true;
    case 0x52: read_track_information(); return true;
    case 0xAD: read_dvd_structure(); return true;
    default: return false;
    }
}

bool AtapiCdrom::dispatch_status(u8 opcode) {
    switch (opcode) {
    case 0x03: request_sense(); return true;
    case 0x12: inquiry(); return true;
    case 0x15: mode_select(false); return true;
    case 0x55: mode_select(true); return true;
    case 0x1A: mode_sense(false); return true;
    case 0x5A: mode_sense(true); return true;
    case 0x46: get_configuration(); return true;
    case 0x4A: get_event_status(); return true;
    case 0xBB: set_speed(); return true;
    case 0xBD: mechanism_status(); return true;
    default: return false;
    }
}

/// Fails the command unless a medium can be read.
bool AtapiCdrom::ready() {
    if (loaded()) return true;
    fail({kNotReady, 0x3A, static_cast<u8>(tray_open_ ? 0x02 : 0x01)});  // medium not present, tray open or closed
    return false;
}

void AtapiCdrom::test_unit_ready() {
    if (ready()) complete();
}

void AtapiCdrom::request_sense() {
    // With no error to report the pending unit attention is; reporting clears it.
    if (!sense_.key) sense_ = std::exchange(attention_, Sense{});
    u8* d = reply(18);
    d[0] = 0x70;
    d[2] = sense_.key;
    d[7] = 10;
    d[12] = sense_.asc;
    d[13] = sense_.ascq;
    sense_ = {};
    send(18, packet_[4]);
}

void AtapiCdrom::inquiry() {
    if (packet_[1] & 3) return fail({kIllegalRequest, 0x24, 0x00});  // no vital product data pages
    u8* d = reply(36);
    d[0] = 0x05;  // CD-ROM device
    d[1] = 0x80;  // removable
    d[3] = 0x21;  // ATAPI response format
    d[4] = 31;
    const auto text = [d](unsigned at, unsigned size, const std::string& s) {
        for (unsigned i = 0; i < size; ++i) d[at + i] = static_cast<u8>(i < s.size() ? s[i] : ' ');
    };
    text(8, 8, identity_.vendor);
    text(16, 16, identity_.product);
    text(32, 4, identity_.revision);
    send(36, get_be16(packet_.data() + 3));
}

void AtapiCdrom::read_capacity() {
    if (!ready()) return;
    u8* d = reply(8);
    put_be32(d, blocks() ? blocks() - 1 : 0);
    put_be32(d + 4, kCdDataSize);
    send(8, 8);
}

u32 AtapiCdrom::sector_size() const {
    return (parts_ & kSync ? 12u : 0u) + (parts_ & kHeader ? 4u : 0u) + (parts_ & kUserData ? kCdDataSize : 0u) +
           (parts_ & kEdcEcc ? 288u : 0u);
}

void AtapiCdrom::read_blocks(u32 lba, u32 count, u8 parts) {
    if (!ready()) return;
    if (lba > blocks() || count > blocks() - lba) return fail({kIllegalRequest, 0x21, 0x00});  // out of range
    parts_ = parts;
    if (count == 0 || sector_size() == 0) return complete();
    lba_ = lba;
    blocks_left_ = count;
    wait(kRefill, kAccessTime);
}

void AtapiCdrom::read_cd(bool msf) {
    const u8* p = packet_.data();
    const u8 type = p[1] >> 2 & 7;
    // All sectors here are Mode 1; there is no C2 and no sub-channel data to give.
    if (type != 0 && type != 2) return fail({kIllegalRequest, 0x64, 0x00});
    if ((p[9] & 0x06) || (p[10] & 0x07)) return fail({kIllegalRequest, 0x24, 0x00});
    u32 lba = get_be32(p + 2), count = get_be32(p + 5) & 0xFFFFFF;
    if (msf) {
        const u32 end = lba_of({p[6], p[7], p[8]});
        lba = lba_of({p[3], p[4], p[5]});
        if (end < lba) return fail({kIllegalRequest, 0x24, 0x00});
        count = end - lba;
    }
    read_blocks(lba, count, p[9] & (kSync | kHeader | kUserData | kEdcEcc));
}

/// Reads the user data of `count` blocks; the image may end inside the last one.
bool AtapiCdrom::fetch(u32 lba, u32 count, u8* out) {
    const u64 offset = u64{lba} * kCdDataSize, size = medium_->size();
    const size_t wanted = size_t{count} * kCdDataSize;
    const size_t there = offset < size ? static_cast<size_t>(std::min<u64>(wanted, size - offset)) : 0;
    std::memset(out + there, 0, wanted - there);
    return there == 0 || medium_->read(offset, {out, there});
}

/// Fills the buffer with as many whole sectors as one DRQ block may hold, one at least.
void AtapiCdrom::refill() {
    const u32 size = sector_size();
    if (!ready()) return;
    if (size == 0 || blocks_left_ == 0) return complete();
    const u32 room = dma_ ? static_cast<u32>(kBufferSize) : byte_limit_;
    const u32 count = std::clamp<u32>(room / size, 1, blocks_left_);
    bool good = lba_ < blocks() && count <= blocks() - lba_;
    if (parts_ == kUserData) {
        good = good && fetch(lba_, count, buffer_.data());
    } else {
        std::array<u8, kCdDataSize> data;
        std::array<u8, kCdRawSize> raw;
        u8* out = buffer_.data();
        for (u32 i = 0; i < count && good; ++i) {
            good = fetch(lba_ + i, 1, data.data());
            build_raw_sector(lba_ + i, data, raw);
            if (parts_ & kSync) out = std::copy_n(raw.data(), 12, out);
            if (parts_ & kHeader) out = std::copy_n(raw.data() + 12, 4, out);
            if (parts_ & kUserData) out = std::copy_n(raw.data() + 16, kCdDataSize, out);
            if (parts_ & kEdcEcc) out = std::copy_n(raw.data() + 2064, 288, out);
        }
    }
    if (!good) return fail({kMediumError, 0x11, 0x00});  // unrecovered read error
    lba_ += count;
    blocks_left_ -= count;
    at_ = 0;
    filled_ = count * size;
    send_block();
}

void AtapiCdrom::seek() {
    if (!ready()) return;
    if (get_be32(packet_.data() + 2) >= blocks()) return fail({kIllegalRequest, 0x21, 0x00});
    complete();
}

void AtapiCdrom::start_stop() {
    const u8 power_condition = packet_[4] >> 4;
    const bool start = packet_[4] & 1, load_eject = packet_[4] & 2;
    if (power_condition) return complete();
    if (load_eject) {
        if (!start && locked_) return fail({kIllegalRequest, 0x53, 0x02});  // medium removal prevented
        move_tray(!start);
        return complete();
    }
    if (start && !ready()) return;
    complete();
}

void AtapiCdrom::prevent_allow() {
    locked_ = packet_[4] & 1;
    complete();
}

void AtapiCdrom::set_speed() {
    speed_ = get_be16(packet_.data() + 2);
    complete();
}
}  // namespace calque
