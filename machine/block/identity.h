// Whether an image file is still what it was: its size, its time of change and a hash of its content.
#pragma once
#include <string>

#include "support/result.h"
#include "support/state_io.h"

namespace calque {

struct ImageIdentity {
    u64 size = 0;
    bool whole = false;    // the hash covers every byte that is not in a hole; else samples, and the time of change counts too
    u64 hash = 0;
    i64 changed = 0;       // nanoseconds since 1970
    void state(StateIO& s) { s(size, whole, hash, changed); }
    bool matches(const ImageIdentity& now) const {
        return size == now.size && whole == now.whole && hash == now.hash && (whole || changed == now.changed);
    }
};

Result<ImageIdentity> identify_image(const std::string& path);
}  // namespace calque
