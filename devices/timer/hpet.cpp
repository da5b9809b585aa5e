// Choices where the specification leaves room:
// * An edge interrupt lowers its line and raises it again; the line stays high until the next one, as an 8254's does.
// * Matches of a periodic timer closer than 1 us apart are merged into one interrupt.
// * A comparator written with exactly the counter's value matches at once.
// * A route that the capabilities do not offer is not taken up; the old one reads back.
// * VAL_SET is cleared by any write to the comparator.
#include "devices/timer/hpet.h"

#include <algorithm>

#include "support/log.h"
#include "support/state_io.h"

namespace calque {
namespace {
Log log{"hpet"};
// "General Capabilities and ID Register": 10 ns in femtoseconds, vendor, legacy routing, 64 bits, 3 timers, revision 1
constexpr u64 kCapabilities = u64{10'000'000} << 32 | 0x8086u << 16 | 1 << 15 | 1 << 13 | (Hpet::kTimers - 1) << 8 | 1;
// "Timer N Configuration and Capabilities Register"
constexpr u64 kLevel = 1 << 1, kEnable = 1 << 2, kPeriodic = 1 << 3, kCanPeriodic = 1 << 4, k64Bit = 1 << 5, kValSet = 1 << 6,
              k32Mode = 1 << 8, kRouteBits = 0x3e00, kWritable = 0x3f4e;
constexpr u64 kRoutes = u64{0x00f00000} << 32;  // I/O APIC pins 20 to 23, which PCI does not use
constexpr u64 kFixed = kRoutes | k64Bit | kCanPeriodic;
constexpr Time kMergeWithin = 1000;
constexpr Time kFarAway = u64{1} << 62;
}  // namespace

Hpet::Hpet(Clock& clock, Pins pins) : clock_{clock}, pins_{pins}, timer_{clock, [this] { fire(); }} {
    for (Comparator& t : timers_) t.config = kFixed;
}

void Hpet::set_pit(bool level) {
    pit_level_ = level;
    if (!legacy()) pins_.irq0.set(level);
}

void Hpet::set_rtc(bool level) {
    rtc_level_ = level;
    if (!legacy()) pins_.irq8.set(level);
}

u64 Hpet::counter() const { return enabled() ? base_ + (clock_.now() - since_) / kTick : base_; }

void Hpet::set_counter(u64 value) {
    base_ = value;
    since_ = clock_.now();
    for (unsigned n = 0; n < kTimers; ++n) schedule(n);
    arm();
}

Line& Hpet::route(unsigned n) const {
    if (legacy() && n < 2) return n == 0 ? pins_.irq0 : pins_.irq8;
    return *pins_.ioapic[std::min<u64>((timers_[n].config >> 9) & 31, 23)];
}

void Hpet::drive(unsigned n, bool level) {
    if (level == timers_[n].raised) return;
    timers_[n].raised = level;
    route(n).set(level);
}

void Hpet::match(unsigned n) {
    Comparator& t = timers_[n];
    if (t.config & kLevel) status_ |= u64{1} << n;
    if (!(t.config & kEnable)) return;
    if (!(t.config & kLevel)) drive(n, false);
    drive(n, true);
}

/// Finds the machine time of the next match; call it whenever counter, comparator or mode have changed.
void Hpet::schedule(unsigned n) {
    Comparator& t = timers_[n];
    t.due = kNever;
    if (!enabled()) return;
    const u64 now = counter();
    u64 ticks = t.comparator - now;
    if (t.config & k32Mode) ticks = static_cast<u32>(ticks);
    if (ticks > kFarAway / kTick) return;  // centuries away
    const Time into_tick = (clock_.now() - since_) % kTick;
    t.due = clock_.now() + ticks * kTick - (ticks ? into_tick : 0);
}

void Hpet::fire() {
    for (unsigned n = 0; n < kTimers; ++n) {
        Comparator& t = timers_[n];
        if (t.due > clock_.now()) continue;
        match(n);
        const Time was = t.due;
        if (!(t.config & kPeriodic)) {
            // A 32-bit comparator matches again when the counter has wrapped.
            t.due = t.config & k32Mode ? was + (Time{kTick} << 32) : kNever;
            continue;
        }
        const u64 mask = t.config & k32Mode ? 0xffffffff : ~u64{0};
        const u64 period = t.period & mask;
        if (period == 0 || period > kFarAway / kTick) {
            t.due = kNever;
            continue;
        }
        const u64 merged = std::max<u64>(1, (kMergeWithin / kTick + period - 1) / period);
        t.comparator = (t.comparator + merged * period) & mask;
        t.due = was + merged * period * kTick;
    }
    arm();
}

/// Can anybody notice its match?
bool Hpet::Comparator::noticed() const { return config & (kEnable | kLevel | kPeriodic); }

/// The timer runs only for comparators whose match is noticed.
void Hpet::arm() {
    Time next = kNever;
    for (const Comparator& t : timers_)
        if (t.noticed()) next = std::min(next, t.due);
    timer_.arm_at(next);
}

u64 Hpet::read_register(unsigned reg) const {
    switch (reg) {
    case 0x00: return kCapabilities;
    case 0x10: return config_;
    case 0x20: return status_;
    case 0xf0: return counter();
    default: break;
    }
    if (reg < 0x100 || reg >= 0x100 + 0x20 * kTimers) return 0;
    const Comparator& t = timers_[(reg - 0x100) / 0x20];
    switch (reg & 0x18) {
    case 0x00: return t.config;
    case 0x08: return t.comparator;
    default: return 0;  // no FSB interrupts
    }
}

void Hpet::write_register(unsigned reg, u64 value, u64 mask) {
    const u64 merged = (read_register(reg) & ~mask) | (value & mask);
    switch (reg) {
    case 0x10: return write_config(merged);
    case 0x20: return write_status(value & mask);
    case 0xf0: return set_counter(merged);
    default: break;
    }
    if (reg < 0x100 || reg >= 0x100 + 0x20 * kTimers || (reg & 0x18) > 0x08) {
        log.debug("write to register %#x, which is read-only or does not exist", reg);
        return;
    }
    const unsigned n = (reg - 0x100) / 0x20;
    if (reg & 0x08) write_comparator(n, merged, mask);
    else write_timer_config(n, merged);
}

void Hpet::lower_all() {
    for (unsigned n = 0; n < kTimers; ++n) drive(n, false);
}

void Hpet::write_config(u64 value) {
    const u64 halted_at = counter();
    const bool reroute = ((value ^ config_) & 2) != 0;
    if (reroute) lower_all();
    config_ = value & 3;
    if (reroute) {
        pins_.irq0.set(!legacy() && pit_level_);
        pins_.irq8.set(!legacy() && rtc_level_);
    }
    for (unsigned n = 0; n < kTimers; ++n)
        if (reroute && (status_ >> n & 1) && (timers_[n].config & kEnable)) drive(n, true);
    set_counter(halted_at);
}

void Hpet::write_status(u64 ones) {
    for (unsigned n = 0; n < kTimers; ++n) {
        if (!(ones & status_ & u64{1} << n)) continue;
        status_ &= ~(u64{1} << n);
        if (timers_[n].config & kLevel) drive(n, false);
    }
}

void Hpet::write_timer_config(unsigned n, u64 value) {
    Comparator& t = timers_[n];
    drive(n, false);  // the route may change
    if (!(kRoutes >> 32 >> (value >> 9 & 31) & 1)) value = (value & ~kRouteBits) | (t.config & kRouteBits);
    t.config = kFixed | (value & kWritable);
    if (t.config & k32Mode) t.comparator &= 0xffffffff, t.period &= 0xffffffff;
    if (!(t.config & kLevel)) status_ &= ~(u64{1} << n);
    else if ((t.config & kEnable) && (status_ >> n & 1)) drive(n, true);
    schedule(n);
    arm();
}

void Hpet::write_comparator(unsigned n, u64 value, u64 mask) {
    Comparator& t = timers_[n];
    if (t.config & k32Mode) value &= 0xffffffff;
    if (t.config & kPeriodic) t.period = (t.period & ~mask) | (value & mask);
    if (!(t.config & kPeriodic) || (t.config & kValSet)) t.comparator = value;
    t.config &= ~kValSet;
    schedule(n);
    arm();
}

u64 Hpet::mmio_read(u64 offset, unsigned size) {
    if (size > 8 || (offset & 7) + size > 8) return ~u64{0};
    const u64 v = read_register(static_cast<unsigned>(offset & 0x3f8)) >> (8 * (offset & 7));
    return size == 8 ? v : v & ((u64{1} << (8 * size)) - 1);
}

void Hpet::mmio_write(u64 offset, u64 value, unsigned size) {
    if (size > 8 || (offset & 7) + size > 8) return;
    const unsigned shift = 8 * (offset & 7);
    const u64 mask = size == 8 ? ~u64{0} : (u64{1} << (8 * size)) - 1;
    write_register(static_cast<unsigned>(offset & 0x3f8), value << shift, mask << shift);
}

void Hpet::reset() {
    lower_all();
    config_ = status_ = base_ = 0;
    since_ = clock_.now();
    for (Comparator& t : timers_) t = {}, t.config = kFixed;
    pins_.irq0.set(pit_level_), pins_.irq8.set(rtc_level_);
    arm();
}

void Hpet::Comparator::state(StateIO& s) {
    s(config, comparator, period, due, raised);
    if (s.loading()) config = kFixed | (config & (kWritable | kValSet));
}

void Hpet::state(StateIO& s) {  // the machine loads its clock before its devices
    s.version(1);
    s(config_, status_, base_, since_, timers_, pit_level_, rtc_level_);
    if (!s.loading()) return;
    config_ &= 3, status_ &= 7;
    since_ = std::min(since_, clock_.now());
    // Each line gets its final level at once: an edge here would be an interrupt that never was.
    pins_.irq0.set(legacy() ? timers_[0].raised : pit_level_);
    pins_.irq8.set(legacy() ? timers_[1].raised : rtc_level_);
    for (unsigned n = 0; n < kTimers; ++n) {
        if (timers_[n].noticed()) timers_[n].due = std::max(timers_[n].due, clock_.now());
        if (timers_[n].raised) route(n).set(true);
    }
    arm();
}
}  // namespace calque
