#include "bios/host_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace calque {
namespace {
Error trouble(const std::string& what, const std::string& path, const std::string& why) {
    return Error{"cannot read the " + what + " '" + path + "': " + why};
}

Result<Bytes> read_open_file(int fd, const std::string& path, const std::string& what, u64 limit) {
    struct stat st;
    if (::fstat(fd, &st) != 0) return trouble(what, path, std::strerror(errno));
    if (S_ISDIR(st.st_mode)) return trouble(what, path, "it is a directory");
    if (!S_ISREG(st.st_mode)) return trouble(what, path, "it is not a regular file");
    if (static_cast<u64>(st.st_size) > limit)
        return trouble(what, path, "it has " + std::to_string(st.st_size) + " bytes, and at most " +
                                       std::to_string(limit) + " fit here");
    Bytes bytes(static_cast<size_t>(st.st_size));
    for (size_t at = 0; at < bytes.size();) {
        const ssize_t n = ::read(fd, bytes.data() + at, bytes.size() - at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return trouble(what, path, std::strerror(errno));
        if (n == 0) return trouble(what, path, "it became shorter while it was read");
        at += static_cast<size_t>(n);
    }
    return bytes;
}
}  // namespace

Result<Bytes> read_host_file(const std::string& path, const std::string& what, u64 limit) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return trouble(what, path, std::strerror(errno));
    auto result = read_open_file(fd, path, what, limit);
    ::close(fd);
    return result;
}
}  // namespace calque
