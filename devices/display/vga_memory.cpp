// The path between the CPU and display memory: window decoding, plane selection and the graphics controller's write and
// read modes (IBM VGA, "Graphics Controller Registers" and "Display Memory").
#include "devices/display/vga.h"

namespace calque {

// A bit for each plane, spread to a byte for each plane.
static constexpr u32 spread(u32 planes) {
    return ((planes & 1) | (planes & 2) << 7 | (planes & 4) << 14 | (planes & 8) << 21) * 0xFF;
}
static constexpr u32 repeat(u8 v) { return v * 0x01010101u; }
static_assert(spread(0b1010) == 0xFF00FF00);

/// Where in the window the access falls, or false when memory map select or "Enable RAM" says it is not ours.
bool Vga::decode(u64 offset, u32& address) const {
    struct Map { u32 base, size; };
    static constexpr Map kMaps[4] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};
    const Map& m = kMaps[gr_[6] >> 2 & 3];
    if (!(misc_ & 2) || !(enable_ & 1) || offset < m.base || offset - m.base >= m.size) return false;
    address = static_cast<u32>(offset - m.base) & 0xFFFF;
    return true;
}

u64 Vga::mmio_read(u64 offset, unsigned size) {
    u64 v = 0;
    for (unsigned i = 0; i < size; ++i) {
        u32 a = 0;
        const u8 b = decode(offset + i, a) ? window_read(a) : 0xFF;
        v |= u64{b} << (8 * i);
    }
    return v;
}

void Vga::mmio_write(u64 offset, u64 value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) {
        u32 a = 0;
        if (decode(offset + i, a)) window_write(a, static_cast<u8>(value >> (8 * i)));
    }
}

u8 Vga::window_read(u32 a) {
    if (banked_linear()) return memory_.bytes()[(bank_base() + a) & (kMemory - 1)];
    u32 plane = gr_[4] & 3;
    u32 offset = a;
    if (sr_[4] & 8) {  // chain 4
        plane = a & 3;
        offset = a & ~3u;
    } else if (gr_[5] & 0x10) {  // host odd/even
        plane = (plane & 2) | (a & 1);
        if (gr_[6] & 2) offset = a & ~1u;
    }
    latch_ = memory_.planes(offset + bank_base());
    if (!(gr_[5] & 8)) return static_cast<u8>(latch_ >> (8 * plane));
    // Read mode 1: a bit is 1 where all planes that colour don't care names equal colour compare.
    const u32 differ = (latch_ ^ spread(gr_[2])) & spread(gr_[7]);
    return static_cast<u8>(~(differ | differ >> 8 | differ >> 16 | differ >> 24));
}

void Vga::window_write(u32 a, u8 value) {
    if (banked_linear()) {
        memory_.bytes()[(bank_base() + a) & (kMemory - 1)] = value;
        return;
    }
    u32 planes = sr_[2];
    u32 offset = a;
    if (sr_[4] & 8) {
        planes &= 1u << (a & 3);
        offset = a & ~3u;
    } else if (!(sr_[4] & 4)) {  // odd/even: even addresses reach planes 0 and 2, odd ones 1 and 3
        planes &= a & 1 ? 0xA : 0x5;
        if (gr_[6] & 2) offset = a & ~1u;
    }
    if (planes) write_planes(offset + bank_base(), spread(planes), value);
}

void Vga::write_planes(u32 offset, u32 plane_mask, u8 value) {
    const unsigned rotate = gr_[3] & 7;
    const u8 rotated = static_cast<u8>(value >> rotate | value << (8 - rotate));
    u32 data = 0, bits = repeat(gr_[8]);
    switch (gr_[5] & 3) {
    case 0: {
        const u32 set = spread(gr_[1]);
        data = (repeat(rotated) & ~set) | (spread(gr_[0]) & set);
        break;
    }
    case 1:  // latches as they are: neither function nor bit mask applies
        data = latch_, bits = ~0u;
        break;
    case 2: data = spread(value & 0xF); break;
    case 3:
        data = spread(gr_[0]);
        bits = repeat(rotated & gr_[8]);
        break;
    }
    if ((gr_[5] & 3) != 1) switch (gr_[3] >> 3 & 3) {
        case 1: data &= latch_; break;
        case 2: data |= latch_; break;
        case 3: data ^= latch_; break;
        default: break;
        }
    data = (data & bits) | (latch_ & ~bits);
    memory_.set_planes(offset, (data & plane_mask) | (memory_.planes(offset) & ~plane_mask));
}
}  // namespace calque
