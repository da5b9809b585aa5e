// Linux kernels and whatever else wears their header (memtest86+): "The Linux/x86 Boot Protocol".
#pragma once
#include <span>

#include "bios/direct_boot.h"

namespace calque {

bool is_linux(std::span<const u8> file);
/// Checks the header, places everything, fills in the loader's part of the header, adds the kernel items.
Result<void> add_linux(FwCfgItems&, const KernelImage&, const KernelRequest&);
}  // namespace calque
