// The one gate through which the outside reaches the machine. Every event is stamped with the instruction count at
// which it takes effect, so a list of events and the configuration make a run repeatable.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "machine/config.h"
#include "support/input_queue.h"
#include "support/state_io.h"

namespace calque {

/// Where a machine stands between two instructions. Time moves without instructions while the processor sleeps, and at one count and
/// time the processor may be asked to run several times without getting further, when all that it does is take an interrupt. A debugger
/// can also stop it behind the delivery of a fault.
struct Moment {
    u64 icount = 0;
    Time time = 0;
    u64 turns = 0;
    u64 faults = 0;      // delivered since so many instructions have retired
    auto operator<=>(const Moment&) const = default;
};

struct GateEvent {
    enum class Kind : u8 { input, serial, serial_break, time_skew, power_button, reset, insert_medium, set_memory, set_register, set_msr };
    u64 icount = 0;
    Kind kind{};
    u64 a = 0;           // input: machine time at which it happens, 0 for at once; serial port or drive; time_skew: nanoseconds
    i32 x = 0, y = 0, z = 0;  // the character; what a medium is exchanged for
    InputEvent input{};       // key, motion or button
    ImageConfig medium{};     // what is inserted; its index is x
    // What a debugger writes. set_memory: a is the address, y says that it is physical; set_register: y says that other state depends on it;
    // set_msr: a is the number.
    std::string name{};
    std::vector<u8> bytes{};
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
    /// What has passed before, in a machine that has gone back: listeners know it.
    void repeat(const GateEvent& e) {
        settle_();
        ++count_;
        apply_(e);
    }
    void close(bool closed = true) { closed_ = closed; }
    bool closed() const { return closed_; }
    /// How many events have passed, since the beginning of its recording if the machine records or replays.
    u64 count() const { return count_; }
    void begin_count() { count_ = 0; }
    void state(StateIO& s) { s(count_); }
    /// Hears every event before it takes effect.
    using Listener = std::function<void(const GateEvent&)>;
    void listen(const void* who, Listener l) { listeners_[who] = std::move(l); }
    void forget(const void* who) { listeners_.erase(who); }

private:
    void pass(GateEvent e) {
        settle_();
        e.icount = icount_();
        ++count_;
        for (const auto& [who, listener] : listeners_) listener(e);
        apply_(e);
    }
    std::function<u64()> icount_;
    std::function<void()> settle_;
    Apply apply_;
    std::map<const void*, Listener> listeners_;
    u64 count_ = 0;
    bool closed_ = false;
};
}  // namespace calque
