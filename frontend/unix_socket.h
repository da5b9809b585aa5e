// Unix sockets that the program offers to others.
#pragma once
#include <string>

#include "support/result.h"

namespace calque {

/// A stream socket bound to `path`, non-blocking and for its owner only; not listening yet. Takes the place of a socket file that nobody
/// listens to, and of nothing else. `what` names the socket in the error: "cannot open WHAT PATH: why".
Result<int> bind_unix_socket(const std::string& path, const std::string& what);
}  // namespace calque
