// Choices: registers that only set DRAM timing keep what is written and change nothing; accesses to them are exact in
// value, not in effect.
#include "devices/pci/i440fx.h"

#include <algorithm>

#include "support/state_io.h"

namespace calque {
namespace {
constexpr u8 kPam0 = 0x59, kDrb0 = 0x60, kSmram = 0x72;
constexpr unsigned kPamCount = 7;
// "SMRAM - System Management RAM Control Register"
constexpr u8 kOpen = 0x40, kClosed = 0x20, kLocked = 0x10, kEnabled = 0x08, kBase = 0x02, kSmramBits = 0x78;
constexpr u8 kReadEnable = 1, kWriteEnable = 2;
}  // namespace

I440fx::I440fx(I440fxMemory& memory, u64 ram_below_4g)
    : PciFunction{{.vendor = 0x8086, .device = 0x1237, .class_code = 0x060000, .revision = 2}}, memory_{memory} {
    config_register(0x04, 2, 0x0006, 0x0140);  // memory and bus mastering are always on
    config_register(0x06, 2, 0x0280, 0);
    config_register(0x50, 2, 0x0000, 0xfffe);  // PMCCFG
    config_register(0x52, 1, 0, 0xff);         // DETURBO
    config_register(0x53, 1, 0x80, 0xff);      // DBC
    config_register(0x54, 1, 0, 0xff);         // AXC
    config_register(0x55, 2, 0, 0xffff);       // DRT
    config_register(0x57, 1, 0x01, 0xff);      // DRAMC
    config_register(0x58, 1, 0x10, 0xff);      // DRAMT
    for (unsigned i = 0; i < kPamCount; ++i) config_register(static_cast<u8>(kPam0 + i), 1, 0, i ? 0x77 : 0x70);
    // Row boundaries count in units of 8 MiB; all memory sits in the first rows, 128 MiB each at most.
    u64 end = 0;
    for (unsigned row = 0; row < 8; ++row) {
        end = std::min(ram_below_4g, end + (row < 7 ? 128 * kMiB : ~u64{0} >> 1));
        config_register(static_cast<u8>(kDrb0 + row), 1, static_cast<u32>(std::min<u64>(end / (8 * kMiB), 255)), 0xff);
    }
    config_register(0x68, 1, 0, 0xc0);         // FDHC
    config_register(0x70, 1, 0, 0xff);         // MTT
    config_register(0x71, 1, 0x10, 0xff);      // CLT
    config_register(kSmram, 1, kBase, kSmramBits);
    config_register(0x90, 1, 0, 0xff);         // ERRCMD
    config_write_one_clears(0x91, 1, 0x11);    // ERRSTS
}

void I440fx::announce_pam(unsigned n) {
    const auto tell = [&](u32 base, u32 size, unsigned nibble) {
        memory_.pam_changed(base, size, nibble & kReadEnable, nibble & kWriteEnable);
    };
    const unsigned v = config_[kPam0 + n];
    if (n == 0) return tell(0xf0000, 0x10000, v >> 4);
    const u32 base = 0xc0000 + (n - 1) * 0x8000;
    tell(base, 0x4000, v & 15);
    tell(base + 0x4000, 0x4000, v >> 4);
}

void I440fx::announce_smram() {
    const u8 v = config_[kSmram];
    memory_.smram_changed(v & kEnabled, (v & (kEnabled | kOpen)) == (kEnabled | kOpen), v & kClosed);
}

void I440fx::announce_all() {
    for (unsigned n = 0; n < kPamCount; ++n) announce_pam(n);
    announce_smram();
}

/// A set DLCK makes the register read-only, with DOPEN clear, until reset.
void I440fx::lock_smram() {
    const bool locked = config_[kSmram] & kLocked;
    if (locked) config_[kSmram] &= static_cast<u8>(~kOpen);
    write_mask_[kSmram] = locked ? 0 : kSmramBits;
}

void I440fx::config_changed(u8 reg, unsigned size) {
    for (unsigned n = 0; n < kPamCount; ++n)
        if (kPam0 + n >= reg && kPam0 + n < reg + size) announce_pam(n);
    if (kSmram >= reg && kSmram < reg + size) lock_smram(), announce_smram();
}

void I440fx::reset() {
    PciFunction::reset();
    lock_smram();
    announce_all();
}

void I440fx::state(StateIO& s) {
    PciFunction::state(s);
    s.version(1);
    if (!s.loading()) return;
    config_[kSmram] = static_cast<u8>((config_[kSmram] & kSmramBits) | kBase);
    lock_smram();
    announce_all();
}
}  // namespace calque
