// Intel 82441FX (i440FX) host bridge (datasheet 290549): shadow RAM, SMRAM and the DRAM row registers.
#pragma once
#include "devices/pci/pci_function.h"

namespace calque {

/// Implemented by the board: hears how addresses below 1 MiB are decoded.
class I440fxMemory {
public:
    virtual ~I440fxMemory() = default;
    /// [base, base+size) reads from RAM or from ROM/PCI, and writes to RAM or to PCI.
    virtual void pam_changed(u32 base, u32 size, bool read_ram, bool write_ram) = 0;
    /// A0000h-BFFFFh. `open`: everybody sees SMRAM there. Otherwise only SMM does when `enabled`: code fetches always,
    /// data accesses unless `closed`.
    virtual void smram_changed(bool enabled, bool open, bool closed) = 0;
};

class I440fx final : public PciFunction {
public:
    /// `ram_below_4g` fills the DRAM row boundary registers, for firmware that reads them.
    I440fx(I440fxMemory& memory, u64 ram_below_4g);
    void reset() override;
    void state(StateIO&) override;

private:
    void config_changed(u8 reg, unsigned size) override;
    void lock_smram();
    void announce_all();
    void announce_pam(unsigned reg);
    void announce_smram();

    I440fxMemory& memory_;
};
}  // namespace calque
