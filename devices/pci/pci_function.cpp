// PCI Local Bus Specification 2.3. Choices where it leaves room:
// * A window at address 0, and one at the topmost address that its size allows, does not decode: the first is a BAR
//   that nobody has placed yet, the second is what a BAR holds while firmware measures it. An I/O window above 64 KiB
//   does not decode either, since an x86 processor cannot reach it.
// * Read-only bits keep their value when state is loaded, whatever the stream says.
#include "devices/pci/pci_function.h"

#include <bit>

#include "support/assert.h"
#include "support/log.h"
#include "support/state_io.h"

namespace calque {
namespace {
Log log{"pci_function"};

constexpr u8 kCommand = 0x04, kStatus = 0x06, kRomBar = 0x30, kInterruptLine = 0x3c, kInterruptPin = 0x3d;
constexpr u16 kCommandBits = 0x0547;       // I/O, memory, master, parity response, SERR#, interrupt disable
constexpr u16 kInterruptDisable = 1 << 10;
constexpr u8 kInterruptStatus = 1 << 3;
constexpr u16 kStatusErrors = 0xf900;      // write one to clear
constexpr unsigned kRom = 6;

constexpr u8 bar_register(unsigned bar) { return bar == kRom ? kRomBar : static_cast<u8>(0x10 + 4 * bar); }
}  // namespace

PciFunction::PciFunction(const Identity& id) {
    config_register(0x00, 2, id.vendor, 0);
    config_register(0x02, 2, id.device, 0);
    config_register(kCommand, 2, 0, kCommandBits);
    config_write_one_clears(kStatus, 2, kStatusErrors);
    config_register(0x08, 4, id.class_code << 8 | id.revision, 0);
    config_register(0x0c, 4, u32{id.header_type} << 16, 0xffff);  // cache line size and latency timer
    config_register(0x2c, 2, id.subsystem_vendor, 0);
    config_register(0x2e, 2, id.subsystem, 0);
    config_register(kInterruptLine, 1, 0, id.interrupt_pin ? 0xff : 0);
    config_register(kInterruptPin, 1, id.interrupt_pin, 0);
}

void PciFunction::set_bar(unsigned n, Bar b) {
    ASSERT(n <= kRom && std::has_single_bit(b.size) && b.size >= (b.io ? 4u : 16u) && b.size <= 2 * kGiB);
    bars_[n] = b;
    u32 flags = b.io ? 1 : b.prefetchable ? 8 : 0, writable = ~static_cast<u32>(b.size - 1);
    if (n == kRom) flags = 0, writable |= 1;  // bit 0 switches the ROM on
    config_register(bar_register(n), 4, flags, writable);
}

void PciFunction::config_register(u8 reg, unsigned size, u32 value, u32 write_mask) {
    for (unsigned i = 0; i < size; ++i) {
        config_[reg + i] = reset_values_[reg + i] = static_cast<u8>(value >> (8 * i));
        write_mask_[reg + i] = static_cast<u8>(write_mask >> (8 * i));
    }
}

void PciFunction::config_write_one_clears(u8 reg, unsigned size, u32 mask) {
    for (unsigned i = 0; i < size; ++i) clear_mask_[reg + i] = static_cast<u8>(mask >> (8 * i));
}

u32 PciFunction::config_value(u8 reg, unsigned size) const {
    u32 v = 0;
    for (unsigned i = 0; i < size; ++i) v |= u32{config_[(reg + i) & 0xff]} << (8 * i);
    return v;
}

void PciFunction::set_config_value(u8 reg, unsigned size, u32 value) {
    for (unsigned i = 0; i < size; ++i) config_[(reg + i) & 0xff] = static_cast<u8>(value >> (8 * i));
}

u32 PciFunction::config_read(u8 reg, unsigned size) { return config_value(reg, size); }

void PciFunction::config_write(u8 reg, u32 value, unsigned size) {
    for (unsigned i = 0; i < size && reg + i < 256; ++i) {
        const u8 v = static_cast<u8>(value >> (8 * i)), m = write_mask_[reg + i];
        u8& c = config_[reg + i];
        c = static_cast<u8>(((c & ~m) | (v & m)) & ~(v & clear_mask_[reg + i]));
    }
    if (reg < 0x40) {
        update_windows();
        drive_intx();
    }
    config_changed(reg, size);
}

void PciFunction::config_changed(u8, unsigned) {}

u64 PciFunction::bar_read(unsigned bar, u64 offset, unsigned size) {
    log.debug("read of %u bytes at offset %#llx of BAR %u, which has no registers", size,
              static_cast<unsigned long long>(offset), bar);
    return ~u64{0};
}

void PciFunction::bar_write(unsigned bar, u64 offset, u64, unsigned size) {
    log.debug("write of %u bytes at offset %#llx of BAR %u, which has no registers", size,
              static_cast<unsigned long long>(offset), bar);
}

std::span<u8> PciFunction::bar_memory(unsigned) { return {}; }

u64 PciFunction::bar_base(unsigned n) const {
    if (n > kRom) return announced_[n].base;
    return config_value(bar_register(n), 4) & ~static_cast<u32>(bars_[n].size - 1);
}

PciFunction::Window PciFunction::decoded_window(unsigned n) const {
    const Bar& b = bars_[n];
    if (!b.size) return {};
    const u64 base = bar_base(n), limit = b.io ? u64{1} << 16 : u64{1} << 32;
    bool on = b.io ? io_enabled() : memory_enabled();
    if (n == kRom) on = on && (config_[kRomBar] & 1);
    on = on && base != 0 && base + b.size <= limit && base + b.size != u64{1} << 32;
    return on ? Window{true, base} : Window{};
}

void PciFunction::announce(unsigned n, Window w) {
    if (!windows_ || w == announced_[n]) return;
    announced_[n] = w;
    windows_->bar_moved(*this, n, bars_[n].io, w.enabled, w.base, bars_[n].size);
}

void PciFunction::update_windows() {
    for (unsigned n = 0; n <= kRom; ++n) announce(n, decoded_window(n));
}

void PciFunction::place_io_window(unsigned n, bool enabled, u64 base, u64 size) {
    ASSERT(n > kRom && n < bars_.size());
    bars_[n] = {.size = size, .io = true};
    announce(n, enabled && base && base + size <= 0x10000 ? Window{true, base} : Window{});
}

void PciFunction::set_intx(bool level) {
    intx_level_ = level;
    config_[kStatus] = static_cast<u8>(level ? config_[kStatus] | kInterruptStatus : config_[kStatus] & ~kInterruptStatus);
    drive_intx();
}

void PciFunction::drive_intx() {
    if (intx_) intx_->set(intx_level_ && !(config_value(kCommand, 2) & kInterruptDisable));
}

void PciFunction::reset() {
    config_ = reset_values_;
    set_intx(false);
    update_windows();
}

void PciFunction::state(StateIO& s) {
    s.version(1);
    auto config = config_;
    s(config, intx_level_);
    if (!s.loading()) return;
    // Registers above the header may be changed by the chip itself; its own state() sees to those.
    for (unsigned i = 0; i < 0x40; ++i) {
        const u8 fixed = static_cast<u8>(~(write_mask_[i] | clear_mask_[i]));
        config[i] = static_cast<u8>((reset_values_[i] & fixed) | (config[i] & ~fixed));
    }
    config_ = config;
    set_intx(intx_level_);
    update_windows();
}
}  // namespace calque
