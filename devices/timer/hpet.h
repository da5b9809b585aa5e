// High precision event timers (IA-PC HPET Specification 1.0a): three comparators on a 100 MHz 64-bit counter.
#pragma once
#include <array>

#include "support/bus.h"
#include "support/clock.h"
#include "support/line.h"

namespace calque {

class Hpet final : public Device, public MmioDevice {
public:
    static constexpr unsigned kTimers = 3;
    static constexpr Time kTick = 10;  // nanoseconds
    /// irq0 and irq8 are the ISA interrupts that legacy replacement takes over; `ioapic[n]` is pin n.
    struct Pins {
        Line &irq0, &irq8;
        std::array<Line*, 24> ioapic;
    };
    Hpet(Clock&, Pins);

    /// The 8254's OUT0 and the RTC's IRQ come in here and reach irq0 and irq8 unless legacy replacement is on.
    Line& pit_in() { return pit_in_; }
    Line& rtc_in() { return rtc_in_; }

    u64 mmio_read(u64 offset, unsigned size) override;
    void mmio_write(u64 offset, u64 value, unsigned size) override;
    void reset() override;
    void state(StateIO&) override;

private:
    struct Comparator {
        u64 config = 0, comparator = ~u64{0}, period = 0;
        Time due = kNever;  // machine time of the next match; passed where nobody notices it
        bool raised = false;
        bool noticed() const;
        void state(StateIO&);
    };
    bool enabled() const { return config_ & 1; }
    bool legacy() const { return config_ & 2; }
    u64 counter() const;
    u64 read_register(unsigned reg) const;
    void write_register(unsigned reg, u64 value, u64 mask);
    void write_config(u64 value);
    void write_status(u64 ones);
    void write_timer_config(unsigned n, u64 value);
    void write_comparator(unsigned n, u64 value, u64 mask);
    void set_counter(u64 value);
    void fire();
    void match(unsigned n);
    void schedule(unsigned n);
    void arm();
    Line& route(unsigned n) const;
    void drive(unsigned n, bool level);
    void lower_all();
    void set_pit(bool level);
    void set_rtc(bool level);

    using PitPin = Pin<&Hpet::set_pit>;
    using RtcPin = Pin<&Hpet::set_rtc>;
    friend PitPin;
    friend RtcPin;
    Clock& clock_;
    Pins pins_;
    PitPin pit_in_{*this};
    RtcPin rtc_in_{*this};
    u64 config_ = 0, status_ = 0;
    u64 base_ = 0;    // the counter at machine time `since_` (or all the time, while halted)
    Time since_ = 0;
    std::array<Comparator, kTimers> timers_;
    bool pit_level_ = false, rtc_level_ = false;
    Timer timer_;
};
}  // namespace calque
