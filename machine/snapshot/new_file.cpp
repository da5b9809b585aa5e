#include "machine/snapshot/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace calque {
namespace {
std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// Symbolic links stay links: the file that they name is replaced.
std::string resolve(const std::string& path) {
    char* const real = ::realpath(path.c_str(), nullptr);
    std::string out = real ? real : path;
    std::free(real);
    return out;
}
}  // namespace

Error cannot_write(const std::string& path) { return {"cannot write '" + path + "': " + std::strerror(errno)}; }

Result<std::unique_ptr<NewFile>> NewFile::create(const std::string& wanted) {
    const std::string path = resolve(wanted);
    struct stat st {};
    if (::stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode)) return Error{"cannot write '" + wanted + "': it is no regular file"};
    // Not every file system makes files without a name.
    if (const int fd = ::open(folder_of(path).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666); fd >= 0)
        return std::unique_ptr<NewFile>{new NewFile{path, fd, {}}};
    std::string name = path + ".XXXXXX";
    const int fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd < 0) return cannot_write(wanted);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    ::fchmod(fd, 0666 & ~mask);
    return std::unique_ptr<NewFile>{new NewFile{path, fd, name}};
}

NewFile::~NewFile() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    ::close(fd_);
}

Result<void> NewFile::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
        if (n < 0 && errno != EINTR) return cannot_write(path_);
        if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

// linkat() gives a nameless file a name, but replaces none; rename() replaces, at once or not at all.
Result<void> NewFile::commit() {
    if (::fsync(fd_) != 0) return cannot_write(path_);
    if (temporary_.empty()) {
        const std::string self = "/proc/self/fd/" + std::to_string(fd_);
        if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
        if (errno != EEXIST) return cannot_write(path_);
        std::string name = path_ + "." + std::to_string(::getpid());
        ::unlink(name.c_str());
        if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) return cannot_write(path_);
        temporary_ = name;
    }
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return cannot_write(path_);
    temporary_.clear();
    return {};
}
}  // namespace calque
