// The picture: CRTC addressing, the shift registers' modes, the attribute controller and the DAC, a scan line at a time
// (IBM VGA, "CRT Controller", "Attribute Controller", "Video Digital-to-Analog Converter").
// Choices: registers are read once a frame, so changes in the middle of one show in the next; shift registers that are
// not reloaded (shift load, shift four) run empty; in graphics, blinking forces bit 3 of blinking dots to 0.
#include <algorithm>
#include <cstring>

#include "devices/display/vga.h"

namespace calque {

constexpr u32 kMaxBorder = 64;  // dots or lines; more is off any monitor's screen

/// No sync, a stopped sequencer or "Screen Off": the monitor is dark.
bool Vga::blanked() const {
    if (!(enable_ & 1) || (sr_[1] & 0x20)) return true;
    return !dispi_.enabled() && ((sr_[0] & 3) != 3 || !(cr_[0x17] & 0x80));
}

u32 Vga::line_compare() const {
    const u32 line = cr_[0x18] | (cr_[7] & 0x10u) << 4 | (cr_[9] & 0x40u) << 3;
    return cr_[0x17] & 4 ? line * 2 : line;
}

Vga::Scan Vga::first_scan() const {
    Scan s{};
    s.ma = u32{cr_[0xC]} << 8 | cr_[0xD];
    s.row_scan = cr_[8] & 0x1F;
    s.byte_pan = cr_[8] >> 5 & 3;
    const u32 pan = ar_[0x13];
    if (timing_.char_dots == 9)
        s.pan = pan >= 8 ? 0 : pan + 1;
    else
        s.pan = ar_[0x10] & 0x40 ? pan & 6 : pan & 7;  // 256-colour dots are two clocks wide
    return s;
}

/// Moves on from scan line `y`: repeats it, goes to the next line of the character row, or to the next row.
void Vga::next_scan(Scan& s, u32 y) const {
    if (y == line_compare()) {
        const bool pan_stops = ar_[0x10] & 0x20;  // "Pixel Panning Compatibility"
        s = {0, 0, pan_stops ? 0 : s.pan, pan_stops ? 0 : s.byte_pan, false};
        return;
    }
    if (cr_[9] & 0x80) {  // "Double Scan"
        s.again = !s.again;
        if (s.again) return;
    }
    if (s.row_scan == (cr_[9] & 0x1Fu)) {
        s.row_scan = 0;
        s.ma = (s.ma + cr_[0x13] * 2u) & 0xFFFF;
    } else {
        s.row_scan = (s.row_scan + 1) & 0x1F;
    }
}

/// The memory address counter after `column` character clocks, as it appears on the address pins.
u32 Vga::fetch_address(const Scan& s, u32 column) const {
    const u32 count = cr_[0x14] & 0x20 ? column >> 2 : cr_[0x17] & 8 ? column >> 1 : column;
    u32 a = (s.ma + s.byte_pan + count) & 0xFFFF;
    if (cr_[0x14] & 0x40)  // doubleword mode
        a = a << 2 | a >> 14;
    else if (!(cr_[0x17] & 0x40))  // word mode; "Address Wrap" picks the bit that enters below
        a = a << 1 | (a >> (cr_[0x17] & 0x20 ? 15 : 13) & 1);
    if (!(cr_[0x17] & 1)) a = (a & ~0x2000u) | (s.row_scan & 1) << 13;       // CGA's interleave
    if (!(cr_[0x17] & 2)) a = (a & ~0x4000u) | (s.row_scan >> 1 & 1) << 14;  // Hercules' interleave
    return a & 0xFFFF;
}

/// One frame's worth of constants and buffers.
class Vga::Renderer {
public:
    Renderer(const Vga& vga, Frame& frame);
    void run();

private:
    void vga_lines();
    void dispi_lines();
    void planar_line(u32 y, u64 start);
    void packed_line(u32 y, const u8* from, u32 count);
    void dots_of(const Scan&);
    void text_dots(const Scan&);
    void graphics_dots(const Scan&);
    u32 shift_out(u32 data, u32 dot) const;
    u8 attribute(u32 colour) const { return palette16_[colour & v_.ar_[0x12] & 0xF]; }
    void combine_pairs();
    void output(u32 y, const u8* dots);
    bool cursor_in(const Scan&) const;

    const Vga& v_;
    Frame& frame_;
    Timing t_;
    u32 left_ = 0, right_ = 0, top_ = 0, bottom_ = 0;  // border
    u32 stretch_ = 1;                                  // 2 where the dot clock is halved
    bool blink_on_ = false, cursor_on_ = false;
    std::array<u8, 16> palette16_{};
    std::array<u32, 256> rgb_{};
    std::vector<u8> dots_;  // one scan line of DAC indices
};

Vga::Renderer::Renderer(const Vga& vga, Frame& frame) : v_{vga}, frame_{frame}, t_{vga.timing_} {
    const u64 fields = v_.beam().frame;
    cursor_on_ = !(fields & 8);   // the cursor blinks every 16 fields, characters every 32
    blink_on_ = !(fields & 16);
    for (u32 i = 0; i < 16; ++i) {
        u32 c = v_.ar_[i];
        if (v_.ar_[0x10] & 0x80) c = (c & 0xF) | (v_.ar_[0x14] & 3) << 4;  // "P5, P4 Select"
        palette16_[i] = static_cast<u8>((c & 0x3F) | (v_.ar_[0x14] & 0xC) << 4);
    }
    const bool wide = v_.dispi_.dac_8bit();
    for (u32 i = 0; i < 256; ++i) {
        const u8* e = &v_.dac_[(i & v_.dac_mask_) * 3];
        auto level = [wide](u8 c) { return wide ? u32{c} : u32{c & 0xFCu} | c >> 6; };
        rgb_[i] = level(e[0]) << 16 | level(e[1]) << 8 | level(e[2]);
    }
    if (!v_.dispi_.enabled() && (v_.sr_[1] & 8)) stretch_ = 2;
    if (v_.show_overscan_ && !v_.dispi_.enabled()) {
        left_ = std::min((t_.htotal - t_.hblank_end) * t_.char_dots, kMaxBorder) * stretch_;
        right_ = std::min((t_.hblank_start - t_.hdisp) * t_.char_dots, kMaxBorder) * stretch_;
        top_ = std::min(t_.vtotal - t_.vblank_end, kMaxBorder);
        bottom_ = std::min(t_.vblank_start - t_.vdisp, kMaxBorder);
    }
    dots_.resize((t_.hdisp + 2) * 9);
}

void Vga::Renderer::run() {
    const u32 active = t_.hdisp * t_.char_dots * stretch_;
    frame_.resize(left_ + active + right_, top_ + t_.vdisp + bottom_);
    if (v_.blanked()) return void(std::fill(frame_.pixels.begin(), frame_.pixels.end(), 0));
    if (v_.dispi_.enabled()) return dispi_lines();
    const bool picture = v_.ar_index_ & 0x20;  // "Palette Address Source"; without it only the border colour shows
    if (!picture || left_ + right_ + top_ + bottom_)
        std::fill(frame_.pixels.begin(), frame_.pixels.end(), rgb_[v_.ar_[0x11]]);
    if (picture) vga_lines();
}

void Vga::Renderer::vga_lines() {
    const bool graphics = v_.ar_[0x10] & 1;
    const bool row_scan_addresses = (v_.cr_[0x17] & 3) != 3;
    Scan scan = v_.first_scan(), drawn{};
    for (u32 y = 0; y < t_.vdisp; ++y) {
        const bool same = y && graphics && scan.ma == drawn.ma && scan.pan == drawn.pan && scan.byte_pan == drawn.byte_pan &&
                          (!row_scan_addresses || scan.row_scan == drawn.row_scan);
        if (same) {
            std::copy_n(frame_.row(top_ + y - 1), frame_.width, frame_.row(top_ + y));
        } else {
            dots_of(scan);
            output(y, dots_.data() + scan.pan);
            drawn = scan;
        }
        v_.next_scan(scan, y);
    }
}

void Vga::Renderer::output(u32 y, const u8* dots) {
    u32* out = frame_.row(top_ + y) + left_;
    const u32 n = t_.hdisp * t_.char_dots;
    if (stretch_ == 1)
        for (u32 x = 0; x < n; ++x) out[x] = rgb_[dots[x]];
    else
        for (u32 x = 0; x < n; ++x) out[2 * x] = out[2 * x + 1] = rgb_[dots[x]];
}

void Vga::Renderer::dots_of(const Scan& s) {
    if (v_.ar_[0x10] & 1)
        graphics_dots(s);
    else
        text_dots(s);
    if (v_.ar_[0x10] & 0x40) combine_pairs();
}

bool Vga::Renderer::cursor_in(const Scan& s) const {
    const u32 first = v_.cr_[0xA] & 0x1F, last = v_.cr_[0xB] & 0x1F;
    return cursor_on_ && !(v_.cr_[0xA] & 0x20) && s.row_scan >= first && s.row_scan <= last;
}

void Vga::Renderer::text_dots(const Scan& s) {
    // "Character Map Select": bits 4, 1, 0 are map B (attribute bit 3 clear), bits 5, 3, 2 map A.
    const u32 sr3 = v_.sr_[3];
    auto font = [](u32 map) { return (map & 3) << 14 | (map & 4) << 11; };
    const u32 fonts[2] = {font((sr3 & 3) | (sr3 >> 2 & 4)), font((sr3 >> 2 & 3) | (sr3 >> 3 & 4))};
    const u8 mode = v_.ar_[0x10];
    const bool blinking = mode & 8, line_graphics = mode & 4;
    const bool underline = (mode & 2) && s.row_scan == (v_.cr_[0x14] & 0x1Fu);
    const bool raw = mode & 0x40;  // pairs are combined later
    const bool cursor_row = cursor_in(s);
    const u32 cursor = ((u32{v_.cr_[0xE]} << 8 | v_.cr_[0xF]) + (v_.cr_[0xB] >> 5 & 3)) & 0xFFFF;
    u8* out = dots_.data();
    for (u32 column = 0; column <= t_.hdisp; ++column) {
        const u32 cell = v_.memory_.planes(v_.fetch_address(s, column));
        const u32 code = cell & 0xFF, attr = cell >> 8 & 0xFF;
        const u32 glyph = fonts[attr >> 3 & 1] + code * 32 + s.row_scan;
        u32 bits = v_.memory_.planes(glyph) >> 15 & 0x1FE;  // plane 2, moved up to make room for a ninth dot
        if (line_graphics && code >= 0xC0 && code <= 0xDF) bits |= bits >> 1 & 1;
        if (blinking && (attr & 0x80) && !blink_on_) bits = 0;
        if (underline && (attr & 7) == 1) bits = 0x1FF;
        if (cursor_row && ((s.ma + s.byte_pan + column) & 0xFFFF) == cursor) bits = 0x1FF;
        const u32 fore = attr & 0xF, back = attr >> 4 & (blinking ? 7 : 0xF);
        const u8 fg = raw ? static_cast<u8>(fore) : attribute(fore), bg = raw ? static_cast<u8>(back) : attribute(back);
        for (u32 i = 0; i < t_.char_dots; ++i) *out++ = bits & (0x100u >> i) ? fg : bg;
    }
}

/// The four-bit colour of dot 0..7, as "Graphics Mode" sets the shift registers up.
u32 Vga::Renderer::shift_out(u32 data, u32 dot) const {
    const u8 gr5 = v_.gr_[5];
    if (gr5 & 0x40)  // 256-colour shift: a nibble each clock, plane 0 first
        return data >> (dot / 2 * 8 + (dot & 1 ? 0 : 4)) & 0xF;
    if (gr5 & 0x20) {  // interleaved: pairs of bits, even planes first
        const u32 half = data >> (dot < 4 ? 0 : 8), shift = 6 - 2 * (dot & 3);
        return (half >> shift & 3) | (half >> 16 >> shift & 3) << 2;
    }
    const u32 bit = 7 - dot;
    return (data >> bit & 1) | (data >> (8 + bit) & 1) << 1 | (data >> (16 + bit) & 1) << 2 | (data >> (24 + bit) & 1) << 3;
}

void Vga::Renderer::graphics_dots(const Scan& s) {
    const u8 mode = v_.ar_[0x10];
    const bool raw = mode & 0x40, hide = (mode & 8) && !blink_on_;
    const u32 load_every = v_.sr_[1] & 0x10 ? 4 : v_.sr_[1] & 4 ? 2 : 1;
    u8* out = dots_.data();
    for (u32 column = 0; column <= t_.hdisp; ++column) {
        const u32 data = column % load_every ? 0 : v_.memory_.planes(v_.fetch_address(s, column));
        for (u32 dot = 0; dot < t_.char_dots; ++dot) {
            u32 colour = dot < 8 ? shift_out(data, dot) : 0;
            if (hide) colour &= 7;
            *out++ = raw ? static_cast<u8>(colour & v_.ar_[0x12]) : attribute(colour);
        }
    }
}

/// "PEL Clock Select": two four-bit values make one eight-bit colour, which bypasses the palette.
void Vga::Renderer::combine_pairs() {
    for (size_t i = 0; i + 1 < dots_.size(); i += 2) {
        const u8 c = static_cast<u8>(dots_[i] << 4 | (dots_[i + 1] & 0xF));
        dots_[i] = dots_[i + 1] = c;
    }
}

void Vga::Renderer::dispi_lines() {
    const Dispi& d = v_.dispi_;
    const std::span<const u8> memory = v_.memory_.bytes();
    for (u32 y = 0; y < d.yres(); ++y) {
        const u64 start = d.start() + u64{y} * d.line_bytes();
        if (d.bpp() == 4) {
            planar_line(y, start);
            continue;
        }
        const u64 bytes = u64{d.xres()} * ((d.bpp() + 7) / 8);
        if (start + bytes <= memory.size())
            packed_line(y, memory.data() + start, d.xres());
        else  // an offset may not take the beam out of memory
            std::fill_n(frame_.row(y), frame_.width, 0);
    }
}

void Vga::Renderer::planar_line(u32 y, u64 start) {
    for (u32 x = 0; x < t_.hdisp; ++x) {
        const u32 data = v_.memory_.planes(static_cast<u32>(start / 4 + x));
        for (u32 dot = 0; dot < 8; ++dot) {
            const u32 bit = 7 - dot;
            const u32 colour = (data >> bit & 1) | (data >> (8 + bit) & 1) << 1 | (data >> (16 + bit) & 1) << 2 |
                               (data >> (24 + bit) & 1) << 3;
            frame_.row(y)[x * 8 + dot] = rgb_[attribute(colour)];
        }
    }
}

static u32 scale5(u32 v) { return v << 3 | v >> 2; }
static u32 scale6(u32 v) { return v << 2 | v >> 4; }

void Vga::Renderer::packed_line(u32 y, const u8* p, u32 n) {
    u32* out = frame_.row(y);
    switch (v_.dispi_.bpp()) {
    case 8:
        for (u32 x = 0; x < n; ++x) out[x] = rgb_[p[x]];
        break;
    case 15:
        for (u32 x = 0; x < n; ++x) {
            const u32 v = p[2 * x] | p[2 * x + 1] << 8;
            out[x] = scale5(v >> 10 & 31) << 16 | scale5(v >> 5 & 31) << 8 | scale5(v & 31);
        }
        break;
    case 16:
        for (u32 x = 0; x < n; ++x) {
            const u32 v = p[2 * x] | p[2 * x + 1] << 8;
            out[x] = scale5(v >> 11) << 16 | scale6(v >> 5 & 63) << 8 | scale5(v & 31);
        }
        break;
    case 24:
        for (u32 x = 0; x < n; ++x) out[x] = p[3 * x] | p[3 * x + 1] << 8 | p[3 * x + 2] << 16;
        break;
    default:
        for (u32 x = 0; x < n; ++x) out[x] = p[4 * x] | p[4 * x + 1] << 8 | p[4 * x + 2] << 16;
        break;
    }
}

void Vga::render(Frame& frame) const { Renderer{*this, frame}.run(); }

Frame Vga::render() const {
    Frame f;
    render(f);
    return f;
}
}  // namespace calque
