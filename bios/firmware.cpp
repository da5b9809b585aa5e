#include "bios/firmware.h"

#include "bios/bytes.h"

namespace calque {
namespace {
Bytes e820(u64 low_ram, u64 high_ram) {
    Bytes b;
    constexpr u32 kRam = 1;
    const auto entry = [&](u64 start, u64 size) { put(b, start, 8), put(b, size, 8), put(b, kRam, 4); };
    entry(0, low_ram);
    if (high_ram) entry(4 * kGiB, high_ram);
    return b;
}

Bytes boot_order(const FirmwareConfig& config) {
    std::string text;
    for (const std::string& path : config.boot_paths) text += path + '\n';
    if (config.boot_only_listed) text += "HALT\n";
    if (!text.empty()) text.back() = '\0';
    return {text.begin(), text.end()};
}
}  // namespace

FwCfgItems firmware_items(const FirmwareConfig& config) {
    FwCfgItems out;
    const SmbiosHardware& hw = config.smbios;
    out.number(fw_cfg_key::ram_size, hw.low_ram + hw.high_ram, 8);
    out.number(fw_cfg_key::cpus, hw.cpus, 2);
    out.number(fw_cfg_key::max_cpus, hw.cpus, 2);
    out.number(fw_cfg_key::boot_menu, config.boot_menu, 2);
    out.number(fw_cfg_key::no_graphic, !config.graphics, 2);
    out.number(fw_cfg_key::irq0_override, 1, 1);
    out.files["etc/e820"] = e820(hw.low_ram, hw.high_ram);
    if (Bytes order = boot_order(config); !order.empty()) out.files["bootorder"] = std::move(order);
    out.files["etc/show-boot-menu"] = {static_cast<u8>(config.boot_menu)};
    Bytes& wait = out.files["etc/boot-menu-wait"];
    put(wait, config.boot_menu_wait_ms, 2);
    put(out.files["etc/boot-fail-wait"], 0xffffffff, 4);  // nothing to boot: stay there, do not start again
    // One byte for each sleeping state; bit 7 says that it exists. Only S0 and S5 do.
    out.files["etc/system-states"] = {0x80, 0, 0, 1, 2, 0x80};
    add_acpi(out, config.acpi);
    add_smbios(out, hw);
    return out;
}
}  // namespace calque
