// The execution phase: finding, reading, writing, verifying and formatting sectors (datasheet, "Data transfer commands").
#include <algorithm>

#include "devices/storage/i82078.h"
#include "support/log.h"

namespace calque {
static Log log{"i82078_transfer"};

namespace {
constexpr u8 kN512 = 2;  // sector size code of every format we know
constexpr Time kTwoRevolutions = 40'000'000;
}  // namespace

Time I82078::sector_time() const {
    constexpr Time kTime[4] = {1'000'000, 1'600'000, 2'000'000, 500'000};
    return kTime[rate_];
}

/// True if address marks pass under the head at the rate that is set.
bool I82078::medium_answers() const {
    const FloppyDrive* d = selected();
    const bool mfm = command_[0] & 0x40;
    return d && mfm && motor_on(unit_) && d->readable_at(rate_) && d->cylinder() >= 0 && head_ < d->format().heads;
}

void I82078::start_transfer(Op op) {
    unit_ = command_[1] & 3, head_ = command_[1] >> 2 & 1;
    c_ = command_[2], h_ = command_[3], r_ = command_[4], n_ = command_[5];
    eot_ = eot_reg_ = command_[6];
    multi_track_ = (command_[0] & 0x80) && op != Op::read_track;
    skip_ = command_[0] & 0x20;
    counted_ = op == Op::verify && (command_[1] & 0x80);
    sectors_left_ = counted_ ? command_[8] : 0;
    if (op == Op::read_track) id_ = 1;
    op_ = op;
    st1_ = st2_ = 0;
    phase_ = Phase::executing;
    Time delay = 0;
    if ((config_ & EIS) && unit_ < 2 && c_ != pcn_[unit_]) {  // implied seek
        const int steps = int{c_} - pcn_[unit_];
        drives_[unit_].step(steps);
        pcn_[unit_] = c_;
        delay = static_cast<Time>(steps < 0 ? -steps : steps) * step_time();
    }
    if (!medium_answers()) return wait(Step::not_found, delay + kTwoRevolutions);
    wait(Step::sector, delay + sector_time());
}

void I82078::start_read_id() {
    unit_ = command_[1] & 3, head_ = command_[1] >> 2 & 1;
    op_ = Op::read_id;
    st1_ = st2_ = 0;
    c_ = h_ = r_ = n_ = 0;
    phase_ = Phase::executing;
    medium_answers() ? wait(Step::read_id, sector_time()) : wait(Step::not_found, kTwoRevolutions);
}

void I82078::start_format() {
    unit_ = command_[1] & 3, head_ = command_[1] >> 2 & 1;
    n_ = command_[2], sectors_left_ = command_[3], fill_ = command_[5];
    eot_reg_ = command_[3];
    c_ = h_ = r_ = 0;
    op_ = Op::format;
    st1_ = st2_ = 0;
    phase_ = Phase::executing;
    medium_answers() ? wait(Step::sector, sector_time()) : wait(Step::not_found, kTwoRevolutions);
}

void I82078::end_transfer(u8 st0, u8 st1, u8 st2) {
    st1_ |= st1, st2_ |= st2;
    finish({static_cast<u8>(st0 | head_ << 2 | unit_), st1_, st2_, c_, h_, r_, n_}, true);
}

void I82078::read_id_step() {
    if (!medium_answers()) return end_transfer(ST0_ABNORMAL, ST1_MA);
    const FloppyDrive& d = *selected();
    id_ = static_cast<u8>(id_ % d.format().sectors + 1);  // the disk turns on between two READ IDs
    c_ = static_cast<u8>(d.cylinder()), h_ = head_, r_ = id_, n_ = kN512;
    end_transfer(0);
}

/// Compares the wanted address with those on the track; ends the command if it is not there.
bool I82078::find_sector() {
    if (!medium_answers()) return end_transfer(ST0_ABNORMAL, ST1_MA), false;
    const FloppyDrive& d = *selected();
    const bool wrong_cylinder = c_ != d.cylinder();
    if (!wrong_cylinder && h_ == head_ && n_ == kN512 && r_ >= 1 && r_ <= d.format().sectors) return true;
    if (op_ == Op::read_track) {  // reads on, whatever the addresses are
        st1_ |= ST1_ND;
        return true;
    }
    end_transfer(ST0_ABNORMAL, ST1_ND, wrong_cylinder ? ST2_WC : 0);
    return false;
}

bool I82078::cannot_write() {
    if (!selected() || !selected()->write_protected()) return false;
    end_transfer(ST0_ABNORMAL, ST1_NW);
    return true;
}

void I82078::sector_step() {
    switch (op_) {
    case Op::format: return format_step();
    case Op::write: return write_step();
    case Op::read: case Op::read_deleted: case Op::read_track: case Op::verify: return read_step();
    default: return no_result();  // a damaged saved state
    }
}

void I82078::ask_cpu(Phase phase, unsigned bytes) {
    phase_ = phase;
    data_pos_ = 0;
    data_length_ = static_cast<u16>(bytes);
    set_interrupt(true);
}

void I82078::read_step() {
    if (!find_sector()) return;
    FloppyDrive& d = *selected();
    // All sectors of an image carry ordinary data marks.
    if (op_ == Op::read_deleted && skip_) return sector_done(false);
    if (op_ == Op::read_deleted) st2_ |= ST2_CM;
    const u8 sector = op_ == Op::read_track ? id_ : r_;
    if (sector < 1 || sector > d.format().sectors) return end_transfer(ST0_ABNORMAL, ST1_ND);
    if (!d.read(head_, sector, buffer_)) return end_transfer(ST0_ABNORMAL, ST1_DE, ST2_DD);
    if (op_ == Op::verify) return sector_done(false);
    if (hlt_nd_ & 1) return ask_cpu(Phase::data_in, FloppyDrive::kSector);
    bool tc = false;
    const unsigned n = dor_ & DOR_DMAGATE ? dma_.to_memory(buffer_, tc) : 0;
    if (n < buffer_.size() && !tc) return end_transfer(ST0_ABNORMAL, ST1_OR);
    sector_done(tc);
}

void I82078::write_step() {
    if (!find_sector() || cannot_write()) return;
    if (hlt_nd_ & 1) return ask_cpu(Phase::data_out, FloppyDrive::kSector);
    bool tc = false;
    const unsigned n = dor_ & DOR_DMAGATE ? dma_.from_memory(buffer_, tc) : 0;
    if (n < buffer_.size() && !tc) return end_transfer(ST0_ABNORMAL, ST1_OR);
    store_sector(n, tc);
}

/// Writes the buffer; after a terminal count inside the sector the rest is filled with zeros.
void I82078::store_sector(unsigned valid, bool tc) {
    if (!find_sector() || cannot_write()) return;
    std::fill(buffer_.begin() + std::min<unsigned>(valid, FloppyDrive::kSector), buffer_.end(), u8{0});
    if (valid != 0 && !selected()->write(head_, r_, buffer_)) {
        log.warn("writing cylinder %u head %u sector %u failed", c_, head_, r_);
        return end_transfer(ST0_ABNORMAL, ST1_DE, ST2_DD);
    }
    sector_done(tc);
}

/// The CPU has moved the last byte of a sector (or of a sector's address while formatting) in non-DMA mode.
void I82078::data_full() {
    const Phase was = phase_;
    phase_ = Phase::executing;
    data_pos_ = data_length_ = 0;
    set_interrupt(false);
    if (op_ == Op::format) return format_sector(false);
    if (was == Phase::data_out) return store_sector(FloppyDrive::kSector, false);
    sector_done(false);
}

/// Moves to the address after the current one; false at the end of the cylinder. Leaves in C, H and R what the result
/// phase reports (datasheet, table "Result phase").
bool I82078::next_sector() {
    if (op_ == Op::read_track) {
        ++r_;
        return id_++ < eot_;
    }
    if (r_ != eot_) {
        ++r_;
        return true;
    }
    r_ = 1;
    if (multi_track_ && head_ == 0) {
        head_ = 1;
        h_ ^= 1;
        return true;
    }
    if (multi_track_) h_ ^= 1;
    ++c_;
    return false;
}

void I82078::sector_done(bool tc) {
    const bool more = next_sector();
    if (tc) return end_transfer(0);
    if (counted_ && --sectors_left_ == 0) return end_transfer(0);
    if ((st2_ & ST2_CM) && op_ == Op::read_deleted) return end_transfer(0);
    if (more) return wait(Step::sector, sector_time());
    // VERIFY ends here in the ordinary way; for the others the end of the cylinder came before terminal count.
    if (op_ == Op::verify && !counted_) return end_transfer(0);
    end_transfer(ST0_ABNORMAL, ST1_EN);
}

void I82078::format_step() {
    if (!medium_answers()) return end_transfer(ST0_ABNORMAL, ST1_MA);
    if (cannot_write()) return;
    if (sectors_left_ == 0) return end_transfer(0);
    constexpr unsigned kAddress = 4;  // C, H, R, N of each sector
    if (hlt_nd_ & 1) return ask_cpu(Phase::data_out, kAddress);
    bool tc = false;
    const unsigned n = dor_ & DOR_DMAGATE ? dma_.from_memory(std::span{buffer_}.first(kAddress), tc) : 0;
    if (n < kAddress) return end_transfer(tc ? 0 : ST0_ABNORMAL, tc ? 0 : ST1_OR);
    format_sector(tc);
}

void I82078::format_sector(bool tc) {
    if (!medium_answers()) return end_transfer(ST0_ABNORMAL, ST1_MA);
    FloppyDrive& d = *selected();
    c_ = buffer_[0], h_ = buffer_[1], r_ = buffer_[2], n_ = buffer_[3];
    const bool fits = c_ == d.cylinder() && h_ == head_ && r_ >= 1 && r_ <= d.format().sectors && n_ == kN512;
    buffer_.fill(fill_);
    if (!fits || !d.write(head_, r_, buffer_)) {
        log.warn("sector %u/%u/%u/%u does not fit the image's format", c_, h_, r_, n_);
        return end_transfer(ST0_ABNORMAL, ST1_DE);
    }
    if (--sectors_left_ == 0 || tc) return end_transfer(0);
    wait(Step::sector, sector_time());
}
}  // namespace calque
