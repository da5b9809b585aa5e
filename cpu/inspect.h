// Looking at guest memory from outside, without leaving a trace, and changing it.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "support/types.h"

namespace calque {
class Cpu;

/// False when nothing but a device, or nothing at all, answers at some byte of it.
bool read_physical(Cpu&, u64 address, std::span<u8> out);
/// Through the current page tables, or physically when paging is off. Sets no accessed bits.
bool read_linear_quietly(Cpu&, u64 address, std::span<u8> out);
/// What a page walk read on its way.
struct PageStep {
    const char* table;   // "PML4", "PDPT", "PD", "PT"
    u64 at = 0, entry = 0;
    unsigned size = 8;
};
std::optional<u64> translate_quietly(Cpu&, u64 linear, std::vector<PageStep>* steps = nullptr);
/// RAM only; translations of what changes are dropped. False when some of it is none (then a part may have been written).
bool write_physical(Cpu&, u64 address, std::span<const u8> in);
/// Whatever the page tables say about writing.
bool write_linear_quietly(Cpu&, u64 address, std::span<const u8> in);
}  // namespace calque
