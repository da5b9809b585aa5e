// Does what firmware does with "etc/table-loader": places the files at addresses, links and sums them.
#pragma once
#include <map>

#include "bios/linker.h"

namespace calque {

struct SimulatedLoader {
    std::map<std::string, u64> address;
    std::map<std::string, Bytes> file;
    bool ok = true;

    explicit SimulatedLoader(const FwCfgItems& items) {
        const Bytes& script = items.files.at("etc/table-loader");
        ok = script.size() % LinkerScript::kCommandSize == 0;
        u64 next = 0x1ffe0000;
        for (size_t at = 0; ok && at + LinkerScript::kCommandSize <= script.size(); at += LinkerScript::kCommandSize) {
            const auto c = std::span{script}.subspan(at, LinkerScript::kCommandSize);
            const auto name = [&](size_t o) { return std::string{reinterpret_cast<const char*>(&c[o])}; };
            const std::string first = name(4);
            switch (peek(c, 0, 4)) {
            case LinkerScript::kAllocate: {
                const u64 alignment = peek(c, 60, 4);
                if (!items.files.contains(first) || file.contains(first)) { ok = false; break; }
                next = (next + alignment - 1) / alignment * alignment;
                address[first] = peek(c, 64, 1) == 2 ? 0xf5a40 : next;
                file[first] = items.files.at(first);
                if (peek(c, 64, 1) != 2) next += file[first].size();
                break;
            }
            case LinkerScript::kAddPointer: {
                const std::string target = name(60);
                const size_t offset = peek(c, 116, 4), size = peek(c, 120, 1);
                if (!file.contains(first) || !file.contains(target) || offset + size > file[first].size()) { ok = false; break; }
                poke(file[first], offset, peek(file[first], offset, static_cast<unsigned>(size)) + address[target],
                     static_cast<unsigned>(size));
                break;
            }
            case LinkerScript::kAddChecksum: {
                const size_t offset = peek(c, 60, 4), start = peek(c, 64, 4), length = peek(c, 68, 4);
                if (!file.contains(first) || start + length > file[first].size() || offset >= file[first].size()) { ok = false; break; }
                Bytes& b = file[first];
                b[offset] = static_cast<u8>(b[offset] + checksum(std::span{b}.subspan(start, length)));
                break;
            }
            default: ok = false;
            }
        }
    }
    /// The table at a guest address inside "etc/acpi/tables", cut to its own length.
    std::span<const u8> table(u64 at) const {
        const Bytes& b = file.at("etc/acpi/tables");
        const u64 base = address.at("etc/acpi/tables");
        if (at < base || at - base + 8 > b.size()) return {};
        const auto rest = std::span{b}.subspan(at - base);
        const u64 length = peek(rest, 4, 4);
        return length <= rest.size() ? rest.first(length) : std::span<const u8>{};
    }
};
}  // namespace calque
