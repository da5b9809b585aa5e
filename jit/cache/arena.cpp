#include "jit/cache/arena.h"

#include <sys/mman.h>

#include <algorithm>

namespace calque::jit {

// Shared memory without a file: only there does perf look for names of code in /tmp/perf-PID.map.
ArenaMemory::ArenaMemory(u64 bytes) {
    constexpr u64 kMost = u64{1} << 30;  // near jumps must reach everything
    const u64 size = std::clamp<u64>(bytes, 1 << 20, kMost) & ~u64{4095};
    void* const rw = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (rw == MAP_FAILED) return;
    void* const rx = mremap(rw, 0, size, MREMAP_MAYMOVE);   // a length of 0 asks for a second mapping, mremap(2)
    if (rx != MAP_FAILED && mprotect(rx, size, PROT_READ | PROT_EXEC) == 0) {
        arena_.rw = static_cast<u8*>(rw), arena_.rx = static_cast<const u8*>(rx), arena_.size = static_cast<u32>(size);
        return;
    }
    if (rx != MAP_FAILED) munmap(rx, size);
    munmap(rw, size);
}

ArenaMemory::~ArenaMemory() {
    if (!arena_.size) return;
    munmap(arena_.rw, arena_.size);
    munmap(const_cast<u8*>(arena_.rx), arena_.size);
}
}  // namespace calque::jit
