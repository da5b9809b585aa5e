// What differs between a state and what is expected, or between two executors.
#pragma once
#include "machine/exec/rig.h"

namespace calque::exec {

struct Difference {
    std::string what, expected, actual;   // a register, "mem ADDRESS", "exception", "exception.error" ..., "end"
};

/// "0x" and as few digits as it takes.
std::string hex(const RegisterValue&);
std::string hex(std::span<const u8> bytes);
/// "vector 14, error 0x2, cr2 0x5000000"
std::string describe(const Exception&);
std::string describe(const Outcome&);

/// An error: a place in final.mem is not in memory.
Result<std::vector<Difference>> compare(const Case&, Rig&, const Outcome&);
/// Everything there is; what the case leaves undefined excepted.
std::vector<Difference> compare_engines(const Case&, Rig& expected, const Outcome& expected_outcome, Rig& actual, const Outcome& actual_outcome);
}  // namespace calque::exec
