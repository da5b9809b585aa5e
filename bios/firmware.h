// Everything that SeaBIOS is told about the machine, gathered for fw_cfg.
#pragma once
#include "bios/acpi.h"
#include "bios/smbios.h"

namespace calque {

struct FirmwareConfig {
    AcpiHardware acpi;
    SmbiosHardware smbios;
    std::vector<std::string> boot_paths;  // OpenFirmware paths of the devices to try, first first
    bool boot_only_listed = false;        // never try any other
    bool boot_menu = false;
    u16 boot_menu_wait_ms = 2500;
    bool graphics = true;                 // false: the firmware may talk on the serial port instead
};

FwCfgItems firmware_items(const FirmwareConfig&);
}  // namespace calque
