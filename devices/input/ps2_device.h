// What hangs on one of the 8042's two cables: it answers commands and reports events, a byte at a time, when the
// controller lets it. Both queues are bounded.
#pragma once
#include <algorithm>
#include <array>
#include <initializer_list>

#include "support/bus.h"
#include "support/line.h"
#include "support/state_io.h"

namespace calque {

class Ps2Device : public Device {
public:
    /// The controller hears `data` when there is something to take.
    void attach(EdgeLine* data) { data_ = data; }
    bool ready() const { return replies_.count || (events_.count && may_report()); }
    u8 take() {
        last_ = replies_.count ? replies_.pop() : events_.pop();
        if (!events_.count) drained();
        return last_;
    }
    virtual void command(u8 byte) = 0;

protected:
    static constexpr u8 kAck = 0xfa, kResend = 0xfe, kSelfTestPassed = 0xaa;
    struct Queue {
        static constexpr unsigned kSize = 32;
        std::array<u8, kSize> data{};
        u8 head = 0, count = 0;
        unsigned room() const { return kSize - count; }
        void push(u8 b) {
            if (count < kSize) data[(head + count++) % kSize] = b;
        }
        u8 pop() {
            if (!count) return 0;
            const u8 b = data[head];
            head = static_cast<u8>((head + 1) % kSize), --count;
            return b;
        }
        void clear() { head = count = 0; }
        void state(StateIO& s) {
            s(data, head, count);
            head %= kSize, count = std::min<u8>(count, kSize);
        }
    };
    /// Events wait while a command is being answered.
    virtual bool may_report() const { return true; }
    /// The event queue has just been emptied.
    virtual void drained() {}
    void reply(std::initializer_list<u8> bytes) {
        for (u8 b : bytes) replies_.push(b);
        notify();
    }
    void notify() {
        if (data_ && ready()) data_->trigger();
    }
    Queue replies_, events_;
    u8 last_ = 0;  // what RESEND repeats

private:
    EdgeLine* data_ = nullptr;
};
}  // namespace calque
