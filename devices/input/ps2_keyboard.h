// A PS/2 keyboard (IBM PS/2 Hardware Interface Technical Reference, "Keyboards"): scan code sets 1, 2 and 3.
#pragma once
#include <bitset>

#include "devices/input/ps2_device.h"
#include "support/clock.h"

namespace calque {

class Ps2Keyboard final : public Ps2Device {
public:
    explicit Ps2Keyboard(Clock&);
    /// `usage` as in support/keys.h. Repeats are the keyboard's own business; repeated presses are ignored.
    void key(u8 usage, bool down);
    /// Bit 0 scroll lock, 1 num lock, 2 caps lock.
    u8 leds() const { return leds_; }

    void command(u8 byte) override;
    void reset() override;  // power on
    void state(StateIO&) override;

private:
    struct KeyType {  // set 3 only
        bool typematic = true, sends_break = true;
        void state(StateIO& s) { s(typematic, sends_break); }
    };
    bool may_report() const override { return enabled_ && !argument_of_; }
    void argument(u8 command, u8 byte);
    void set_key_types(u8 command);
    void set_defaults();
    void self_test_done();
    void report(std::initializer_list<u8> bytes);
    void send_key(u8 usage, bool down);
    void send_code(u8 set2, bool e0, bool down);
    void send_set3(u8 code, bool down);
    void send_special(u8 usage, bool down);
    void repeat();
    bool repeats(u8 usage) const;
    Time repeat_delay() const { return (1 + (typematic_ >> 5 & 3)) * kSecond / 4; }
    Time repeat_period() const;

    Clock& clock_;
    std::bitset<256> down_;
    std::array<KeyType, 256> types_;  // by set 3 make code
    u8 set_ = 2, leds_ = 0, typematic_ = 0x2b;
    u8 argument_of_ = 0;  // the command whose argument comes next
    bool enabled_ = true;
    u8 repeating_ = 0;
    Timer repeat_, self_test_;
};
}  // namespace calque
