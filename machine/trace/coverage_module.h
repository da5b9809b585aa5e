#pragma once
#include <string>

#include "support/types.h"

namespace calque {
/// A range of linear addresses, both ends included, with the name of what is there.
struct CoverageModule {
    std::string name;
    u64 first = 0, last = 0;
};
}  // namespace calque
