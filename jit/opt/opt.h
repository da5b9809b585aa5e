// The passes. Each is a free function over one block and can be left out (--jit-disable NAME).
#pragma once
#include <string>

#include "jit/context.h"

namespace calque::jit {

void forward_state(Block&, const Layout&);     // get after get or set of the same slot
void dead_flags(Block&, const Layout&);        // flag results of which no bit is looked at
void fuse_compare(Block&, const Layout&);      // conditions of known flag results become comparisons
void fold(Block&, const Layout&);              // constants and algebra, over what the other passes brought together
void common_values(Block&, const Layout&);     // the same pure op on the same values twice
void dead_sets(Block&, const Layout&);         // sets that are overwritten before anybody looks
void dead_code(Block&, const Layout&);         // values without a user

struct Pass {
    const char* name;
    const char* what;
    void (*run)(Block&, const Layout&);
};
/// In the order in which they run.
inline constexpr Pass kPasses[] = {
    {"forward_state", "values of registers known from earlier instructions of the block", forward_state},
    {"fuse_compare", "compare and branch without flags", fuse_compare},
    {"fold", "constant folding and algebra across instructions", fold},
    {"common_values", "equal computations done once", common_values},
    {"dead_sets", "registers written twice with no look between", dead_sets},
    {"dead_flags", "flag results that nobody reads", dead_flags},
    {"dead_code", "values without a user", dead_code},
};
constexpr unsigned kPassCount = sizeof kPasses / sizeof kPasses[0];

struct OptSwitches {
    u32 disabled = 0;    // bit n: kPasses[n]
    bool check = false;  // verify after each pass
};
void optimise(Block&, const Layout&, const OptSwitches&);
}  // namespace calque::jit
