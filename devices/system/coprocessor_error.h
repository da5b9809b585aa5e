// Coprocessor error (port F0h) of the PIIX3 (datasheet 290550, "Coprocessor Error Function"): FERR# becomes IRQ 13 until the guest
// writes to the port, which also gives the processor IGNNE#.
#pragma once
#include "support/bus.h"
#include "support/line.h"

namespace calque {

class CoprocessorError final : public BytePortDevice {
public:
    CoprocessorError(Line& irq13, EdgeLine& ignne) : irq13_{irq13}, ignne_{ignne} {}
    EdgeLine& ferr() { return ferr_pin_; }
    u8 read(u16) override { return 0xff; }
    void write(u16, u8) override;
    void reset() override;
    void state(StateIO&) override;

private:
    void error() { pending_ = true, irq13_.raise(); }
    using FerrPin = EdgePin<&CoprocessorError::error>;
    friend FerrPin;
    Line& irq13_;
    EdgeLine& ignne_;
    FerrPin ferr_pin_{*this};
    bool pending_ = false;
};
}  // namespace calque
