#include "devices/display/vga_pci.h"

#include <algorithm>
#include <bit>

namespace calque {

// BAR 2: VGA's ports 3C0h-3DFh, then the display interface's sixteen-bit registers.
constexpr u64 kVgaPorts = 0x400, kVgaPortsEnd = 0x420, kDispi = 0x500, kDispiEnd = kDispi + 2 * Dispi::kCount;
constexpr u16 kFirstPort = 0x3C0 - 0x3B0;

VgaPci::VgaPci(Clock& clock, std::vector<u8> rom)
    : PciFunction{{.vendor = 0x1234, .device = 0x1111, .class_code = 0x030000, .revision = 2,
                   .subsystem_vendor = 0x1AF4, .subsystem = 0x1100}},
      vga_{clock}, rom_{std::move(rom)} {
    set_bar(kFramebufferBar, {.size = Vga::kMemory, .prefetchable = true});
    set_bar(kRegisterBar, {.size = 4 * kKiB});
    if (!rom_.empty()) {
        rom_.resize(std::bit_ceil(std::max<size_t>(rom_.size(), 2 * kKiB)), 0xFF);
        set_bar(kRomBar, {.size = rom_.size()});
    }
    VgaPci::reset();
}

void VgaPci::reset() {
    PciFunction::reset();
    vga_.reset();
}

std::span<u8> VgaPci::bar_memory(unsigned bar) {
    if (bar == kFramebufferBar) return vga_.memory();
    if (bar == kRomBar) return rom_;
    return {};
}

u8 VgaPci::register_read(u64 offset) {
    if (offset >= kVgaPorts && offset < kVgaPortsEnd) return vga_.read(static_cast<u16>(offset - kVgaPorts + kFirstPort));
    if (offset >= kDispi && offset < kDispiEnd) {
        const u16 v = vga_.dispi().read(static_cast<u16>((offset - kDispi) / 2));
        return static_cast<u8>(offset & 1 ? v >> 8 : v);
    }
    return 0;  // drivers take zero for "no further registers"
}

u64 VgaPci::bar_read(unsigned bar, u64 offset, unsigned size) {
    if (bar != kRegisterBar) return PciFunction::bar_read(bar, offset, size);
    u64 v = 0;
    for (unsigned i = 0; i < size; ++i) v |= u64{register_read(offset + i)} << (8 * i);
    return v;
}

void VgaPci::bar_write(unsigned bar, u64 offset, u64 value, unsigned size) {
    if (bar != kRegisterBar) return PciFunction::bar_write(bar, offset, value, size);
    if (offset >= kDispi && offset + size <= kDispiEnd && size >= 2) {
        for (unsigned i = 0; i + 1 < size; i += 2)
            vga_.dispi().write(static_cast<u16>((offset - kDispi + i) / 2), static_cast<u16>(value >> (8 * i)));
        return;
    }
    for (unsigned i = 0; i < size; ++i) {
        const u64 at = offset + i;
        if (at >= kVgaPorts && at < kVgaPortsEnd)
            vga_.write(static_cast<u16>(at - kVgaPorts + kFirstPort), static_cast<u8>(value >> (8 * i)));
    }
}

void VgaPci::state(StateIO& s) {
    PciFunction::state(s);
    s.version(1);
    vga_.state(s);
}
}  // namespace calque
