// Port 61h: speaker gate, NMI status and refresh toggle (82371SB datasheet, "NMISC - NMI Status and Control Register").
#pragma once
#include <functional>

#include "support/bus.h"
#include "support/clock.h"
#include "support/line.h"

namespace calque {

class Port61 final : public BytePortDevice {
public:
    /// `gate2` is GATE2 of the timer, `out2` asks for its OUT2.
    Port61(Clock& clock, Line& gate2, std::function<bool()> out2)
        : clock_{clock}, gate2_{gate2}, out2_{std::move(out2)} {}
    /// Does the speaker's AND gate pass OUT2?
    bool speaker_on() const { return (value_ & 3) == 3; }
    u8 read(u16) override;
    void write(u16, u8 value) override;
    void reset() override;
    void state(StateIO&) override;

private:
    Clock& clock_;
    Line& gate2_;
    std::function<bool()> out2_;
    u8 value_ = 0;
};
}  // namespace calque
