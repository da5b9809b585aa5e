// SMBIOS tables (System Management BIOS Reference Specification, 2.8 entry point) for the firmware to publish.
#pragma once
#include "bios/fw_cfg_items.h"

namespace calque {

struct SmbiosHardware {
    u64 low_ram = 0, high_ram = 0;  // bytes below and above 4 GiB
    unsigned cpus = 1;
    std::string cpu_name = "virtual";
    u16 cpu_mhz = 1000;
};

/// "etc/smbios/smbios-anchor" and "etc/smbios/smbios-tables". The firmware adds a table about itself (type 0).
void add_smbios(FwCfgItems&, const SmbiosHardware&);
}  // namespace calque
