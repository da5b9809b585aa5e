// Memory as the guest has it mapped, looked at from outside.
#include "cpu/inspect.h"

#include <algorithm>

#include "cpu/cpu.h"
#include "cpu/mmu.h"

namespace calque {
namespace {
constexpr u64 kPage = 4096, kPresent = 1, kLarge = 0x80, kFrame = 0x000ffffffffff000;

struct Walk {
    Cpu& cpu;
    std::vector<PageStep>* steps;

    std::optional<u64> entry_at(const char* table, u64 address, unsigned size) const {
        u8 bytes[8] = {};
        if (!read_physical(cpu, address, {bytes, size})) return {};
        u64 v = 0;
        for (unsigned i = 0; i < size; ++i) v |= u64{bytes[i]} << (8 * i);
        if (steps) steps->push_back({table, address, v, size});
        return v & kPresent ? std::optional{v} : std::nullopt;
    }

    std::optional<u64> legacy(const CpuState& s, u32 linear) const {
        const auto pde = entry_at("PD", (s.cr3 & 0xfffff000) + (linear >> 22) * 4, 4);
        if (!pde) return {};
        if ((*pde & kLarge) && (s.cr4 & cr4::PSE)) return (*pde & 0xffc00000) | (*pde >> 13 & 0xff) << 32 | (linear & 0x3fffff);
        const auto pte = entry_at("PT", (*pde & 0xfffff000) + (linear >> 12 & 0x3ff) * 4, 4);
        if (!pte) return {};
        return (*pte & 0xfffff000) | (linear & 0xfff);
    }

    // PAE (from level 3) and 4-level paging (from level 4): "Linear-Address Translation" in SDM vol. 3A, "Paging".
    std::optional<u64> wide(u64 table, u64 linear, unsigned level) const {
        constexpr const char* kTables[] = {"", "PT", "PD", "PDPT", "PML4"};
        for (;; --level) {
            const unsigned shift = 12 + 9 * (level - 1);
            const auto e = entry_at(kTables[level], table + (linear >> shift & 0x1ff) * 8, 8);
            if (!e) return {};
            const u64 inside = (u64{1} << shift) - 1;
            if (level == 1 || ((*e & kLarge) && level < 4)) return (*e & kFrame & ~inside) | (linear & inside);
            table = *e & kFrame;
        }
    }
};
}  // namespace

bool read_physical(Cpu& cpu, u64 address, std::span<u8> out) {
    while (!out.empty()) {
        const size_t n = std::min<u64>(out.size(), kPage - address % kPage);
        const PhysPage page = cpu.memory().page(address & ~(kPage - 1));
        if (!page.host) return false;
        std::copy_n(page.host + address % kPage, n, out.begin());
        out = out.subspan(n), address += n;
    }
    return true;
}

std::optional<u64> translate_quietly(Cpu& cpu, u64 linear, std::vector<PageStep>* steps) {
    const CpuState& s = cpu.state();
    const Walk walk{cpu, steps};
    if (!(s.cr0 & cr0::PG)) return linear & 0xffffffff;
    if (!(s.cr4 & cr4::PAE)) return walk.legacy(s, static_cast<u32>(linear));
    if (s.efer & efer::LMA) return canonical(linear) ? walk.wide(s.cr3 & kFrame, linear, 4) : std::nullopt;
    const auto pdpte = walk.entry_at("PDPT", (s.cr3 & 0xffffffe0) + (linear >> 30 & 3) * 8, 8);
    return pdpte ? walk.wide(*pdpte & kFrame, linear & 0x3fffffff, 2) : std::nullopt;
}

bool read_linear_quietly(Cpu& cpu, u64 address, std::span<u8> out) {
    while (!out.empty()) {
        const size_t n = std::min<u64>(out.size(), kPage - address % kPage);
        const auto physical = translate_quietly(cpu, address);
        if (!physical || !read_physical(cpu, *physical, out.first(n))) return false;
        out = out.subspan(n), address += n;
    }
    return true;
}

bool write_physical(Cpu& cpu, u64 address, std::span<const u8> in) {
    while (!in.empty()) {
        const size_t n = std::min<u64>(in.size(), kPage - address % kPage);
        const PhysPage page = cpu.memory().page(address & ~(kPage - 1));
        if (!page.host || !page.writable) return false;
        u8* const to = page.host + address % kPage;
        cpu.memory_changed(to, n);
        std::copy_n(in.begin(), n, to);
        in = in.subspan(n), address += n;
    }
    return true;
}

bool write_linear_quietly(Cpu& cpu, u64 address, std::span<const u8> in) {
    while (!in.empty()) {
        const size_t n = std::min<u64>(in.size(), kPage - address % kPage);
        const auto physical = translate_quietly(cpu, address);
        if (!physical || !write_physical(cpu, *physical, in.first(n))) return false;
        in = in.subspan(n), address += n;
    }
    return true;
}
}  // namespace calque
