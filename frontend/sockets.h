// Stream sockets that the program offers to others, or joins.
#pragma once
#include <string>

#include "support/result.h"

namespace calque {

/// A stream socket bound to `path`, non-blocking and for its owner only; not listening yet. Takes the place of a socket file that nobody
/// listens to, and of nothing else. `what` names the socket in the error: "cannot open WHAT PATH: why".
Result<int> bind_unix_socket(const std::string& path, const std::string& what);

/// A TCP socket at a host (name or address, an IPv6 one with or without brackets; empty: this machine, by its loopback address) and a port (number or
/// service), non-blocking: bound, not listening yet; or connected. The error is the system's reason alone.
Result<int> bind_tcp_socket(const std::string& host, const std::string& port);
Result<int> connect_tcp_socket(const std::string& host, const std::string& port);
}  // namespace calque
