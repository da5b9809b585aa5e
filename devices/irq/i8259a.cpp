// Choices where the datasheet leaves room:
// * An edge-triggered request is withdrawn when its input falls before the acknowledge ("the IR input must remain high
//   until after the falling edge of the first INTA"); the acknowledge that may follow then sees IR7.
// * LTIM of ICW1 is ignored, as the 82371SB does: the ELCR decides for each input.
// * In MCS-80/85 mode (ICW4 bit 0 clear) the processor takes the low address byte of the CALL as its vector.
#include "devices/irq/i8259a.h"

#include "support/log.h"
#include "support/state_io.h"

namespace calque {
namespace {
Log log{"i8259a"};
constexpr u8 kIcw1Icw4 = 0x01, kIcw1Single = 0x02, kIcw1Interval4 = 0x04, kIcw1 = 0x10;
constexpr u8 kIcw4X86 = 0x01, kIcw4SpecialFullyNested = 0x10;
constexpr u8 bit(unsigned n) { return static_cast<u8>(1u << (n & 7)); }
}  // namespace

I8259a::I8259a(Role role, Line& intr) : role_{role}, intr_{intr} {
    for (unsigned i = 0; i < 8; ++i) pins_[i] = {*this, i};
}

void I8259a::set_input(unsigned n, bool level) {
    const u8 b = bit(n);
    if (level && !(inputs_ & b)) latched_ |= b;
    if (!level) latched_ &= static_cast<u8>(~b);
    inputs_ = static_cast<u8>(level ? inputs_ | b : inputs_ & ~b);
    update();
}

void I8259a::set_elcr(u8 value) {
    elcr_ = value;
    update();
}

/// The level that would be acknowledged now, or -1 ("Priority Resolver", "Fully Nested Mode").
int I8259a::highest_request() const {
    const u8 wanted = static_cast<u8>(requests() & ~imr_);
    if (!wanted || init_step_) return -1;
    // In special mask mode a masked level that is in service holds back nobody.
    const u8 serving = static_cast<u8>(special_mask_ ? isr_ & ~imr_ : isr_);
    const bool nested = role_ == Role::master && (icw4_ & kIcw4SpecialFullyNested);
    for (unsigned i = 1; i <= 8; ++i) {
        const unsigned n = (lowest_ + i) & 7;
        const u8 b = bit(n);
        if (serving & b) return nested && (wanted & b) && slaves_[n] ? static_cast<int>(n) : -1;
        if (wanted & b) return static_cast<int>(n);
    }
    return -1;
}

int I8259a::highest_in_service() const {
    for (unsigned i = 1; i <= 8; ++i) {
        const unsigned n = (lowest_ + i) & 7;
        // "Special Mask Mode": a nonspecific EOI does not clear a level that is masked.
        if ((isr_ & bit(n)) && !(special_mask_ && (imr_ & bit(n)))) return static_cast<int>(n);
    }
    return -1;
}

void I8259a::enter_service(unsigned n) {
    latched_ &= static_cast<u8>(~bit(n));
    if (!auto_eoi()) isr_ |= bit(n);
    else if (rotate_in_auto_eoi_) lowest_ = static_cast<u8>(n);
}

u8 I8259a::vector(unsigned n) const {
    if (icw4_ & kIcw4X86) return static_cast<u8>((icw2_ & 0xf8) | n);
    return static_cast<u8>(icw1_ & kIcw1Interval4 ? (icw1_ & 0xe0) | n << 2 : (icw1_ & 0xc0) | n << 3);
}

u8 I8259a::ack() {
    const int n = highest_request();
    if (n < 0) {
        log.debug("spurious acknowledge");
        return vector(7);
    }
    enter_service(static_cast<unsigned>(n));
    I8259a* slave = !(icw1_ & kIcw1Single) && (icw3_ & bit(static_cast<unsigned>(n))) ? slaves_[n] : nullptr;
    const u8 v = slave ? slave->ack() : vector(static_cast<unsigned>(n));
    update();
    return v;
}

/// "Poll Command": the read takes the place of INTA.
u8 I8259a::poll() {
    poll_ = false;
    const int n = highest_request();
    if (n < 0) return 0x07;
    enter_service(static_cast<unsigned>(n));
    update();
    return static_cast<u8>(0x80 | n);
}

u8 I8259a::read(u16 reg) {
    if (poll_) return poll();
    if (reg & 1) return imr_;
    return read_isr_ ? isr_ : requests();
}

void I8259a::write(u16 reg, u8 value) {
    if (reg & 1) write_icw_or_mask(value);
    else if (value & kIcw1) write_icw1(value);
    else if (value & 0x08) write_ocw3(value);
    else write_ocw2(value);
    update();
}

void I8259a::write_icw1(u8 value) {
    icw1_ = value;
    icw3_ = icw4_ = 0;
    latched_ = isr_ = imr_ = 0;  // an edge must come after this to count
    lowest_ = 7;
    read_isr_ = poll_ = special_mask_ = rotate_in_auto_eoi_ = false;
    init_step_ = 2;
}

void I8259a::write_icw_or_mask(u8 value) {
    switch (init_step_) {
    case 2:
        icw2_ = value;
        init_step_ = !(icw1_ & kIcw1Single) ? 3 : icw1_ & kIcw1Icw4 ? 4 : 0;
        break;
    case 3:
        icw3_ = value;
        init_step_ = icw1_ & kIcw1Icw4 ? 4 : 0;
        break;
    case 4:
        icw4_ = value;
        init_step_ = 0;
        break;
    default: imr_ = value;
    }
}

void I8259a::end_of_interrupt(unsigned n, bool rotate) {
    isr_ &= static_cast<u8>(~bit(n));
    if (rotate) lowest_ = static_cast<u8>(n);
}

void I8259a::write_ocw2(u8 value) {
    const unsigned level = value & 7;
    switch (value >> 5) {  // R, SL, EOI
    case 0: rotate_in_auto_eoi_ = false; break;
    case 4: rotate_in_auto_eoi_ = true; break;
    case 1:
    case 5:
        if (const int n = highest_in_service(); n >= 0) end_of_interrupt(static_cast<unsigned>(n), value & 0x80);
        break;
    case 3:
    case 7: end_of_interrupt(level, value & 0x80); break;
    case 6: lowest_ = static_cast<u8>(level); break;
    default: break;  // 2: no operation
    }
}

void I8259a::write_ocw3(u8 value) {
    if (value & 0x40) special_mask_ = value & 0x20;
    if (value & 0x04) poll_ = true;
    else if (value & 0x02) read_isr_ = value & 0x01;
}

void I8259a::update() { intr_.set(intr()); }

void I8259a::reset() {
    // The chip has no RESET pin; this is what ICW1 does, plus the PIIX's ELCR.
    write_icw1(0);
    icw2_ = elcr_ = init_step_ = 0;
    update();
}

void I8259a::state(StateIO& s) {
    s.version(1);
    s(inputs_, latched_, isr_, imr_, elcr_, icw1_, icw2_, icw3_, icw4_, init_step_, lowest_);
    s(read_isr_, poll_, special_mask_, rotate_in_auto_eoi_);
    if (!s.loading()) return;
    lowest_ &= 7;
    if (init_step_ == 1 || init_step_ > 4) init_step_ = 0;
    update();
}
}  // namespace calque
