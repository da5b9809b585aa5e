// What answers for a missing drive: device 0 answers for an absent device 1, with Status 00h (ATA/ATAPI-6, "Single
// device configurations"); a missing device 0 or an empty cable floats and reads FFh.
#include "devices/storage/ide_channel.h"

#include "support/assert.h"
#include "support/log.h"
#include "support/state_io.h"

namespace calque {
static Log log{"ide_channel"};

IdeChannel::IdeChannel(DmaSpace& memory, Line& irq) : bus_master_{memory}, irq_{irq} {}

void IdeChannel::attach(unsigned position, IdeDrive& drive) {
    ASSERT(position < 2 && !drives_[position]);
    drives_[position] = &drive;
    drive.attach(this);
    drive.reset();
}

u32 IdeChannel::CommandBlock::io_read(u16 reg, unsigned size) {
    if (!channel.decoding_) return 0xFFFFFFFFu >> (32 - 8 * size);
    if (reg == IdeDrive::kData) {
        u32 v = channel.read_data();
        if (size == 4) v |= u32{channel.read_data()} << 16;
        // A byte access still takes a word from the drive: the cable has one strobe for it.
        return size == 1 ? v & 0xFF : v;
    }
    u32 v = 0;
    for (unsigned i = 0; i < size; ++i) {
        const unsigned r = reg + i;
        v |= u32{r <= IdeDrive::kStatus ? channel.read(static_cast<u8>(r)) : u8{0xFF}} << (8 * i);
    }
    return v;
}

void IdeChannel::CommandBlock::io_write(u16 reg, u32 value, unsigned size) {
    if (!channel.decoding_) return;
    if (reg == IdeDrive::kData) {
        channel.write_data(static_cast<u16>(value));
        if (size == 4) channel.write_data(static_cast<u16>(value >> 16));
        return;
    }
    for (unsigned i = 0; i < size && reg + i <= IdeDrive::kStatus; ++i)
        channel.write(static_cast<u8>(reg + i), static_cast<u8>(value >> (8 * i)));
}

u8 IdeChannel::ControlBlock::read(u16 reg) {
    return channel.decoding_ && reg == 0 ? channel.read_status() : u8{0xFF};
}

void IdeChannel::ControlBlock::write(u16 reg, u8 value) {
    if (channel.decoding_ && reg == 0) channel.write_control(value);
}

u8 IdeChannel::read_status() {
    if (IdeDrive* d = selected()) return d->read_register(IdeDrive::kStatus, false);
    return drives_[0] ? 0x00 : 0xFF;
}

u8 IdeChannel::read(u8 reg) {
    if (reg == IdeDrive::kStatus) {
        const u8 status = read_status();
        if (IdeDrive* d = selected()) d->acknowledge();
        return status;
    }
    IdeDrive* answers = selected() ? selected() : drives_[0];
    if (!answers) return 0xFF;
    if (answers != selected() && reg == IdeDrive::kDevice) return device_;
    const u8 v = answers->read_register(reg, control_ & kHOB);
    // A drive that puts its signature into the registers leaves DEV alone.
    return reg == IdeDrive::kDevice ? static_cast<u8>((v & ~0x10) | (device_ & 0x10)) : v;
}

void IdeChannel::write(u8 reg, u8 value) {
    control_ &= static_cast<u8>(~kHOB);  // any write to the command block clears HOB
    if (reg == IdeDrive::kCommand) return write_command(value);
    if (reg == IdeDrive::kDevice) {
        // The cable belongs to the busy drive until it is done or reset.
        if (selected() && selected()->busy()) return;
        device_ = value;
    }
    for (IdeDrive* d : drives_)
        if (d) d->write_register(reg, value);
    if (reg == IdeDrive::kDevice) drive_changed();
}

void IdeChannel::write_command(u8 opcode) {
    constexpr u8 kExecuteDeviceDiagnostic = 0x90;
    log.trace("command %02x to device %u", opcode, (device_ >> 4) & 1u);
    if (opcode != kExecuteDeviceDiagnostic) {
        if (IdeDrive* d = selected()) d->write_command(opcode);
        return;
    }
    if (selected() && selected()->busy()) return;
    device_ = 0;
    for (unsigned i = 0; i < 2; ++i)
        if (drives_[i]) drives_[i]->diagnose(i == 0);
}

u16 IdeChannel::read_data() { return selected() ? selected()->read_data() : u16{0xFFFF}; }

void IdeChannel::write_data(u16 value) {
    if (IdeDrive* d = selected()) d->write_data(value);
}

void IdeChannel::write_control(u8 value) {
    const u8 old = control_;
    control_ = value;
    if ((old ^ value) & kSRST) {
        device_ = 0;
        for (IdeDrive* d : drives_)
            if (d) d->software_reset(value & kSRST);
    }
    drive_changed();
}

void IdeChannel::set_bus_master_enabled(bool enabled) {
    bus_master_.set_enabled(enabled);
    drive_changed();
}

void IdeChannel::bus_master_write(u8 reg, u8 value) {
    bus_master_.write(reg, value);
    drive_changed();
}

void IdeChannel::drive_changed() {
    IdeDrive* d = selected();
    const bool level = d && d->intrq() && !(control_ & kNIEN);
    if (level != irq_level_) {
        irq_level_ = level;
        if (level) bus_master_.interrupt();
        irq_.set(level);
    }
    // Moving data changes the drive, which calls us again.
    if (!d || moving_ || !d->dmarq()) return;
    moving_ = true;
    bus_master_.run(*d);
    moving_ = false;
}

void IdeChannel::reset() {
    device_ = control_ = 0;
    decoding_ = false;
    bus_master_.reset();
    for (IdeDrive* d : drives_)
        if (d) d->reset();
    drive_changed();
}

void IdeChannel::state(StateIO& s) {
    s.version(1);
    s(decoding_, irq_level_, device_, control_, bus_master_);
    for (IdeDrive* d : drives_) {
        bool present = d != nullptr;
        s(present);
        if (present != (d != nullptr)) return s.fail();  // the state is of a machine with other drives
        if (d) d->state(s);
    }
    if (s.loading()) irq_.set(irq_level_);
}
}  // namespace calque
