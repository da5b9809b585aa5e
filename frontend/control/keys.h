// QMP's names for keys (QKeyCode), and scan code set 1 numbers, as USB HID usages.
#pragma once
#include <optional>
#include <string_view>

#include "support/types.h"

namespace calque {
std::optional<u8> usage_of_qcode(std::string_view name);
/// Set 1 make codes; bit 7 stands for the prefix E0h.
std::optional<u8> usage_of_number(u64 number);
}  // namespace calque
