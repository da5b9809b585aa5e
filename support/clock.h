// Machine time: nanoseconds since power on, a function of retired instructions. Devices have no other clock.
#pragma once
#include <functional>
#include <vector>

#include "support/types.h"

namespace calque {

using Time = u64;  // nanoseconds of machine time
constexpr Time kNever = ~Time{0};
constexpr Time kSecond = 1'000'000'000;

class Timer;
class StateIO;

/// The clock and its queue of timers. Whoever owns it (the machine, or a test) moves it; devices only look.
/// Timers that are due at the same time fire in the order of their ids, so that runs repeat exactly.
class Clock {
public:
    Time now() const { return now_; }
    /// The earliest armed deadline, or kNever.
    Time next_deadline() const;
    /// Moves to `t` (>= now()), firing every timer due on the way at its own deadline, in order.
    void advance_to(Time t);
    void advance(Time delta) { advance_to(now_ + delta); }
    /// Moves to `t` without firing anything: the CPU looks at a device in the middle of its time slice.
    void set_now(Time t) { now_ = t; }
    /// Called when a timer is armed before all others: the CPU's time slice must end earlier.
    std::function<void(Time)> on_earlier_deadline;
    /// Saves and loads the time itself; each device saves its own timers.
    void state(StateIO&);

private:
    friend class Timer;
    void insert(Timer&);
    void remove(Timer&);
    Time now_ = 0;
    u32 next_id_ = 0;
    std::vector<Timer*> armed_;  // sorted by (deadline, id), earliest last
};

/// One alarm. It is a member of the device that uses it and is disarmed when that device goes.
class Timer {
public:
    Timer(Clock& clock, std::function<void()> fire) : clock_{clock}, fire_{std::move(fire)}, id_{clock.next_id_++} {}
    ~Timer() { disarm(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    /// Arms for machine time `t`; a time already past fires at the next opportunity. kNever disarms.
    void arm_at(Time t);
    void arm_in(Time delta) { arm_at(clock_.now() + delta); }
    void disarm();
    bool armed() const { return deadline_ != kNever; }
    Time deadline() const { return deadline_; }
    /// Saves and loads the deadline; loading arms or disarms.
    void state(StateIO&);

private:
    friend class Clock;
    Clock& clock_;
    std::function<void()> fire_;
    Time deadline_ = kNever;
    u32 id_;
};
}  // namespace calque
