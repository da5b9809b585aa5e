// Intel 82371SB (PIIX3) PCI-to-ISA bridge, function 0 (datasheet 290550): interrupt steering and reset control.
#pragma once
#include <array>

#include "devices/pci/pci_function.h"

namespace calque {

class Piix3 final : public PciFunction {
public:
    struct Pins {
        std::array<Line*, 16> irq;       // to the 8259A pair (and the I/O APIC pins of the same interrupts)
        std::array<Line*, 4> apic_pirq;  // PIRQA..D as they are, to I/O APIC pins 16..19
        EdgeLine& hard_reset;            // the whole machine
        EdgeLine& soft_reset;            // INIT to the processors
    };
    explicit Piix3(Pins pins);

    /// ISA interrupt `n`, wired-OR with the PIRQs that are routed to it.
    Line& isa_irq(unsigned n) { return isa_[n & 15]; }
    Line& pirq(unsigned n) { return pirq_[n & 3]; }
    /// Port CF9h as register 0.
    PortDevice& reset_control() { return reset_control_; }

    void reset() override;
    void state(StateIO&) override;

private:
    class ResetControl final : public BytePortDevice {
    public:
        explicit ResetControl(Pins& pins) : pins_{pins} {}
        u8 read(u16) override { return value_; }
        void write(u16, u8 value) override;
        void reset() override { value_ = 0; }
        void state(StateIO&) override;

    private:
        Pins& pins_;
        u8 value_ = 0;
    };
    void config_changed(u8 reg, unsigned size) override;
    void set_isa(unsigned n, bool level);
    void set_pirq(unsigned n, bool level);
    void update(unsigned irq);

    using IsaPin = IndexedPin<&Piix3::set_isa>;
    using PirqPin = IndexedPin<&Piix3::set_pirq>;
    friend IsaPin;
    friend PirqPin;
    Pins pins_;
    std::array<IsaPin, 16> isa_;
    std::array<PirqPin, 4> pirq_;
    ResetControl reset_control_{pins_};
    u16 isa_levels_ = 0;
    u8 pirq_levels_ = 0;
};
}  // namespace calque
