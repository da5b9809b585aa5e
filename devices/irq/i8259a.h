// Intel 8259A programmable interrupt controller (datasheet 231468), as the pair inside a PIIX: trigger modes come from
// the ELCR registers at ports 4D0h and 4D1h.
#pragma once
#include <array>

#include "support/bus.h"
#include "support/line.h"

namespace calque {

class I8259a final : public BytePortDevice {
public:
    enum class Role { master, slave };
    I8259a(Role role, Line& intr);
    /// Master only: `slave`'s INT output must be wired to ir(n).
    void cascade(unsigned n, I8259a& slave) { slaves_[n & 7] = &slave; }

    Line& ir(unsigned n) { return pins_[n & 7]; }
    bool intr() const { return highest_request() >= 0; }
    /// The INTA cycles: returns the vector and puts the request into service. Spurious requests give IR7's vector.
    u8 ack();

    u8 read(u16 reg) override;
    void write(u16 reg, u8 value) override;
    void reset() override;
    void state(StateIO&) override;

    /// Edge/level control: a set bit makes that input level-triggered.
    u8 elcr() const { return elcr_; }
    void set_elcr(u8 value);

private:
    void set_input(unsigned n, bool level);
    void write_icw1(u8 value);
    void write_icw_or_mask(u8 value);
    void write_ocw2(u8 value);
    void write_ocw3(u8 value);
    void end_of_interrupt(unsigned n, bool rotate);
    void enter_service(unsigned n);
    u8 vector(unsigned n) const;
    u8 poll();
    int highest_request() const;
    int highest_in_service() const;
    u8 requests() const { return static_cast<u8>(inputs_ & (latched_ | elcr_)); }  // the IRR
    bool auto_eoi() const { return icw4_ & 0x02; }
    void update();

    using InputPin = IndexedPin<&I8259a::set_input>;
    friend InputPin;
    const Role role_;
    Line& intr_;
    std::array<InputPin, 8> pins_;
    std::array<I8259a*, 8> slaves_{};

    u8 inputs_ = 0, latched_ = 0, isr_ = 0, imr_ = 0, elcr_ = 0;
    u8 icw1_ = 0, icw2_ = 0, icw3_ = 0, icw4_ = 0;
    u8 init_step_ = 0;   // the ICW expected next (2..4), or 0
    u8 lowest_ = 7;      // the level with the lowest priority
    bool read_isr_ = false, poll_ = false, special_mask_ = false, rotate_in_auto_eoi_ = false;
};

/// The two edge/level control registers of the PIIX (82371SB datasheet, "Interrupt Controller Registers").
class Elcr final : public BytePortDevice {
public:
    Elcr(I8259a& master, I8259a& slave) : master_{master}, slave_{slave} {}
    u8 read(u16 reg) override { return (reg & 1 ? slave_ : master_).elcr(); }
    // IRQ0, 1, 2, 8 and 13 are always edge-triggered.
    void write(u16 reg, u8 value) override { reg & 1 ? slave_.set_elcr(value & 0xde) : master_.set_elcr(value & 0xf8); }
    void reset() override { master_.set_elcr(0), slave_.set_elcr(0); }
    void state(StateIO&) override {}  // the registers are saved by the controllers

private:
    I8259a &master_, &slave_;
};
}  // namespace calque
