#include "devices/storage/ide_drive.h"

#include <algorithm>
#include <utility>

#include "support/assert.h"
#include "support/state_io.h"

namespace calque {

IdeDrive::IdeDrive(Clock& clock) : clock_{clock}, buffer_(kBufferSize), timer_{clock, [this] { expire(); }} {}

u8 IdeDrive::read_register(u8 reg, bool hob) const {
    switch (reg) {
    case kError: return error_;
    case kSectorCount: return hob ? hob_sector_count_ : sector_count_;
    case kLbaLow: return hob ? hob_lba_low_ : lba_low_;
    case kLbaMid: return hob ? hob_lba_mid_ : lba_mid_;
    case kLbaHigh: return hob ? hob_lba_high_ : lba_high_;
    case kDevice: return device_;
    case kStatus: return status_;
    default: return 0xFF;
    }
}

void IdeDrive::write_register(u8 reg, u8 value) {
    if (busy()) return;
    const auto push = [value](u8& current, u8& previous) { previous = current, current = value; };
    switch (reg) {
    case kFeatures: return push(features_, hob_features_);
    case kSectorCount: return push(sector_count_, hob_sector_count_);
    case kLbaLow: return push(lba_low_, hob_lba_low_);
    case kLbaMid: return push(lba_mid_, hob_lba_mid_);
    case kLbaHigh: return push(lba_high_, hob_lba_high_);
    case kDevice: device_ = value; return;
    default: return;
    }
}

void IdeDrive::write_command(u8 opcode) {
    if (busy() && !interrupts_busy(opcode)) return;
    // A command while DRQ is set abandons the transfer: the standard forbids it, drives take it.
    timer_.disarm();
    stop_transfer();
    reset_command_state();
    set_intrq(false);
    error_ = 0;
    status_ &= static_cast<u8>(~(ERR | DF | DRQ | BSY));
    execute(opcode);
}

u16 IdeDrive::read_data() {
    if (transfer_ != Transfer::pio_in) return 0xFFFF;
    u16 v = buffer_[pos_++];
    // An odd byte count is padded to a whole word.
    if (pos_ < len_) v |= static_cast<u16>(buffer_[pos_++] << 8);
    if (pos_ >= len_) {
        stop_transfer();
        status_ &= static_cast<u8>(~DRQ);
        transfer_done(Transfer::pio_in);
    }
    return v;
}

void IdeDrive::write_data(u16 value) {
    if (transfer_ != Transfer::pio_out) return;
    buffer_[pos_++] = static_cast<u8>(value);
    if (pos_ < len_) buffer_[pos_++] = static_cast<u8>(value >> 8);
    if (pos_ >= len_) {
        stop_transfer();
        status_ &= static_cast<u8>(~DRQ);
        transfer_done(Transfer::pio_out);
    }
}

void IdeDrive::dma_moved(size_t bytes) {
    pos_ += static_cast<u32>(std::min<size_t>(bytes, len_ - pos_));
    if (pos_ < len_) return;
    const Transfer done = transfer_;
    stop_transfer();
    status_ &= static_cast<u8>(~DRQ);
    transfer_done(done);
}

void IdeDrive::acknowledge() { set_intrq(false); }

void IdeDrive::set_intrq(bool level) {
    intrq_ = level;
    if (host_) host_->drive_changed();
}

void IdeDrive::wait(u8 next, Time delay) {
    step_ = next;
    status_ |= BSY;
    timer_.arm_in(delay);
}

void IdeDrive::finish_later(u8 error, Time delay) {
    result_ = error;
    wait(kFinish, delay);
}

void IdeDrive::finish_now(u8 error, u8 extra_status) {
    stop_transfer();
    error_ = error;
    status_ = static_cast<u8>(DRDY | DSC | extra_status | (error ? ERR : 0));
    set_intrq(true);
}

void IdeDrive::start_transfer(Transfer transfer, size_t bytes, bool interrupt, size_t from) {
    ASSERT(bytes && from + bytes <= kBufferSize);
    transfer_ = transfer;
    pos_ = static_cast<u32>(from);
    len_ = static_cast<u32>(from + bytes);
    status_ = DRDY | DSC | DRQ;
    set_intrq(interrupt);
}

void IdeDrive::expire() {
    const u8 now = std::exchange(step_, u8{kNoStep});
    status_ &= static_cast<u8>(~BSY);
    switch (now) {
    case kNoStep: return;
    case kFinish: return finish_now(result_);
    case kResetDone: return reset_done();
    default: return step(now);
    }
}

void IdeDrive::reset_done() {
    signature();
    error_ = 0x01;  // diagnostic code: device passed
    if (interrupt_after_reset_) set_intrq(true);
}

void IdeDrive::software_reset(bool asserted) {
    reset_command_state();
    stop_transfer();
    timer_.disarm();
    step_ = kNoStep;
    status_ = BSY;
    set_intrq(false);
    interrupt_after_reset_ = false;
    if (!asserted) wait(kResetDone, kResetTime);
}

void IdeDrive::diagnose(bool interrupt) {
    software_reset(false);
    interrupt_after_reset_ = interrupt;
}

void IdeDrive::reset() {
    features_ = hob_features_ = hob_sector_count_ = hob_lba_low_ = hob_lba_mid_ = hob_lba_high_ = 0;
    software_reset(false);
}

void IdeDrive::state(StateIO& s) {
    s.version(1);
    s(features_, sector_count_, lba_low_, lba_mid_, lba_high_, device_);
    s(hob_features_, hob_sector_count_, hob_lba_low_, hob_lba_mid_, hob_lba_high_);
    s(status_, error_, transfer_, pos_, len_, step_, result_, intrq_, interrupt_after_reset_, timer_);
    if (s.loading()) {
        len_ = std::min<u32>(len_, kBufferSize);
        if (transfer_ > Transfer::dma_out || pos_ >= len_) stop_transfer();
    }
    // Write commands that wait for the disk keep their data here although no transfer is going on.
    s.raw(buffer_.data(), buffer_.size());
}
}  // namespace calque
