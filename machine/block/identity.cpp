#include "machine/block/identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "machine/state_hash.h"

namespace calque {
namespace {
constexpr u64 kPiece = 64 * kKiB;
constexpr u64 kWhole = 1024;      // so many pieces with data are hashed completely, of more so many
constexpr u64 kEnds = 32;         // the first pieces always: partition tables and superblocks, which any use of a disk changes

struct File {
    explicit File(int f) : fd{f} {}
    ~File() { ::close(fd); }
    File(const File&) = delete;
    int fd;
};

// Pieces that are not wholly in holes. An image with a hole and one with zeros there are equal, as the zeros add nothing.
std::vector<u64> data_pieces(int fd, u64 size) {
    std::vector<u64> out;
    for (u64 at = 0; at < size;) {
        const off_t start = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
        if (start < 0 && errno == ENXIO) break;
        const off_t end = start < 0 ? -1 : ::lseek(fd, start, SEEK_HOLE);
        const u64 from = start < 0 ? at : static_cast<u64>(start), to = end < 0 ? size : static_cast<u64>(end);
        for (u64 p = from / kPiece; p * kPiece < to; ++p)
            if (out.empty() || out.back() != p) out.push_back(p);
        at = std::max(to, at + 1);
    }
    return out;
}

void add_piece(StateHash& hash, int fd, u64 piece) {
    std::vector<u8> bytes(kPiece);
    size_t have = 0;
    for (ssize_t n; have < kPiece && (n = ::pread(fd, bytes.data() + have, kPiece - have, static_cast<off_t>(piece * kPiece + have))) > 0;)
        have += static_cast<size_t>(n);
    if (is_zero(bytes)) return;
    hash.add(piece), hash.add(std::span<const u8>{bytes});
}
}  // namespace

Result<ImageIdentity> identify_image(const std::string& path) {
    const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    struct stat st {};
    if (file.fd < 0 || ::fstat(file.fd, &st) != 0) return Error{"cannot read the image '" + path + "': " + std::strerror(errno)};
    ImageIdentity id;
    id.size = static_cast<u64>(::lseek(file.fd, 0, SEEK_END));
    const bool regular = S_ISREG(st.st_mode);
    id.changed = regular ? st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec : 0;
    std::vector<u64> pieces;
    if (regular) pieces = data_pieces(file.fd, id.size);
    else
        for (u64 p = 0; p * kPiece < id.size; ++p) pieces.push_back(p);
    id.whole = pieces.size() <= kWhole;
    StateHash hash;
    for (size_t n = 0; n < std::min<u64>(pieces.size(), kWhole); ++n)
        add_piece(hash, file.fd, pieces[id.whole || n < kEnds ? n : static_cast<size_t>(u128{n} * (pieces.size() - 1) / (kWhole - 1))]);
    id.hash = hash.value();
    return id;
}
}  // namespace calque
