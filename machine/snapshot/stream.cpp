#include "machine/snapshot/stream.h"

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <filesystem>

namespace calque {

std::string stream_name(u64 icount) {
    char name[32];
    std::snprintf(name, sizeof name, "%015" PRIu64 ".snap", icount);
    return name;
}

Result<std::vector<u64>> stream_counts(const std::string& folder) {
    std::error_code error;
    std::vector<u64> counts;
    for (std::filesystem::directory_iterator i{folder, error}, end; !error && i != end; i.increment(error)) {
        const std::string name = i->path().filename().string();
        u64 count = 0;
        std::from_chars(name.data(), name.data() + name.size(), count);
        if (name == stream_name(count)) counts.push_back(count);
    }
    if (error) return Error{"cannot look into the folder '" + folder + "': " + error.message()};
    std::sort(counts.begin(), counts.end());
    return counts;
}
}  // namespace calque
