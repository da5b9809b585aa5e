#include "bios/rom_search.h"

#include <sys/stat.h>

#include <algorithm>
#include <sstream>

#include "bios/bytes.h"
#include "bios/host_file.h"
#include "bios/roms_manifest.h"

namespace calque {
namespace {
struct ManifestRom {
    std::string name, kind;
    u64 size;
};
struct Manifest {
    std::vector<std::string> folders;
    std::vector<ManifestRom> roms;
};

Manifest manifest() {
    Manifest m;
    std::istringstream text{std::string{reinterpret_cast<const char*>(kRomsManifest), sizeof kRomsManifest}};
    for (std::string line; std::getline(text, line);) {
        std::istringstream words{line};
        std::string what, name, kind;
        u64 size = 0;
        words >> what >> name;
        if (what == "folder") m.folders.push_back(name);
        if (what == "rom" && words >> size >> kind) m.roms.push_back({name, kind, size});
    }
    return m;
}

Error bad(const std::string& path, const std::string& why) { return Error{"'" + path + "' " + why}; }

bool exists(const std::string& path) {
    struct stat st;
    return ::stat(path.c_str(), &st) == 0;
}

Result<Rom> load(const std::string& path, const std::string& kind) {
    return kind == "system" ? load_system_bios(path) : load_vga_bios(path);
}

Result<Rom> search_folders(const std::string& kind, const std::string& what, std::vector<std::string> folders) {
    const Manifest m = manifest();
    if (folders.empty()) folders = m.folders;
    std::string names, places;
    for (const ManifestRom& rom : m.roms) {
        if (rom.kind != kind) continue;
        names += (names.empty() ? "" : " or ") + rom.name;
        for (const std::string& folder : folders) {
            const std::string path = folder + "/" + rom.name;
            if (!exists(path)) continue;
            auto found = load(path, kind);
            if (found && found->bytes.size() < rom.size)
                return bad(path, "is truncated: it has " + std::to_string(found->bytes.size()) + " of " +
                                     std::to_string(rom.size) + " bytes; reinstall the package 'seabios'");
            return found;
        }
    }
    for (const std::string& folder : folders) places += (places.empty() ? "" : ", ") + folder;
    return Error{"there is no " + what + ": " + names + " is in none of " + places +
                 "; install the package 'seabios' or name a file with --" + (kind == "system" ? "bios" : "vgabios")};
}
}  // namespace

Result<Rom> load_system_bios(const std::string& path) {
    auto bytes = read_host_file(path, "BIOS image", 16 * kMiB);
    if (!bytes) return bytes.error();
    const size_t size = bytes->size();
    if (size < 64 * kKiB || size % (64 * kKiB) != 0)
        return bad(path, "is no BIOS image or a truncated one: it has " + std::to_string(size) +
                             " bytes, and a BIOS has a multiple of 65536");
    // The processor's first instruction: a jump into the image, in every BIOS we know perhaps after cli, cld or nop.
    constexpr std::string_view kFirstOpcodes = "\xea\xe9\xeb\xfa\xfc\x90";
    if (kFirstOpcodes.find(static_cast<char>((*bytes)[size - 16])) == std::string_view::npos)
        return bad(path, "is no BIOS image or a truncated one: there is no jump at its reset vector");
    return Rom{path, std::move(*bytes)};
}

Result<Rom> load_vga_bios(const std::string& path) {
    auto bytes = read_host_file(path, "VGA BIOS", 128 * kKiB);
    if (!bytes) return bytes.error();
    if (bytes->size() < 512 || peek(*bytes, 0, 2) != 0xaa55)
        return bad(path, "is no VGA BIOS: it does not start with 55 AA");
    const size_t size = (*bytes)[2] * size_t{512};
    if (size == 0 || size > bytes->size())
        return bad(path, "is truncated: its header says " + std::to_string(size) + " bytes, but it has " +
                             std::to_string(bytes->size()));
    if (checksum(std::span{*bytes}.first(size)) != 0) return bad(path, "is damaged: its checksum is wrong");
    return Rom{path, std::move(*bytes)};
}

Result<Rom> find_system_bios(const std::string& path, std::vector<std::string> folders) {
    return path.empty() ? search_folders("system", "BIOS", std::move(folders)) : load_system_bios(path);
}
Result<Rom> find_vga_bios(const std::string& path, std::vector<std::string> folders) {
    return path.empty() ? search_folders("vga", "VGA BIOS", std::move(folders)) : load_vga_bios(path);
}
}  // namespace calque
