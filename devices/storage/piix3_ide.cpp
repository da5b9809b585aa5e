#include "devices/storage/piix3_ide.h"

#include "support/state_io.h"

namespace calque {
namespace {
constexpr u8 kCommand = 0x04, kStatus = 0x06, kLatencyTimer = 0x0D, kIdetim = 0x40, kSidetim = 0x44;
constexpr unsigned kBusMasterBar = 4, kBusMasterSize = 16;
}  // namespace

Piix3Ide::Piix3Ide(DmaSpace& memory, Line& irq14, Line& irq15)
    : PciFunction{{.vendor = 0x8086, .device = 0x7010, .class_code = 0x010180}},
      channels_{IdeChannel{memory, irq14}, IdeChannel{memory, irq15}} {
    set_bar(kBusMasterBar, {.size = kBusMasterSize, .io = true});
    config_register(kCommand, 2, 0x0000, 0x0005);  // I/O space and bus master
    config_register(kStatus, 2, 0x0280, 0x0000);   // medium DEVSEL, fast back-to-back
    config_register(kLatencyTimer, 1, 0x00, 0xF0);
    config_register(kIdetim, 4, 0, 0xF3FFF3FF);  // bits 10 and 11 of each half are reserved
    config_register(kSidetim, 1, 0, 0xFF);
    update();
}

void Piix3Ide::update() {
    for (unsigned n = 0; n < 2; ++n) {
        const bool decode_enable = config_[kIdetim + 2 * n + 1] & 0x80;  // IDETIM bit 15
        channels_[n].set_decoding(io_enabled() && decode_enable);
        channels_[n].set_bus_master_enabled(bus_master_enabled());
    }
}

void Piix3Ide::config_changed(u8 reg, unsigned size) {
    PciFunction::config_changed(reg, size);
    update();
}

u64 Piix3Ide::bar_read(unsigned bar, u64 offset, unsigned size) {
    u64 v = 0;
    for (unsigned i = 0; i < size; ++i) {
        const u64 reg = offset + i;
        const bool ours = bar == kBusMasterBar && reg < kBusMasterSize;
        v |= u64{ours ? channels_[reg >> 3].bus_master_read(reg & 7) : u8{0xFF}} << (8 * i);
    }
    return v;
}

void Piix3Ide::bar_write(unsigned bar, u64 offset, u64 value, unsigned size) {
    if (bar != kBusMasterBar) return;
    for (unsigned i = 0; i < size && offset + i < kBusMasterSize; ++i)
        channels_[(offset + i) >> 3].bus_master_write((offset + i) & 7, static_cast<u8>(value >> (8 * i)));
}

void Piix3Ide::reset() {
    PciFunction::reset();
    for (auto& c : channels_) c.reset();
    update();
}

void Piix3Ide::state(StateIO& s) {
    PciFunction::state(s);
    s.version(1);
    for (auto& c : channels_) c.state(s);
}
}  // namespace calque
