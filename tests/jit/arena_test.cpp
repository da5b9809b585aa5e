// Memory for translations.
#include <doctest/doctest.h>

#include <cinttypes>
#include <fstream>
#include <string>

#include "jit/cache/arena.h"

namespace {
using namespace calque;

/// What /proc/self/maps says of the mapping that begins there.
std::string mapping(const void* at) {
    char begin[32];
    std::snprintf(begin, sizeof begin, "%" PRIxPTR "-", reinterpret_cast<uintptr_t>(at));
    std::ifstream maps{"/proc/self/maps"};
    for (std::string line; std::getline(maps, line);)
        if (line.starts_with(begin)) return line;
    return {};
}

TEST_CASE("arena: one piece of memory, writable here and executable there") {
    jit::ArenaMemory memory{u64{1} << 20};
    const jit::Arena& a = memory.arena();
    REQUIRE(a.size == 1 << 20);
    for (const u32 at : {0u, 4096u, a.size - 1}) {
        a.rw[at] = 0xc3;
        CHECK(a.rx[at] == 0xc3);
    }
    CHECK(mapping(a.rw).find(" rw-s ") != std::string::npos);
    CHECK(mapping(a.rx).find(" r-xs ") != std::string::npos);
}

TEST_CASE("arena: perf looks up names of what lies there") {
    jit::ArenaMemory memory{u64{1} << 20};
    CHECK(mapping(memory.arena().rx).find(" /dev/zero") != std::string::npos);   // that is what it asks for
}
}  // namespace
