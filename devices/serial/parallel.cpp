// Choices: the printer takes a character when nStrobe falls, is busy for 5 us and acknowledges for another 5 us. The
// interrupt comes with the end of nAck and lasts until the status is read, as in the PS/2.
#include "devices/serial/parallel.h"

#include "support/state_io.h"

namespace calque {
namespace {
constexpr u8 kNotBusy = 0x80, kNotAck = 0x40, kPaperOut = 0x20, kSelect = 0x10, kNotError = 0x08, kNotIrq = 0x04, kReserved = 0x03;
constexpr u8 kStrobe = 0x01, kNotInit = 0x04, kIrqEnable = 0x10, kInput = 0x20, kControlBits = 0x3f;
constexpr Time kStep = 5000;
}  // namespace

ParallelPort::ParallelPort(Clock& clock, Line& irq, CharSink* printer)
    : clock_{clock}, irq_{irq}, printer_{printer}, step_{clock, [this] { advance(); }} {}

void ParallelPort::set_irq(bool pending) {
    irq_pending_ = pending;
    irq_.set(pending && (control_ & kIrqEnable));
}

u8 ParallelPort::status() {
    const u8 irq = irq_pending_ ? 0 : kNotIrq;
    set_irq(false);
    // Without a printer the pull-ups decide.
    if (!printer_) return static_cast<u8>(kNotAck | kPaperOut | kSelect | kNotError | irq | kReserved);
    u8 v = static_cast<u8>(kSelect | kNotError | irq | kReserved);
    if (handshake_ == Handshake::ready) v |= kNotBusy;
    if (handshake_ != Handshake::acknowledge) v |= kNotAck;
    return v;
}

void ParallelPort::write_control(u8 value) {
    const bool strobe = (value & kStrobe) && !(control_ & kStrobe);
    control_ = value & kControlBits;
    set_irq(irq_pending_ && (control_ & kIrqEnable));
    if (!(control_ & kNotInit)) {
        handshake_ = Handshake::ready;
        return step_.disarm();
    }
    if (!strobe || !printer_ || handshake_ != Handshake::ready || (control_ & kInput)) return;
    printer_->put(data_);
    handshake_ = Handshake::busy;
    step_.arm_in(kStep);
}

void ParallelPort::advance() {
    if (handshake_ == Handshake::busy) {
        handshake_ = Handshake::acknowledge;
        return step_.arm_in(kStep);
    }
    handshake_ = Handshake::ready;
    set_irq(control_ & kIrqEnable);
}

u8 ParallelPort::read(u16 reg) {
    switch (reg & 3) {
    case 0: return control_ & kInput ? 0xff : data_;  // nobody drives the data lines towards us
    case 1: return status();
    case 2: return static_cast<u8>(control_ | ~kControlBits);
    default: return 0xff;
    }
}

void ParallelPort::write(u16 reg, u8 value) {
    if ((reg & 3) == 0) data_ = value;
    else if ((reg & 3) == 2) write_control(value);
}

void ParallelPort::reset() {
    data_ = 0;
    control_ = kNotInit;
    handshake_ = Handshake::ready;
    step_.disarm();
    set_irq(false);
}

void ParallelPort::state(StateIO& s) {
    s.version(1);
    s(data_, control_, handshake_, irq_pending_, step_);
    if (!s.loading()) return;
    control_ &= kControlBits;
    if (handshake_ > Handshake::acknowledge || !step_.armed()) handshake_ = Handshake::ready;
    if (handshake_ == Handshake::ready) step_.disarm();
    set_irq(irq_pending_);
}
}  // namespace calque
