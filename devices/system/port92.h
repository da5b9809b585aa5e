// Port 92h (fast A20 and fast reset) and the gate that joins it with the keyboard controller's A20 line.
#pragma once
#include "support/bus.h"
#include "support/line.h"

namespace calque {

/// A20M# of the PIIX: address line 20 is let through when either source asks for it.
class A20Gate final : public Device {
public:
    explicit A20Gate(Line& a20) : a20_{a20} {}
    Line& keyboard() { return keyboard_pin_; }
    Line& port92() { return port92_pin_; }
    void reset() override {}  // the sources drive their reset levels
    void state(StateIO&) override;

private:
    void set_keyboard(bool level) { keyboard_ = level, a20_.set(keyboard_ || port92_); }
    void set_port92(bool level) { port92_ = level, a20_.set(keyboard_ || port92_); }
    using KeyboardPin = Pin<&A20Gate::set_keyboard>;
    using Port92Pin = Pin<&A20Gate::set_port92>;
    friend KeyboardPin;
    friend Port92Pin;
    Line& a20_;
    KeyboardPin keyboard_pin_{*this};
    Port92Pin port92_pin_{*this};
    bool keyboard_ = true, port92_ = false;
};

class Port92 final : public BytePortDevice {
public:
    Port92(Line& a20, EdgeLine& soft_reset) : a20_{a20}, soft_reset_{soft_reset} {}
    u8 read(u16) override { return value_; }
    void write(u16, u8 value) override;
    void reset() override;
    void state(StateIO&) override;

private:
    Line& a20_;
    EdgeLine& soft_reset_;
    u8 value_ = 0;
};
}  // namespace calque
