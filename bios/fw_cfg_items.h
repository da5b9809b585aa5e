// What the firmware will find in fw_cfg, before there is a device: item numbers from the "QEMU Firmware
// Configuration (fw_cfg) Device" specification, and a bag to collect items and files in.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/types.h"

namespace calque {

using Bytes = std::vector<u8>;

namespace fw_cfg_key {
constexpr u16 uuid = 0x02, ram_size = 0x03, no_graphic = 0x04, cpus = 0x05, machine_id = 0x06, kernel_address = 0x07,
              kernel_size = 0x08, kernel_cmdline = 0x09, initrd_address = 0x0a, initrd_size = 0x0b, boot_device = 0x0c,
              numa = 0x0d, boot_menu = 0x0e, max_cpus = 0x0f, kernel_entry = 0x10, kernel_data = 0x11,
              initrd_data = 0x12, cmdline_address = 0x13, cmdline_size = 0x14, cmdline_data = 0x15,
              setup_address = 0x16, setup_size = 0x17, setup_data = 0x18, acpi_tables = 0x8000, smbios = 0x8001,
              irq0_override = 0x8002, e820 = 0x8003, hpet = 0x8004;
}

struct FwCfgItems {
    std::map<u16, Bytes> items;
    std::map<std::string, Bytes, std::less<>> files;

    void number(u16 key, u64 value, unsigned bytes) {
        Bytes b;
        for (unsigned i = 0; i < bytes; ++i) b.push_back(static_cast<u8>(value >> (8 * i)));
        items[key] = std::move(b);
    }
    void text(u16 key, std::string_view s) {  // with its terminating zero
        items[key] = Bytes(s.begin(), s.end());
        items[key].push_back(0);
    }
};
}  // namespace calque
