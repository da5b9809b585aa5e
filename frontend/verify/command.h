// `calque verify` and `calque bisect`: find the instruction after which two machines are not the same.
#pragma once
#include <string>
#include <vector>

namespace calque::verify {
/// The arguments behind the command's name; returns the exit status.
int verify_command(const std::vector<std::string>& arguments);
int bisect_command(const std::vector<std::string>& arguments);
}  // namespace calque::verify
