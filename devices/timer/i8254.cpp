// Choices where the datasheet leaves room:
// * A count of 1 is illegal in modes 2 and 3; OUT then stays high.
// * BCD digits above 9 are taken for their value, modulo 10000.
// * Before the first control word a counter is idle in mode 0 with OUT low.
// * A control word drops whatever was latched for that counter.
#include "devices/timer/i8254.h"

#include <algorithm>

#include "support/state_io.h"

namespace calque {
namespace {
constexpr u64 kNoEdge = ~u64{0};
constexpr u32 modulus(bool bcd) { return bcd ? 10000 : 65536; }

constexpr u16 to_bcd(u32 v) {
    return static_cast<u16>(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12);
}
constexpr u32 from_bcd(u16 v) {
    return ((v & 15u) + (v >> 4 & 15u) * 10 + (v >> 8 & 15u) * 100 + (v >> 12 & 15u) * 1000) % 10000;
}
/// "Mode 3: Square Wave Mode": odd counts are high for (N+1)/2 and low for (N-1)/2.
constexpr u32 half_length(u32 n, bool low) { return low ? n / 2 : (n + 1) / 2; }
constexpr Time time_of_tick(u64 tick) { return static_cast<Time>((static_cast<u128>(tick) * kSecond + I8254::kHz - 1) / I8254::kHz); }
constexpr bool repeats(u8 mode) { return mode == 2 || mode == 3; }
constexpr bool triggered(u8 mode) { return mode == 1 || mode == 5; }
}  // namespace

I8254::I8254(Clock& clock, Line& out0) : clock_{clock}, out0_{out0}, edge_{clock, [this] { update_out0(); }} {
    for (unsigned i = 0; i < 3; ++i) gates_[i] = {*this, i};
}

/// Moves origin to the start of the running period (mode 2) or half-period (mode 3), taking up a new count on the way.
void I8254::sync(Counter& c, u64 t) const {
    if (!repeats(c.mode) || c.phase != Phase::counting || t < c.origin) return;
    if (c.n == 1) {  // illegal: no period to wait for
        if (c.reload) c.origin = t, c.n = c.cr, c.reload = false;
        return;
    }
    while (true) {
        if (!c.reload) c.origin += (t - c.origin) / c.n * c.n;
        const u32 length = c.mode == 2 ? c.n : half_length(c.n, c.low_half);
        if (t - c.origin < length) return;
        c.origin += length;
        c.low_half = c.mode == 3 && !c.low_half;
        if (c.reload) c.n = c.cr, c.reload = false;
        if (c.n == 1) c.low_half = false, c.origin = t;
        if (c.n == 1) return;
    }
}

/// CE at tick `t`, as it is read (binary or BCD). Modes 2 and 3 must have been synced.
u16 I8254::count(const Counter& c, u64 t) const {
    if (c.phase == Phase::idle || (c.phase == Phase::counting && t < c.origin)) return c.held;
    const u64 e = c.phase == Phase::paused ? c.elapsed : t - c.origin;
    const u32 m = modulus(c.bcd);
    u32 v;
    if (c.mode == 2) v = c.n - static_cast<u32>(e % c.n);
    else if (c.mode == 3) v = (c.n & ~1u) - 2 * static_cast<u32>(e % c.n);
    else v = c.n % m + m - static_cast<u32>(e % m);
    v %= m;
    return c.bcd ? to_bcd(v) : static_cast<u16>(v);
}

bool I8254::level(const Counter& c, u64 t) const {
    if (c.phase == Phase::idle || (c.phase == Phase::counting && t < c.origin)) return c.held_out;
    const u64 e = c.phase == Phase::paused ? c.elapsed : t - c.origin;
    switch (c.mode) {
    case 0:
    case 1: return e >= c.n;
    case 2: return c.n == 1 || e % c.n != c.n - 1;
    case 3: return !c.low_half;
    default: return e != c.n;  // 4, 5: the strobe
    }
}

/// The tick of the next change of OUT after `t`, or kNoEdge.
u64 I8254::next_edge(const Counter& c, u64 t) const {
    if (c.phase != Phase::counting) return kNoEdge;
    if (t < c.origin) return c.origin;
    const u64 end = c.origin + c.n;
    switch (c.mode) {
    case 0:
    case 1: return t < end ? end : kNoEdge;
    case 2: return c.n == 1 ? kNoEdge : t < end - 1 ? end - 1 : end;
    case 3: return c.n == 1 ? kNoEdge : c.origin + half_length(c.n, c.low_half);
    default: return t < end ? end : t == end ? end + 1 : kNoEdge;
    }
}

bool I8254::out(unsigned n) {
    Counter& c = counters_[n % 3];
    sync(c, tick());
    return level(c, tick());
}

void I8254::update_out0() {
    Counter& c = counters_[0];
    const u64 t = tick();
    sync(c, t);
    out0_.set(level(c, t));
    const u64 next = next_edge(c, t);
    edge_.arm_at(next == kNoEdge ? kNever : time_of_tick(next));
}

/// Stops counting with CE and OUT as they are.
void I8254::hold(Counter& c, u64 t) {
    c.held = count(c, t), c.held_out = level(c, t);
    c.phase = Phase::idle;
}

/// CE takes up the count register at the next clock.
void I8254::start(Counter& c, u64 t) {
    hold(c, t);
    c.n = c.cr;
    c.reload = c.low_half = false;
    c.phase = Phase::counting;
    c.origin = t + 1;
}

/// A complete new count has been written ("Mode Definitions").
void I8254::load(Counter& c, u64 t, u32 value) {
    if (c.bcd) value = from_bcd(static_cast<u16>(value));
    c.cr = value ? value : modulus(c.bcd);
    c.have_count = true;
    if (triggered(c.mode)) {
        c.reload = true;  // waits for the trigger
    } else if (repeats(c.mode)) {
        if (c.phase == Phase::counting && t >= c.origin) c.reload = true;
        else if (c.gate) start(c, t);
        else c.reload = true;
    } else {
        start(c, t);
        if (c.mode == 0) c.held_out = false;
        if (!c.gate) c.phase = Phase::paused, c.elapsed = 0;
    }
}

void I8254::set_gate(unsigned index, bool high) {
    Counter& c = counters_[index];
    if (high == c.gate) return;
    const u64 t = tick();
    sync(c, t);
    c.gate = high;
    if (repeats(c.mode)) {
        // Low stops counting and sets OUT high at once; a rising edge starts from the top.
        if (!high) hold(c, t), c.held_out = true;
        else if (c.have_count) start(c, t);
    } else if (triggered(c.mode)) {
        if (high && c.have_count) start(c, t);
    } else if (!high && c.phase == Phase::counting) {
        c.elapsed = t < c.origin ? 0 : t - c.origin;
        c.phase = Phase::paused;
    } else if (high && c.phase == Phase::paused) {
        c.phase = Phase::counting;
        c.origin = t - std::min(t, c.elapsed);
    }
    if (index == 0) update_out0();
}

void I8254::write_control(u8 value) {
    const u64 t = tick();
    if (value >> 6 == 3) {  // "Read-Back Command"
        for (unsigned i = 0; i < 3; ++i) {
            if (!(value & (2u << i))) continue;
            sync(counters_[i], t);
            if (!(value & 0x10)) latch_status(counters_[i], t);
            if (!(value & 0x20)) latch_count(counters_[i], t);
        }
        return;
    }
    Counter& c = counters_[value >> 6];
    sync(c, t);
    if (!(value & 0x30)) return latch_count(c, t);
    hold(c, t);
    c.rw = (value >> 4) & 3;
    c.mode = (value >> 1) & 7;
    if (c.mode > 5) c.mode -= 4;  // the top bit is "don't care" for modes 2 and 3
    c.bcd = value & 1;
    c.held_out = c.mode != 0;
    c.have_count = c.reload = c.low_half = false;
    c.write_high_next = c.read_high_next = c.status_latched = false;
    c.latched_bytes = 0;
    if (value >> 6 == 0) update_out0();
}

void I8254::latch_count(Counter& c, u64 t) {
    if (c.latched_bytes) return;  // the first latch holds until it is read
    c.latch = count(c, t);
    c.latched_bytes = c.rw == 3 ? 2 : 1;
}

void I8254::latch_status(Counter& c, u64 t) {
    if (c.status_latched) return;
    const bool null_count = !c.have_count || c.reload || (c.phase == Phase::counting && t < c.origin);
    c.status = static_cast<u8>(level(c, t) << 7 | null_count << 6 | c.rw << 4 | c.mode << 1 | c.bcd);
    c.status_latched = true;
}

u8 I8254::read(u16 reg) {
    if ((reg & 3) == 3) return 0xff;  // the control word cannot be read
    Counter& c = counters_[reg & 3];
    if (c.status_latched) return c.status_latched = false, c.status;
    u16 v = c.latch;
    if (c.latched_bytes) {
        --c.latched_bytes;
    } else {
        sync(c, tick());
        v = count(c, tick());
    }
    const bool high = c.rw == 2 || (c.rw == 3 && c.read_high_next);
    if (c.rw == 3) c.read_high_next = !c.read_high_next;
    return static_cast<u8>(high ? v >> 8 : v);
}

void I8254::write_count(Counter& c, u8 value) {
    const u64 t = tick();
    sync(c, t);
    if (c.rw == 1) return load(c, t, value);
    if (c.rw == 2) return load(c, t, u32{value} << 8);
    if (!c.write_high_next) {
        c.write_low = value;
        if (c.mode == 0) hold(c, t), c.held_out = false;  // "writing the first byte disables counting"
    } else {
        load(c, t, u32{value} << 8 | c.write_low);
    }
    c.write_high_next = !c.write_high_next;
}

void I8254::write(u16 reg, u8 value) {
    if ((reg & 3) == 3) return write_control(value);
    write_count(counters_[reg & 3], value);
    if ((reg & 3) == 0) update_out0();
}

void I8254::reset() {
    for (Counter& c : counters_) {
        const bool gate = c.gate;
        c = {};
        c.gate = gate;
    }
    update_out0();
}

void I8254::Counter::state(StateIO& s) {
    s(mode, rw, bcd, gate, phase, origin, elapsed, n, cr, have_count, reload, low_half, held, held_out);
    s(latch, write_low, status, latched_bytes, write_high_next, read_high_next, status_latched);
    if (!s.loading()) return;
    if (mode > 5) mode = 0;
    if (rw == 0 || rw > 3) rw = 3;
    if (phase > Phase::paused) phase = Phase::idle;
    n = std::clamp<u32>(n, 1, 65536);
    cr = std::clamp<u32>(cr, 1, 65536);
    if (latched_bytes > 2) latched_bytes = 0;
}

void I8254::state(StateIO& s) {  // the machine loads its clock before its devices
    s.version(1);
    s(counters_);
    if (!s.loading()) return;
    for (Counter& c : counters_) c.origin = std::min(c.origin, tick() + 1);
    update_out0();
}
}  // namespace calque
