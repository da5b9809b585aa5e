// ACPI tables of the i440FX/PIIX machine (Advanced Configuration and Power Interface Specification), in the form in
// which SeaBIOS takes them through fw_cfg: two files and a script that tells it how to place and link them.
#pragma once
#include "bios/fw_cfg_items.h"

namespace calque {

/// What the tables say about the board. Addresses are the board's decision and are handed in by it.
struct AcpiHardware {
    unsigned cpus = 1;
    u64 low_ram = 0;             // end of RAM below 4 GiB
    u16 pm_base = 0x600;         // PIIX4 power management registers
    u16 gpe0_base = 0xafe0;
    u8 gpe0_length = 4;
    u16 smi_command = 0xb2;
    u8 acpi_enable = 0xf1, acpi_disable = 0xf0;
    u8 sci_irq = 9;
    u16 reset_port = 0xcf9;
    u8 reset_value = 0x06;
    u32 lapic = 0xfee00000, ioapic = 0xfec00000, hpet = 0xfed00000;
    unsigned serial_ports = 0, parallel_ports = 0;  // how many of the standard ones, in their usual order
    bool floppy = false;
};

/// "etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader".
void add_acpi(FwCfgItems&, const AcpiHardware&);

/// Where the PCI window for BARs starts; SeaBIOS decides it from the size of RAM below 4 GiB, and so must the DSDT.
u32 pci_window_start(u64 low_ram);
}  // namespace calque
