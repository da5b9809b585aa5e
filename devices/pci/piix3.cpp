#include "devices/pci/piix3.h"

#include "support/log.h"
#include "support/state_io.h"

namespace calque {
namespace {
Log log{"piix3"};
constexpr u8 kPirqrc = 0x60, kNotRouted = 0x80;
constexpr u8 kHardReset = 0x02, kResetCpu = 0x04;  // "RC - Reset Control Register"
}  // namespace

Piix3::Piix3(Pins pins)
    : PciFunction{{.vendor = 0x8086, .device = 0x7000, .class_code = 0x060100, .header_type = 0x80}}, pins_{pins} {
    for (unsigned i = 0; i < 16; ++i) isa_[i] = {*this, i};
    for (unsigned i = 0; i < 4; ++i) pirq_[i] = {*this, i};
    config_register(0x04, 2, 0x0007, 0x0008);  // I/O, memory and mastering are always on; special cycles may be
    config_register(0x06, 2, 0x0200, 0);
    config_write_one_clears(0x06, 2, 0x7800);
    config_register(0x4c, 1, 0x4d, 0x7f);      // IORT
    config_register(0x4e, 2, 0x0003, 0x07ff);  // XBCS
    for (unsigned i = 0; i < 4; ++i) config_register(static_cast<u8>(kPirqrc + i), 1, kNotRouted, 0x8f);
    config_register(0x69, 1, 0x02, 0xfe);      // TOM
    config_register(0x6a, 2, 0, 0x80e0);       // MSTAT
    config_register(0x70, 1, 0x80, 0xcf);      // MBIRQ0
    config_register(0x71, 1, 0x80, 0xcf);      // MBIRQ1
    config_register(0x76, 1, 0x0c, 0x8f);      // MBDMA0
    config_register(0x77, 1, 0x0c, 0x8f);      // MBDMA1
    config_register(0x78, 2, 0x0002, 0xffff);  // PCSC
    config_register(0x80, 1, 0, 0x7f);         // APICBASE
    config_register(0x82, 1, 0, 0x0f);         // DLC
    config_register(0xa0, 1, 0x08, 0x1f);      // SMICNTL
    config_register(0xa2, 2, 0, 0x00ff);       // SMIEN
    config_register(0xa4, 4, 0, 0xffffffff);   // SEE
    config_register(0xa8, 1, 0x0f, 0xff);      // FTMR
    config_register(0xaa, 2, 0, 0x00ff);       // SMIREQ
    config_register(0xac, 1, 0, 0xff);         // CTLTMR
    config_register(0xae, 1, 0, 0xff);         // CTHTMR
}

void Piix3::set_isa(unsigned n, bool level) {
    isa_levels_ = static_cast<u16>(level ? isa_levels_ | 1u << n : isa_levels_ & ~(1u << n));
    update(n);
}

void Piix3::set_pirq(unsigned n, bool level) {
    pirq_levels_ = static_cast<u8>(level ? pirq_levels_ | 1u << n : pirq_levels_ & ~(1u << n));
    pins_.apic_pirq[n]->set(level);
    const u8 route = config_[kPirqrc + n];
    if (!(route & kNotRouted)) update(route & 15);
}

void Piix3::update(unsigned irq) {
    bool level = isa_levels_ >> irq & 1;
    // "PIRQRC": 0, 1, 2, 8 and 13 are reserved routes.
    constexpr u16 kRoutable = 0xdef8;
    for (unsigned n = 0; n < 4; ++n)
        if (config_[kPirqrc + n] == irq && (kRoutable >> irq & 1)) level = level || (pirq_levels_ >> n & 1);
    pins_.irq[irq]->set(level);
}

void Piix3::config_changed(u8 reg, unsigned size) {
    if (reg + size <= kPirqrc || reg >= kPirqrc + 4) return;
    for (unsigned irq = 0; irq < 16; ++irq) update(irq);
}

void Piix3::ResetControl::write(u16, u8 value) {
    const bool rising = (value & kResetCpu) && !(value_ & kResetCpu);
    value_ = value & (kHardReset | kResetCpu);
    if (!rising) return;
    const bool hard = value & kHardReset;
    log.info("%s reset by port CF9h", hard ? "hard" : "soft");
    (hard ? pins_.hard_reset : pins_.soft_reset).trigger();
}

void Piix3::ResetControl::state(StateIO& s) {
    s(value_);
    value_ &= kHardReset | kResetCpu;
}

void Piix3::reset() {
    PciFunction::reset();
    reset_control_.reset();
    for (unsigned irq = 0; irq < 16; ++irq) update(irq);
}

void Piix3::state(StateIO& s) {
    PciFunction::state(s);
    s.version(1);
    s(reset_control_, isa_levels_, pirq_levels_);
    if (!s.loading()) return;
    pirq_levels_ &= 15;
    for (unsigned i = 0; i < 4; ++i) config_[kPirqrc + i] &= 0x8f;
    for (unsigned n = 0; n < 4; ++n) pins_.apic_pirq[n]->set(pirq_levels_ >> n & 1);
    for (unsigned irq = 0; irq < 16; ++irq) update(irq);
}
}  // namespace calque
