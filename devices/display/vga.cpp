// Choices where the reference is silent or models differ:
// * A0, replaced in odd/even mode, is always 0: text lies at even offsets of planes 0 and 1, where word addressing looks.
// * Six-bit colour values sit in the upper bits of an eight-bit DAC, so switching its width converts the palette.
// * The two "diagnostic" bits of input status 1 show the overscan colour, not the pixel under the beam.
// * An external dot clock (clock select 2 and 3) runs at 25.175 MHz.
#include "devices/display/vga.h"

#include "support/log.h"

namespace calque {

static Log log{"vga"};

// Bits that exist; all others read as zero.
constexpr std::array<u8, 5> kSrMask{0x03, 0x3D, 0x0F, 0x3F, 0x0E};
constexpr std::array<u8, 9> kGrMask{0x0F, 0x0F, 0x0F, 0x1F, 0x03, 0x7B, 0x0F, 0x0F, 0xFF};
constexpr std::array<u8, 0x15> kArMask{0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F,
                                       0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0xEF, 0xFF, 0x3F, 0x0F, 0x0F};
constexpr u8 kPaletteAddressSource = 0x20;  // in the attribute controller's index: display on, palette locked

Vga::Vga(Clock& clock, Line& irq) : clock_{clock}, irq_{irq}, retrace_timer_{clock, [this] { retrace(); }} {
    dispi_.on_mode_change = [this] { update_timing(); };
    reset();
}

void Vga::reset() {
    dispi_.reset();
    misc_ = feature_ = 0;
    enable_ = 1;
    sr_index_ = gr_index_ = cr_index_ = ar_index_ = 0;
    ar_data_next_ = retrace_pending_ = dac_reading_ = false;
    sr_ = {}, gr_ = {}, cr_ = {}, ar_ = {};
    latch_ = 0;
    dac_mask_ = 0xFF, dac_index_ = dac_step_ = 0;
    dac_hold_ = {};
    irq_.lower();
    update_timing();
}

u8 Vga::read(u16 reg) {
    const u16 port = static_cast<u16>(0x3B0 + reg);
    if (port == 0x3C3) return enable_;
    if (!(enable_ & 1)) return 0xFF;
    switch (port) {
    case 0x3C0: return ar_index_;
    case 0x3C1: return (ar_index_ & 0x1F) < ar_.size() ? ar_[ar_index_ & 0x1F] : 0;
    case 0x3C2: return status0();
    case 0x3C4: return sr_index_;
    case 0x3C5: return sr_index_ < sr_.size() ? sr_[sr_index_] : 0;
    case 0x3C6: return dac_mask_;
    case 0x3C7: return dac_reading_ ? 3 : 0;
    case 0x3C8: return dac_index_;
    case 0x3C9: return dac_read();
    case 0x3CA: return feature_;
    case 0x3CC: return misc_;
    case 0x3CE: return gr_index_;
    case 0x3CF: return gr_index_ < gr_.size() ? gr_[gr_index_] : 0;
    default: break;
    }
    // The CRTC and input status 1 move with the I/O address select bit.
    if ((port & 0x3F0) != (colour() ? 0x3D0 : 0x3B0)) return 0xFF;
    switch (port & 0xF) {
    case 0x4: return cr_index_;
    case 0x5: return crtc_read();
    case 0xA: return status1();
    default: return 0xFF;
    }
}

void Vga::write(u16 reg, u8 value) {
    const u16 port = static_cast<u16>(0x3B0 + reg);
    if (port == 0x3C3) {
        enable_ = value & 1;
        return;
    }
    if (!(enable_ & 1)) return;
    switch (port) {
    case 0x3C0: return attribute_write(value);
    case 0x3C2: misc_ = value & 0xEF; return update_timing();
    case 0x3C4: sr_index_ = value & 7; return;
    case 0x3C5:
        if (sr_index_ < sr_.size()) sr_[sr_index_] = value & kSrMask[sr_index_];
        if (sr_index_ == 1) update_timing();
        return;
    case 0x3C6: dac_mask_ = value; return;
    case 0x3C7: dac_index_ = value, dac_step_ = 0, dac_reading_ = true; return;
    case 0x3C8: dac_index_ = value, dac_step_ = 0, dac_reading_ = false; return;
    case 0x3C9: return dac_write(value);
    case 0x3CE: gr_index_ = value & 0xF; return;
    case 0x3CF:
        if (gr_index_ < gr_.size()) gr_[gr_index_] = value & kGrMask[gr_index_];
        return;
    default: break;
    }
    if ((port & 0x3F0) != (colour() ? 0x3D0 : 0x3B0)) return;
    switch (port & 0xF) {
    case 0x4: cr_index_ = value & 0x3F; return;
    case 0x5: return crtc_write(value);
    case 0xA: feature_ = value & 0x0B; return;
    default: log.debug("write of %02x to port %03x ignored", value, port); return;
    }
}

u8 Vga::crtc_read() const {
    if (cr_index_ < cr_.size()) return cr_[cr_index_];
    // Undocumented, but present in IBM's chip: the latch that read map select names, and the attribute flip-flop.
    if (cr_index_ == 0x22) return static_cast<u8>(latch_ >> (8 * (gr_[4] & 3)));
    if (cr_index_ == 0x24) return static_cast<u8>((ar_data_next_ ? 0x80 : 0) | ar_index_);
    return 0;
}

void Vga::crtc_write(u8 value) {
    if (cr_index_ >= cr_.size()) return;
    const bool locked = cr_[0x11] & 0x80;  // "Protect Registers 0-7", except for line compare's bit 8
    if (locked && cr_index_ == 7) value = static_cast<u8>((cr_[7] & ~0x10) | (value & 0x10));
    if (locked && cr_index_ < 7) return;
    cr_[cr_index_] = value;
    if (cr_index_ == 0x11 && !(value & 0x10)) {  // "Clear Vertical Interrupt" is active low
        retrace_pending_ = false;
        irq_.lower();
    }
    if (cr_index_ <= 9 || cr_index_ >= 0x10) update_timing();
}

void Vga::attribute_write(u8 value) {
    if (!ar_data_next_) {
        ar_index_ = value & 0x3F;
    } else {
        const unsigned i = ar_index_ & 0x1F;
        const bool locked = i < 16 && (ar_index_ & kPaletteAddressSource);  // the display is reading the palette
        if (i < ar_.size() && !locked) ar_[i] = value & kArMask[i];
    }
    ar_data_next_ = !ar_data_next_;
}

void Vga::dac_write(u8 value) {
    if (!dispi_.dac_8bit()) value = static_cast<u8>(value << 2);
    if (dac_step_ < 2) {
        dac_hold_[dac_step_++] = value;
        return;
    }
    u8* entry = &dac_[dac_index_ * 3u];
    entry[0] = dac_hold_[0], entry[1] = dac_hold_[1], entry[2] = value;
    dac_step_ = 0;
    ++dac_index_;
}

u8 Vga::dac_read() {
    const u8 v = dac_[dac_index_ * 3u + dac_step_];
    if (++dac_step_ == 3) dac_step_ = 0, ++dac_index_;
    return dispi_.dac_8bit() ? v : v >> 2;
}

void Vga::state(StateIO& s) {
    s.version(1);
    dispi_.state(s);
    memory_.state(s);
    retrace_timer_.state(s);
    s(misc_, feature_, enable_, sr_index_, gr_index_, cr_index_, ar_index_, ar_data_next_, retrace_pending_);
    s(sr_, gr_, cr_, ar_, latch_, dac_mask_, dac_index_, dac_step_, dac_reading_, dac_, dac_hold_);
    if (!s.loading()) return;
    misc_ &= 0xEF, feature_ &= 0x0B, enable_ &= 1;
    sr_index_ &= 7, gr_index_ &= 0xF, cr_index_ &= 0x3F, ar_index_ &= 0x3F;
    dac_step_ %= 3;
    for (size_t i = 0; i < sr_.size(); ++i) sr_[i] &= kSrMask[i];
    for (size_t i = 0; i < gr_.size(); ++i) gr_[i] &= kGrMask[i];
    for (size_t i = 0; i < ar_.size(); ++i) ar_[i] &= kArMask[i];
    irq_.set(retrace_pending_);
    update_timing();
}
}  // namespace calque
