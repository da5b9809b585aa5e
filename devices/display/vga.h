// IBM VGA: sequencer, CRT controller, graphics controller, attribute controller and 256-colour DAC (IBM PS/2 Hardware
// Interface Technical Reference, "Video Subsystem"), and the Bochs display interface for modes beyond.
// The chip answers at ports 3B0h-3DFh (map all 48 to it) and in the memory window A0000h-BFFFFh (map all 128 KiB).
#pragma once
#include <array>
#include <string>
#include <vector>

#include "devices/display/dispi.h"
#include "devices/display/video_memory.h"
#include "support/bus.h"
#include "support/clock.h"
#include "support/frame.h"
#include "support/line.h"

namespace calque {

class Vga final : public BytePortDevice, public MmioDevice {
public:
    static constexpr size_t kMemory = 16 * kMiB;

    /// `irq` is the vertical retrace interrupt, which PCs leave unconnected.
    explicit Vga(Clock& clock, Line& irq = nc());

    u8 read(u16 reg) override;  // reg 0 is port 3B0h
    void write(u16 reg, u8 value) override;
    u64 mmio_read(u64 offset, unsigned size) override;  // offset 0 is A0000h
    void mmio_write(u64 offset, u64 value, unsigned size) override;
    void reset() override;
    void state(StateIO&) override;

    PortDevice& dispi_ports() { return dispi_; }  // 1CEh, 1CFh
    Dispi& dispi() { return dispi_; }
    std::span<u8> memory() { return memory_.bytes(); }

    /// What the monitor shows now: one pixel for each dot and scan line, so mode 13h gives 640x400.
    void render(Frame&) const;
    Frame render() const;
    /// The visible text as UTF-8 lines without trailing blanks; empty in a graphics mode.
    std::vector<std::string> text_screen() const;
    /// Whether frames include the border (overscan) around the active picture.
    void show_overscan(bool on) { show_overscan_ = on; }

    /// The raster that the CRTC registers describe: widths in character clocks, heights in scan lines.
    struct Timing {
        u32 char_dots, hdisp, htotal, hblank_start, hblank_end;
        u32 vdisp, vtotal, vblank_start, vblank_end, vretrace_start, vretrace_lines;
        u64 dot_hz;
        u64 frame_dots() const { return u64{char_dots} * htotal * vtotal; }
    };
    const Timing& timing() const { return timing_; }

private:
    struct Beam { u64 frame; u32 x, y; };     // x in character clocks
    struct Scan { u32 ma, row_scan, pan, byte_pan; bool again; };  // where the CRTC is in memory for one scan line
    class Renderer;

    bool colour() const { return misc_ & 1; }
    u8 status0() const;
    u8 status1();
    u8 crtc_read() const;
    void crtc_write(u8 value);
    void attribute_write(u8 value);
    void dac_write(u8 value);
    u8 dac_read();
    bool decode(u64 offset, u32& address) const;
    u8 window_read(u32 address);
    void window_write(u32 address, u8 value);
    void write_planes(u32 offset, u32 plane_mask, u8 value);
    u32 bank_base() const { return dispi_.bank() << 16; }
    bool banked_linear() const { return dispi_.enabled() && dispi_.bpp() >= 8; }

    Timing vga_timing() const;
    Timing dispi_timing() const;
    void update_timing();
    Beam beam() const;
    void arm_retrace();
    void retrace();

    bool text_mode() const { return !dispi_.enabled() && !(ar_[0x10] & 1); }
    bool blanked() const;
    Scan first_scan() const;
    void next_scan(Scan&, u32 y) const;
    u32 line_compare() const;
    u32 fetch_address(const Scan&, u32 column) const;

    Clock& clock_;
    Line& irq_;
    VideoMemory memory_{kMemory};
    Dispi dispi_{memory_};
    Timer retrace_timer_;
    Timing timing_{};
    bool show_overscan_ = false;

    // Register files carry the reference's names; those in brackets are the ports' addresses.
    u8 misc_ = 0, feature_ = 0, enable_ = 1;     // miscellaneous output [3C2h], feature control, enable [3C3h]
    u8 sr_index_ = 0, gr_index_ = 0, cr_index_ = 0, ar_index_ = 0;
    bool ar_data_next_ = false, retrace_pending_ = false;
    std::array<u8, 5> sr_{};
    std::array<u8, 9> gr_{};
    std::array<u8, 0x19> cr_{};
    std::array<u8, 0x15> ar_{};
    u32 latch_ = 0;                              // the graphics controller's four latches, plane 0 low
    u8 dac_mask_ = 0xFF, dac_index_ = 0, dac_step_ = 0;
    bool dac_reading_ = false;
    std::array<u8, 768> dac_{};                  // eight bits a component; six-bit writes fill the upper six
    std::array<u8, 2> dac_hold_{};               // red and green wait for blue
};
}  // namespace calque
