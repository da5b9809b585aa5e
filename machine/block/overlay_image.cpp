#include "machine/block/overlay_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "machine/block/journal_image.h"
#include "support/log.h"

namespace calque {
static Log log{"overlay_image"};

namespace {
bool write_all(int fd, u64 offset, std::span<const u8> in) {
    while (!in.empty()) {
        const ssize_t n = pwrite(fd, in.data(), in.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            log.error("keeping changes at %llu failed: %s", static_cast<unsigned long long>(offset), n < 0 ? std::strerror(errno) : "nothing written");
            return false;
        }
        in = in.subspan(static_cast<size_t>(n)), offset += static_cast<u64>(n);
    }
    return true;
}

bool read_all(int fd, u64 offset, std::span<u8> out) {
    while (!out.empty()) {
        const ssize_t n = pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            log.error("reading changes at %llu failed: %s", static_cast<unsigned long long>(offset), n < 0 ? std::strerror(errno) : "they end early");
            return false;
        }
        out = out.subspan(static_cast<size_t>(n)), offset += static_cast<u64>(n);
    }
    return true;
}

int nameless_file(const std::string& folder) {
    // Not every file system makes files without a name; elsewhere the name goes at once.
    if (const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); fd >= 0) return fd;
    std::string name = folder + "/calque-snapshot-XXXXXX";
    const int fd = mkostemp(name.data(), O_CLOEXEC);
    if (fd >= 0) unlink(name.c_str());
    return fd;
}
}  // namespace

Result<std::unique_ptr<BlockImage>> OverlayImage::open(std::unique_ptr<BlockImage> base) {
    const char* wish = std::getenv("TMPDIR");
    const std::string folder = wish && *wish ? wish : "/var/tmp";
    const int fd = nameless_file(folder);
    if (fd < 0)
        return Error{"snapshot=on keeps the guest's changes in a file in " + folder + ", which cannot be made (" + std::strerror(errno) +
                     "); name another folder in TMPDIR"};
    return std::unique_ptr<BlockImage>{new OverlayImage{std::move(base), fd}};
}

OverlayImage::~OverlayImage() { close(fd_); }

void OverlayImage::set_changed(u64 piece) {
    if (piece / 64 >= changed_.size()) changed_.resize(piece / 64 + 1);
    changed_[piece / 64] |= u64{1} << piece % 64;
}

std::vector<u64> OverlayImage::changed_pieces() const {
    std::vector<u64> out;
    for (u64 n = 0; n < changed_.size() * 64; ++n)
        if (changed(n)) out.push_back(n);
    return out;
}

// A piece that is written in part for the first time starts as what the image holds there.
bool OverlayImage::fill(u64 piece) {
    std::array<u8, kPiece> bytes{};
    const u64 start = piece * kPiece;
    return base_->read(start, std::span{bytes}.first(std::min(kPiece, size() - start))) && write_all(fd_, start, bytes);
}

bool OverlayImage::read(u64 offset, std::span<u8> out) {
    if (!covers(offset, out.size())) return false;
    while (!out.empty()) {
        // As many bytes at once as come from the same place.
        const bool here = changed(offset / kPiece);
        u64 end = (offset / kPiece + 1) * kPiece;
        while (end < offset + out.size() && changed(end / kPiece) == here) end += kPiece;
        const auto part = out.first(std::min<u64>(out.size(), end - offset));
        if (here ? !read_all(fd_, offset, part) : !base_->read(offset, part)) return false;
        out = out.subspan(part.size()), offset += part.size();
    }
    return true;
}

bool OverlayImage::write(u64 offset, std::span<const u8> in) {
    if (!covers(offset, in.size())) return false;
    if (in.empty()) return true;
    const u64 end = offset + in.size(), first = offset / kPiece, last = (end - 1) / kPiece;
    const bool first_whole = offset % kPiece == 0 && (first != last || end % kPiece == 0);
    if (!first_whole && !changed(first) && !fill(first)) return false;
    if (last != first && end % kPiece && !changed(last) && !fill(last)) return false;
    if (!write_all(fd_, offset, in)) return false;
    for (u64 piece = first; piece <= last; ++piece) set_changed(piece);
    return true;
}

OverlayImage* overlay_of(BlockImage* image) {
    auto* const journal = dynamic_cast<JournalImage*>(image);
    return journal ? dynamic_cast<OverlayImage*>(&journal->base()) : nullptr;
}

BlockImage& unwritten(BlockImage& image) {
    OverlayImage* const overlay = overlay_of(&image);
    return overlay ? overlay->base() : image;
}
}  // namespace calque
