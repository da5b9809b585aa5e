#include "frontend/sockets.h"

#include <fcntl.h>
#include <netdb.h>
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

/// The first address of the host for which `use` says 0.
Result<int> open_tcp(const std::string& host, const std::string& port, int (*use)(int, const sockaddr*, socklen_t)) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    if (host.empty()) hints.ai_family = AF_INET;   // 127.0.0.1: both ends that are given no host shall mean the same
    addrinfo* found = nullptr;
    const std::string bare = host.size() > 2 && host.front() == '[' && host.back() == ']' ? host.substr(1, host.size() - 2) : host;
    if (const int e = ::getaddrinfo(bare.empty() ? nullptr : bare.c_str(), port.c_str(), &hints, &found); e != 0) return Error{::gai_strerror(e)};
    int fd = -1, error = 0;
    for (const addrinfo* a = found; a && fd < 0; a = a->ai_next) {
        fd = ::socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        if (fd >= 0) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (fd >= 0 && use(fd, a->ai_addr, a->ai_addrlen) == 0) break;
        error = errno;
        if (fd >= 0) ::close(fd);
        fd = -1;
    }
    ::freeaddrinfo(found);
    if (fd < 0) return Error{std::strerror(error)};
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}
}  // namespace

Result<int> bind_tcp_socket(const std::string& host, const std::string& port) { return open_tcp(host, port, ::bind); }
Result<int> connect_tcp_socket(const std::string& host, const std::string& port) { return open_tcp(host, port, ::connect); }

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
