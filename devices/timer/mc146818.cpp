// Time registers are brought up to date when somebody looks; a timer runs only while an interrupt is enabled.
// Choices where the datasheet leaves room:
// * Values that are no time or date are normalised by the next update (61 seconds are a minute and a second).
// * The daylight saving bit is kept but changes nothing, as in the PIIX4. Register 32h holds the century.
// * Every divider setting except "reset" (11x) runs from the 32.768 kHz crystal.
#include "devices/timer/mc146818.h"

#include <algorithm>

#include "support/state_io.h"

namespace calque {
namespace {
enum Reg : u8 { kSec, kSecAlarm, kMin, kMinAlarm, kHour, kHourAlarm, kWeekday, kDay, kMonth, kYear, kA, kB, kC, kD, kCentury = 0x32 };
constexpr u8 kUip = 0x80;                                                    // register A
constexpr u8 kSet = 0x80, kPie = 0x40, kAie = 0x20, kUie = 0x10, kSqwe = 0x08, kBinary = 0x04, k24Hours = 0x02;  // B
constexpr u8 kIrqf = 0x80, kPf = 0x40, kAf = 0x20, kUf = 0x10;              // C
constexpr u8 kVrt = 0x80;                                                    // D
constexpr u8 kPm = 0x80;
// "Update Cycle": UIP rises 244 us before an update of 1984 us, whose end we call the second's start.
constexpr Time kUpdateTime = (244 + 1984) * 1000;

/// Days since 1970-01-01 of a proleptic Gregorian date, counting years from March.
constexpr i64 days_of(i64 y, unsigned m, unsigned d) {
    y -= m <= 2;
    const i64 era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    const i64 doy = (153 * (i64{m} + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}
}  // namespace

Mc146818::Date Mc146818::date_of(i64 epoch) {
    const i64 days = (epoch >= 0 ? epoch : epoch - 86399) / 86400;
    const auto rest = static_cast<unsigned>(epoch - days * 86400);
    Date r;
    r.hour = rest / 3600, r.minute = rest / 60 % 60, r.second = rest % 60;
    r.weekday = static_cast<unsigned>(((days + 4) % 7 + 7) % 7) + 1;  // 1970-01-01 was a Thursday
    i64 y = 1970 + days / 366;  // never too late
    while (days_of(y + 1, 1, 1) <= days) ++y;
    while (days_of(y, 1, 1) > days) --y;
    r.year = static_cast<int>(y);
    while (r.month < 12 && days_of(y, r.month + 1, 1) <= days) ++r.month;
    r.day = static_cast<unsigned>(days - days_of(y, r.month, 1)) + 1;
    return r;
}

i64 Mc146818::epoch_of(const Date& d) {
    return days_of(d.year, std::clamp(d.month, 1u, 12u), d.day) * 86400 + i64{d.hour} * 3600 + d.minute * 60 + d.second;
}

Mc146818::Mc146818(Clock& clock, Line& irq, i64 epoch)
    : clock_{clock}, irq_{irq}, timer_{clock, [this] { sync(); }} {
    ram_[kA] = 0x26;
    ram_[kB] = k24Hours;
    ram_[kD] = kVrt;
    store_date(date_of(epoch));
}

u8 Mc146818::encode(unsigned v) const { return static_cast<u8>(ram_[kB] & kBinary ? v : v / 10 % 10 << 4 | v % 10); }
unsigned Mc146818::decode(u8 v) const { return ram_[kB] & kBinary ? v : (v >> 4) * 10u + (v & 15u); }

u8 Mc146818::encode_hour(unsigned h) const {
    if (ram_[kB] & k24Hours) return encode(h);
    return static_cast<u8>(encode(h % 12 ? h % 12 : 12) | (h >= 12 ? kPm : 0));
}

unsigned Mc146818::decode_hour(u8 v) const {
    if (ram_[kB] & k24Hours) return decode(v);
    return decode(v & 0x7f) % 12 + (v & kPm ? 12 : 0);
}

Mc146818::Date Mc146818::load_date() const {
    Date d;
    d.second = decode(ram_[kSec]), d.minute = decode(ram_[kMin]), d.hour = decode_hour(ram_[kHour]);
    d.weekday = decode(ram_[kWeekday]), d.day = decode(ram_[kDay]), d.month = decode(ram_[kMonth]);
    // The century is BCD in either mode ("CENTURY" of the ACPI Specification's FADT leaves that to the chip).
    d.year = static_cast<int>(((ram_[kCentury] >> 4) * 10u + (ram_[kCentury] & 15u)) * 100 + decode(ram_[kYear]));
    return d;
}

void Mc146818::store_date(const Date& d) {
    ram_[kSec] = encode(d.second), ram_[kMin] = encode(d.minute), ram_[kHour] = encode_hour(d.hour);
    ram_[kWeekday] = encode(d.weekday), ram_[kDay] = encode(d.day), ram_[kMonth] = encode(d.month);
    const auto y = static_cast<unsigned>(std::clamp(d.year, 0, 9999));
    ram_[kYear] = encode(y % 100);
    ram_[kCentury] = static_cast<u8>(y / 1000 << 4 | y / 100 % 10);
}

bool Mc146818::divider_runs() const { return (ram_[kA] & 0x60) != 0x60; }
bool Mc146818::updating() const { return divider_runs() && !(ram_[kB] & kSet); }

bool Mc146818::update_in_progress() const {
    return updating() && (clock_.now() - second_start_) % kSecond >= kSecond - kUpdateTime;
}

/// "Periodic Interrupt Rate": the period in units of 1/32768 s, or 0.
Time Mc146818::period() const {
    const unsigned rs = ram_[kA] & 15;
    if (!rs || !divider_runs()) return 0;
    return Time{1} << (rs <= 2 ? rs + 6 : rs - 1);
}

u64 Mc146818::periods(Time t) const {
    return period() && t > divider_start_ ? mul_div(t - divider_start_, 32768, kSecond) / period() : 0;
}

/// Did one of the `count` seconds up to and including `last_second` match the alarm? C0h and above match anything.
bool Mc146818::alarm_within(i64 last_second, u64 count) const {
    const auto matches = [](u8 alarm, unsigned wanted, unsigned v) { return alarm >= 0xc0 || wanted == v; };
    const u8 ha = ram_[kHourAlarm], ma = ram_[kMinAlarm], sa = ram_[kSecAlarm];
    const unsigned h = decode_hour(ha), m = decode(ma), s = decode(sa);
    unsigned t = static_cast<unsigned>((last_second % 86400 + 86400) % 86400);
    for (u64 i = 0; i < std::min<u64>(count, 86400); ++i, t = t ? t - 1 : 86399)
        if (matches(sa, s, t % 60) && matches(ma, m, t / 60 % 60) && matches(ha, h, t / 3600)) return true;
    return false;
}

/// Brings registers and flags up to the present.
void Mc146818::sync() {
    const Time now = clock_.now();
    const u64 seconds = now > second_start_ ? (now - second_start_) / kSecond : 0;
    second_start_ += seconds * kSecond;
    if (seconds && updating()) {
        const Date old = load_date();
        const i64 epoch = epoch_of(old), then = epoch + static_cast<i64>(seconds);
        Date d = date_of(then);
        // The day of the week counts on from what software wrote, whatever the date says.
        const u64 midnights = static_cast<u64>(then / 86400 - epoch / 86400);
        d.weekday = static_cast<unsigned>(((old.weekday + 6) % 7 + midnights) % 7) + 1;
        store_date(d);
        ram_[kC] |= kUf;
        if (alarm_within(then, seconds)) ram_[kC] |= kAf;
    }
    if (const u64 p = periods(now); p != periods_seen_) {
        periods_seen_ = p;
        ram_[kC] |= kPf;
    }
    update_irq();
    arm();
}

void Mc146818::update_irq() {
    const bool irq = ram_[kC] & ram_[kB] & (kPf | kAf | kUf);
    ram_[kC] = static_cast<u8>(irq ? ram_[kC] | kIrqf : ram_[kC] & ~kIrqf);
    irq_.set(irq);
}

void Mc146818::arm() {
    Time next = kNever;
    if ((ram_[kB] & (kAie | kUie)) && updating()) next = second_start_ + kSecond;
    if ((ram_[kB] & kPie) && period()) {
        const u128 units = static_cast<u128>(periods_seen_ + 1) * period() * kSecond;
        next = std::min(next, divider_start_ + static_cast<Time>((units + 32767) / 32768));
    }
    timer_.arm_at(next);
}

u8 Mc146818::read(u16 reg) {
    switch (reg & 3) {
    case 1: return read_data(index_);
    case 2: return extended_index_;
    case 3: return ram_[0x80 | extended_index_];
    default: return 0xff;  // the index is write-only
    }
}

void Mc146818::write(u16 reg, u8 value) {
    switch (reg & 3) {
    case 0: index_ = value & 0x7f, nmi_masked_ = value & 0x80; break;
    case 1: write_data(index_, value); break;
    case 2: extended_index_ = value & 0x7f; break;
    default: ram_[0x80 | extended_index_] = value;
    }
}

u8 Mc146818::read_data(u8 index) {
    sync();
    if (index == kA) return static_cast<u8>(ram_[kA] | (update_in_progress() ? kUip : 0));
    const u8 v = ram_[index];
    if (index == kC) ram_[kC] = 0, update_irq();
    return v;
}

void Mc146818::write_data(u8 index, u8 value) {
    sync();
    switch (index) {
    case kA: write_a(value); break;
    case kB: write_b(value); break;
    case kC:
    case kD: break;  // read-only
    default: ram_[index] = value;
    }
}

void Mc146818::write_a(u8 value) {
    const bool ran = divider_runs();
    ram_[kA] = value & ~kUip;
    if (!ran && divider_runs()) {
        // "The first update cycle begins one-half second after the divider is released."
        divider_start_ = clock_.now();
        second_start_ = clock_.now() - std::min(clock_.now(), kSecond / 2);
    }
    periods_seen_ = periods(clock_.now());
    arm();
}

void Mc146818::write_b(u8 value) {
    if (value & kSet) value &= ~kUie;
    ram_[kB] = value;
    update_irq();
    arm();
}

void Mc146818::reset() {
    sync();
    ram_[kB] &= static_cast<u8>(~(kPie | kAie | kUie | kSqwe));
    ram_[kC] = 0;
    index_ = extended_index_ = 0;
    nmi_masked_ = false;
    update_irq();
    arm();
}

void Mc146818::state(StateIO& s) {  // the machine loads its clock before its devices
    s.version(1);
    s(ram_, index_, extended_index_, nmi_masked_, second_start_, divider_start_, periods_seen_);
    if (!s.loading()) return;
    index_ &= 0x7f, extended_index_ &= 0x7f;
    ram_[kA] &= static_cast<u8>(~kUip);
    ram_[kD] = kVrt;
    second_start_ = std::min(second_start_, clock_.now());
    divider_start_ = std::min(divider_start_, clock_.now());
    periods_seen_ = std::min(periods_seen_, periods(clock_.now()));
    update_irq();
    arm();
}
}  // namespace calque
