// PCI Local Bus Specification 2.3, "Software Generation of Configuration Transactions".
#include "devices/pci/pci_host.h"

#include "support/assert.h"
#include "support/log.h"
#include "support/state_io.h"

namespace calque {
namespace {
Log log{"pci_host"};
constexpr u32 kEnable = 1u << 31, kAddressBits = 0x80fffffc;
constexpr u16 kData = 4;  // CFCh
}  // namespace

PciHost::PciHost(PciWindows& windows, std::array<Line*, 4> pirq) : windows_{windows}, pirq_{pirq} {
    for (unsigned i = 0; i < 256; ++i) intx_[i] = {*this, i};
}

void PciHost::attach(unsigned device, unsigned function, PciFunction& f) {
    const unsigned devfn = device * 8 + function;
    ASSERT(device < 32 && function < 8 && !functions_[devfn]);
    functions_[devfn] = &f;
    f.attach(&windows_, &intx_[devfn]);
}

void PciHost::set_intx(unsigned devfn, bool level) {
    const unsigned pin = functions_[devfn]->config_read(0x3d, 1);
    if (pin == 0) return;
    const unsigned n = (pin - 1 + devfn / 8 + 3) & 3;  // pin - 1 + device - 1
    asserted_[n][devfn] = level;
    pirq_[n]->set(asserted_[n].any());
}

PciFunction* PciHost::selected() const {
    if (!(address_ & kEnable) || (address_ >> 16 & 0xff) != 0) return nullptr;
    return functions_[address_ >> 8 & 0xff];
}

u32 PciHost::io_read(u16 reg, unsigned size) {
    if (reg < kData) {
        if (reg == 0 && size == 4) return address_;
        if (reg == 1 && size == 1 && reset_control_) return reset_control_->io_read(0, 1);
        return ~0u;
    }
    const unsigned at = reg & 3;
    if (at + size > 4) {
        u32 v = 0;
        for (unsigned i = 0; i < size; ++i)
            v |= (reg + i < 8u ? io_read(static_cast<u16>(reg + i), 1) & 0xff : 0xffu) << (8 * i);
        return v;
    }
    PciFunction* f = selected();
    return f ? f->config_read(static_cast<u8>((address_ & 0xfc) | at), size) : ~0u;
}

void PciHost::io_write(u16 reg, u32 value, unsigned size) {
    if (reg < kData) {
        if (reg == 0 && size == 4) address_ = value & kAddressBits;
        else if (reg == 1 && size == 1 && reset_control_) reset_control_->io_write(0, value, 1);
        return;
    }
    const unsigned at = reg & 3;
    if (at + size > 4) {
        for (unsigned i = 0; i < size && reg + i < 8u; ++i) io_write(static_cast<u16>(reg + i), value >> (8 * i) & 0xff, 1);
        return;
    }
    if (PciFunction* f = selected()) f->config_write(static_cast<u8>((address_ & 0xfc) | at), value, size);
    else log.debug("configuration write to %08x, where there is nothing", address_ | at);
}

void PciHost::reset() { address_ = 0; }

void PciHost::state(StateIO& s) {
    s.version(1);
    s(address_);
    if (s.loading()) address_ &= kAddressBits;
}
}  // namespace calque
