// Intel 8254 programmable interval timer (datasheet 231164) at 1.193182 MHz.
// Counting is computed from the clock when somebody looks; only the edges of OUT0 are timed events.
#pragma once
#include <array>

#include "support/bus.h"
#include "support/clock.h"
#include "support/line.h"

namespace calque {

class I8254 final : public BytePortDevice {
public:
    static constexpr u64 kHz = 1'193'182;
    I8254(Clock&, Line& out0);

    /// GATE inputs; 0 and 1 are tied high in a PC.
    Line& gate(unsigned n) { return gates_[n % 3]; }
    bool out(unsigned n);

    u8 read(u16 reg) override;
    void write(u16 reg, u8 value) override;
    void reset() override;
    void state(StateIO&) override;

private:
    enum class Phase : u8 { idle, counting, paused };
    struct Counter {
        u8 mode = 0, rw = 3;
        bool bcd = false, gate = true;
        // Counting: CE holds n at tick `origin` (which may be the next tick); mode 3 counts one half-period at a time.
        Phase phase = Phase::idle;
        u64 origin = 0, elapsed = 0;  // elapsed: ticks counted when paused
        u32 n = 65536, cr = 65536;    // the count in use and the count register
        bool have_count = false, reload = false, low_half = false;
        u16 held = 0;  // CE and OUT while idle or before `origin`
        bool held_out = false;
        // Access
        u16 latch = 0;
        u8 write_low = 0, status = 0, latched_bytes = 0;
        bool write_high_next = false, read_high_next = false, status_latched = false;
        void state(StateIO&);
    };
    u64 tick() const { return mul_div(clock_.now(), kHz, kSecond); }
    void set_gate(unsigned n, bool level);
    void sync(Counter&, u64 t) const;
    u16 count(const Counter&, u64 t) const;
    bool level(const Counter&, u64 t) const;
    u64 next_edge(const Counter&, u64 t) const;
    void write_control(u8 value);
    void write_count(Counter&, u8 value);
    void load(Counter&, u64 t, u32 value);
    void start(Counter&, u64 t);
    void hold(Counter&, u64 t);
    void latch_count(Counter&, u64 t);
    void latch_status(Counter&, u64 t);
    void update_out0();

    using GatePin = IndexedPin<&I8254::set_gate>;
    friend GatePin;
    Clock& clock_;
    Line& out0_;
    std::array<GatePin, 3> gates_;
    std::array<Counter, 3> counters_;
    Timer edge_;
};
}  // namespace calque
