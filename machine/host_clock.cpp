#include "machine/host_clock.h"

#include <chrono>

namespace calque {
HostNow steady_host_clock() {
    return [] { return static_cast<Time>(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count()); };
}
}  // namespace calque
