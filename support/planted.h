// Faults on purpose, to prove that calque verify finds them: a build with -Dplanted_faults=true has the one that the environment variable
// CALQUE_PLANTED_FAULT names. Any other build has none, and nothing of them is compiled.
#pragma once
#include <cstdlib>
#include <string_view>

#include "planted_faults.h"   // made by meson

namespace calque {
inline bool planted(std::string_view fault) {
    if constexpr (!kPlantedFaults) return false;
    static const char* const name = std::getenv("CALQUE_PLANTED_FAULT");
    return name && fault == name;
}
}  // namespace calque
