// Registers, reset, and the command and result phases. Choices where the datasheet leaves room:
// * In PC/AT mode registers 0 and 1 are not driven; they read FFh. The undriven bits of DIR read 0.
// * A drive without a disk, or with its motor off, gives no index pulses and would keep the chip waiting for ever. Here
//   the search ends after the time of two revolutions with "missing address mark", as with an unformatted disk.
// * Disks turn about ten times as fast as real ones.
// * FORMAT TRACK can only lay out a track as the image's format has it; anything else is a data error.
// * A deleted data mark cannot be kept in an image: WRITE DELETED DATA writes ordinary sectors.
#include "devices/storage/i82078.h"

#include <algorithm>

#include "support/log.h"
#include "support/state_io.h"

namespace calque {
static Log log{"i82078"};

namespace {
constexpr Time kResetTime = 100'000;
}  // namespace

I82078::I82078(Clock& clock, DmaChannel& dma, Line& irq)
    : clock_{clock}, dma_{dma}, irq_{irq}, timer_{clock, [this] { expire(); }},
      seek_timers_{Timer{clock, [this] { seek_done(0); }}, Timer{clock, [this] { seek_done(1); }},
                   Timer{clock, [this] { seek_done(2); }}, Timer{clock, [this] { seek_done(3); }}} {}

u8 I82078::read(u16 reg) {
    switch (reg) {
    case DOR: return dor_;
    case TDR: return tdr_;
    case MSR: return main_status();
    case FIFO: return read_fifo();
    case DIR: return digital_input();
    default: return 0xFF;
    }
}

void I82078::write(u16 reg, u8 value) {
    switch (reg) {
    case DOR: return write_dor(value);
    case TDR: tdr_ = value & 0x03; return;
    case DSR: return write_dsr(value);
    case FIFO: return write_fifo(value);
    case CCR: rate_ = value & 0x03; return;
    default: return;
    }
}

u8 I82078::main_status() const {
    if (in_reset() || step_ == Step::reset_done) return 0;
    const u8 busy = seeking_ | (phase_ != Phase::command || command_length_ ? MSR_CMD_BSY : 0);
    switch (phase_) {
    case Phase::command: return busy | MSR_RQM;
    case Phase::executing: return busy;
    case Phase::data_in: return busy | MSR_RQM | MSR_DIO | MSR_NON_DMA;
    case Phase::data_out: return busy | MSR_RQM | MSR_NON_DMA;
    case Phase::result: return busy | MSR_RQM | MSR_DIO;
    }
    return busy;
}

u8 I82078::digital_input() const {
    const unsigned n = dor_ & 3;
    return motor_on(n) && drives_[n].disk_changed() ? 0x80 : 0x00;
}

void I82078::write_dor(u8 value) {
    const bool was_in_reset = in_reset();
    dor_ = value;
    if (in_reset()) begin_reset();
    else if (was_in_reset) end_reset();
    update_line();
}

void I82078::write_dsr(u8 value) {
    dsr_ = value & 0x7F;
    rate_ = value & 0x03;
    if (!(value & DSR_RESET) || in_reset()) return;
    begin_reset();  // this reset ends by itself
    end_reset();
}

/// Software reset: parameters survive, except what CONFIGURE set while LOCK is off.
void I82078::begin_reset() {
    timer_.disarm();
    for (auto& t : seek_timers_) t.disarm();
    op_ = Op::none;
    step_ = Step::none;
    phase_ = Phase::command;
    command_length_ = result_length_ = result_pos_ = 0;
    data_pos_ = data_length_ = 0;
    seeking_ = seek_pending_ = polls_left_ = 0;
    if (!locked_) {
        config_ = static_cast<u8>((config_ & (EIS | POLL)) | EFIFO);  // FIFO off, threshold 1
        pretrk_ = 0;
    }
    perpendicular_ &= 0x3C;
    set_interrupt(false);
}

void I82078::end_reset() { wait(Step::reset_done, kResetTime); }

void I82078::reset_done() {
    if (config_ & POLL) return;  // polling is disabled
    polls_left_ = 4;
    set_interrupt(true);
}

void I82078::reset() {
    locked_ = false;
    config_ = EFIFO;
    begin_reset();
    dor_ = tdr_ = 0;
    dsr_ = rate_ = 2;  // 250 kb/s
    srt_hut_ = hlt_nd_ = perpendicular_ = eot_reg_ = 0;
    pcn_ = {};
    drive_spec_ = {};
    update_line();
}

void I82078::set_interrupt(bool level) {
    interrupt_ = level;
    update_line();
}

void I82078::update_line() { irq_.set(interrupt_ && (dor_ & DOR_DMAGATE) && !in_reset()); }

void I82078::wait(Step step, Time delay) {
    step_ = step;
    timer_.arm_in(delay);
}

void I82078::expire() {
    const Step now = step_;
    step_ = Step::none;
    switch (now) {
    case Step::none: return;
    case Step::reset_done: return reset_done();
    case Step::sector: return sector_step();
    case Step::read_id: return read_id_step();
    case Step::not_found: return end_transfer(ST0_ABNORMAL, ST1_MA);
    }
}

u8 I82078::read_fifo() {
    if (in_reset()) return 0xFF;
    if (phase_ == Phase::data_in) {
        const u8 v = buffer_[data_pos_++];
        if (data_pos_ >= data_length_) data_full();
        return v;
    }
    if (phase_ != Phase::result) return 0xFF;
    if (result_pos_ == 0) set_interrupt(false);
    const u8 v = result_[result_pos_++];
    if (result_pos_ >= result_length_) {
        phase_ = Phase::command;
        // Another drive's seek may have ended meanwhile.
        if (seek_pending_) set_interrupt(true);
    }
    return v;
}

void I82078::write_fifo(u8 value) {
    if (in_reset() || step_ == Step::reset_done) return;
    if (phase_ == Phase::data_out) {
        buffer_[data_pos_++] = value;
        if (data_pos_ >= data_length_) data_full();
        return;
    }
    if (phase_ != Phase::command) {
        log.debug("write of %02x to the FIFO while it is not expected", value);
        return;
    }
    command_[command_length_++] = value;
    execute();
}

/// Ends a command with these result bytes.
void I82078::finish(std::initializer_list<u8> result, bool interrupt) {
    std::copy(result.begin(), result.end(), result_.begin());
    result_length_ = static_cast<u8>(result.size());
    result_pos_ = 0;
    command_length_ = 0;
    op_ = Op::none;
    phase_ = Phase::result;
    if (interrupt) set_interrupt(true);
}

void I82078::no_result() {
    command_length_ = 0;
    op_ = Op::none;
    phase_ = Phase::command;
}

void I82078::invalid() {
    log.debug("command %02x is invalid", command_[0]);
    finish({ST0_INVALID});
}

void I82078::state(StateIO& s) {
    s.version(1);
    for (auto& d : drives_) d.state(s);
    s(dor_, tdr_, dsr_, rate_, interrupt_, phase_, command_, command_length_, result_, result_length_, result_pos_, srt_hut_,
      hlt_nd_, config_, pretrk_, perpendicular_, eot_reg_, locked_, drive_spec_, pcn_, seek_st0_, seeking_, seek_pending_,
      polls_left_, op_, step_, unit_, head_, c_, h_, r_, n_, eot_, sectors_left_, fill_, id_, multi_track_, skip_, counted_,
      st1_, st2_, buffer_, data_pos_, data_length_, timer_);
    for (auto& t : seek_timers_) t.state(s);
    if (!s.loading()) return;
    rate_ &= 3, unit_ &= 3, head_ &= 1, seeking_ &= 15, seek_pending_ &= 15;
    polls_left_ = std::min<u8>(polls_left_, 4);
    command_length_ = std::min<u8>(command_length_, 9);
    result_length_ = std::min<u8>(result_length_, 16);
    data_length_ = std::min<u16>(data_length_, FloppyDrive::kSector);
    if (op_ > Op::read_id) op_ = Op::none;
    const bool no_data = data_pos_ >= data_length_, no_bytes = result_pos_ >= result_length_;
    const bool in_data = phase_ == Phase::data_in || phase_ == Phase::data_out;
    if (phase_ > Phase::result || (in_data && no_data) || (phase_ == Phase::result && no_bytes)) phase_ = Phase::command;
    update_line();
}
}  // namespace calque
