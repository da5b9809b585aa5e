// Faults that a build can have on purpose (-Dplanted_fault=NAME), to prove that calque verify finds them. Without the option there are none.
#pragma once
#include <string_view>

#include "planted_fault.h"   // made by meson

namespace calque {
constexpr bool planted(std::string_view fault) { return fault == CALQUE_PLANTED_FAULT; }
}  // namespace calque
