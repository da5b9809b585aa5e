// The command set (datasheet, "Command set/descriptions"): recognising commands, and those that move no data.
#include <algorithm>

#include "devices/storage/i82078.h"

namespace calque {
namespace {
struct Command {
    u8 opcode, option_bits, parameters;
};
// Option bits may be set or clear: MT 80h, MFM 40h, SK 20h; for LOCK and RELATIVE SEEK their own.
constexpr Command kCommands[] = {
    {0x02, 0x40, 8},  // READ TRACK
    {0x03, 0x00, 2},  // SPECIFY
    {0x04, 0x00, 1},  // SENSE DRIVE STATUS
    {0x05, 0xC0, 8},  // WRITE DATA
    {0x06, 0xE0, 8},  // READ DATA
    {0x07, 0x00, 1},  // RECALIBRATE
    {0x08, 0x00, 0},  // SENSE INTERRUPT STATUS
    {0x09, 0xC0, 8},  // WRITE DELETED DATA
    {0x0A, 0x40, 1},  // READ ID
    {0x0C, 0xE0, 8},  // READ DELETED DATA
    {0x0D, 0x40, 5},  // FORMAT TRACK
    {0x0E, 0x00, 0},  // DUMPREG
    {0x0F, 0x00, 2},  // SEEK
    {0x10, 0x00, 0},  // VERSION
    {0x12, 0x00, 1},  // PERPENDICULAR MODE
    {0x13, 0x00, 3},  // CONFIGURE
    {0x14, 0x80, 0},  // LOCK
    {0x16, 0xE0, 8},  // VERIFY
    {0x17, 0x00, 1},  // POWERDOWN MODE
    {0x18, 0x00, 0},  // PART ID
    {0x33, 0x00, 1},  // OPTION
    {0x8F, 0x40, 2},  // RELATIVE SEEK
};

const Command* recognise(u8 first) {
    for (const auto& c : kCommands)
        if ((first & ~c.option_bits) == c.opcode) return &c;
    return nullptr;
}
}  // namespace

/// Called for each byte of the command phase; runs the command when it is complete.
void I82078::execute() {
    if (command_[0] == 0x8E) return drive_specification();  // of variable length
    const Command* c = recognise(command_[0]);
    if (!c) return invalid();
    if (command_length_ <= c->parameters) return;
    switch (c->opcode) {
    case 0x02: return start_transfer(Op::read_track);
    case 0x03: return specify();
    case 0x04: return sense_drive();
    case 0x05: case 0x09: return start_transfer(Op::write);
    case 0x06: return start_transfer(Op::read);
    case 0x07: return recalibrate();
    case 0x08: return sense_interrupt();
    case 0x0A: return start_read_id();
    case 0x0C: return start_transfer(Op::read_deleted);
    case 0x0D: return start_format();
    case 0x0E: return dump_registers();
    case 0x0F: return seek();
    case 0x10: return finish({0x90});
    case 0x12: return perpendicular();
    case 0x13: return configure();
    case 0x14: return lock();
    case 0x16: return start_transfer(Op::verify);
    case 0x17: return finish({command_[1]});
    case 0x18: return finish({0x01});
    case 0x33: return no_result();
    case 0x8F: return relative_seek();
    default: return invalid();
    }
}

void I82078::specify() {
    srt_hut_ = command_[1];
    hlt_nd_ = command_[2];
    no_result();
}

void I82078::sense_drive() {
    const u8 unit = command_[1] & 3, head = command_[1] & 4;
    u8 st3 = static_cast<u8>(0x28 | head | unit);  // bits 5 and 3 are always set
    if (unit < 2) {
        const FloppyDrive& d = drives_[unit];
        if (d.at_track0()) st3 |= 0x10;
        if (d.type() != FloppyType::none && d.write_protected()) st3 |= 0x40;
    }
    finish({st3});
}

/// After a reset four results are due, one for each unit; otherwise those of ended seeks.
void I82078::sense_interrupt() {
    set_interrupt(false);
    if (polls_left_) {
        const u8 unit = static_cast<u8>(4 - polls_left_--);
        return finish({static_cast<u8>(ST0_POLL | unit), pcn_[unit]});
    }
    for (u8 unit = 0; unit < 4; ++unit) {
        if (!(seek_pending_ >> unit & 1)) continue;
        seek_pending_ &= static_cast<u8>(~(1u << unit));
        return finish({seek_st0_[unit], pcn_[unit]});
    }
    finish({ST0_INVALID});
}

Time I82078::step_time() const {
    // SRT counts down from 16, in units of 0.5 ms at 500 kb/s.
    constexpr Time kUnit[4] = {500'000, 833'000, 1'000'000, 250'000};
    return (16 - (srt_hut_ >> 4)) * kUnit[rate_];
}

void I82078::start_seek(unsigned unit, int steps, u8 st0) {
    if (unit < 2) drives_[unit].step(steps);
    seek_st0_[unit] = st0;
    seeking_ |= static_cast<u8>(1u << unit);
    seek_pending_ &= static_cast<u8>(~(1u << unit));
    polls_left_ = 0;
    const Time n = static_cast<Time>(steps < 0 ? -steps : steps);
    seek_timers_[unit].arm_in(50'000 + n * step_time());
    no_result();
}

void I82078::seek_done(unsigned unit) {
    seeking_ &= static_cast<u8>(~(1u << unit));
    seek_pending_ |= static_cast<u8>(1u << unit);
    set_interrupt(true);
}

void I82078::recalibrate() {
    constexpr int kMostSteps = 79;
    const u8 unit = command_[1] & 3;
    int steps = kMostSteps;
    if (unit < 2 && drives_[unit].at_track0()) steps = 0;
    else if (unit < 2 && drives_[unit].type() != FloppyType::none) steps = std::min<int>(kMostSteps, drives_[unit].track());
    start_seek(unit, -steps, 0);
    pcn_[unit] = 0;
    const bool found = unit < 2 && drives_[unit].at_track0();
    seek_st0_[unit] = static_cast<u8>(ST0_SE | unit | (found ? 0 : ST0_ABNORMAL | ST0_EC));
}

void I82078::seek() {
    const u8 unit = command_[1] & 3, head = command_[1] & 4, to = command_[2];
    const int steps = int{to} - pcn_[unit];
    pcn_[unit] = to;
    start_seek(unit, steps, static_cast<u8>(ST0_SE | head | unit));
}

void I82078::relative_seek() {
    const u8 unit = command_[1] & 3, head = command_[1] & 4;
    const int steps = command_[0] & 0x40 ? command_[2] : -int{command_[2]};  // DIR set: towards the spindle
    pcn_[unit] = static_cast<u8>(pcn_[unit] + steps);
    start_seek(unit, steps, static_cast<u8>(ST0_SE | head | unit));
}

void I82078::configure() {
    config_ = command_[2] & 0x7F;
    pretrk_ = command_[3];
    no_result();
}

void I82078::perpendicular() {
    const u8 v = command_[1];
    perpendicular_ = static_cast<u8>((v & 0x80 ? v & 0x3C : perpendicular_ & 0x3C) | (v & 0x03));
    no_result();
}

void I82078::lock() {
    locked_ = command_[0] & 0x80;
    finish({static_cast<u8>(locked_ << 4)});
}

void I82078::dump_registers() {
    finish({pcn_[0], pcn_[1], pcn_[2], pcn_[3], srt_hut_, hlt_nd_, eot_reg_, static_cast<u8>(locked_ << 7 | perpendicular_),
            config_, pretrk_});
}

/// Up to four bytes, one a drive, until one with DONE (bit 7); NRP (bit 6) suppresses the result phase.
void I82078::drive_specification() {
    if (command_length_ == 1) return;
    const u8 last = command_[command_length_ - 1u];
    if (!(last & 0x80)) {
        drive_spec_[last >> 5 & 3] = last & 0x1F;
        if (command_length_ < 6) return;
    }
    if (last & 0x80 && last & 0x40) return no_result();
    finish({drive_spec_[0], drive_spec_[1], drive_spec_[2], drive_spec_[3]});
}
}  // namespace calque
