#include "support/clock.h"

#include <algorithm>

#include "support/state_io.h"

namespace calque {

Time Clock::next_deadline() const { return armed_.empty() ? kNever : armed_.back()->deadline_; }

void Clock::advance_to(Time t) {
    while (!armed_.empty() && armed_.back()->deadline_ <= t) {
        Timer& timer = *armed_.back();
        armed_.pop_back();
        now_ = std::max(now_, timer.deadline_);
        timer.deadline_ = kNever;
        timer.fire_();
    }
    now_ = std::max(now_, t);
}

void Clock::insert(Timer& timer) {
    const auto later = [](const Timer* a, const Timer* b) {
        return a->deadline_ != b->deadline_ ? a->deadline_ > b->deadline_ : a->id_ > b->id_;
    };
    armed_.insert(std::upper_bound(armed_.begin(), armed_.end(), &timer, later), &timer);
    if (armed_.back() == &timer && on_earlier_deadline) on_earlier_deadline(timer.deadline_);
}

void Clock::remove(Timer& timer) { armed_.erase(std::find(armed_.begin(), armed_.end(), &timer)); }

void Clock::state(StateIO& s) {
    s.version(1);
    s(now_);
}

void Timer::arm_at(Time t) {
    disarm();
    if (t == kNever) return;
    deadline_ = std::max(t, clock_.now_);
    clock_.insert(*this);
}

void Timer::disarm() {
    if (!armed()) return;
    clock_.remove(*this);
    deadline_ = kNever;
}

void Timer::state(StateIO& s) {
    Time t = deadline_;
    s(t);
    if (s.loading()) arm_at(t);
}
}  // namespace calque
