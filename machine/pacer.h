// Keeps machine time near wall time (--clock=host). Machine time never runs ahead for long, and what it is late by is
// made up in steps that stop at every device deadline, with time between for the guest to handle what the deadline
// brought: a late tick is late, not lost.
#pragma once
#include <algorithm>

#include "machine/host_clock.h"

namespace calque {

class Pacer {
public:
    static constexpr Time kBreath = 100'000;      // machine time the guest gets between two steps
    static constexpr Time kTolerance = 1'000'000;

    explicit Pacer(HostNow now) : now_{std::move(now)} {}

    /// Machine time `machine` is the present.
    void start(Time machine) { wall_ = now_(), machine_ = machine; }
    /// How far machine time should move forward now: up to the wall clock, at most to `next_deadline`.
    Time step(Time machine, Time next_deadline) {
        const Time target = present();
        if (target <= machine + kBreath || machine < not_before_) return 0;
        const Time to = std::min(target, next_deadline);
        not_before_ = to + kBreath;
        return to > machine ? to - machine : 0;
    }
    /// How long to sleep before machine time `t` is due on the wall clock; 0 if it is.
    Time wait_for(Time t) const {
        const Time target = present();
        return t > target ? t - target : 0;
    }
    /// What machine time should be.
    Time present() const { return machine_ + (now_() - wall_); }

private:
    HostNow now_;
    Time wall_ = 0, machine_ = 0, not_before_ = 0;
};
}  // namespace calque
