#include "devices/display/video_memory.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "support/assert.h"

namespace calque {

constexpr size_t kPage = 4096;

void VideoMemory::Free::operator()(void* p) const { std::free(p); }

// calloc gives untouched zero pages for a block of this size, so memory nobody draws into costs nothing.
VideoMemory::VideoMemory(size_t size) : size_{size}, block_{std::calloc(1, size + kPage)} {
    ASSERT(block_ && std::has_single_bit(size) && size >= 256 * kKiB);
    const auto at = reinterpret_cast<std::uintptr_t>(block_.get());
    data_ = static_cast<u8*>(block_.get()) + ((kPage - at % kPage) % kPage);
}

static bool is_zero(const u8* page) { return page[0] == 0 && std::memcmp(page, page + 1, kPage - 1) == 0; }

void VideoMemory::clear() {
    for (size_t at = 0; at < size_; at += kPage)
        if (!is_zero(data_ + at)) std::memset(data_ + at, 0, kPage);
}

void VideoMemory::state(StateIO& s) {
    u64 size = size_;
    s(size);
    if (size != size_) return s.fail();
    for (size_t at = 0; at < size_; at += kPage) {
        bool used = s.saving() && !is_zero(data_ + at);
        s(used);
        if (used)
            s.raw(data_ + at, kPage);
        else if (s.loading() && !is_zero(data_ + at))
            std::memset(data_ + at, 0, kPage);
    }
}
}  // namespace calque
