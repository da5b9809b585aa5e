// --kernel: puts a kernel into fw_cfg together with an option ROM of ours that the firmware boots like a disk. So the
// guest finds interrupt vectors, e820 map and ACPI tables as firmware leaves them. All files are untrusted.
#pragma once
#include "bios/fw_cfg_items.h"
#include "support/result.h"

namespace calque {

struct KernelRequest {
    std::string kernel;   // file name
    std::string initrd;   // file name, or for Multiboot "file arguments,file arguments,..."; may be empty
    std::string cmdline;
    u64 low_ram = 0;      // bytes of RAM below 4 GiB
};

/// The kernel's file as read, and what to call it in sentences.
struct KernelImage {
    std::string path;
    Bytes bytes;
};

/// The last part of RAM, where firmware keeps its tables: nothing is loaded there.
constexpr u64 kFirmwareReserve = 512 * kKiB;

/// Recognises the kind of kernel and adds its items, its option ROM ("genroms/...") and, in front of all others, its
/// line in `boot_paths`.
Result<void> add_kernel(FwCfgItems&, const KernelRequest&, std::vector<std::string>& boot_paths);
}  // namespace calque
