// PCI configuration mechanism 1 (ports CF8h to CFFh) and bus 0 with its interrupt wiring.
#pragma once
#include <array>
#include <bitset>

#include "devices/pci/pci_function.h"

namespace calque {

class PciHost final : public PortDevice {
public:
    /// pirq[0..3]: the bridge's inputs PIRQA# to PIRQD#, here shown as asserted = high.
    PciHost(PciWindows& windows, std::array<Line*, 4> pirq);

    /// Puts a function on the bus. INTA# of device d is wired to PIRQ (d - 1) mod 4, INTB# to the next, and so on.
    void attach(unsigned device, unsigned function, PciFunction&);
    /// Byte accesses to CF9h are not configuration accesses; they go to register 0 of this chip.
    void set_reset_control(PortDevice& control) { reset_control_ = &control; }
    PciFunction* function(unsigned device, unsigned function) { return functions_[(device & 31) * 8 + (function & 7)]; }

    u32 io_read(u16 reg, unsigned size) override;
    void io_write(u16 reg, u32 value, unsigned size) override;
    void reset() override;  // the functions are reset by the board
    void state(StateIO&) override;

private:
    void set_intx(unsigned devfn, bool level);
    PciFunction* selected() const;

    using IntxPin = IndexedPin<&PciHost::set_intx>;
    friend IntxPin;
    PciWindows& windows_;
    std::array<Line*, 4> pirq_;
    std::array<PciFunction*, 256> functions_{};
    std::array<IntxPin, 256> intx_;
    std::array<std::bitset<256>, 4> asserted_;  // by PIRQ: which functions pull it; functions drive it again on load
    PortDevice* reset_control_ = nullptr;
    u32 address_ = 0;
};
}  // namespace calque
