// calque trace FILE: prints what --trace has written.
#pragma once
#include <string>
#include <vector>

namespace calque::trace {
/// Arguments behind "trace"; the exit status.
int command(const std::vector<std::string>& arguments);
}  // namespace calque::trace
