// Memory for host code: one piece of shared memory mapped twice, so that no page is ever writable and executable at once.
#pragma once
#include "jit/backend.h"

namespace calque::jit {

/// Owns the mappings of an Arena. Without memory from the host, `arena().size` is 0.
class ArenaMemory {
public:
    explicit ArenaMemory(u64 bytes);
    ~ArenaMemory();
    ArenaMemory(const ArenaMemory&) = delete;
    Arena& arena() { return arena_; }

private:
    Arena arena_;
};
}  // namespace calque::jit
