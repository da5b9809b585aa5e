// A Case to its JSON text.
#pragma once
#include "machine/exec/case.h"

namespace calque::exec {
/// On one line, as short as it goes. parse_case() makes the same of it.
std::string case_json(const Case&);
}  // namespace calque::exec
