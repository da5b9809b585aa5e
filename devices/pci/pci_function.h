// One PCI function: 256 bytes of configuration space with write masks, BARs and an INTx pin (PCI Local Bus
// Specification 2.3, chapter "Configuration Space"). Chips derive from it; the host bridge routes to it.
#pragma once
#include <array>

#include "support/bus.h"
#include "support/line.h"

namespace calque {

class PciFunction;

/// Implemented by the board: hears where the guest has placed a function's windows.
class PciWindows {
public:
    virtual ~PciWindows() = default;
    /// BAR `bar` (6 is the expansion ROM, 7 and 8 are I/O windows placed by registers of the chip's own) now decodes [base, base+size), or nothing when !enabled.
    virtual void bar_moved(PciFunction&, unsigned bar, bool io, bool enabled, u64 base, u64 size) = 0;
};

class PciFunction : public Device {
public:
    struct Identity {
        u16 vendor, device;
        u32 class_code;  // 24 bits: base class, subclass, programming interface
        u8 revision = 0, header_type = 0;
        u16 subsystem_vendor = 0, subsystem = 0;
        u8 interrupt_pin = 0;  // 0 none, 1 INTA#
    };
    struct Bar {
        u64 size = 0;  // 0: not present; else a power of two
        bool io = false, prefetchable = false;
    };

    explicit PciFunction(const Identity&);
    void attach(PciWindows* windows, Line* intx) { windows_ = windows, intx_ = intx; }

    /// Configuration cycles; size 1, 2 or 4, never across a dword.
    virtual u32 config_read(u8 reg, unsigned size);
    virtual void config_write(u8 reg, u32 value, unsigned size);

    /// The chip's registers behind BAR `bar`. The board calls these.
    virtual u64 bar_read(unsigned bar, u64 offset, unsigned size);
    virtual void bar_write(unsigned bar, u64 offset, u64 value, unsigned size);
    /// Host memory behind a BAR that is plain RAM or ROM (a framebuffer, an option ROM), else empty.
    virtual std::span<u8> bar_memory(unsigned bar);

    void reset() override;           // derived classes call it first
    void state(StateIO&) override;   // derived classes call it first

    bool io_enabled() const { return config_[0x04] & 1; }
    bool memory_enabled() const { return config_[0x04] & 2; }
    bool bus_master_enabled() const { return config_[0x04] & 4; }
    u64 bar_base(unsigned bar) const;
    bool intx_asserted() const { return intx_level_; }
    const Bar& bar(unsigned n) const { return bars_[n]; }

protected:
    /// Declares BAR `n` (0..5, or 6 for the expansion ROM); call it in the constructor. BARs are 32 bits wide.
    void set_bar(unsigned n, Bar bar);
    /// Registers that the guest may write, bit by bit, and their value after reset.
    void config_register(u8 reg, unsigned size, u32 value, u32 write_mask);
    /// An I/O window that no BAR describes (power management and SMBus registers, say): `n` is 7 or 8. Derived classes
    /// call it whenever the registers behind it may have changed, also at the end of their reset() and state().
    void place_io_window(unsigned n, bool enabled, u64 base, u64 size);
    /// Bits that the guest clears by writing ones to them.
    void config_write_one_clears(u8 reg, unsigned size, u32 mask);
    u32 config_value(u8 reg, unsigned size) const;
    void set_config_value(u8 reg, unsigned size, u32 value);
    /// Called after any configuration write that touched [reg, reg+size), and never for reset() or a load.
    virtual void config_changed(u8 reg, unsigned size);
    void set_intx(bool level);  // honours the command register's interrupt disable; mirrors the status bit

    std::array<u8, 256> config_{}, reset_values_{}, write_mask_{}, clear_mask_{};

private:
    struct Window {
        bool enabled = false;
        u64 base = 0;
        bool operator==(const Window&) const = default;
    };
    Window decoded_window(unsigned bar) const;
    void update_windows();
    void announce(unsigned bar, Window);
    std::array<Bar, 9> bars_{};
    std::array<Window, 9> announced_{};  // what PciWindows was last told
    PciWindows* windows_ = nullptr;
    Line* intx_ = nullptr;
    bool intx_level_ = false;
    void drive_intx();
};
}  // namespace calque
