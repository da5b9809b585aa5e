#include "machine/block/raw_image.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "support/log.h"

namespace calque {
static Log log{"raw_image"};

namespace {
constexpr u64 kSector = 512;

Error refuse(const std::string& path, const std::string& why_and_what_to_do) {
    return {"disk image: " + path + ": " + why_and_what_to_do};
}

Error refuse_errno(const std::string& path, int error, bool read_only) {
    switch (error) {
    case ENOENT:
    case ENOTDIR: return refuse(path, "there is no such file; check the path or create the image first");
    case EACCES:
    case EPERM:
        return refuse(path, read_only ? "you may not read it; change its permissions"
                                      : "you may not write it; change its permissions or open it read-only");
    case EROFS: return refuse(path, "it is on a read-only file system; copy it elsewhere or open it read-only");
    default: return refuse(path, std::string{"cannot be opened ("} + std::strerror(error) + "); check the file");
    }
}

/// What can be refused without opening the file: opening a FIFO or a device may have effects of its own.
Result<void> check(const std::string& path, bool read_only) {
    struct stat st {};
    if (stat(path.c_str(), &st) != 0) return refuse_errno(path, errno, read_only);
    if (S_ISDIR(st.st_mode)) return refuse(path, "is a directory; give an image file");
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) return refuse(path, "is neither a file nor a block device; give an image file");
    // A superuser could write it all the same, but whoever took the permission away meant it.
    if (!read_only && !(st.st_mode & 0222)) return refuse(path, "the file is read-only; make it writable or open it read-only");
    return {};
}
}  // namespace

Result<std::unique_ptr<BlockImage>> RawImage::open(const std::string& path, bool read_only) {
    if (auto ok = check(path, read_only); !ok) return ok.error();
    const int fd = ::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return refuse_errno(path, errno, read_only);
    std::unique_ptr<RawImage> image{new RawImage{fd, path, read_only}};
    if (flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return refuse(path, "is in use by another machine; stop that one or use a copy");
    const off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0) return refuse(path, "its size cannot be found out; give a regular file");
    if (end == 0) return refuse(path, "is empty; create the image with a size, for example with truncate -s 8G");
    image->size_ = (static_cast<u64>(end) + kSector - 1) / kSector * kSector;
    return std::unique_ptr<BlockImage>{std::move(image)};
}

RawImage::~RawImage() { close(fd_); }

bool RawImage::read(u64 offset, std::span<u8> out) {
    if (!covers(offset, out.size())) return false;
    while (!out.empty()) {
        const ssize_t n = pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            log.error("%s: reading at %llu failed: %s", path_.c_str(), static_cast<unsigned long long>(offset), std::strerror(errno));
            return false;
        }
        if (n == 0) {  // behind the end of the file: the rest of the last sector
            std::memset(out.data(), 0, out.size());
            return true;
        }
        out = out.subspan(static_cast<size_t>(n));
        offset += static_cast<u64>(n);
    }
    return true;
}

bool RawImage::write(u64 offset, std::span<const u8> in) {
    if (read_only_ || !covers(offset, in.size())) return false;
    while (!in.empty()) {
        const ssize_t n = pwrite(fd_, in.data(), in.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            log.error("%s: writing at %llu failed: %s", path_.c_str(), static_cast<unsigned long long>(offset),
                      n < 0 ? std::strerror(errno) : "nothing written");
            return false;
        }
        in = in.subspan(static_cast<size_t>(n));
        offset += static_cast<u64>(n);
    }
    return true;
}

bool RawImage::flush() {
    if (read_only_ || fdatasync(fd_) == 0) return true;
    log.error("%s: flushing failed: %s", path_.c_str(), std::strerror(errno));
    return false;
}
}  // namespace calque
