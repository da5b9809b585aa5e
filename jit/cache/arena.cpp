#include "jit/cache/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace calque::jit {

ArenaMemory::ArenaMemory(u64 bytes) {
    constexpr u64 kMost = u64{1} << 30;  // near jumps must reach everything
    const u64 size = std::clamp<u64>(bytes, 1 << 20, kMost) & ~u64{4095};
    const int fd = memfd_create("calque-code", MFD_CLOEXEC);
    if (fd < 0) return;
    if (ftruncate(fd, static_cast<off_t>(size)) == 0) {
        void* rw = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        void* rx = mmap(nullptr, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
        if (rw != MAP_FAILED && rx != MAP_FAILED) {
            arena_.rw = static_cast<u8*>(rw), arena_.rx = static_cast<const u8*>(rx), arena_.size = static_cast<u32>(size);
        } else {
            if (rw != MAP_FAILED) munmap(rw, size);
            if (rx != MAP_FAILED) munmap(rx, size);
        }
    }
    close(fd);
}

ArenaMemory::~ArenaMemory() {
    if (!arena_.size) return;
    munmap(arena_.rw, arena_.size);
    munmap(const_cast<u8*>(arena_.rx), arena_.size);
}
}  // namespace calque::jit
