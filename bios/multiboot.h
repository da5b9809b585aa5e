// Multiboot 1 images: ELF, or flat with addresses in the header ("Multiboot Specification version 0.6.96").
#pragma once
#include <span>

#include "bios/direct_boot.h"

namespace calque {

bool is_multiboot(std::span<const u8> file);
/// Checks the image, places it, its modules and the information structure, adds the kernel items. What only firmware
/// knows (memory map, video mode) the option ROM adds when the guest boots.
Result<void> add_multiboot(FwCfgItems&, const KernelImage&, const KernelRequest&);

/// "file arguments,other file": the names and command lines of modules. A doubled comma stands for one.
std::vector<std::string> split_modules(const std::string& text);
}  // namespace calque
