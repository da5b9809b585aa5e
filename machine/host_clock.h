// The host's monotonic clock as the pacing sees it; tests hand in their own.
#pragma once
#include <functional>

#include "support/clock.h"

namespace calque {
using HostNow = std::function<Time()>;
HostNow steady_host_clock();
}  // namespace calque
