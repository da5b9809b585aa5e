#include "machine/io_ports.h"

#include <algorithm>

#include "support/assert.h"
#include "support/log.h"

namespace calque {
namespace {
Log log{"io_ports"};
}

void IoPorts::map(u16 first, unsigned count, PortDevice& device, u16 reg) {
    entries_.push_back({&device, first, reg, count, nullptr, 0});
    rebuild();
}

void IoPorts::map_window(const void* owner, unsigned number, u16 first, unsigned count, PortDevice& device) {
    unmap_window(owner, number);
    entries_.push_back({&device, first, 0, count, owner, number});
    rebuild();
}

void IoPorts::unmap_window(const void* owner, unsigned number) {
    if (std::erase_if(entries_, [&](const Entry& e) { return e.owner == owner && e.owner && e.number == number; })) rebuild();
}

// Windows first, then what is there for good.
void IoPorts::rebuild() {
    ASSERT(entries_.size() <= 256);
    std::stable_partition(entries_.begin() + 1, entries_.end(), [](const Entry& e) { return e.owner != nullptr; });
    who_.fill(0);
    for (size_t i = 1; i < entries_.size(); ++i)
        for (unsigned n = 0; n < entries_[i].count && entries_[i].first + n < who_.size(); ++n)
            who_[entries_[i].first + n] = static_cast<u8>(i);
}

// Whether one device has all ports of an access. An access at the end of the space wraps around, byte by byte.
bool IoPorts::whole(u16 port, unsigned size) const {
    if (port + size > who_.size()) return false;
    for (unsigned i = 1; i < size; ++i)
        if (who_[port + i] != who_[port]) return false;
    return true;
}

u32 IoPorts::in(u16 port, unsigned size) {
    if (!whole(port, size)) {
        u32 v = 0;
        for (unsigned i = 0; i < size; ++i) v |= in(static_cast<u16>(port + i), 1) << (8 * i);
        return v;
    }
    const u32 ones = size >= 4 ? ~u32{0} : (u32{1} << (8 * size)) - 1;
    const Entry e = entries_[who_[port]];  // a copy: the device may move windows
    if (!e.device) {
        log.debug("read of %u bytes from port %04x: nobody is there", size, port);
        return ones;
    }
    return e.device->io_read(static_cast<u16>(port - e.first + e.reg), size) & ones;
}

void IoPorts::out(u16 port, u32 value, unsigned size) {
    if (!whole(port, size)) {
        for (unsigned i = 0; i < size; ++i) out(static_cast<u16>(port + i), value >> (8 * i) & 0xff, 1);
        return;
    }
    const Entry e = entries_[who_[port]];
    if (!e.device) {
        log.debug("write of %x, %u bytes, to port %04x: nobody is there", value, size, port);
        return;
    }
    e.device->io_write(static_cast<u16>(port - e.first + e.reg), value, size);
}
}  // namespace calque
