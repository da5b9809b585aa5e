// A PC parallel port in SPP mode with the PS/2's direction bit (IEEE 1284-1994, compatibility mode), and the printer's
// side of the handshake.
#pragma once
#include "support/bus.h"
#include "support/clock.h"
#include "support/host.h"
#include "support/line.h"

namespace calque {

class ParallelPort final : public BytePortDevice {
public:
    /// `printer` is nullptr when nothing is plugged in.
    ParallelPort(Clock&, Line& irq, CharSink* printer);
    u8 read(u16 reg) override;  // 0 data, 1 status, 2 control
    void write(u16 reg, u8 value) override;
    void reset() override;
    void state(StateIO&) override;

private:
    enum class Handshake : u8 { ready, busy, acknowledge };
    u8 status();
    void write_control(u8 value);
    void advance();
    void set_irq(bool pending);

    Clock& clock_;
    Line& irq_;
    CharSink* printer_;
    u8 data_ = 0, control_ = 0;
    Handshake handshake_ = Handshake::ready;
    bool irq_pending_ = false;
    Timer step_;
};
}  // namespace calque
