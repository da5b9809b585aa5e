// The kernel is entered at its 16-bit setup code, which every image has; the setup itself then goes to the 32- or
// 64-bit entry. So the kernel asks the firmware for its memory map, as it does behind any other boot loader.
#include "bios/linux_boot.h"

#include <algorithm>

#include "bios/bytes.h"
#include "bios/host_file.h"

namespace calque {
namespace {
// Header fields ("The Real-Mode Kernel Header")
constexpr u64 kSetupSects = 0x1f1, kSysSize = 0x1f4, kVidMode = 0x1fa, kBootFlag = 0x1fe, kMagic = 0x202,
              kVersion = 0x206, kTypeOfLoader = 0x210, kLoadFlags = 0x211, kRamdiskImage = 0x218,
              kRamdiskSize = 0x21c, kHeapEndPtr = 0x224, kCmdLinePtr = 0x228, kInitrdAddrMax = 0x22c,
              kCmdlineSize = 0x238, kPrefAddress = 0x258, kInitSize = 0x260, kHeaderEnd = 0x264;
constexpr u8 kLoadedHigh = 0x01, kCanUseHeap = 0x80;
constexpr u64 kOldCmdlineMagic = 0x20, kOldCmdlineOffset = 0x22;

struct Layout {
    u32 setup, kernel, cmdline;
};
constexpr Layout kBzImage{0x10000, 0x100000, 0x20000}, kZImage{0x90000, 0x10000, 0x99800};

std::string mib(u64 bytes) { return std::to_string((bytes + kMiB - 1) / kMiB) + " MiB"; }

class LinuxImage {
public:
    LinuxImage(const KernelImage& image, const KernelRequest& request) : image_{image}, request_{request} {}

    Result<void> check();
    Result<void> place_initrd();
    void fill_header();
    void emit(FwCfgItems& out) const;

private:
    u64 field(u64 offset, unsigned bytes) const { return peek(image_.bytes, offset, bytes); }
    bool since(u16 version) const { return version_ >= version; }
    Error bad(const std::string& why) const { return Error{"the kernel '" + image_.path + "' " + why}; }
    u64 kernel_end() const;
    u64 ram_top() const { return request_.low_ram - std::min(request_.low_ram, kFirmwareReserve); }
    u16 video_mode() const;

    const KernelImage& image_;
    const KernelRequest& request_;
    u16 version_ = 0;
    Layout layout_ = kBzImage;
    Bytes setup_, initrd_;
    u32 initrd_address_ = 0;
};

Result<void> LinuxImage::check() {
    const u64 size = image_.bytes.size();
    const u64 sects = field(kSetupSects, 1) ? field(kSetupSects, 1) : 4;
    const u64 setup_size = (sects + 1) * 512;
    version_ = static_cast<u16>(field(kVersion, 2));
    if (!since(0x0200)) return bad("uses a boot protocol older than 2.00");
    const bool high = since(0x0200) && (field(kLoadFlags, 1) & kLoadedHigh);
    layout_ = high ? kBzImage : kZImage;
    if (setup_size > layout_.cmdline - layout_.setup - 4 * kKiB)
        return bad("is damaged: its header says that the setup code has " + std::to_string(setup_size) + " bytes");
    const u64 sys_size = field(kSysSize, since(0x0204) ? 4 : 2) * 16;
    // syssize counts paragraphs: up to 15 bytes of the last one need not be in the file.
    if (size <= setup_size || size + 15 < setup_size + sys_size)
        return bad("is truncated: it has " + std::to_string(size) + " bytes, its header says " +
                   std::to_string(setup_size + sys_size));
    if (!high && size - setup_size > 0x80000) return bad("is damaged: a zImage has at most 512 KiB");
    setup_.assign(image_.bytes.begin(), image_.bytes.begin() + static_cast<std::ptrdiff_t>(setup_size));
    setup_.resize(std::max<size_t>(setup_size, kHeaderEnd));

    const u64 longest = since(0x0206) ? field(kCmdlineSize, 4) : 255;
    const u64 room = high ? 0x8000 : 0x7ff;
    if (request_.cmdline.size() > std::min(longest, room))
        return bad("takes a command line of at most " + std::to_string(std::min(longest, room)) + " characters; --append has " +
                   std::to_string(request_.cmdline.size()));
    if (kernel_end() > ram_top())
        return bad("needs " + mib(kernel_end() + kFirmwareReserve) + " of memory; there are " + mib(request_.low_ram) +
                   " below 4 GiB (see --memory)");
    return {};
}

// Where the kernel's own memory ends: the loaded file, and the place it unpacks itself to.
u64 LinuxImage::kernel_end() const {
    const u64 loaded = layout_.kernel + (image_.bytes.size() - std::min<u64>(setup_.size(), image_.bytes.size()));
    if (!since(0x020a) || field(kInitSize, 4) == 0) return loaded;
    const u64 start = std::max<u64>(layout_.kernel, std::min<u64>(field(kPrefAddress, 8), 4 * kGiB));
    return std::max(loaded, start + field(kInitSize, 4));
}

Result<void> LinuxImage::place_initrd() {
    if (request_.initrd.empty()) return {};
    const u64 highest = std::min(since(0x0203) ? field(kInitrdAddrMax, 4) + 1 : u64{0x38000000}, ram_top());
    const u64 lowest = std::max<u64>(kernel_end(), kMiB);
    const u64 room = highest > lowest ? highest - lowest : 0;
    auto file = read_host_file(request_.initrd, "initrd", 4 * kGiB);
    if (!file) return file.error();
    if (file->empty()) return Error{"the initrd '" + request_.initrd + "' is empty"};
    const u64 address = (highest - std::min<u64>(highest, file->size())) & ~u64{0xfff};
    if (file->size() > room || address < lowest)
        return Error{"the initrd '" + request_.initrd + "' has " + mib(file->size()) + ", but only " + mib(room) +
                     " of memory are free beside the kernel (see --memory)"};
    initrd_ = std::move(*file);
    initrd_address_ = static_cast<u32>(address);
    return {};
}

// "vga=" on the command line is the boot loader's business.
u16 LinuxImage::video_mode() const {
    const std::string text = " " + request_.cmdline;
    const size_t at = text.rfind(" vga=");
    if (at == std::string::npos) return static_cast<u16>(field(kVidMode, 2));
    const std::string value = text.substr(at + 5, text.find(' ', at + 5) - at - 5);
    if (value == "normal") return 0xffff;
    if (value == "ext") return 0xfffe;
    if (value == "ask") return 0xfffd;
    return static_cast<u16>(std::strtoul(value.c_str(), nullptr, 0));
}

void LinuxImage::fill_header() {
    poke(setup_, kTypeOfLoader, 0xff, 1);  // no assigned number
    poke(setup_, kVidMode, video_mode(), 2);
    if (since(0x0201)) {
        // The stack starts 16 bytes below the command line; the heap ends 512 bytes below that.
        poke(setup_, kHeapEndPtr, layout_.cmdline - layout_.setup - 16 - 0x200, 2);
        setup_[kLoadFlags] |= kCanUseHeap;
    }
    if (since(0x0202)) {
        poke(setup_, kCmdLinePtr, layout_.cmdline, 4);
    } else {
        poke(setup_, kOldCmdlineMagic, 0xa33f, 2);
        poke(setup_, kOldCmdlineOffset, layout_.cmdline - layout_.setup, 2);
    }
    poke(setup_, kRamdiskImage, initrd_address_, 4);
    poke(setup_, kRamdiskSize, initrd_.size(), 4);
}

void LinuxImage::emit(FwCfgItems& out) const {
    using namespace fw_cfg_key;
    const size_t setup_size = std::min(setup_.size(), image_.bytes.size());
    out.number(setup_address, layout_.setup, 4);
    out.number(fw_cfg_key::setup_size, setup_.size(), 4);
    out.items[setup_data] = setup_;
    out.number(kernel_address, layout_.kernel, 4);
    out.number(kernel_size, image_.bytes.size() - setup_size, 4);
    out.items[kernel_data] = Bytes(image_.bytes.begin() + static_cast<std::ptrdiff_t>(setup_size), image_.bytes.end());
    out.number(cmdline_address, layout_.cmdline, 4);
    out.number(cmdline_size, request_.cmdline.size() + 1, 4);
    out.text(cmdline_data, request_.cmdline);
    out.number(initrd_address, initrd_address_, 4);
    out.number(initrd_size, initrd_.size(), 4);
    out.items[initrd_data] = initrd_;
}
}  // namespace

bool is_linux(std::span<const u8> file) {
    return file.size() > kVersion + 2 && peek(file, kBootFlag, 2) == 0xaa55 && peek(file, kMagic, 4) == 0x53726448;
}

Result<void> add_linux(FwCfgItems& out, const KernelImage& image, const KernelRequest& request) {
    LinuxImage linux_image{image, request};
    if (auto r = linux_image.check(); !r) return r;
    if (auto r = linux_image.place_initrd(); !r) return r;
    linux_image.fill_header();
    linux_image.emit(out);
    return {};
}
}  // namespace calque
