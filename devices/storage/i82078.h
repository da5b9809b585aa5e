// Intel 82078 floppy disk controller (64 pin, datasheet 290475) in PC/AT mode, with two drives.
#pragma once
#include <array>

#include "devices/storage/floppy_drive.h"
#include "support/bus.h"
#include "support/clock.h"
#include "support/dma_channel.h"
#include "support/line.h"

namespace calque {

class I82078 final : public BytePortDevice {
public:
    I82078(Clock&, DmaChannel&, Line& irq);
    FloppyDrive& drive(unsigned n) { return drives_[n & 1]; }

    /// Registers 0 to 7 of 3F0h; 6 belongs to the IDE controller and floats here.
    u8 read(u16 reg) override;
    void write(u16 reg, u8 value) override;
    void reset() override;
    void state(StateIO&) override;

private:
    enum class Phase : u8 { command, executing, data_in, data_out, result };
    enum class Op : u8 { none, read, read_deleted, read_track, write, verify, format, read_id };
    enum class Step : u8 { none, reset_done, sector, not_found, read_id };
    // Registers and their bits, as the datasheet names them.
    enum : u8 { SRA, SRB, DOR, TDR, MSR, FIFO, RESERVED, DIR, DSR = MSR, CCR = DIR };
    enum : u8 { DOR_RESET = 0x04, DOR_DMAGATE = 0x08, DSR_RESET = 0x80 };
    enum : u8 { MSR_CMD_BSY = 0x10, MSR_NON_DMA = 0x20, MSR_DIO = 0x40, MSR_RQM = 0x80 };
    enum : u8 { ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80, ST0_POLL = 0xC0, ST0_SE = 0x20, ST0_EC = 0x10 };
    enum : u8 { ST1_EN = 0x80, ST1_DE = 0x20, ST1_OR = 0x10, ST1_ND = 0x04, ST1_NW = 0x02, ST1_MA = 0x01 };
    enum : u8 { ST2_CM = 0x40, ST2_DD = 0x20, ST2_WC = 0x10 };
    enum : u8 { EIS = 0x40, EFIFO = 0x20, POLL = 0x10 };  // CONFIGURE byte 2

    // Registers
    u8 main_status() const;
    u8 digital_input() const;
    void write_dor(u8 value);
    void write_dsr(u8 value);
    void begin_reset();
    void end_reset();
    void reset_done();
    void set_interrupt(bool);
    void update_line();
    bool in_reset() const { return !(dor_ & DOR_RESET); }
    bool motor_on(unsigned n) const { return n < 2 && (dor_ >> (4 + n) & 1); }

    // Command and result phases
    u8 read_fifo();
    void write_fifo(u8 value);
    void execute();
    void finish(std::initializer_list<u8> result, bool interrupt = false);
    void no_result();
    void invalid();

    // Commands
    void specify();
    void recalibrate();
    void seek();
    void relative_seek();
    void start_seek(unsigned drive, int steps, u8 st0);
    void seek_done(unsigned drive);
    void sense_interrupt();
    void sense_drive();
    void configure();
    void perpendicular();
    void lock();
    void dump_registers();
    void drive_specification();
    void start_transfer(Op);
    void start_read_id();
    void start_format();

    // Execution phase
    void expire();
    void wait(Step, Time);
    Time sector_time() const;
    Time step_time() const;
    bool medium_answers() const;
    bool find_sector();
    bool cannot_write();
    void sector_step();
    void read_step();
    void write_step();
    void store_sector(unsigned valid, bool tc);
    void format_step();
    void format_sector(bool tc);
    void read_id_step();
    void data_full();
    void sector_done(bool tc);
    bool next_sector();
    void ask_cpu(Phase, unsigned bytes);
    void end_transfer(u8 st0, u8 st1 = 0, u8 st2 = 0);
    FloppyDrive* selected() { return unit_ < 2 ? &drives_[unit_] : nullptr; }
    const FloppyDrive* selected() const { return unit_ < 2 ? &drives_[unit_] : nullptr; }

    Clock& clock_;
    DmaChannel& dma_;
    Line& irq_;
    std::array<FloppyDrive, 2> drives_;

    u8 dor_ = 0, tdr_ = 0, dsr_ = 0, rate_ = 2;
    bool interrupt_ = false;
    Phase phase_ = Phase::command;
    std::array<u8, 16> command_{};
    u8 command_length_ = 0;
    std::array<u8, 16> result_{};
    u8 result_length_ = 0, result_pos_ = 0;

    u8 srt_hut_ = 0, hlt_nd_ = 0, config_ = 0, pretrk_ = 0, perpendicular_ = 0, eot_reg_ = 0;
    bool locked_ = false;
    std::array<u8, 4> drive_spec_{};
    std::array<u8, 4> pcn_{}, seek_st0_{};  // for each of four units: present cylinder, what SENSE INTERRUPT will say
    u8 seeking_ = 0, seek_pending_ = 0;     // one bit a unit
    u8 polls_left_ = 0;                     // SENSE INTERRUPT results due after a reset

    Op op_ = Op::none;
    Step step_ = Step::none;
    u8 unit_ = 0, head_ = 0, c_ = 0, h_ = 0, r_ = 0, n_ = 0, eot_ = 0, sectors_left_ = 0, fill_ = 0, id_ = 0;
    bool multi_track_ = false, skip_ = false, counted_ = false;
    u8 st1_ = 0, st2_ = 0;                  // collected during execution
    std::array<u8, FloppyDrive::kSector> buffer_{};
    u16 data_pos_ = 0, data_length_ = 0;
    Timer timer_;
    std::array<Timer, 4> seek_timers_;
};
}  // namespace calque
