// What differs between two outcomes, and how to say it.
#pragma once
#include "tests/silicon/case.h"

namespace calque::silicon {

struct Difference {
    bool fault = false, registers = false, rip = false, retired = false, memory = false, vector = false;
    bool flags = false;   // all of them, also those that the manual leaves undefined
    bool any() const { return fault || registers || rip || retired || memory || vector || flags; }
};
/// Flags that the manual leaves undefined after this case.
u32 undefined_flags(const Case&);
Difference compare(const Case&, const Outcome& native, const Outcome& ours);
/// A difference that is no rule's: the host has a bit in MXCSR that no model of ours has, or the access went to what its kernel has
/// mapped outside of the test's own areas; or an older Zen leaves something open otherwise.
bool hosts_own(const Case&, const Outcome& native, const Outcome& ours);
/// Disassembly, bytes, the registers that matter, and both outcomes where they differ from the start or from one another.
std::string describe(const Case&, const Outcome& native, const Outcome& ours);
}  // namespace calque::silicon
