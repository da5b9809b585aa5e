// Motorola MC146818A real-time clock with 256 bytes of CMOS RAM, as a PIIX has it: ports 70h/71h reach the lower 128
// bytes, 72h/73h the upper ones.
#pragma once
#include <array>

#include "support/bus.h"
#include "support/clock.h"
#include "support/line.h"

namespace calque {

class Mc146818 final : public BytePortDevice {
public:
    /// `epoch`: what the clock shows at machine time 0, in seconds since 1970-01-01 00:00.
    Mc146818(Clock&, Line& irq, i64 epoch);

    u8 read(u16 reg) override;  // 0..3: ports 70h..73h
    void write(u16 reg, u8 value) override;
    void reset() override;  // keeps time and RAM, as the battery does
    void state(StateIO&) override;

    /// What the firmware expects to find in the RAM: 0Eh..FFh, except 32h (the century).
    void set_cmos(u8 index, u8 value) { ram_[index] = value; }
    u8 cmos(u8 index) const { return ram_[index]; }
    bool nmi_masked() const { return nmi_masked_; }

private:
    struct Date {
        int year = 1970;
        unsigned month = 1, day = 1, hour = 0, minute = 0, second = 0, weekday = 5;  // weekday: 1 is Sunday
    };
    static Date date_of(i64 epoch);
    static i64 epoch_of(const Date&);
    u8 encode(unsigned v) const;
    unsigned decode(u8 v) const;
    u8 encode_hour(unsigned hour) const;
    unsigned decode_hour(u8 v) const;
    Date load_date() const;
    void store_date(const Date&);
    bool alarm_within(i64 last_second, u64 count) const;

    bool divider_runs() const;
    bool updating() const;
    bool update_in_progress() const;
    Time period() const;
    u64 periods(Time t) const;
    void sync();
    void update_irq();
    void arm();
    u8 read_data(u8 index);
    void write_data(u8 index, u8 value);
    void write_a(u8 value);
    void write_b(u8 value);

    Clock& clock_;
    Line& irq_;
    std::array<u8, 256> ram_{};
    u8 index_ = 0, extended_index_ = 0;
    bool nmi_masked_ = false;
    Time second_start_ = 0;      // machine time of the last update
    Time divider_start_ = 0;     // where the periodic interrupt counts from
    u64 periods_seen_ = 0;       // periodic ticks already turned into PF
    Timer timer_;
};
}  // namespace calque
