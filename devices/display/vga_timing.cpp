// Where the beam is: the raster follows from the CRTC's registers (IBM VGA, "CRT Controller Registers") and machine time.
#include <algorithm>

#include "devices/display/vga.h"

namespace calque {

constexpr u64 kDotClocks[4] = {25'175'000, 28'322'000, 25'175'000, 25'175'000};

// A counter value known only by its low `bits`, at or after `from`.
static u32 next_match(u32 from, u32 low, u32 bits) {
    const u32 mask = (1u << bits) - 1;
    const u32 distance = (low - from) & mask;
    return from + (distance ? distance : mask + 1);
}

Vga::Timing Vga::vga_timing() const {
    const auto& c = cr_;
    const u32 over = c[7];
    Timing t{};
    t.char_dots = sr_[1] & 1 ? 8 : 9;
    t.htotal = c[0] + 5u;
    t.hdisp = std::min(c[1] + 1u, t.htotal);
    t.hblank_start = std::clamp<u32>(c[2], t.hdisp, t.htotal);
    t.hblank_end = std::min(next_match(t.hblank_start, (c[3] & 0x1Fu) | (c[5] >> 7 & 1u) << 5, 6), t.htotal);
    t.vtotal = (c[6] | (over & 1) << 8 | (over & 0x20) << 4) + 2;
    t.vdisp = (c[0x12] | (over & 2) << 7 | (over & 0x40) << 3) + 1;
    t.vretrace_start = c[0x10] | (over & 4) << 6 | (over & 0x80) << 2;
    t.vretrace_lines = next_match(t.vretrace_start, c[0x11] & 0xFu, 4) - t.vretrace_start;
    t.vblank_start = c[0x15] | (over & 8) << 5 | (c[9] & 0x20u) << 4;
    t.vblank_end = next_match(t.vblank_start, c[0x16], 8);
    if (c[0x17] & 4)  // "Horizontal Retrace Select": the vertical counter counts every second line
        for (u32* v : {&t.vtotal, &t.vdisp, &t.vretrace_start, &t.vretrace_lines, &t.vblank_start, &t.vblank_end}) *v *= 2;
    t.vdisp = std::min(t.vdisp, t.vtotal);
    t.vblank_start = std::clamp(t.vblank_start, t.vdisp, t.vtotal);
    t.vblank_end = std::clamp(t.vblank_end, t.vblank_start, t.vtotal);
    t.dot_hz = kDotClocks[misc_ >> 2 & 3] / (sr_[1] & 8 ? 2 : 1);
    return t;
}

// The display interface has no timing of its own: 60 Hz, with borders in the proportion of common modes.
Vga::Timing Vga::dispi_timing() const {
    Timing t{};
    t.char_dots = 8;
    t.hdisp = t.hblank_start = dispi_.xres() / 8;
    t.htotal = t.hblank_end = t.hdisp + t.hdisp / 4 + 1;
    t.vdisp = t.vblank_start = dispi_.yres();
    t.vtotal = t.vblank_end = t.vdisp + t.vdisp / 20 + 6;
    t.vretrace_start = t.vdisp + 3;
    t.vretrace_lines = 3;
    t.dot_hz = 60 * t.frame_dots();
    return t;
}

void Vga::update_timing() {
    timing_ = dispi_.enabled() ? dispi_timing() : vga_timing();
    arm_retrace();
}

Vga::Beam Vga::beam() const {
    const u64 dots = mul_div(clock_.now(), timing_.dot_hz, kSecond);
    const u64 frame = timing_.frame_dots(), line = u64{timing_.char_dots} * timing_.htotal;
    const u64 at = dots % frame;
    return {dots / frame, static_cast<u32>(at % line / timing_.char_dots), static_cast<u32>(at / line)};
}

u8 Vga::status0() const {
    constexpr u8 kSwitchSense = 0x10;  // a colour monitor terminates the DAC's outputs
    return static_cast<u8>((retrace_pending_ ? 0x80 : 0) | kSwitchSense);
}

u8 Vga::status1() {
    ar_data_next_ = false;
    const Beam b = beam();
    const bool retrace = b.y - timing_.vretrace_start < timing_.vretrace_lines;
    const bool display = b.x < timing_.hdisp && b.y < timing_.vdisp;
    // "Video Status Mux" picks two of the eight colour outputs: P2/P0, P5/P4, P3/P1, P7/P6.
    static constexpr u8 kHigh[4] = {2, 5, 3, 7}, kLow[4] = {0, 4, 1, 6};
    const unsigned mux = ar_[0x12] >> 4 & 3;
    const u8 diagnostic = static_cast<u8>((ar_[0x11] >> kHigh[mux] & 1) << 5 | (ar_[0x11] >> kLow[mux] & 1) << 4);
    return static_cast<u8>((display ? 0 : 1) | (retrace ? 8 : 0) | diagnostic);
}

// "Vertical Retrace End": bit 5 clear enables the interrupt, bit 4 clear holds it off.
void Vga::arm_retrace() {
    const bool wanted = (cr_[0x11] & 0x30) == 0x10 && timing_.vretrace_start < timing_.vtotal;
    if (!wanted) return retrace_timer_.disarm();
    const u64 frame = timing_.frame_dots();
    const u64 start = u64{timing_.vretrace_start} * timing_.char_dots * timing_.htotal;
    const u64 dots = mul_div(clock_.now(), timing_.dot_hz, kSecond);
    u64 next = dots / frame * frame + start;
    if (next <= dots) next += frame;
    // Rounded up, so that the beam has arrived when the timer fires and the next one is a frame away.
    retrace_timer_.arm_at(mul_div(next, kSecond, timing_.dot_hz) + 1);
}

void Vga::retrace() {
    retrace_pending_ = true;
    irq_.raise();
    arm_retrace();
}
}  // namespace calque
