// The one gate through which the outside reaches the machine. Every event is stamped with the instruction count at
// which it takes effect, so a list of events and the configuration make a run repeatable.
#pragma once
#include <functional>

#include "support/input_queue.h"

namespace calque {

struct GateEvent {
    enum class Kind : u8 { input, serial, serial_break, time_skew, power_button, reset, insert_medium };
    u64 icount = 0;
    Kind kind{};
    u64 a = 0;           // input: machine time at which it happens, 0 for at once; serial port or drive; time_skew: nanoseconds
    i32 x = 0, y = 0, z = 0;  // the character; what a medium is exchanged for
    InputEvent input{};       // key, motion or button
};

class InputGate {
public:
    using Apply = std::function<void(const GateEvent&)>;
    InputGate(std::function<u64()> icount, Apply apply) : icount_{std::move(icount)}, apply_{std::move(apply)} {}

    /// Takes effect now, between two instructions. Call it only while the processor does not run.
    void submit(GateEvent e) {
        e.icount = icount_();
        ++count_;
        if (on_event) on_event(e);
        apply_(e);
    }
    u64 count() const { return count_; }
    std::function<void(const GateEvent&)> on_event;  // a recorder listens here

private:
    std::function<u64()> icount_;
    Apply apply_;
    u64 count_ = 0;
};
}  // namespace calque
