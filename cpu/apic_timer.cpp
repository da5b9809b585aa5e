// The local APIC's timer. Its input clock is the 1 GHz crystal that CPUID leaf 15h reports: one tick a nanosecond before division.
#include <algorithm>

#include "cpu/apic.h"
#include "cpu/state.h"

namespace calque {

static constexpr u32 Masked = 0x10000;
/// A periodic timer interrupts no more often than this; faster ones (mistakes, or attacks) skip periods.
static constexpr u64 kShortestPeriod = 1000;

unsigned LocalApic::divide_shift() const {
    const unsigned code = (divide_ & 3) | (divide_ >> 1 & 4);
    return code == 7 ? 0 : code + 1;
}

u32 LocalApic::current_count() const {
    if (tsc_mode() || initial_ == 0) return 0;
    const Time now = cpu_.clock().now();
    u64 ticks = (now > started_ ? now - started_ : 0) >> divide_shift();
    if ((lvt_[TimerLvt] >> 17 & 3) == 1) ticks %= initial_;
    return ticks >= initial_ ? 0 : static_cast<u32>(initial_ - ticks);
}

void LocalApic::start_timer() {
    started_ = cpu_.clock().now();
    arm_timer();
}

/// Arms for the next moment at which an interrupt is due; a masked timer counts without being watched.
void LocalApic::arm_timer() {
    timer_.disarm();
    if (lvt_[TimerLvt] & Masked) return;
    const Time now = cpu_.clock().now();
    if (tsc_mode()) {
        if (!deadline_) return;
        const u64 tsc = now + cpu_.state().tsc_offset;
        timer_.arm_at(deadline_ > tsc ? now + std::min(deadline_ - tsc, u64{1} << 62) : now);
        return;
    }
    if (!initial_) return;
    const u64 period = u64{initial_} << divide_shift();
    Time due = started_ + period;
    if ((lvt_[TimerLvt] >> 17 & 3) == 1) {
        const u64 ago = now > started_ ? now - started_ : 0, at_once = period < kShortestPeriod ? kShortestPeriod / period : 1;
        due = started_ + (ago / period + at_once) * period;
    }
    if (due > now) timer_.arm_at(due);
}

/// A deadline that passed while the timer was masked is gone without an interrupt.
void LocalApic::expire_unseen() {
    if (deadline_ && deadline_ <= cpu_.clock().now() + cpu_.state().tsc_offset) deadline_ = 0;
}

u64 LocalApic::tsc_deadline() {
    if (!tsc_mode()) return 0;
    if (lvt_[TimerLvt] & Masked) expire_unseen();
    return deadline_;
}

void LocalApic::timer_fired() {
    if (tsc_mode()) deadline_ = 0;
    local_event(TimerLvt);
    if ((lvt_[TimerLvt] >> 17 & 3) == 1) arm_timer();
}

void LocalApic::set_tsc_deadline(u64 value) {
    if (!tsc_mode()) return;
    deadline_ = value;
    arm_timer();
}

void LocalApic::tsc_moved() {
    if (tsc_mode()) arm_timer();
}
}  // namespace calque
