#include "frontend/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace calque {
namespace {
const sockaddr* plain(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

/// A socket file is there that nobody listens to.
bool is_stale(const sockaddr_un& address) {
    struct stat s{};
    if (::lstat(address.sun_path, &s) != 0 || !S_ISSOCK(s.st_mode)) return false;
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool refused = ::connect(fd, plain(address), sizeof address) != 0 && errno == ECONNREFUSED;
    ::close(fd);
    return refused;
}
}  // namespace

Result<int> bind_unix_socket(const std::string& path, const std::string& what) {
    int fd = -1;
    const auto failed = [&](const char* why) {
        if (fd >= 0) ::close(fd);
        return Error{"cannot open " + what + " " + path + ": " + why};
    };
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return failed("the path is too long for a socket (107 characters)");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return failed(std::strerror(errno));
    ::fchmod(fd, 0600);   // whoever may connect may do anything that this process may
    if (::bind(fd, plain(address), sizeof address) == 0) return fd;
    if (errno != EADDRINUSE) return failed(std::strerror(errno));
    if (!is_stale(address)) return failed("something is already there; remove it or choose another path");
    ::unlink(path.c_str());
    if (::bind(fd, plain(address), sizeof address) != 0) return failed(std::strerror(errno));
    return fd;
}
}  // namespace calque
