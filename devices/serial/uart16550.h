// National PC16550D UART with FIFOs (datasheet TL/C/8652), as wired in a PC: OUT2 gates the interrupt.
#pragma once
#include <array>

#include "support/bus.h"
#include "support/clock.h"
#include "support/host.h"
#include "support/line.h"

namespace calque {

class Uart16550 final : public BytePortDevice {
public:
    static constexpr u64 kCrystalHz = 1'843'200;
    static constexpr unsigned kFifo = 16;
    Uart16550(Clock&, Line& irq, CharSink& out);

    /// A character arrives on SIN. False, and nothing happens, when there is no room for it.
    bool receive(u8 c);
    /// A break arrives on SIN.
    bool receive_break();
    /// How many characters receive() would take now. None in loopback, where SIN is cut off.
    unsigned receive_space() const;
    /// The modem's side of the cable; all but RI are asserted after construction.
    void set_modem_lines(bool cts, bool dsr, bool ri, bool dcd);
    /// A line that is faster than the divisor says. A guest that waits for each character of a slow one would spend a
    /// million instructions on it, when an instruction is a nanosecond.
    void limit_character_time(Time t) { longest_character_ = t; }
    bool dtr() const { return !loopback() && (mcr_ & 1); }
    bool rts() const { return !loopback() && (mcr_ & 2); }

    u8 read(u16 reg) override;
    void write(u16 reg, u8 value) override;
    void reset() override;
    void state(StateIO&) override;

private:
    struct Fifo {
        std::array<u8, kFifo> data{}, flags{};  // flags: the LSR error bits of this character
        u8 head = 0, count = 0;
        void clear() { head = count = 0; }
        void push(u8 c, u8 f) { data[(head + count) % kFifo] = c, flags[(head + count) % kFifo] = f, ++count; }
        u8 pop();
        bool any_flags() const;
        void state(StateIO&);
    };
    bool loopback() const { return mcr_ & 0x10; }
    bool fifo_on() const { return fcr_ & 1; }
    unsigned depth() const { return fifo_on() ? kFifo : 1; }
    unsigned trigger() const;
    Time character_time() const;
    void put_received(u8 c, u8 flags);
    void received_top();
    void load_shifter();
    void character_sent();
    void character_timed_out();
    u8 read_data();
    u8 read_iir();
    u8 read_lsr();
    u8 read_msr();
    void write_data(u8 c);
    void write_ier(u8 value);
    void write_fcr(u8 value);
    void write_lcr(u8 value);
    u8 modem_status() const;
    void update_modem();
    u8 interrupt_id() const;
    void update_irq();

    Clock& clock_;
    Line& irq_;
    CharSink& out_;
    Time longest_character_ = kNever;
    u8 ier_ = 0, fcr_ = 0, lcr_ = 0, mcr_ = 0, scr_ = 0;
    u8 line_status_ = 0;    // OE, PE, FE, BI
    u8 modem_ = 0xb0;       // the lines as the modem drives them
    u8 msr_ = 0xb0;
    u16 divisor_ = 12;
    Fifo rx_, tx_;
    u8 shifter_ = 0;
    bool shifting_ = false;
    bool thre_pending_ = false, timeout_pending_ = false;
    Timer sent_, timeout_;
};
}  // namespace calque
