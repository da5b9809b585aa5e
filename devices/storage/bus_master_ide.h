// One channel of the PIIX3's bus-master IDE engine (Intel 82371SB datasheet, "PCI bus master IDE registers";
// Programming Interface for Bus Master IDE Controller, revision 1.0).
#pragma once
#include "devices/storage/ide_drive.h"

namespace calque {

class BusMasterIde {
public:
    explicit BusMasterIde(DmaSpace& memory) : memory_{memory} {}
    /// Registers 0 to 7: BMICX, reserved, BMISX, reserved, BMIDTPX (four bytes).
    u8 read(u8 reg) const;
    void write(u8 reg, u8 value);
    /// Moves data while the engine is active and the drive requests it.
    void run(IdeDrive&);
    void interrupt() { status_ |= kInterrupt; }
    void set_enabled(bool enabled) { enabled_ = enabled; }  // bus master bit of the PCI command register
    void reset();
    void state(StateIO&);

private:
    enum : u8 { kStart = 0x01, kToMemory = 0x08 };
    enum : u8 { kActive = 0x01, kError = 0x02, kInterrupt = 0x04, kDriveCapable = 0x60 };
    bool next_region();
    DmaSpace& memory_;
    bool enabled_ = false, last_ = false;
    u8 command_ = 0, status_ = 0;
    u32 table_ = 0;                                    // BMIDTPX
    u32 next_descriptor_ = 0, address_ = 0, left_ = 0;  // the region being worked on
};
}  // namespace calque
