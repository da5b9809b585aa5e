// The VGA as a PCI function, with the identity that the Bochs display interface's drivers look for (1234:1111).
// BAR 0 is video memory as plain RAM, BAR 2 the registers by memory, the expansion ROM a VGA BIOS.
#pragma once
#include <memory>
#include <vector>

#include "devices/display/vga.h"
#include "devices/pci/pci_function.h"

namespace calque {

class VgaPci final : public PciFunction {
public:
    static constexpr unsigned kFramebufferBar = 0, kRegisterBar = 2, kRomBar = 6;

    /// `rom` may be empty: a card without a BIOS.
    VgaPci(Clock& clock, std::vector<u8> rom);

    Vga& vga() { return vga_; }  // map it at ports 3B0h-3DFh and memory A0000h-BFFFFh, its dispi_ports() at 1CEh and 1CFh
    const Vga& vga() const { return vga_; }

    u64 bar_read(unsigned bar, u64 offset, unsigned size) override;
    void bar_write(unsigned bar, u64 offset, u64 value, unsigned size) override;
    std::span<u8> bar_memory(unsigned bar) override;
    void reset() override;
    void state(StateIO&) override;

private:
    u8 register_read(u64 offset);
    Vga vga_;
    std::vector<u8> rom_;
};
}  // namespace calque
