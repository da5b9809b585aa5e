// Looking at guest memory from outside, without leaving a trace.
#pragma once
#include <optional>
#include <span>

#include "support/types.h"

namespace calque {
class Cpu;

/// False when nothing but a device, or nothing at all, answers at some byte of it.
bool read_physical(Cpu&, u64 address, std::span<u8> out);
/// Through the current page tables, or physically when paging is off. Sets no accessed bits.
bool read_linear_quietly(Cpu&, u64 address, std::span<u8> out);
std::optional<u64> translate_quietly(Cpu&, u64 linear);
}  // namespace calque
