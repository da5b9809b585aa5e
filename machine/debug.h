// A processor's registers for people to read.
#pragma once
#include <string>

#include "cpu/state.h"

namespace calque {
/// Lines of text.
std::string register_text(const CpuState&);
}  // namespace calque
