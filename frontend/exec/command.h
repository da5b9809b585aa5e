// calque exec: runs cases from files and compares.
#pragma once
#include <string>
#include <vector>

namespace calque::exec {
/// The arguments after "exec". The result is the exit status.
int command(const std::vector<std::string>& arguments);
}  // namespace calque::exec
