#include "machine/trace/symbols.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

#include "support/little_endian.h"

namespace calque {
namespace {
constexpr size_t kMostBytes = 1u << 30;

/// The parts of the ELF format that name functions ("System V ABI", chapter "Object Files"), in both widths, little-endian. Anything may be in the file.
class Elf {
public:
    explicit Elf(std::string_view bytes) : bytes_{bytes}, wide_{bytes.size() > 4 && bytes[4] == 2} {}
    bool usable() const { return bytes_.starts_with("\x7f" "ELF") && bytes_.size() > 5 && (bytes_[4] == 1 || bytes_[4] == 2) && bytes_[5] == 1; }

    template <class F>
    void functions(F f) const {
        const u64 table = word(wide_ ? 0x28 : 0x20), entry = get(wide_ ? 0x3a : 0x2e, 2), count = get(wide_ ? 0x3c : 0x30, 2);
        for (u64 n = 0; n < count; ++n) {
            const u64 at = table + n * entry;
            constexpr u64 kSymtab = 2;
            if (get(at + 4, 4) == kSymtab) symbols(at, table + get(at + (wide_ ? 0x28 : 0x18), 4) * entry, f);
        }
    }

private:
    u64 get(u64 at, unsigned size) const {
        return at <= bytes_.size() && size <= bytes_.size() - at ? load_little(reinterpret_cast<const u8*>(bytes_.data()) + at, size) : 0;
    }
    u64 word(u64 at) const { return get(at, wide_ ? 8 : 4); }
    u64 offset_of(u64 section) const { return word(section + (wide_ ? 0x18 : 0x10)); }
    u64 size_of(u64 section) const { return std::min<u64>(word(section + (wide_ ? 0x20 : 0x14)), bytes_.size()); }

    template <class F>
    void symbols(u64 table, u64 names, F f) const {
        const u64 from = offset_of(table), size = wide_ ? 24 : 16;
        for (u64 n = 0; n < size_of(table) / size; ++n) {
            const u64 at = from + n * size;
            constexpr unsigned kFunc = 2;
            if ((get(at + (wide_ ? 4 : 12), 1) & 15) != kFunc) continue;
            const u64 name = offset_of(names) + get(at, 4);
            if (name >= bytes_.size()) continue;
            const std::string_view rest = bytes_.substr(name);
            f(word(at + (wide_ ? 8 : 4)), word(at + (wide_ ? 16 : 8)), std::string{rest.substr(0, rest.find('\0'))});
        }
    }

    std::string_view bytes_;
    bool wide_;
};

/// Blanks would make more of it than one word, and it goes to terminals.
std::string printable(std::string name) {
    for (char& c : name)
        if (c <= 0x20 || c >= 0x7f) c = '?';
    return name;
}
}  // namespace

bool Symbols::read_elf(const std::string& bytes, u64 offset) {
    const Elf elf{bytes};
    if (!elf.usable()) return false;
    elf.functions([&](u64 address, u64 size, std::string name) {
        if (address) all_.push_back({address + offset, size, printable(std::move(name))});
    });
    return true;
}

// "ffffffff81000000 T _text", and in /proc/kallsyms perhaps the module's name behind it.
bool Symbols::read_map(const std::string& bytes, u64 offset) {
    std::istringstream in{bytes};
    for (std::string line; std::getline(in, line);) {
        std::istringstream words{line};
        u64 address;
        std::string type, name;
        if (!(words >> std::hex >> address >> type >> name) || type.size() != 1) return false;
        if (address && std::strchr("tTwW", type[0])) all_.push_back({address + offset, 0, printable(std::move(name))});
    }
    return true;
}

Result<void> Symbols::load(const std::string& path, u64 offset) {
    std::ifstream file{path, std::ios::binary};
    std::string bytes(1 << 16, '\0');
    size_t size = 0;
    while (file && size < kMostBytes) {
        if (bytes.size() - size < 1 << 16) bytes.resize(2 * bytes.size());
        file.read(bytes.data() + size, static_cast<std::streamsize>(bytes.size() - size));
        size += static_cast<size_t>(file.gcount());
    }
    if (!size) return Error{"cannot read the symbols '" + path + "': " + (errno ? std::strerror(errno) : "it is empty")};
    bytes.resize(size);
    const size_t before = all_.size();
    if (!read_elf(bytes, offset) && !read_map(bytes, offset)) {
        all_.resize(before);
        return Error{"'" + path + "' is neither an ELF file nor a list of symbols like System.map"};
    }
    if (all_.size() == before) return Error{"the symbols '" + path + "' name no function's address"};
    return {};
}

void Symbols::sort() {
    std::stable_sort(all_.begin(), all_.end(), [](const Symbol& a, const Symbol& b) { return a.address < b.address; });
}

std::optional<Symbols::Found> Symbols::find(u64 address) const {
    auto after = std::upper_bound(all_.begin(), all_.end(), address, [](u64 a, const Symbol& s) { return a < s.address; });
    if (after == all_.begin()) return {};
    auto at = after - 1;
    while (at != all_.begin() && (at - 1)->address == at->address) --at;   // of several names the first in the file
    const u64 offset = address - at->address;
    if (offset >= (at->size ? at->size : kUnknownSize)) return {};
    return Found{at->name, offset};
}
}  // namespace calque
