// Helpers: what no straight line of IR expresses well. One row in helpers.inc declares the number, the function, and what
// state it reads and writes; lift rules call it by number.
#pragma once
#include "cpu/state.h"

namespace calque {

enum class Helper : u16 {
#define HELPER(name, reads, writes, flags) name,
#include "cpu/helpers.inc"
#undef HELPER
    count
};

#define HELPER(name, reads, writes, flags) u64 helper_##name(CpuState& s, u64 a, u64 b, u64 c);
#include "cpu/helpers.inc"
#undef HELPER
}  // namespace calque
