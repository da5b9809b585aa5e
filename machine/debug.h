// Looking into a machine from outside, without leaving a trace: memory through the guest's page tables, registers.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "machine/machine.h"

namespace calque {

/// False when nothing but a device, or nothing at all, answers at some byte of it.
bool read_physical(Machine&, u64 address, std::span<u8> out);
/// Through the current page tables, or physically when paging is off. Sets no accessed bits.
bool read_linear_quietly(Machine&, u64 address, std::span<u8> out);
std::optional<u64> translate_quietly(Machine&, u64 linear);
/// Lines of text for people.
std::string register_text(const CpuState&);
/// "rip", "pc", "eax", "cr3", "eflags" ...
std::optional<u64> register_by_name(const CpuState&, std::string_view name);
}  // namespace calque
