// The 8042 keyboard controller of a PS/2 (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary
// Device Controller"): two serial ports, set 2 to set 1 translation, A20 and reset.
#pragma once
#include <array>

#include "devices/input/ps2_device.h"
#include "support/clock.h"

namespace calque {

class I8042 final : public Device {
public:
    struct Pins {
        Line &irq1, &irq12, &a20;
        EdgeLine& reset;  // to the processors
    };
    I8042(Clock&, Pins, Ps2Device& keyboard, Ps2Device& mouse);

    /// Port 60h and port 64h.
    PortDevice& data_port() { return data_port_; }
    PortDevice& command_port() { return command_port_; }
    void reset() override;
    void state(StateIO&) override;

private:
    template <bool is_command>
    class Port final : public BytePortDevice {
    public:
        explicit Port(I8042& chip) : chip_{chip} {}
        u8 read(u16) override { return is_command ? chip_.status() : chip_.read_data(); }
        void write(u16, u8 value) override { is_command ? chip_.write_command(value) : chip_.write_data(value); }
        void reset() override {}
        void state(StateIO&) override {}

    private:
        I8042& chip_;
    };
    enum class Source : u8 { controller, keyboard, aux };
    u8 status() const;
    u8 read_data();
    void write_command(u8 command);
    void write_data(u8 value);
    void argument(u8 command, u8 value);
    void answer(u8 value);
    void put(u8 value, Source source);
    void device_ready();
    void transfer();
    void translate(u8 value);
    void write_output_port(u8 value);
    u8 output_port() const;
    void update_irqs();
    bool keyboard_on() const { return !(ram_[0] & 0x10); }
    bool aux_on() const { return !(ram_[0] & 0x20); }

    using ReadyPin = EdgePin<&I8042::device_ready>;
    friend ReadyPin;
    Pins pins_;
    Ps2Device &keyboard_, &mouse_;
    ReadyPin ready_{*this};
    Port<false> data_port_{*this};
    Port<true> command_port_{*this};
    std::array<u8, 32> ram_{};  // byte 0 is the command byte
    u8 output_ = 0;             // the output buffer
    bool full_ = false;
    Source source_ = Source::controller;
    u8 answer_ = 0;             // waits until the output buffer is free
    bool answer_waits_ = false;
    u8 argument_of_ = 0;        // the command whose argument comes next
    bool last_was_command_ = false, break_ = false, a20_ = true;
    Timer transfer_;
};
}  // namespace calque
