#include "machine/snapshot/sections.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "machine/snapshot/new_file.h"
#include "machine/state_hash.h"
#include "support/assert.h"
#include "support/little_endian.h"
#include "support/parallel.h"
#include "support/state_io.h"

namespace calque {
namespace {
constexpr u32 kFormat = 1;
constexpr size_t kHeader = 48, kHashAt = 40;
constexpr int kLevel = -1;                   // memory of guests shrinks little more with higher ones, which take longer in both directions
constexpr u64 kLongest = u64{1} << 30;

struct FreeContext {
    void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
};

u64 hash_of(std::span<const u8> header, std::span<const u8> bytes) {
    StateHash h;
    h.add(header.first(kHashAt)), h.add(bytes);
    return h.value();
}

/// Header and stored bytes, in one piece.
void pack(std::vector<u8>& out, std::string_view name, u16 version, u64 index, std::span<const u8> bytes) {
    static thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> zstd{ZSTD_createCCtx()};
    ASSERT(name.size() <= kSectionName && bytes.size() <= kLongest && zstd);
    out.resize(kHeader + ZSTD_compressBound(bytes.size()));
    const size_t n = ZSTD_compressCCtx(zstd.get(), out.data() + kHeader, out.size() - kHeader, bytes.data(), bytes.size(), kLevel);
    const bool plain = ZSTD_isError(n) || n >= bytes.size();
    if (plain) std::copy(bytes.begin(), bytes.end(), out.begin() + kHeader);
    const size_t stored = plain ? bytes.size() : n;
    out.resize(kHeader + stored);
    u8* const h = out.data();
    std::memset(h, 0, kHeader);
    std::memcpy(h, name.data(), name.size());
    store_little(h + 12, version, 2), store_little(h + 14, plain ? 0 : 1, 2), store_little(h + 16, index, 8);
    store_little(h + 24, bytes.size(), 8), store_little(h + 32, stored, 8);
    store_little(h + kHashAt, hash_of({h, kHeader}, {h + kHeader, stored}), 8);
}
}  // namespace

// ---- writing

SectionWriter::SectionWriter(int fd, std::string path, std::string_view magic) : fd_{fd}, path_{std::move(path)} {
    ASSERT(magic.size() == kMagicBytes);
    u8 head[kMagicBytes + 8]{};
    std::memcpy(head, magic.data(), kMagicBytes);
    store_little(head + kMagicBytes, kFormat, 4);
    put(head);
}

void SectionWriter::put(std::span<const u8> bytes) {
    bytes_ += bytes.size();
    while (!bytes.empty() && !error_) {
        const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) error_ = cannot_write(path_).message;
        else bytes = bytes.subspan(static_cast<size_t>(n));
    }
}

// In one write: a reader of a growing file meets as few halves as can be.
void SectionWriter::add(std::string_view name, u16 version, u64 index, std::span<const u8> bytes) {
    if (error_) return;
    pack(packed_, name, version, index, bytes);
    put(packed_);
}

void SectionWriter::add(std::string_view name, u16 version, u64 index, const StateIO& s) { add(name, version, index, std::span<const u8>{s.bytes()}); }

void SectionWriter::add_all(std::string_view name, u16 version, size_t count, const std::function<Piece(size_t n)>& piece) {
    std::array<std::vector<u8>, 32> packed;
    for (size_t first = 0; first < count && !error_; first += packed.size()) {
        const size_t some = std::min(packed.size(), count - first);
        parallel_for(some, [&](size_t n) {
            const Piece p = piece(first + n);
            packed[n].clear();
            if (!p.bytes.empty()) pack(packed[n], name, version, p.index, p.bytes);
        });
        for (size_t n = 0; n < some; ++n) put(packed[n]);
    }
}

// ---- reading

SectionReader::SectionReader(int fd, std::string path, std::string what) : fd_{fd}, path_{std::move(path)}, what_{std::move(what)}, next_at_{kMagicBytes + 8} {}

SectionReader::~SectionReader() { ::close(fd_); }

Result<std::unique_ptr<SectionReader>> SectionReader::open(const std::string& path, std::string_view magic, std::string what) {
    const auto failed = [&] { return Error{"cannot read the " + what + " '" + path + "': " + std::strerror(errno)}; };
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return failed();
    std::unique_ptr<SectionReader> reader{new SectionReader{fd, path, what}};
    struct stat st {};
    if (::fstat(fd, &st) != 0) return failed();
    if (!S_ISREG(st.st_mode)) return Error{"cannot read the " + what + " '" + path + "': it is no regular file"};
    u8 head[kMagicBytes + 8];
    if (!reader->get(0, head) || std::memcmp(head, magic.data(), kMagicBytes) != 0)
        return Error{"'" + path + "' is no " + what + " of Calque"};
    if (const u64 format = load_little(head + kMagicBytes, 4); format != kFormat)
        return reader->unknown("its format is number " + std::to_string(format) + ", and this version of Calque reads number " + std::to_string(kFormat));
    return reader;
}

bool SectionReader::get(u64 at, std::span<u8> to) const {
    while (!to.empty()) {
        const ssize_t n = ::pread(fd_, to.data(), to.size(), static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        to = to.subspan(static_cast<size_t>(n)), at += static_cast<u64>(n);
    }
    return true;
}

SectionReader::Next SectionReader::next() {
    u8 h[kHeader];
    if (!get(next_at_, h)) return Next::cut;
    header_at_ = next_at_;
    const char* const name = reinterpret_cast<const char*>(h);
    section_ = {{name, strnlen(name, kSectionName)}, static_cast<u16>(load_little(h + 12, 2)), static_cast<u16>(load_little(h + 14, 2)), load_little(h + 16, 8),
                load_little(h + 24, 8), load_little(h + 32, 8), load_little(h + kHashAt, 8)};
    for (const char c : section_.name)
        if (c < 0x20 || c > 0x7e) return Next::cut;   // it goes into messages
    // A frame is never longer than what it stands for.
    if (section_.encoding > 1 || section_.raw > kLongest || section_.stored > section_.raw) return Next::cut;
    next_at_ += kHeader + section_.stored;
    if (!is("end")) return Next::section;
    return section_.raw == 0 && read(0) ? Next::end : Next::cut;
}

bool SectionReader::whole() const {
    struct stat st {};
    return ::fstat(fd_, &st) == 0 && static_cast<u64>(st.st_size) >= next_at_;
}

Result<std::vector<u8>> SectionReader::read(u64 limit) {
    if (section_.raw > limit) return damaged("its section '" + section_.name + "' is longer than one can be");
    std::vector<u8> out(section_.raw);
    if (auto r = read_into(out, place()); !r) return r.error();
    return out;
}

/// Until the next call on this thread.
Result<std::span<const u8>> SectionReader::stored_bytes(const Place& from) const {
    u8 header[kHeader];
    static thread_local std::vector<u8> stored;
    stored.resize(from.section.stored);
    if (!get(from.at, header) || !get(from.at + kHeader, stored)) return damaged("it ends in the middle");
    if (hash_of(header, stored) != from.section.hash) return odd(from.section, "does not match its checksum");
    return std::span<const u8>{stored};
}

Result<void> SectionReader::check(const Place& from) const {
    auto stored = stored_bytes(from);
    return stored ? Result<void>{} : Result<void>{stored.error()};
}

Result<void> SectionReader::read_into(std::span<u8> out, const Place& from) const {
    const Section& s = from.section;
    if (s.raw != out.size()) return odd(s, "has the wrong length");
    auto stored = stored_bytes(from);
    if (!stored) return stored.error();
    if (s.encoding == 0 ? s.stored != s.raw : ZSTD_getFrameContentSize(stored->data(), stored->size()) != s.raw) return odd(s, "has another length than it says");
    if (s.encoding == 0) return std::copy(stored->begin(), stored->end(), out.begin()), Result<void>{};
    const size_t n = ZSTD_decompress(out.data(), out.size(), stored->data(), stored->size());
    return ZSTD_isError(n) || n != out.size() ? Result<void>{odd(s, "cannot be decompressed")} : Result<void>{};
}

Result<std::shared_ptr<const SectionReader>> SectionReader::share() const {
    const int fd = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return Error{"cannot read the " + name() + ": " + std::strerror(errno)};
    return std::shared_ptr<const SectionReader>{new SectionReader{fd, path_, what_}};
}
}  // namespace calque
