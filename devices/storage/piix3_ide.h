// The IDE function of the Intel 82371SB (PIIX3): two channels in legacy mode and a bus master behind BAR 4.
#pragma once
#include <array>

#include "devices/pci/pci_function.h"
#include "devices/storage/ide_channel.h"

namespace calque {

class Piix3Ide final : public PciFunction {
public:
    Piix3Ide(DmaSpace& memory, Line& irq14, Line& irq15);
    /// 0 primary, 1 secondary: attach drives and map ports through it.
    IdeChannel& channel(unsigned n) { return channels_[n]; }

    u64 bar_read(unsigned bar, u64 offset, unsigned size) override;
    void bar_write(unsigned bar, u64 offset, u64 value, unsigned size) override;
    void reset() override;
    void state(StateIO&) override;  // with both channels and their drives

protected:
    void config_changed(u8 reg, unsigned size) override;

private:
    void update();
    std::array<IdeChannel, 2> channels_;
};
}  // namespace calque
