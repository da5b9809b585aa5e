#include "bios/elf.h"

#include "bios/bytes.h"

namespace calque {
namespace {
constexpr u64 kMachine386 = 3, kMachineX86_64 = 62, kPtLoad = 1, kShtNull = 0, kShtNobits = 8, kShfAlloc = 2;

// Fields stand at other places in ELF64, and addresses are wider.
class Reader {
public:
    Reader(std::span<const u8> file, bool wide) : file_{file}, wide_{wide} {}
    u64 half(u64 at32, u64 at64) const { return peek(file_, wide_ ? at64 : at32, 2); }
    u64 word(u64 at32, u64 at64) const { return peek(file_, wide_ ? at64 : at32, 4); }
    u64 address(u64 at32, u64 at64) const { return peek(file_, wide_ ? at64 : at32, wide_ ? 8 : 4); }
    /// A table of `count` entries of `size` bytes; empty if it is not inside the file.
    std::span<const u8> table(u64 offset, u64 count, u64 size) const {
        if (offset > file_.size() || count * size > file_.size() - offset) return {};
        return file_.subspan(offset, count * size);
    }
    bool inside(u64 offset, u64 size) const { return offset <= file_.size() && size <= file_.size() - offset; }

private:
    std::span<const u8> file_;
    bool wide_;
};

Result<void> read_segments(ElfImage& image, const Reader& file, std::span<const u8> table, u64 count, u64 size) {
    const u64 entry = image.entry;
    for (u64 i = 0; i < count; ++i) {
        const Reader p{table.subspan(i * size, size), image.wide};
        if (p.word(0, 0) != kPtLoad) continue;
        const ElfSegment s{p.address(4, 8), p.address(16, 32), p.address(12, 24), p.address(20, 40)};
        const u64 virtual_address = p.address(8, 16);
        if (s.size == 0) continue;
        if (!file.inside(s.file_offset, s.file_size)) return Error{"is truncated: a program segment ends behind its end"};
        if (s.file_size > s.size) return Error{"is damaged: a program segment is larger in the file than in memory"};
        if (entry >= virtual_address && entry - virtual_address < s.size && virtual_address != s.address)
            image.entry = entry - virtual_address + s.address;
        image.segments.push_back(s);
    }
    if (image.segments.empty()) return Error{"has no program segment to load"};
    return {};
}

// Section headers serve debuggers only: whatever is wrong with them makes us leave them out.
void read_sections(ElfImage& image, const Reader& file, const Reader& header) {
    const u64 size = header.half(46, 58), count = header.half(48, 60);
    if (size < (image.wide ? 64u : 40u)) return;
    const auto table = file.table(header.address(32, 40), count, size);
    if (table.empty()) return;
    for (u64 i = 0; i < count; ++i) {
        const Reader s{table.subspan(i * size, size), image.wide};
        const u64 type = s.word(4, 4);
        ElfSection section{s.address(16, 24), s.address(20, 32), s.address(32, 48),
                           (s.address(8, 8) & kShfAlloc) != 0, type != kShtNull && type != kShtNobits};
        if (section.in_file && !file.inside(section.file_offset, section.size)) section.in_file = false;
        image.sections.push_back(section);
    }
    image.section_headers.assign(table.begin(), table.end());
    image.section_header_size = static_cast<u32>(size);
    image.section_names = static_cast<u32>(header.half(50, 62));
}
}  // namespace

bool is_elf(std::span<const u8> file) { return peek(file, 0, 4) == 0x464c457f; }

Result<ElfImage> parse_elf(std::span<const u8> file) {
    ElfImage image;
    image.wide = peek(file, 4, 1) == 2;
    const Reader r{file, image.wide};
    if (file.size() < (image.wide ? 64u : 52u)) return Error{"is truncated: it ends inside its ELF header"};
    if (peek(file, 5, 1) != 1) return Error{"is not for this machine: its ELF header says big-endian"};
    const u64 machine = r.half(18, 18);
    if (machine != kMachine386 && machine != kMachineX86_64)
        return Error{"is not for this machine: its ELF header says machine type " + std::to_string(machine)};
    if (r.half(16, 16) != 2) return Error{"is no executable: its ELF type is " + std::to_string(r.half(16, 16))};
    image.entry = r.address(24, 24);
    const u64 size = r.half(42, 54), count = r.half(44, 56);
    const auto table = r.table(r.address(28, 32), count, size);
    if (size < (image.wide ? 56u : 32u) || table.empty()) return Error{"is truncated or damaged: its program headers are not in it"};
    if (auto done = read_segments(image, r, table, count, size); !done) return done.error();
    read_sections(image, r, r);
    return image;
}
}  // namespace calque
