// What a person or a remote client does to the machine's keyboard and mouse, at a moment of machine time. Timing by the
// machine's clock keeps a key's hold time right (and its typematic repeats away) however fast the machine runs.
#pragma once
#include <vector>

#include "support/clock.h"
#include "support/host_ui.h"
#include "support/state_io.h"

namespace calque {

struct InputEvent {
    enum class Kind : u8 { key, motion, button };
    Kind kind = Kind::key;
    u8 code = 0;  // HID usage, or the button's number
    bool down = false;
    int dx = 0, dy = 0, dz = 0;

    static InputEvent key(u8 usage, bool down) { return {Kind::key, usage, down}; }
    static InputEvent button(unsigned n, bool down) { return {Kind::button, static_cast<u8>(n), down}; }
    static InputEvent motion(int dx, int dy, int dz) { return {Kind::motion, 0, false, dx, dy, dz}; }
    void deliver(InputSink&) const;
    void state(StateIO&);
};

class InputQueue {
public:
    static constexpr size_t kCapacity = 65536;
    InputQueue(Clock& clock, InputSink& sink);
    /// Delivers `event` when machine time reaches `t`, at once if it has; events for the same time keep their order.
    /// False when too many wait.
    bool at(Time t, const InputEvent& event);
    size_t waiting() const { return waiting_.size(); }
    void clear();
    void state(StateIO&);

private:
    struct Entry {
        Time due = 0;
        InputEvent event;
        void state(StateIO& s) { s(due, event); }
    };
    void deliver_due();
    Clock& clock_;
    InputSink& sink_;
    Timer timer_;
    std::vector<Entry> waiting_;  // latest first
};
}  // namespace calque
