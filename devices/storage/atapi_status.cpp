// Packet commands that describe the drive and the disc (MMC-3): mode pages, features, events, table of contents.
#include <algorithm>
#include <cstring>
#include <utility>

#include "devices/storage/atapi_cdrom.h"
#include "devices/storage/big_endian.h"
#include "devices/storage/cd_sector.h"

namespace calque {
namespace {
constexpr u8 kIllegalRequest = 0x05;
constexpr u8 kDataTrack = 0x14;   // ADR 1, control 4: data, copy prohibited
constexpr u16 kMaxSpeed = 8467;   // 48x in kB/s
constexpr u32 kLongestCd = (99 * 60 + 59) * 75 + 74 - 150;  // what an MSF address can express
}  // namespace

bool AtapiCdrom::is_dvd() const { return blocks() > kLongestCd; }

void AtapiCdrom::put_address(u8* out, u32 lba, bool msf) const {
    if (!msf) return put_be32(out, lba);
    const Msf m = msf_of(lba);
    out[0] = 0, out[1] = m.minute, out[2] = m.second, out[3] = m.frame;
}

void AtapiCdrom::read_toc() {
    if (!ready()) return;
    const bool msf = packet_[1] & 2;
    const u8 from = packet_[6];
    u8 format = packet_[2] & 0x0F;
    if (format == 0) format = packet_[9] >> 6;  // where the first ATAPI drives had it
    u8* d = reply(64);
    d[2] = d[3] = 1;  // first and last track or session
    size_t n = 4;
    const auto track = [&](u8 number, u32 lba) {
        d[n + 1] = kDataTrack;
        d[n + 2] = number;
        put_address(d + n + 4, lba, msf);
        n += 8;
    };
    const auto point = [&](u8 number, Msf at) {
        d[n] = 1, d[n + 1] = kDataTrack, d[n + 3] = number;
        d[n + 8] = at.minute, d[n + 9] = at.second, d[n + 10] = at.frame;
        n += 11;
    };
    switch (format) {
    case 0:
        if (from > 1 && from != 0xAA) return fail({kIllegalRequest, 0x24, 0x00});
        if (from <= 1) track(1, 0);
        track(0xAA, blocks());
        break;
    case 1: track(1, 0); break;  // the only session starts with track 1
    case 2:
        point(0xA0, {1, 0, 0});  // first track, disc type CD-ROM
        point(0xA1, {1, 0, 0});  // last track
        point(0xA2, msf_of(blocks()));
        point(1, msf_of(0));
        break;
    default: return fail({kIllegalRequest, 0x24, 0x00});
    }
    put_be16(d, static_cast<u32>(n - 2));
    send(n, get_be16(packet_.data() + 7));
}

void AtapiCdrom::read_sub_channel() {
    if (!ready()) return;
    const bool msf = packet_[1] & 2, sub_q = packet_[2] & 0x40;
    const u8 format = packet_[3];
    if (sub_q && (format < 1 || format > 3)) return fail({kIllegalRequest, 0x24, 0x00});
    u8* d = reply(24);
    d[1] = 0x15;  // no audio status to report
    size_t n = 4;
    if (sub_q) {
        d[4] = format;
        n = format == 1 ? 16 : 24;  // catalogue number and ISRC: none recorded
        if (format != 2) d[5] = kDataTrack, d[6] = 1;
        if (format == 1) {
            d[7] = 1;
            put_address(d + 8, lba_, msf);
            if (msf) {  // relative to the start of the track, so without the two seconds
                const Msf m = msf_of_frames(lba_);
                d[13] = m.minute, d[14] = m.second, d[15] = m.frame;
            } else {
                put_be32(d + 12, lba_);
            }
        }
    }
    put_be16(d + 2, static_cast<u32>(n - 4));
    send(n, get_be16(packet_.data() + 7));
}

/// Writes one page; `control` 0 current, 1 changeable bits, 2 default values. Returns its size, 0 for an unknown page.
size_t AtapiCdrom::mode_page(u8 page, u8 control, u8* d) const {
    d[0] = page;
    switch (page) {
    case 0x01:  // read error recovery
        d[1] = 6;
        if (control == 0) std::copy(error_recovery_.begin(), error_recovery_.end(), d + 2);
        if (control == 1) d[2] = 0xFF, d[3] = 0xFF;
        return 8;
    case 0x0E:  // CD audio control
        d[1] = 14;
        if (control != 1) d[2] = 0x04, d[8] = 1, d[9] = 0xFF, d[10] = 2, d[11] = 0xFF;
        return 16;
    case 0x1A:  // power condition
        d[1] = 10;
        return 12;
    case 0x2A:  // capabilities and mechanical status
        d[1] = 18;
        if (control == 1) return 20;
        d[2] = 0x0F;  // reads CD-R, CD-RW, Method 2, DVD-ROM
        d[4] = 0x70;  // multi-session, Mode 2 forms 1 and 2
        d[6] = static_cast<u8>(0x29 | (control == 0 && locked_ ? 0x02 : 0));  // tray, eject, lock
        put_be16(d + 8, kMaxSpeed);
        put_be16(d + 12, kBufferSize / kKiB);
        put_be16(d + 14, control == 0 && speed_ ? std::min(speed_, kMaxSpeed) : kMaxSpeed);
        return 20;
    default: return 0;
    }
}

void AtapiCdrom::mode_sense(bool ten) {
    const u8 wanted = packet_[2] & 0x3F, control = packet_[2] >> 6;
    if (control == 3) return fail({kIllegalRequest, 0x39, 0x00});  // saving parameters is not supported
    u8* d = reply(128);
    size_t n = ten ? 8 : 4;
    for (u8 page : {0x01, 0x0E, 0x1A, 0x2A})
        if (wanted == page || wanted == 0x3F) n += mode_page(page, control, d + n);
    if (n == (ten ? 8u : 4u)) return fail({kIllegalRequest, 0x24, 0x00});
    const u8 medium_type = tray_open_ ? 0x71 : medium_ ? 0x01 : 0x70;
    if (ten) put_be16(d, static_cast<u32>(n - 2)), d[2] = medium_type;
    else d[0] = static_cast<u8>(n - 1), d[1] = medium_type;
    send(n, ten ? get_be16(packet_.data() + 7) : packet_[4]);
}

void AtapiCdrom::mode_select(bool ten) {
    if (packet_[1] & 1) return fail({kIllegalRequest, 0x24, 0x00});  // pages cannot be saved
    receive(ten ? get_be16(packet_.data() + 7) : packet_[4]);
}

/// The parameter list of MODE SELECT is in the buffer. Nothing is applied unless all of it is good.
AtapiCdrom::Sense AtapiCdrom::apply_mode_pages() {
    const Sense kBadLength{kIllegalRequest, 0x1A, 0x00}, kBadField{kIllegalRequest, 0x26, 0x00};
    const u8* d = buffer_.data();
    const bool ten = packet_[0] == 0x55;
    if (filled_ == 0) return {};
    if (filled_ < (ten ? 8u : 4u)) return kBadLength;
    size_t at = ten ? 8u + get_be16(d + 6) : 4u + d[3];
    auto recovery = error_recovery_;
    while (at < filled_) {
        if (filled_ - at < 2 || size_t{d[at + 1]} + 2 > filled_ - at) return kBadLength;
        const u8 page = d[at] & 0x3F;
        std::array<u8, 32> known{};
        const size_t size = mode_page(page, 0, known.data());
        if (size == 0) return kBadField;
        if (page == 0x01) {
            if (d[at + 1] != 6) return kBadLength;
            recovery = {d[at + 2], d[at + 3], 0, 0, 0, 0};
        }
        at += size_t{d[at + 1]} + 2;
    }
    error_recovery_ = recovery;
    return {};
}

void AtapiCdrom::data_received() {
    const Sense s = apply_mode_pages();
    s.key ? fail(s) : complete();
}

/// One feature descriptor (MMC-3, "Features"); 0 for a feature that the drive does not have.
size_t AtapiCdrom::feature(u16 code, u8* d) const {
    const auto head = [&](u8 version, bool persistent, bool current, u8 additional) -> size_t {
        put_be16(d, code);
        d[2] = static_cast<u8>(version << 2 | persistent << 1 | current);
        d[3] = additional;
        return 4u + additional;
    };
    const bool cd = loaded() && !is_dvd(), dvd = loaded() && is_dvd();
    switch (code) {
    case 0x0000:  // profile list
        put_be16(d + 4, 0x0010), d[6] = dvd;
        put_be16(d + 8, 0x0008), d[10] = cd;
        return head(0, true, true, 8);
    case 0x0001:  // core: ATAPI
        d[7] = 0x02;
        return head(0, true, true, 4);
    case 0x0003:  // removable medium: tray, eject, lock
        d[4] = 0x29;
        return head(0, true, true, 4);
    case 0x0010:  // random readable
        put_be32(d + 4, kCdDataSize);
        put_be16(d + 8, 1);
        return head(0, false, loaded(), 8);
    case 0x001E: return head(0, false, cd, 4);   // CD read
    case 0x001F: return head(0, false, dvd, 0);  // DVD read
    case 0x0100: return head(0, true, true, 0);  // power management
    default: return 0;
    }
}

void AtapiCdrom::get_configuration() {
    const u8 which = packet_[1] & 3;
    const u16 from = get_be16(packet_.data() + 2);
    if (which == 3) return fail({kIllegalRequest, 0x24, 0x00});
    u8* d = reply(128);
    size_t n = 8;
    for (u16 code : {0x0000, 0x0001, 0x0003, 0x0010, 0x001E, 0x001F, 0x0100}) {
        if (which == 2 ? code != from : code < from) continue;
        const size_t size = feature(code, d + n);
        if (which == 1 && !(d[n + 2] & 1)) std::memset(d + n, 0, size);
        else n += size;
    }
    put_be32(d, static_cast<u32>(n - 4));
    put_be16(d + 6, !loaded() ? 0 : is_dvd() ? 0x0010 : 0x0008);
    send(n, get_be16(packet_.data() + 7));
}

void AtapiCdrom::get_event_status() {
    constexpr u8 kMediaClass = 4, kNoEvent = 0x80;
    if (!(packet_[1] & 1)) return fail({kIllegalRequest, 0x24, 0x00});  // only polled operation exists
    u8* d = reply(8);
    d[3] = 1 << kMediaClass;
    size_t n = 4;
    if (packet_[4] & (1 << kMediaClass)) {
        d[2] = kMediaClass;
        d[4] = static_cast<u8>(std::exchange(event_, MediaEvent::none));
        d[5] = static_cast<u8>(tray_open_ | loaded() << 1);
        n = 8;
    } else {
        d[2] = kNoEvent;
    }
    put_be16(d, static_cast<u32>(n - 2));
    send(n, get_be16(packet_.data() + 7));
}

void AtapiCdrom::read_disc_information() {
    if (!ready()) return;
    u8* d = reply(34);
    put_be16(d, 32);
    d[2] = 0x0E;  // complete disc, complete session
    d[3] = d[4] = d[5] = d[6] = 1;
    d[7] = 0x20;  // unrestricted use
    std::memset(d + 17, 0xFF, 3);  // no further lead-in or lead-out
    std::memset(d + 21, 0xFF, 3);
    send(34, get_be16(packet_.data() + 7));
}

void AtapiCdrom::read_track_information() {
    if (!ready()) return;
    const u32 number = get_be32(packet_.data() + 2);
    const bool by_lba = (packet_[1] & 3) == 0;
    if (by_lba ? number >= blocks() : number != 1) return fail({kIllegalRequest, 0x24, 0x00});
    u8* d = reply(36);
    put_be16(d, 34);
    d[2] = d[3] = 1;
    d[5] = 0x04;  // data track
    d[6] = 0x01;  // Mode 1
    put_be32(d + 24, blocks());
    send(36, get_be16(packet_.data() + 7));
}

void AtapiCdrom::read_dvd_structure() {
    if (!ready()) return;
    const u8 layer = packet_[6], format = packet_[7];
    if (!is_dvd()) return fail({kIllegalRequest, 0x30, 0x02});  // cannot read medium: incompatible format
    if (layer != 0 || format > 1) return fail({kIllegalRequest, 0x24, 0x00});
    constexpr u32 kFirstDataSector = 0x30000;
    const size_t n = format == 0 ? 4 + 2048 : 8;
    u8* d = reply(n);
    put_be16(d, static_cast<u32>(n - 2));
    if (format == 0) {
        d[4] = 0x01;  // DVD-ROM, version 1
        d[5] = 0x0F;  // 120 mm, no maximum rate given
        d[6] = 0x01;  // one layer, embossed
        put_be32(d + 8, kFirstDataSector);
        put_be32(d + 12, kFirstDataSector + blocks() - 1);
    }
    send(n, get_be16(packet_.data() + 8));
}

void AtapiCdrom::mechanism_status() {
    u8* d = reply(8);
    d[1] = tray_open_ ? 0x10 : 0x00;
    d[2] = static_cast<u8>(lba_ >> 16), d[3] = static_cast<u8>(lba_ >> 8), d[4] = static_cast<u8>(lba_);
    d[5] = 1;  // one slot
    send(8, get_be16(packet_.data() + 8));
}
}  // namespace calque
