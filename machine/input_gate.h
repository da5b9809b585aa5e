// The one gate through which the outside reaches the machine. Every event is stamped with the instruction count at
// which it takes effect, so a list of events and the configuration make a run repeatable.
#pragma once
#include <functional>

#include "machine/config.h"
#include "support/input_queue.h"

namespace calque {

/// Where a machine stands between two instructions. Time moves without instructions while the processor sleeps, and at one count and
/// time the processor may be asked to run several times without getting further, when all that it does is take an interrupt.
struct Moment {
    u64 icount = 0;
    Time time = 0;
    u64 turns = 0;
    bool operator==(const Moment&) const = default;
};

struct GateEvent {
    enum class Kind : u8 { input, serial, serial_break, time_skew, power_button, reset, insert_medium };
    u64 icount = 0;
    Kind kind{};
    u64 a = 0;           // input: machine time at which it happens, 0 for at once; serial port or drive; time_skew: nanoseconds
    i32 x = 0, y = 0, z = 0;  // the character; what a medium is exchanged for
    InputEvent input{};       // key, motion or button
    ImageConfig medium{};     // what is inserted; its index is x
};

class InputGate {
public:
    using Apply = std::function<void(const GateEvent&)>;
    /// `settle` brings the machine to where nothing is due before an event: what was asked for at this moment comes first.
    InputGate(std::function<u64()> icount, std::function<void()> settle, Apply apply)
        : icount_{std::move(icount)}, settle_{std::move(settle)}, apply_{std::move(apply)} {}

    /// Takes effect now, between two instructions. Call it only while the processor does not run. A closed gate swallows it.
    void submit(const GateEvent& e) {
        if (!closed_) pass(e);
    }
    /// From a recording, which has closed the gate to everybody else.
    void replay(const GateEvent& e) { pass(e); }
    void close() { closed_ = true; }
    bool closed() const { return closed_; }
    u64 count() const { return count_; }
    std::function<void(const GateEvent&)> on_event;  // a recorder listens here

private:
    void pass(GateEvent e) {
        settle_();
        e.icount = icount_();
        ++count_;
        if (on_event) on_event(e);
        apply_(e);
    }
    std::function<u64()> icount_;
    std::function<void()> settle_;
    Apply apply_;
    u64 count_ = 0;
    bool closed_ = false;
};
}  // namespace calque
