#include "support/input_queue.h"

#include <algorithm>


namespace calque {

void InputEvent::deliver(InputSink& to) const {
    switch (kind) {
    case Kind::key: return to.key(code, down);
    case Kind::motion: return to.mouse_rel(dx, dy, dz);
    case Kind::button: return to.mouse_button(code, down);
    }
}

void InputEvent::state(StateIO& s) {
    s(kind, code, down, dx, dy, dz);
    if (s.loading() && kind > Kind::button) kind = Kind::key, s.fail();
}

InputQueue::InputQueue(Clock& clock, InputSink& sink) : clock_{clock}, sink_{sink}, timer_{clock, [this] { deliver_due(); }} {}

bool InputQueue::at(Time t, const InputEvent& event) {
    if (waiting_.size() >= kCapacity) return false;
    const auto later = std::find_if(waiting_.rbegin(), waiting_.rend(), [t](const Entry& e) { return e.due > t; });
    waiting_.insert(later.base(), {t, event});
    deliver_due();
    return true;
}

void InputQueue::deliver_due() {
    while (!waiting_.empty() && waiting_.back().due <= clock_.now()) {
        const InputEvent e = waiting_.back().event;
        waiting_.pop_back();
        e.deliver(sink_);
    }
    timer_.arm_at(waiting_.empty() ? kNever : waiting_.back().due);
}

void InputQueue::clear() {
    waiting_.clear();
    timer_.disarm();
}

void InputQueue::state(StateIO& s) {
    s.version(1);
    s(waiting_);
    if (!s.loading()) return;
    if (waiting_.size() > kCapacity) waiting_.clear(), s.fail();
    std::stable_sort(waiting_.begin(), waiting_.end(), [](const Entry& a, const Entry& b) { return a.due > b.due; });
    timer_.arm_at(waiting_.empty() ? kNever : waiting_.back().due);
}
}  // namespace calque
