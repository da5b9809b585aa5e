#include "support/state_io.h"

#include <cstring>

namespace calque {

void StateIO::raw(void* data, size_t size) {
    if (size == 0) return;
    if (!loading_) {
        const auto* p = static_cast<const u8*>(data);
        out_.insert(out_.end(), p, p + size);
        return;
    }
    if (!ok_ || size > in_.size() - at_) {
        fail();
        std::memset(data, 0, size);
        return;
    }
    std::memcpy(data, in_.data() + at_, size);
    at_ += size;
}
}  // namespace calque
