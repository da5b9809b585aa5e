// Files of sections whose contents are anything, but whose checksums are right: without that, no mutation would come past the first look.
//
// As a fuzz input such a file is a list of: name[12] version u16 index u64 length u32 given u32, then the `given` first bytes of the section;
// the rest are zeros. An input that begins with the magic is the file itself.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "machine/snapshot/sections.h"
#include "support/little_endian.h"
#include "tests/fuzz/fuzz.h"

namespace calque::fuzz {

constexpr size_t kPackedHead = 30;
constexpr u64 kGiven = 256 * kKiB, kMostSection = 20 * kMiB, kMostSections = 200;

/// A file in memory, with a name while it exists.
class MemoryFile {
public:
    MemoryFile() : fd_{::memfd_create("fuzz", MFD_CLOEXEC)} {}
    ~MemoryFile() { ::close(fd_); }
    MemoryFile(const MemoryFile&) = delete;
    int fd() const { return fd_; }
    std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }
    void put(std::span<const u8> bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
            if (n <= 0) std::abort();
            bytes = bytes.subspan(static_cast<size_t>(n));
        }
    }

private:
    int fd_;
};

/// A good file as an input. Memory is left out: it is long, and anything may be in it anyway.
inline Bytes pack(const std::string& path, std::string_view magic) {
    auto in = SectionReader::open(path, magic, "seed");
    if (!in) std::abort();
    Bytes out;
    while ((*in)->next() == SectionReader::Next::section) {
        const Section s = (*in)->section();
        if (s.name == "ram") continue;
        const auto bytes = (*in)->read(kMostSection);
        if (!bytes) std::abort();
        const auto end = std::find_if(bytes->rbegin(), bytes->rend(), [](u8 b) { return b != 0; });
        const size_t given = std::min<size_t>(static_cast<size_t>(bytes->rend() - end), kGiven);
        u8 head[kPackedHead]{};
        std::memcpy(head, s.name.data(), s.name.size());
        store_little(head + 12, s.version, 2), store_little(head + 14, s.index, 8), store_little(head + 22, bytes->size(), 4), store_little(head + 26, given, 4);
        out.insert(out.end(), head, head + kPackedHead);
        out.insert(out.end(), bytes->begin(), bytes->begin() + static_cast<std::ptrdiff_t>(given));
    }
    return out;
}

inline void unpack(std::span<const u8> in, std::string_view magic, MemoryFile& file) {
    if (in.size() >= magic.size() && std::memcmp(in.data(), magic.data(), magic.size()) == 0) return file.put(in);
    SectionWriter out{file.fd(), file.path(), magic};
    for (u64 n = 0; in.size() >= kPackedHead && n < kMostSections; ++n) {
        const u8* const h = in.data();
        const char* const name = reinterpret_cast<const char*>(h);
        const std::string_view named{name, strnlen(name, kSectionName)};
        const u64 length = std::min<u64>(load_little(h + 22, 4), kMostSection);
        const size_t given = std::min<size_t>(load_little(h + 26, 4), in.size() - kPackedHead);
        Bytes bytes(length);
        std::copy_n(in.begin() + kPackedHead, std::min<u64>(given, length), bytes.begin());
        out.add(named, static_cast<u16>(load_little(h + 12, 2)), load_little(h + 14, 8), bytes);
        in = in.subspan(kPackedHead + given);
    }
    (void)out.finish();
}

inline Bytes whole_file(const std::string& path) {
    std::ifstream in{path, std::ios::binary};
    const std::string bytes{std::istreambuf_iterator<char>{in}, {}};
    return bytes_of(bytes);
}
}  // namespace calque::fuzz
