#include "machine/snapshot/new_file.h"

#include <fcntl.h>
#include <sys/file.h>
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

// What a process that was killed left behind has the same name, so there is never more than one. Who holds the lock writes to it, unless it
// has got its real name meanwhile.
constexpr char kUnfinished[] = ".calque-unfinished";
int open_unfinished(const std::string& name) {
    for (;;) {
        const int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        struct stat ours {}, named {};
        if (fd < 0) return -1;
        if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
            if (::fstat(fd, &ours) == 0 && ::stat(name.c_str(), &named) == 0 && ours.st_ino == named.st_ino && ::ftruncate(fd, 0) == 0) return fd;
        } else if (errno != EINTR) {
            ::close(fd);
            errno = EBUSY;
            return -1;
        }
        ::close(fd);
    }
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
    const std::string name = path + kUnfinished;
    const int fd = open_unfinished(name);
    if (fd < 0) return cannot_write(wanted);
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

// linkat() gives a nameless file a name, but replaces none; rename() replaces, at once or not at all. Others may be about the same.
Result<void> NewFile::name_it() {
    const std::string self = "/proc/self/fd/" + std::to_string(fd_), name = path_ + kUnfinished;
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
    while (errno == EEXIST || errno == ENOENT) {
        ::unlink(name.c_str());
        if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) {
            if (errno == EEXIST) continue;
            break;
        }
        if (::rename(name.c_str(), path_.c_str()) == 0) return {};
    }
    return cannot_write(path_);
}

Result<void> NewFile::commit() {
    if (::fsync(fd_) != 0) return cannot_write(path_);
    if (temporary_.empty()) return name_it();
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return cannot_write(path_);
    temporary_.clear();
    return {};
}
}  // namespace calque
