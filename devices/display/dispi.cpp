// Choices where the interface's description is silent: geometry registers refuse values that no mode can have and are
// locked while a mode is enabled; a mode that does not fit into video memory is not enabled; offsets are limited so that
// the visible rectangle stays inside the virtual screen.
#include "devices/display/dispi.h"

#include <algorithm>

#include "support/log.h"

namespace calque {

static Log log{"dispi"};
constexpr u16 kFirstId = 0xB0C0, kLastId = 0xB0C5;

Dispi::Dispi(VideoMemory& memory) : memory_{memory} { reset(); }

void Dispi::reset() {
    regs_ = {};
    index_ = 0;
    regs_[ID] = kLastId;
    regs_[BPP] = 8;
}

u32 Dispi::io_read(u16 reg, unsigned) { return reg == 0 ? index_ : read(index_); }

void Dispi::io_write(u16 reg, u32 value, unsigned) {
    if (reg == 0)
        index_ = static_cast<u16>(value);
    else
        write(index_, static_cast<u16>(value));
}

u32 Dispi::line_bytes(u32 width) const {
    switch (regs_[BPP]) {
    case 4: return width / 2;
    case 15: return width * 2;
    default: return width * regs_[BPP] / 8;
    }
}

u32 Dispi::max_virt_height(u32 width) const {
    const u32 line = line_bytes(width);
    return line ? static_cast<u32>(std::min<size_t>(memory_.size() / line, 0xFFFF)) : 0;
}

u64 Dispi::start() const { return u64{regs_[Y_OFFSET]} * line_bytes() + line_bytes(regs_[X_OFFSET]); }

u16 Dispi::read(u16 index) const {
    if (regs_[ENABLE] & GETCAPS) {
        if (index == XRES) return kMaxX;
        if (index == YRES) return kMaxY;
        if (index == BPP) return kMaxBpp;
    }
    if (index == VIDEO_MEMORY_64K) return static_cast<u16>(memory_.size() / (64 * kKiB));
    return index < kCount ? regs_[index] : 0;
}

static bool is_depth(u16 v) { return v == 4 || v == 8 || v == 15 || v == 16 || v == 24 || v == 32; }

void Dispi::write(u16 index, u16 value) {
    switch (index) {
    case ID:
        if (value >= kFirstId && value <= kLastId) regs_[ID] = value;
        break;
    case XRES:
        if (!enabled() && value <= kMaxX) regs_[XRES] = value & ~7u;
        break;
    case YRES:
        if (!enabled() && value <= kMaxY) regs_[YRES] = value;
        break;
    case BPP:
        if (value == 0) value = 8;  // the first version of the interface had no depth
        if (!enabled() && is_depth(value)) regs_[BPP] = value;
        break;
    case ENABLE: enable(value); break;
    case BANK:
        if (value < memory_.size() / (64 * kKiB)) regs_[BANK] = value;
        break;
    case VIRT_WIDTH: set_virt_width(value); break;
    case X_OFFSET:
    case Y_OFFSET:
        regs_[index] = value;
        clamp_offsets();
        break;
    default: log.debug("write of %04x to register %u ignored", value, index); break;
    }
}

void Dispi::enable(u16 value) {
    constexpr u16 kKept = ENABLED | GETCAPS | DAC_8BIT | LFB_ENABLED | NOCLEARMEM;
    value &= kKept;
    if ((value & ENABLED) && !enabled()) {
        if (regs_[XRES] == 0 || regs_[YRES] == 0 || max_virt_height(regs_[XRES]) < regs_[YRES]) {
            log.info("mode %ux%ux%u refused", regs_[XRES], regs_[YRES], regs_[BPP]);
            value &= ~ENABLED;
        } else {
            regs_[VIRT_WIDTH] = regs_[XRES];
            regs_[VIRT_HEIGHT] = static_cast<u16>(max_virt_height(regs_[XRES]));
            regs_[X_OFFSET] = regs_[Y_OFFSET] = regs_[BANK] = 0;
            if (!(value & NOCLEARMEM)) memory_.clear();
            log.debug("mode %ux%ux%u", regs_[XRES], regs_[YRES], regs_[BPP]);
        }
    } else if (!(value & ENABLED)) {
        regs_[BANK] = 0;  // VGA's window is not banked
    }
    const bool changed = (value ^ regs_[ENABLE]) & ENABLED;
    regs_[ENABLE] = value;
    if (changed && on_mode_change) on_mode_change();
}

void Dispi::set_virt_width(u16 value) {
    value &= ~7u;
    if (!enabled() || value < regs_[XRES] || max_virt_height(value) < regs_[YRES]) return;
    regs_[VIRT_WIDTH] = value;
    regs_[VIRT_HEIGHT] = static_cast<u16>(max_virt_height(value));
    clamp_offsets();
}

void Dispi::clamp_offsets() {
    const int right = std::max(0, regs_[VIRT_WIDTH] - regs_[XRES]);
    const int bottom = std::max(0, regs_[VIRT_HEIGHT] - regs_[YRES]);
    regs_[X_OFFSET] = static_cast<u16>(std::min<int>(regs_[X_OFFSET], right));
    regs_[Y_OFFSET] = static_cast<u16>(std::min<int>(regs_[Y_OFFSET], bottom));
}

void Dispi::state(StateIO& s) {
    s.version(1);
    s(index_, regs_);
    if (!s.loading()) return;
    // Nothing loaded may describe a mode that write() would not have made.
    const bool sane = regs_[XRES] <= kMaxX && regs_[XRES] % 8 == 0 && regs_[YRES] <= kMaxY && is_depth(regs_[BPP]) &&
                      regs_[BANK] < memory_.size() / (64 * kKiB);
    if (!sane) return reset(), s.fail();
    if (!enabled()) return;
    const u32 width = regs_[VIRT_WIDTH];
    if (regs_[XRES] == 0 || regs_[YRES] == 0 || width < regs_[XRES] || max_virt_height(width) < regs_[YRES])
        return reset(), s.fail();
    regs_[VIRT_HEIGHT] = static_cast<u16>(max_virt_height(width));
    clamp_offsets();
}
}  // namespace calque
