// From a difference between two machines to a case for calque exec that shows it.
#pragma once
#include "machine/exec/rig.h"
#include "machine/verify/lockstep.h"

namespace calque::verify {

struct Reproducer {
    exec::Case c;
    u64 begin = 0, end = 0;            // instruction counts
    std::string instruction;           // the last of it: selector, offset, bytes, text
    std::string first;                 // where it begins
    bool itself = false;               // the instruction alone shows it
    std::vector<exec::Difference> differences;   // at its end; expected: the second executor
};

/// Both machines stand at `end`, where they first differ. An error: no run of the second machine that ends there shows the difference on
/// a processor alone.
Result<Reproducer> make_reproducer(Lockstep&, u64 end);
}  // namespace calque::verify
