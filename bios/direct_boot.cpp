#include "bios/direct_boot.h"

#include "bios/host_file.h"
#include "bios/linux_boot.h"
#include "bios/multiboot.h"
#include "bios/optionrom/linux_rom.h"
#include "bios/optionrom/multiboot_rom.h"

namespace calque {

Result<void> add_kernel(FwCfgItems& out, const KernelRequest& request, std::vector<std::string>& boot_paths) {
    auto bytes = read_host_file(request.kernel, "kernel", request.low_ram);
    if (!bytes) return bytes.error();
    const KernelImage image{request.kernel, std::move(*bytes)};
    std::string rom;
    if (is_linux(image.bytes)) {
        if (auto r = add_linux(out, image, request); !r) return r;
        rom = "genroms/calque-linux.rom";
        out.files[rom] = Bytes(std::begin(kLinuxRom), std::end(kLinuxRom));
    } else if (is_multiboot(image.bytes)) {
        if (auto r = add_multiboot(out, image, request); !r) return r;
        rom = "genroms/calque-multiboot.rom";
        out.files[rom] = Bytes(std::begin(kMultibootRom), std::end(kMultibootRom));
    } else {
        return Error{"'" + request.kernel + "' is no kernel that can be booted: it is neither a Linux bzImage nor a "
                     "Multiboot 1 image" + (image.bytes.size() < 1024 ? " (or it is truncated)" : "")};
    }
    boot_paths.insert(boot_paths.begin(), "/rom@" + rom);
    return {};
}
}  // namespace calque
