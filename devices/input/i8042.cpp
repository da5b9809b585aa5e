// Choices where the reference leaves room:
// * Commands take no time, so the input buffer is never seen full. A byte from a device takes 700 us on its cable.
// * Answers of the controller itself raise no interrupt; bytes that D2h and D3h put into the output buffer do.
// * Sending a byte to a device enables its port, as the AT's controller does for the keyboard.
// * No password can be installed (A4h answers F1h); the bytes that A5h brings are ignored.
#include "devices/input/i8042.h"

#include "devices/input/scancodes.h"
#include "support/log.h"

namespace calque {
namespace {
Log log{"i8042"};
constexpr Time kByteTime = 700'000;  // eleven bits
constexpr u8 kOutputFull = 0x01, kSystem = 0x04, kCommand = 0x08, kUnlocked = 0x10, kAuxFull = 0x20;
constexpr u8 kKeyboardInt = 0x01, kAuxInt = 0x02, kKeyboardOff = 0x10, kAuxOff = 0x20, kTranslate = 0x40, kCommandByteBits = 0x77;
constexpr u8 kNotReset = 0x01, kA20 = 0x02, kIrq1 = 0x10, kIrq12 = 0x20;
constexpr u8 kInputPort = 0xa0;  // not locked, colour display jumper clear
}  // namespace

I8042::I8042(Clock& clock, Pins pins, Ps2Device& keyboard, Ps2Device& mouse)
    : pins_{pins}, keyboard_{keyboard}, mouse_{mouse}, transfer_{clock, [this] { transfer(); }} {
    keyboard_.attach(&ready_), mouse_.attach(&ready_);
}

// Output buffer

u8 I8042::status() const {
    return static_cast<u8>((full_ ? kOutputFull : 0) | (full_ && source_ == Source::aux ? kAuxFull : 0) |
                           (ram_[0] & kSystem) | (last_was_command_ ? kCommand : 0) | kUnlocked);
}

void I8042::update_irqs() {
    pins_.irq1.set(full_ && source_ == Source::keyboard && (ram_[0] & kKeyboardInt));
    pins_.irq12.set(full_ && source_ == Source::aux && (ram_[0] & kAuxInt));
}

void I8042::put(u8 value, Source source) {
    output_ = value, source_ = source, full_ = true;
    update_irqs();
}

void I8042::answer(u8 value) {
    if (!full_) return put(value, Source::controller);
    answer_ = value, answer_waits_ = true;
}

u8 I8042::read_data() {
    if (!full_) return output_;  // the last byte can be read again
    full_ = false;
    const u8 v = output_;
    update_irqs();
    if (answer_waits_) {
        answer_waits_ = false;
        put(answer_, Source::controller);
    }
    device_ready();
    return v;
}

/// A device has something to send, or may send again: its byte will be here after kByteTime.
void I8042::device_ready() {
    if (full_ || transfer_.armed()) return;
    if ((keyboard_on() && keyboard_.ready()) || (aux_on() && mouse_.ready())) transfer_.arm_in(kByteTime);
}

void I8042::transfer() {
    if (full_) return;  // read_data() starts again
    if (keyboard_on() && keyboard_.ready()) translate(keyboard_.take());
    else if (aux_on() && mouse_.ready()) put(mouse_.take(), Source::aux);
    device_ready();
}

void I8042::translate(u8 value) {
    if (!(ram_[0] & kTranslate)) return put(value, Source::keyboard);
    if (value == 0xf0) {
        break_ = true;  // becomes bit 7 of the code that follows
        return;
    }
    const u8 code = translate_to_set1(value);
    put(static_cast<u8>(break_ ? code | 0x80 : code), Source::keyboard);
    break_ = false;
}

// Commands

u8 I8042::output_port() const {
    return static_cast<u8>(kNotReset | (a20_ ? kA20 : 0) | (full_ && source_ != Source::aux ? kIrq1 : 0) |
                           (full_ && source_ == Source::aux ? kIrq12 : 0) | 0xc0);
}

void I8042::write_output_port(u8 value) {
    a20_ = value & kA20;
    pins_.a20.set(a20_);
    if (!(value & kNotReset)) pins_.reset.trigger();
}

void I8042::write_command(u8 c) {
    last_was_command_ = true;
    argument_of_ = 0;
    if (c >= 0x20 && c < 0x40) return answer(ram_[c & 31]);
    if ((c >= 0x60 && c < 0x80) || c == 0xa5 || (c >= 0xd1 && c <= 0xd4)) return void(argument_of_ = c);
    const auto configure = [&](u8 set, u8 clear) {
        ram_[0] = static_cast<u8>((ram_[0] | set) & ~clear);
        device_ready();
    };
    switch (c) {
    case 0xa4: return answer(0xf1);
    case 0xa6: return;
    case 0xa7: return configure(kAuxOff, 0);
    case 0xa8: return configure(0, kAuxOff);
    case 0xa9:
    case 0xab: return answer(0x00);
    case 0xaa:
        ram_[0] |= kSystem;
        return answer(0x55);
    case 0xad: return configure(kKeyboardOff, 0);
    case 0xae: return configure(0, kKeyboardOff);
    case 0xc0: return answer(kInputPort);
    case 0xd0: return answer(output_port());
    case 0xdd: return write_output_port(kNotReset);
    case 0xdf: return write_output_port(kNotReset | kA20);
    case 0xe0: return answer(static_cast<u8>((keyboard_on() ? 1 : 0) | (aux_on() ? 2 : 0)));  // T0, T1: the clock lines
    default: break;
    }
    if (c >= 0xf0) {  // pulses the output port's low bits that are zero here
        if (!(c & kNotReset)) pins_.reset.trigger();
        return;
    }
    log.debug("unknown command %02x", c);
}

void I8042::write_data(u8 value) {
    last_was_command_ = false;
    const u8 command = argument_of_;
    argument_of_ = 0;
    if (command) return argument(command, value);
    ram_[0] &= static_cast<u8>(~kKeyboardOff);
    keyboard_.command(value);
    device_ready();
}

void I8042::argument(u8 command, u8 value) {
    switch (command) {
    case 0x60:
        ram_[0] = value & kCommandByteBits;
        update_irqs();
        return device_ready();
    case 0xa5:
        if (value) argument_of_ = command;  // the password ends with a zero
        return;
    case 0xd1: return write_output_port(value);
    case 0xd2: return put(value, Source::keyboard);
    case 0xd3: return put(value, Source::aux);
    case 0xd4:
        ram_[0] &= static_cast<u8>(~kAuxOff);
        mouse_.command(value);
        return device_ready();
    default: ram_[command & 31] = value;
    }
}

void I8042::reset() {
    ram_ = {};
    ram_[0] = kKeyboardOff | kAuxOff | kTranslate;
    output_ = answer_ = argument_of_ = 0;
    full_ = answer_waits_ = last_was_command_ = break_ = false;
    source_ = Source::controller;
    a20_ = true;
    transfer_.disarm();
    pins_.a20.set(true);
    update_irqs();
}

void I8042::state(StateIO& s) {
    s.version(1);
    s(ram_, output_, full_, source_, answer_, answer_waits_, argument_of_, last_was_command_, break_, a20_, transfer_);
    if (!s.loading()) return;
    if (source_ > Source::aux) source_ = Source::controller;
    ram_[0] &= kCommandByteBits;
    pins_.a20.set(a20_);
    update_irqs();
}
}  // namespace calque
