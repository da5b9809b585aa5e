// Finds SeaBIOS and its VGA BIOS, as roms/manifest says, or takes the files that the user names.
#pragma once
#include <string>
#include <vector>

#include "bios/fw_cfg_items.h"
#include "support/result.h"

namespace calque {

struct Rom {
    std::string path;
    Bytes bytes;
};

/// A system BIOS: 64 KiB, 128 KiB, 256 KiB or up to 16 MiB in steps of 64 KiB, with code at the reset vector.
Result<Rom> load_system_bios(const std::string& path);
/// A PCI or ISA option ROM: 55 AA, a length that the file has, a checksum of zero.
Result<Rom> load_vga_bios(const std::string& path);

/// With an empty path: searches `folders`, or those of the manifest if there are none.
Result<Rom> find_system_bios(const std::string& path, std::vector<std::string> folders = {});
Result<Rom> find_vga_bios(const std::string& path, std::vector<std::string> folders = {});
}  // namespace calque
