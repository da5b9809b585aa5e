// Intel 82093AA I/O APIC (datasheet 290566): 24 pins, each with a redirection entry.
#pragma once
#include <array>

#include "support/apic_bus.h"
#include "support/bus.h"
#include "support/line.h"

namespace calque {

class IoApic final : public Device, public MmioDevice, public ApicEoi {
public:
    static constexpr unsigned kPins = 24;
    explicit IoApic(ApicBus& bus);

    Line& pin(unsigned n) { return pins_[n % kPins]; }
    void eoi(u8 vector) override;

    u64 mmio_read(u64 offset, unsigned size) override;
    void mmio_write(u64 offset, u64 value, unsigned size) override;
    void reset() override;
    void state(StateIO&) override;

private:
    void set_input(unsigned n, bool asserted);
    u32 read_register(u8 index) const;
    void write_register(u8 index, u32 value);
    void write_entry(unsigned n, bool high, u32 value);
    bool level_triggered(unsigned n) const;
    void serve_level(unsigned n);
    void deliver(unsigned n);

    using InputPin = IndexedPin<&IoApic::set_input>;
    friend InputPin;
    ApicBus& bus_;
    std::array<InputPin, kPins> pins_;
    std::array<u64, kPins> entries_{};
    u32 inputs_ = 0;
    u8 select_ = 0, id_ = 0;
};
}  // namespace calque
