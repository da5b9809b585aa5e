#include "bios/multiboot.h"

#include <algorithm>
#include <optional>

#include "bios/bytes.h"
#include "bios/elf.h"
#include "bios/host_file.h"

namespace calque {
namespace {
constexpr u32 kHeaderMagic = 0x1badb002;
constexpr u64 kHeaderSearch = 8192, kPage = 4096;
// "Header magic fields"
constexpr u32 kWantsVideo = 1 << 2, kRequired = 0xffff, kKnownRequired = 7, kHasAddresses = 1 << 16;
// "Boot information format"
constexpr u32 kInfoCmdline = 1 << 2, kInfoModules = 1 << 3, kInfoSections = 1 << 5, kInfoLoaderName = 1 << 9;
// The information block lies in low memory; the numbers agree with bios/optionrom/multiboot.asm.
constexpr u64 kBlockLowest = 0x8000, kBlockHighest = 0x9a000, kBlockMost = 0xf000;
constexpr size_t kParameters = 128, kAfterParameters = 160, kMapEntries = 64;

std::optional<u64> find_header(std::span<const u8> file) {
    for (u64 at = 0; at + 12 <= std::min<u64>(file.size(), kHeaderSearch); at += 4) {
        const u32 flags = static_cast<u32>(peek(file, at + 4, 4));
        if (peek(file, at, 4) == kHeaderMagic && static_cast<u32>(kHeaderMagic + flags + peek(file, at + 8, 4)) == 0) return at;
    }
    return {};
}

struct Part {  // something to load
    u64 address, size;
    std::span<const u8> bytes;
};
struct Module {
    u64 start, end;
    std::string cmdline;
};

class MultibootImage {
public:
    MultibootImage(const KernelImage& image, const KernelRequest& request) : image_{image}, request_{request} {}
    Result<void> read_kernel();
    Result<void> place_sections();
    Result<void> place_modules();
    Result<void> build_block();
    void emit(FwCfgItems& out) const;

private:
    Error bad(const std::string& why) const { return Error{"the kernel '" + image_.path + "' " + why}; }
    u64 field(u64 offset) const { return peek(image_.bytes, header_ + offset, 4); }
    Result<void> read_flat();
    Result<void> read_elf();
    Result<void> check_places() const;
    Result<u64> place(u64 size, const std::string& what);
    bool is_free(u64 start, u64 size) const;
    void add_parameters();

    const KernelImage& image_;
    const KernelRequest& request_;
    u64 header_ = 0, entry_ = 0, next_ = kMiB;
    u32 flags_ = 0;
    ElfImage elf_;
    std::vector<Part> parts_;
    std::vector<Module> modules_;
    std::vector<Bytes> owned_;  // what parts_ of modules and section headers point to
    u32 sections_at_ = 0;
    Bytes block_;
    u64 block_at_ = 0;
};

Result<void> MultibootImage::read_kernel() {
    header_ = *find_header(image_.bytes);
    flags_ = static_cast<u32>(field(4));
    if (flags_ & kRequired & ~kKnownRequired)
        return bad("asks in its Multiboot header for features that do not exist here (flags " + std::to_string(flags_) + ")");
    if (auto r = flags_ & kHasAddresses ? read_flat() : read_elf(); !r) return r;
    return check_places();
}

// "The address fields of Multiboot header"
Result<void> MultibootImage::read_flat() {
    const u64 header_addr = field(12), load = field(16), load_end = field(20), bss_end = field(24);
    entry_ = field(28);
    const u64 size = image_.bytes.size();
    if (size < header_ + 32) return bad("is truncated: it ends inside its Multiboot header");
    if (load > header_addr || header_addr - load > header_)
        return bad("is damaged: its Multiboot header loads bytes from before its start");
    const u64 start = header_ - (header_addr - load);
    const u64 length = load_end ? load_end - load : size - start;
    if (load_end && load_end < load) return bad("is damaged: its Multiboot header ends loading before it starts");
    if (length > size - start) return bad("is truncated: its Multiboot header loads " + std::to_string(length) + " bytes, and only " +
                                          std::to_string(size - start) + " are there");
    const u64 end = std::max(load + length, bss_end);
    parts_.push_back({load, end - load, std::span{image_.bytes}.subspan(start, length)});
    return {};
}

Result<void> MultibootImage::read_elf() {
    if (!is_elf(image_.bytes)) return bad("is neither an ELF file nor does its Multiboot header say where to load it");
    auto elf = parse_elf(image_.bytes);
    if (!elf) return bad(elf.error().message);
    elf_ = std::move(*elf);
    entry_ = elf_.entry;
    for (const ElfSegment& s : elf_.segments)
        parts_.push_back({s.address, s.size, std::span{image_.bytes}.subspan(s.file_offset, s.file_size)});
    return {};
}

Result<void> MultibootImage::check_places() const {
    const u64 top = request_.low_ram - std::min(request_.low_ram, kFirmwareReserve);
    bool entry_inside = false;
    for (const Part& p : parts_) {
        const bool low = p.address >= kBlockLowest && p.address < kBlockHighest && p.size <= kBlockHighest - p.address;
        const bool high = p.address >= kMiB && p.address <= top && p.size <= top - p.address;
        if (!low && !high)
            return bad("wants to be loaded at " + std::to_string(p.address) + ", " + std::to_string(p.size) +
                       " bytes: that is not free memory (see --memory)");
        entry_inside |= entry_ >= p.address && entry_ - p.address < p.size;
    }
    if (!entry_inside) return bad("is damaged: its entry point is outside of what is loaded");
    return {};
}

bool MultibootImage::is_free(u64 start, u64 size) const {
    return std::none_of(parts_.begin(), parts_.end(),
                        [&](const Part& p) { return start < p.address + p.size && p.address < start + size; });
}

// Page by page upwards, behind the kernel and whatever came before.
Result<u64> MultibootImage::place(u64 size, const std::string& what) {
    for (const Part& p : parts_) next_ = std::max(next_, (p.address + p.size + kPage - 1) & ~(kPage - 1));
    const u64 top = request_.low_ram - std::min(request_.low_ram, kFirmwareReserve);
    if (next_ > top || size > top - next_)
        return Error{what + " has " + std::to_string(size) + " bytes, and there is not so much memory left behind the kernel (see --memory)"};
    const u64 at = next_;
    next_ = (next_ + size + kPage - 1) & ~(kPage - 1);
    return at;
}

// Section headers and the sections that no segment loads (symbols, strings), with their addresses filled in.
Result<void> MultibootImage::place_sections() {
    if (elf_.section_headers.empty()) return {};
    for (size_t i = 0; i < elf_.sections.size(); ++i) {
        const ElfSection& s = elf_.sections[i];
        if (s.allocated || !s.in_file || s.size == 0) continue;
        auto at = place(s.size, "a section of '" + image_.path + "'");
        if (!at) return at.error();
        parts_.push_back({*at, s.size, std::span{image_.bytes}.subspan(s.file_offset, s.size)});
        poke(elf_.section_headers, i * elf_.section_header_size + (elf_.wide ? 16 : 12), *at, elf_.wide ? 8 : 4);
    }
    auto at = place(elf_.section_headers.size(), "the section header table of '" + image_.path + "'");
    if (!at) return at.error();
    sections_at_ = static_cast<u32>(*at);
    parts_.push_back({*at, elf_.section_headers.size(), elf_.section_headers});
    return {};
}

Result<void> MultibootImage::place_modules() {
    for (const std::string& text : split_modules(request_.initrd)) {
        const std::string name = text.substr(0, text.find(' '));
        auto bytes = read_host_file(name, "module", request_.low_ram);
        if (!bytes) return bytes.error();
        auto at = place(bytes->size(), "the module '" + name + "'");
        if (!at) return at.error();
        modules_.push_back({*at, *at + bytes->size(), text});
        owned_.push_back(std::move(*bytes));
        parts_.push_back({*at, owned_.back().size(), owned_.back()});
    }
    return {};
}

Result<void> MultibootImage::build_block() {
    const std::string cmdline = request_.cmdline.empty() ? image_.path : image_.path + " " + request_.cmdline;
    u64 need = kAfterParameters + kMapEntries * 24 + 24 + 512 + 256 + 64 + cmdline.size() + parts_.size() * 12;
    for (const Module& m : modules_) need += 16 + m.cmdline.size() + 1;
    if (need > kBlockMost) return bad("has too many parts, modules or command line characters for the information block");
    for (block_at_ = 0x10000; !is_free(block_at_, need);) {
        block_at_ += kPage;
        if (block_at_ + need > kBlockHighest) return bad("leaves no room below 640 KiB for the Multiboot information");
    }

    Bytes& b = block_;
    b.resize(kAfterParameters);
    const auto address = [&] { return block_at_ + b.size(); };
    const auto string = [&](std::string_view s) {
        const u64 at = address();
        put(b, s), put(b, 0, 1);
        return at;
    };
    const u64 line_at = string(cmdline), name_at = string("Calque");   // they move b's bytes, so first
    poke(b, 16, line_at, 4);
    poke(b, 64, name_at, 4);
    std::vector<u64> names;
    for (const Module& m : modules_) names.push_back(string(m.cmdline));
    align(b, 4);
    poke(b, 20, modules_.size(), 4), poke(b, 24, address(), 4);
    for (size_t i = 0; i < modules_.size(); ++i)
        put(b, modules_[i].start, 4), put(b, modules_[i].end, 4), put(b, names[i], 4), put(b, 0, 4);
    u32 info = kInfoCmdline | kInfoModules | kInfoLoaderName;
    if (sections_at_) {
        info |= kInfoSections;
        poke(b, 28, elf_.sections.size(), 4), poke(b, 32, elf_.section_header_size, 4);
        poke(b, 36, sections_at_, 4), poke(b, 40, elf_.section_names, 4);
    }
    poke(b, 0, info, 4);
    add_parameters();
    return {};
}

// What the option ROM wants to know; it finds room for its answers here too.
void MultibootImage::add_parameters() {
    Bytes& b = block_;
    const auto parameter = [&](unsigned index, u64 value) { poke(b, kParameters + 2 * index, value, 2); };
    parameter(0, b.size()), parameter(1, parts_.size());
    for (const Part& p : parts_) put(b, p.address, 4), put(b, p.bytes.size(), 4), put(b, p.size, 4);
    parameter(2, b.size()), parameter(3, kMapEntries);
    b.resize(b.size() + kMapEntries * 24 + 24);
    parameter(4, b.size());
    b.resize(b.size() + 512);
    parameter(5, b.size());
    b.resize(b.size() + 256);
    if (!(flags_ & kWantsVideo) || field(32) != 0) return;  // mode_type 1: text
    const auto wish = [&](u64 offset, u64 otherwise) { return field(offset) ? std::min<u64>(field(offset), 0xffff) : otherwise; };
    parameter(6, 1), parameter(7, wish(36, 1024)), parameter(8, wish(40, 768)), parameter(9, wish(44, 32));
}

void MultibootImage::emit(FwCfgItems& out) const {
    using namespace fw_cfg_key;
    Bytes data;
    for (const Part& p : parts_) put(data, p.bytes);
    out.items[kernel_data] = std::move(data);
    out.number(kernel_entry, entry_, 4);
    out.number(setup_address, block_at_, 4);
    out.number(setup_size, block_.size(), 4);
    out.items[setup_data] = block_;
}
}  // namespace

bool is_multiboot(std::span<const u8> file) { return find_header(file).has_value(); }

std::vector<std::string> split_modules(const std::string& text) {
    std::vector<std::string> out;
    if (text.empty()) return out;
    out.emplace_back();
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != ',') out.back() += text[i];
        else if (i + 1 < text.size() && text[i + 1] == ',') out.back() += ',', ++i;
        else out.emplace_back();
    }
    std::erase(out, std::string{});
    return out;
}

Result<void> add_multiboot(FwCfgItems& out, const KernelImage& image, const KernelRequest& request) {
    MultibootImage m{image, request};
    if (auto r = m.read_kernel(); !r) return r;
    if (auto r = m.place_sections(); !r) return r;
    if (auto r = m.place_modules(); !r) return r;
    if (auto r = m.build_block(); !r) return r;
    m.emit(out);
    return {};
}
}  // namespace calque
