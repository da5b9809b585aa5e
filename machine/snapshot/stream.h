// Snapshots of one run in a folder, each named by its instruction count (--save-every).
#pragma once
#include <string>
#include <vector>

#include "support/result.h"
#include "support/types.h"

namespace calque {
/// In the folder. Names sort as counts do.
std::string stream_name(u64 icount);
/// Of all files that are named so, in order.
Result<std::vector<u64>> stream_counts(const std::string& folder);
}  // namespace calque
