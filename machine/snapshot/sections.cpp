#include "machine/snapshot/sections.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "machine/snapshot/new_file.h"
#include "machine/state_hash.h"
#include "support/assert.h"
#include "support/little_endian.h"
#include "support/state_io.h"

namespace calque {
namespace {
constexpr u32 kFormat = 1;
constexpr size_t kHeader = 48, kHashAt = 40;
constexpr int kLevel = 1;                    // memory of guests shrinks little more with higher ones, which take several times as long
constexpr u64 kLongest = u64{1} << 30;

u64 hash_of(std::span<const u8> header, std::span<const u8> bytes) {
    StateHash h;
    h.add(header.first(kHashAt)), h.add(bytes);
    return h.value();
}
}  // namespace

// ---- writing

SectionWriter::SectionWriter(int fd, std::string path, std::string_view magic) : fd_{fd}, path_{std::move(path)}, zstd_{ZSTD_createCCtx()} {
    ASSERT(magic.size() == kMagicBytes && zstd_);
    u8 head[kMagicBytes + 8]{};
    std::memcpy(head, magic.data(), kMagicBytes);
    store_little(head + kMagicBytes, kFormat, 4);
    put(head);
}

SectionWriter::~SectionWriter() { ZSTD_freeCCtx(static_cast<ZSTD_CCtx*>(zstd_)); }

void SectionWriter::put(std::span<const u8> bytes) {
    bytes_ += bytes.size();
    while (!bytes.empty() && !error_) {
        const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) error_ = cannot_write(path_).message;
        else bytes = bytes.subspan(static_cast<size_t>(n));
    }
}

void SectionWriter::add(std::string_view name, u16 version, u64 index, std::span<const u8> bytes) {
    if (error_) return;
    ASSERT(name.size() <= kSectionName && bytes.size() <= kLongest);
    packed_.resize(kHeader + ZSTD_compressBound(bytes.size()));
    const size_t n = ZSTD_compressCCtx(static_cast<ZSTD_CCtx*>(zstd_), packed_.data() + kHeader, packed_.size() - kHeader, bytes.data(), bytes.size(), kLevel);
    const bool plain = ZSTD_isError(n) || n >= bytes.size();
    if (plain) std::copy(bytes.begin(), bytes.end(), packed_.begin() + kHeader);
    const size_t stored = plain ? bytes.size() : n;
    u8* const h = packed_.data();
    std::memset(h, 0, kHeader);
    std::memcpy(h, name.data(), name.size());
    store_little(h + 12, version, 2), store_little(h + 14, plain ? 0 : 1, 2), store_little(h + 16, index, 8);
    store_little(h + 24, bytes.size(), 8), store_little(h + 32, stored, 8);
    store_little(h + kHashAt, hash_of({h, kHeader}, {h + kHeader, stored}), 8);
    put({h, kHeader + stored});   // in one piece: a reader of a growing file meets as few halves as can be
}

void SectionWriter::add(std::string_view name, u16 version, u64 index, const StateIO& s) { add(name, version, index, std::span<const u8>{s.bytes()}); }

// ---- reading

SectionReader::SectionReader(int fd, std::string path, std::string what)
    : fd_{fd}, path_{std::move(path)}, what_{std::move(what)}, zstd_{ZSTD_createDCtx()}, header_(kHeader) {
    ASSERT(zstd_);
}

SectionReader::~SectionReader() {
    ZSTD_freeDCtx(static_cast<ZSTD_DCtx*>(zstd_));
    ::close(fd_);
}

Result<std::unique_ptr<SectionReader>> SectionReader::open(const std::string& path, std::string_view magic, std::string what) {
    const auto failed = [&] { return Error{"cannot read the " + what + " '" + path + "': " + std::strerror(errno)}; };
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return failed();
    std::unique_ptr<SectionReader> reader{new SectionReader{fd, path, what}};
    struct stat st {};
    if (::fstat(fd, &st) != 0) return failed();
    if (!S_ISREG(st.st_mode)) return Error{"cannot read the " + what + " '" + path + "': it is no regular file"};
    u8 head[kMagicBytes + 8];
    if (!reader->get(head, sizeof head) || std::memcmp(head, magic.data(), kMagicBytes) != 0)
        return Error{"'" + path + "' is no " + what + " of Calque"};
    if (const u64 format = load_little(head + kMagicBytes, 4); format != kFormat)
        return reader->unknown("its format is number " + std::to_string(format) + ", and this version of Calque reads number " + std::to_string(kFormat));
    return reader;
}

bool SectionReader::get(void* to, size_t size) {
    u8* p = static_cast<u8*>(to);
    while (size) {
        const ssize_t n = ::read(fd_, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n, size -= static_cast<size_t>(n);
    }
    return true;
}

SectionReader::Next SectionReader::next() {
    if (!fetched_ && ::lseek(fd_, static_cast<off_t>(section_.stored), SEEK_CUR) < 0) return Next::cut;
    fetched_ = true;
    if (!get(header_.data(), kHeader)) return Next::cut;
    const u8* const h = header_.data();
    const char* const name = reinterpret_cast<const char*>(h);
    section_ = {{name, strnlen(name, kSectionName)}, static_cast<u16>(load_little(h + 12, 2)), static_cast<u16>(load_little(h + 14, 2)), load_little(h + 16, 8),
                load_little(h + 24, 8), load_little(h + 32, 8), load_little(h + kHashAt, 8)};
    for (const char c : section_.name)
        if (c < 0x20 || c > 0x7e) return Next::cut;   // it goes into messages
    // A frame is never longer than what it stands for.
    if (section_.encoding > 1 || section_.raw > kLongest || section_.stored > section_.raw) return Next::cut;
    fetched_ = false;
    if (!is("end")) return Next::section;
    return section_.raw == 0 && fetch() ? Next::end : Next::cut;
}

bool SectionReader::whole() const {
    struct stat st {};
    const off_t here = ::lseek(fd_, 0, SEEK_CUR);
    return ::fstat(fd_, &st) == 0 && here >= 0 && static_cast<u64>(st.st_size - here) >= section_.stored;
}

i64 SectionReader::position() const { return ::lseek(fd_, 0, SEEK_CUR); }

void SectionReader::seek(i64 position) {
    ::lseek(fd_, position, SEEK_SET);
    fetched_ = true;
}

Result<void> SectionReader::fetch() {
    fetched_ = true;
    // As long as the file goes on, not as long as its header says.
    constexpr u64 kStep = 4 * kMiB;
    stored_.clear();
    while (stored_.size() < section_.stored) {
        const size_t have = stored_.size(), n = std::min(kStep, section_.stored - have);
        stored_.resize(have + n);
        if (!get(stored_.data() + have, n)) return damaged("it ends in the middle");
    }
    if (hash_of(header_, stored_) != section_.hash) return damaged("its section '" + section_.name + "' does not match its checksum");
    return {};
}

Result<std::vector<u8>> SectionReader::read(u64 limit) {
    if (section_.raw > limit) return damaged("its section '" + section_.name + "' is longer than one can be");
    if (auto r = fetch(); !r) return r.error();
    if (section_.encoding == 1 && ZSTD_getFrameContentSize(stored_.data(), stored_.size()) != section_.raw)
        return damaged("its section '" + section_.name + "' has another length than it says");
    std::vector<u8> out(section_.raw);
    if (section_.encoding == 0) {
        if (section_.stored != section_.raw) return damaged("its section '" + section_.name + "' has another length than it says");
        return std::move(stored_);
    }
    const size_t n = ZSTD_decompressDCtx(static_cast<ZSTD_DCtx*>(zstd_), out.data(), out.size(), stored_.data(), stored_.size());
    if (ZSTD_isError(n) || n != out.size()) return damaged("its section '" + section_.name + "' cannot be decompressed");
    return out;
}

Result<void> SectionReader::read_into(std::span<u8> out) {
    if (section_.raw != out.size()) return damaged("its section '" + section_.name + "' has the wrong length");
    if (auto r = fetch(); !r) return r.error();
    if (section_.encoding == 0) {
        if (section_.stored != section_.raw) return damaged("its section '" + section_.name + "' has another length than it says");
        std::copy(stored_.begin(), stored_.end(), out.begin());
        return {};
    }
    const size_t n = ZSTD_decompressDCtx(static_cast<ZSTD_DCtx*>(zstd_), out.data(), out.size(), stored_.data(), stored_.size());
    if (ZSTD_isError(n) || n != out.size()) return damaged("its section '" + section_.name + "' cannot be decompressed");
    return {};
}
}  // namespace calque
