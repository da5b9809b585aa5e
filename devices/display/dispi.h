// The Bochs display interface ("VBE DISPI"): a 16-bit index and a 16-bit data register that set modes beyond VGA's,
// with a linear framebuffer and a 64 KiB bank window. Ports 1CEh (index) and 1CFh (data).
#pragma once
#include <array>
#include <functional>

#include "devices/display/video_memory.h"
#include "support/bus.h"

namespace calque {

class Dispi final : public PortDevice {
public:
    enum Index : u16 {
        ID, XRES, YRES, BPP, ENABLE, BANK, VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET, VIDEO_MEMORY_64K, kCount
    };
    enum EnableBit : u16 { ENABLED = 1, GETCAPS = 2, DAC_8BIT = 0x20, LFB_ENABLED = 0x40, NOCLEARMEM = 0x80 };
    static constexpr u16 kMaxX = 2560, kMaxY = 1600, kMaxBpp = 32;

    explicit Dispi(VideoMemory& memory);

    u32 io_read(u16 reg, unsigned size) override;  // 0: index, 1: data
    void io_write(u16 reg, u32 value, unsigned size) override;
    void reset() override;
    void state(StateIO&) override;

    u16 read(u16 index) const;
    void write(u16 index, u16 value);
    std::function<void()> on_mode_change;  // a mode was enabled or left

    bool enabled() const { return regs_[ENABLE] & ENABLED; }
    bool dac_8bit() const { return regs_[ENABLE] & DAC_8BIT; }
    u32 xres() const { return regs_[XRES]; }
    u32 yres() const { return regs_[YRES]; }
    u32 bpp() const { return regs_[BPP]; }
    u32 bank() const { return regs_[BANK]; }
    /// Bytes from one line to the next; for 4 bits a pixel, of all planes together.
    u32 line_bytes() const { return line_bytes(regs_[VIRT_WIDTH]); }
    /// Where in video memory the first visible pixel is.
    u64 start() const;

private:
    u32 line_bytes(u32 width) const;
    u32 max_virt_height(u32 width) const;
    void enable(u16 value);
    void set_virt_width(u16 value);
    void clamp_offsets();
    VideoMemory& memory_;
    u16 index_ = 0;
    std::array<u16, kCount> regs_{};
};
}  // namespace calque
