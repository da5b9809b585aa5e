// One IDE channel: the cable with up to two drives, the ports the host sees, and its bus-master engine.
#pragma once
#include <array>

#include "devices/storage/bus_master_ide.h"
#include "devices/storage/ide_drive.h"
#include "support/line.h"

namespace calque {

class IdeChannel final : public IdeHost {
public:
    IdeChannel(DmaSpace&, Line& irq);
    /// Puts a drive on the cable (0 master, 1 slave). The owner keeps it alive; the channel resets and saves it.
    void attach(unsigned position, IdeDrive& drive);
    IdeDrive* drive(unsigned position) { return drives_[position]; }

    /// 1F0h-1F7h and 3F6h on the first channel, 170h-177h and 376h on the second.
    PortDevice& command_block() { return command_block_; }
    PortDevice& control_block() { return control_block_; }

    void set_decoding(bool decoding) { decoding_ = decoding; }
    void set_bus_master_enabled(bool);
    u8 bus_master_read(u8 reg) const { return bus_master_.read(reg); }
    void bus_master_write(u8 reg, u8 value);

    void drive_changed() override;
    void reset();
    void state(StateIO&);

private:
    // The two windows are saved and reset with the channel, so they have no state of their own.
    struct CommandBlock final : PortDevice {
        explicit CommandBlock(IdeChannel& c) : channel{c} {}
        u32 io_read(u16 reg, unsigned size) override;
        void io_write(u16 reg, u32 value, unsigned size) override;
        void reset() override {}
        void state(StateIO&) override {}
        IdeChannel& channel;
    };
    struct ControlBlock final : BytePortDevice {
        explicit ControlBlock(IdeChannel& c) : channel{c} {}
        u8 read(u16 reg) override;
        void write(u16 reg, u8 value) override;
        void reset() override {}
        void state(StateIO&) override {}
        IdeChannel& channel;
    };

    IdeDrive* selected() { return drives_[(device_ >> 4) & 1]; }
    u8 read(u8 reg);
    void write(u8 reg, u8 value);
    u8 read_status();
    u16 read_data();
    void write_data(u16 value);
    void write_command(u8 opcode);
    void write_control(u8 value);

    enum : u8 { kNIEN = 0x02, kSRST = 0x04, kHOB = 0x80 };  // device control register
    std::array<IdeDrive*, 2> drives_{};
    BusMasterIde bus_master_;
    Line& irq_;
    CommandBlock command_block_{*this};
    ControlBlock control_block_{*this};
    bool decoding_ = false, irq_level_ = false, moving_ = false;
    u8 device_ = 0, control_ = 0;
};
}  // namespace calque
