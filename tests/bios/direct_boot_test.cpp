#include "bios/direct_boot.h"

#include <doctest/doctest.h>

#include "bios/bytes.h"
#include "bios/elf.h"
#include "bios/linux_boot.h"
#include "bios/multiboot.h"
#include "temp_file.h"

using namespace calque;

namespace {
Bytes bzimage(size_t kernel_bytes = 4096, u16 version = 0x020f) {
    Bytes b(5 * 512 + kernel_bytes);
    for (size_t i = 5 * 512; i < b.size(); ++i) b[i] = static_cast<u8>(i);
    poke(b, 0x1f1, 4, 1), poke(b, 0x1f4, kernel_bytes / 16, 4), poke(b, 0x1fe, 0xaa55, 2);
    poke(b, 0x202, 0x53726448, 4), poke(b, 0x206, version, 2), poke(b, 0x211, 1, 1);
    poke(b, 0x22c, 0x7fffffff, 4), poke(b, 0x238, 2047, 4);
    poke(b, 0x258, 16 * kMiB, 8), poke(b, 0x260, 4 * kMiB, 4);
    return b;
}
Bytes flat_multiboot() {
    Bytes b(4096);
    const u32 flags = 1 << 16 | 3;
    poke(b, 64, 0x1badb002, 4), poke(b, 68, flags, 4), poke(b, 72, -(0x1badb002u + flags), 4);
    poke(b, 76, 0x100040, 4), poke(b, 80, 0x100000, 4), poke(b, 84, 0, 4), poke(b, 88, 0x102000, 4), poke(b, 92, 0x100080, 4);
    return b;
}
Bytes elf_multiboot() {
    Bytes b(8192);
    poke(b, 0, 0x464c457f, 4), poke(b, 4, 1, 1), poke(b, 5, 1, 1), poke(b, 6, 1, 1);
    poke(b, 16, 2, 2), poke(b, 18, 3, 2), poke(b, 24, 0xc0100010, 4), poke(b, 28, 52, 4);
    poke(b, 42, 32, 2), poke(b, 44, 1, 2);
    poke(b, 52, 1, 4), poke(b, 56, 4096, 4), poke(b, 60, 0xc0100000, 4), poke(b, 64, 0x100000, 4);
    poke(b, 68, 4096, 4), poke(b, 72, 16384, 4);
    poke(b, 128, 0x1badb002, 4), poke(b, 136, -0x1badb002u, 4);
    return b;
}
struct Try {
    FwCfgItems items;
    std::vector<std::string> paths{"/old"};
    std::string error;
    Try(const Bytes& kernel, const std::string& initrd, const std::string& cmdline, u64 ram = 64 * kMiB) {
        TempFile file{kernel};
        const auto r = add_kernel(items, {file.path, initrd, cmdline, ram}, paths);
        if (!r) {
            error = r.error().message;
            CHECK(error.find(initrd.empty() ? file.path : "/tmp") != std::string::npos);
        }
    }
    bool says(const std::string& part) const { return error.find(part) != std::string::npos; }
    u64 number(u16 key) const { return peek(items.items.at(key), 0, 4); }
};
}  // namespace

TEST_CASE("Linux: everything is where the boot protocol wants it") {
    const Bytes kernel = bzimage();
    TempFile initrd{Bytes(10000, 7)};
    const Try t{kernel, initrd.path, "quiet vga=0x314"};
    REQUIRE(t.error.empty());
    CHECK(t.paths == std::vector<std::string>{"/rom@genroms/calque-linux.rom", "/old"});
    CHECK(t.number(fw_cfg_key::setup_address) == 0x10000);
    CHECK(t.number(fw_cfg_key::setup_size) == 5 * 512);
    CHECK(t.number(fw_cfg_key::kernel_address) == 0x100000);
    CHECK(t.number(fw_cfg_key::kernel_size) == 4096);
    CHECK(t.items.items.at(fw_cfg_key::kernel_data) == Bytes(kernel.begin() + 5 * 512, kernel.end()));
    // As high as RAM allows, below what the firmware keeps, on a page border.
    const u64 at = t.number(fw_cfg_key::initrd_address);
    CHECK(at == ((64 * kMiB - kFirmwareReserve - 10000) & ~0xfffull));
    const Bytes& setup = t.items.items.at(fw_cfg_key::setup_data);
    CHECK(peek(setup, 0x210, 1) == 0xff);
    CHECK(peek(setup, 0x211, 1) == 0x81);
    CHECK(peek(setup, 0x218, 4) == at);
    CHECK(peek(setup, 0x21c, 4) == 10000);
    CHECK(peek(setup, 0x224, 2) == 0xfdf0);
    CHECK(peek(setup, 0x228, 4) == 0x20000);
    CHECK(peek(setup, 0x1fa, 2) == 0x314);
    CHECK(t.items.items.at(fw_cfg_key::cmdline_data).size() == t.number(fw_cfg_key::cmdline_size));
    const Bytes& rom = t.items.files.at("genroms/calque-linux.rom");
    CHECK(peek(rom, 0, 2) == 0xaa55);
    CHECK(rom.size() == rom[2] * 512u);
    CHECK(checksum(rom) == 0);
}

TEST_CASE("Linux: initrd_addr_max is respected") {
    Bytes kernel = bzimage();
    poke(kernel, 0x22c, 0x37fffff, 4);  // 56 MiB - 1
    TempFile initrd{Bytes(4096, 7)};
    const Try t{kernel, initrd.path, ""};
    CHECK(t.number(fw_cfg_key::initrd_address) == 56 * kMiB - 4096);
}

TEST_CASE("Linux: protocol 2.01 and zImage") {
    Bytes kernel = bzimage(4096, 0x0201);
    poke(kernel, 0x211, 0, 1);
    const Try t{kernel, "", "a=b"};
    REQUIRE(t.error.empty());
    CHECK(t.number(fw_cfg_key::setup_address) == 0x90000);
    CHECK(t.number(fw_cfg_key::kernel_address) == 0x10000);
    const Bytes& setup = t.items.items.at(fw_cfg_key::setup_data);
    CHECK(peek(setup, 0x20, 2) == 0xa33f);
    CHECK(peek(setup, 0x22, 2) + 0x90000 == t.number(fw_cfg_key::cmdline_address));
    CHECK(Try{bzimage(4096, 0x0201), "", std::string(256, 'x')}.says("255"));
}

TEST_CASE("Linux: damaged files and impossible wishes are refused in a sentence") {
    Bytes cut = bzimage(65536);
    cut.resize(40000);
    CHECK(Try{cut, "", ""}.says("truncated"));
    cut.resize(0x210);
    CHECK(Try{cut, "", ""}.says("truncated"));
    cut.resize(100);
    CHECK(Try{cut, "", ""}.says("truncated"));
    CHECK(Try{Bytes{}, "", ""}.says("neither"));
    CHECK(Try{Bytes(70000, 0x5a), "", ""}.says("neither"));
    Bytes big = bzimage();
    poke(big, 0x1f1, 255, 1);
    CHECK(Try{big, "", ""}.says("setup"));
    CHECK(Try{bzimage(), "", std::string(2048, 'x')}.says("2047"));
    CHECK(Try{bzimage(), "", "", 18 * kMiB}.says("--memory"));
    CHECK(Try{bzimage(), "", "", kMiB}.says("--memory"));
    Bytes greedy = bzimage();
    poke(greedy, 0x260, 0xffffffff, 4), poke(greedy, 0x258, ~0ull, 8);
    CHECK(Try{greedy, "", ""}.says("--memory"));
    TempFile large{Bytes(50 * kMiB)}, empty{Bytes{}};
    CHECK(Try{bzimage(), large.path, ""}.says("50 MiB"));
    CHECK(Try{bzimage(), empty.path, ""}.says("empty"));
    CHECK(Try{bzimage(), "/tmp", ""}.says("directory"));
    CHECK(Try{bzimage(), "/tmp/not-there", ""}.says("not-there"));
    Bytes old = bzimage(4096, 0x0105);
    CHECK(Try{old, "", ""}.says("2.00"));
}

TEST_CASE("Linux: any prefix and any header byte of an image is handled") {
    const Bytes good = bzimage(600);
    for (size_t n = 0; n < good.size(); n += 7) Try{Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)), "", "x"};
    for (size_t at = 0x1f0; at < 0x264; ++at) {
        Bytes b = good;
        b[at] = 0xff;
        Try{b, "", "x"};
    }
}

TEST_CASE("Multiboot: a flat image, its bss, its modules and the information block") {
    TempFile one{Bytes(5000, 1)}, two{Bytes(100, 2)};
    const Try t{flat_multiboot(), one.path + " first arg," + two.path, "-v"};
    REQUIRE(t.error.empty());
    CHECK(t.paths.front() == "/rom@genroms/calque-multiboot.rom");
    CHECK(t.number(fw_cfg_key::kernel_entry) == 0x100080);
    const Bytes& block = t.items.items.at(fw_cfg_key::setup_data);
    const u64 base = t.number(fw_cfg_key::setup_address);
    CHECK(base == 0x10000);
    const u32 flags = static_cast<u32>(peek(block, 0, 4));
    CHECK(flags == (1 << 2 | 1 << 3 | 1 << 9));
    const auto text = [&](u64 pointer) { return std::string{reinterpret_cast<const char*>(&block.at(pointer - base))}; };
    CHECK(text(peek(block, 16, 4)).ends_with(" -v"));
    CHECK(text(peek(block, 64, 4)) == "Calque");
    REQUIRE(peek(block, 20, 4) == 2);
    const u64 mods = peek(block, 24, 4) - base;
    CHECK(peek(block, mods, 4) == 0x102000);
    CHECK(peek(block, mods + 4, 4) == 0x102000 + 5000);
    CHECK(text(peek(block, mods + 8, 4)) == one.path + " first arg");
    CHECK(peek(block, mods + 16, 4) == 0x104000);
    const u64 parts = peek(block, 128, 2);
    REQUIRE(peek(block, 130, 2) == 3);
    CHECK(peek(block, parts, 4) == 0x100000);
    CHECK(peek(block, parts + 4, 4) == 4096 - 0);
    CHECK(peek(block, parts + 8, 4) == 0x2000);
    CHECK(t.items.items.at(fw_cfg_key::kernel_data).size() == 4096 + 5000 + 100);
    CHECK(checksum(t.items.files.at("genroms/calque-multiboot.rom")) == 0);
}

TEST_CASE("Multiboot: ELF segments go to physical addresses, and the entry with them") {
    const Try t{elf_multiboot(), "", ""};
    REQUIRE(t.error.empty());
    CHECK(t.number(fw_cfg_key::kernel_entry) == 0x100010);
    const Bytes& block = t.items.items.at(fw_cfg_key::setup_data);
    const u64 parts = peek(block, 128, 2);
    CHECK(peek(block, parts, 4) == 0x100000);
    CHECK(peek(block, parts + 4, 4) == 4096);
    CHECK(peek(block, parts + 8, 4) == 16384);
}

TEST_CASE("Multiboot: damaged files are refused in a sentence") {
    const auto flat = [](size_t at, u32 value) {
        Bytes b = flat_multiboot();
        poke(b, at, value, 4);
        return Try{b, "", ""};
    };
    CHECK(flat(84, 0x200000).says("truncated"));
    CHECK(flat(84, 0x1000).says("damaged"));
    CHECK(flat(80, 0x200000).says("damaged"));
    CHECK(flat(80, 0x1000).says("damaged"));
    CHECK(flat(88, 0xfffffff0).says("not free memory"));
    CHECK(flat(92, 0x90000).says("entry"));
    const auto elf = [](size_t at, u32 value) {
        Bytes b = elf_multiboot();
        poke(b, at, value, 4);
        return Try{b, "", ""};
    };
    CHECK(elf(56, 8000).says("truncated"));
    CHECK(elf(28, 0xffffffff).says("program headers"));
    CHECK(elf(72, 100).says("damaged"));
    CHECK(elf(72, 0xf0000000).says("not free memory"));
    CHECK(elf(64, 0).says("not free memory"));
    CHECK(elf(64, 0xa0000).says("not free memory"));
    CHECK(elf(52, 2).says("no program segment"));
    Bytes wants = elf_multiboot();
    poke(wants, 132, 0x100, 4), poke(wants, 136, -(0x1badb002u + 0x100), 4);
    CHECK(Try{wants, "", ""}.says("features"));
    Bytes neither = elf_multiboot();
    poke(neither, 0, 0, 4);
    CHECK(Try{neither, "", ""}.says("neither"));
    CHECK(Try{flat_multiboot(), "/tmp/not-there", ""}.says("not-there"));
    TempFile large{Bytes(70 * kMiB)}, fits_not{Bytes(63 * kMiB)};
    CHECK(Try{flat_multiboot(), large.path, ""}.says("fit"));
    CHECK(Try{flat_multiboot(), fits_not.path, ""}.says("--memory"));
}

TEST_CASE("Multiboot: any prefix and any byte of a small ELF image is handled") {
    const Bytes good = elf_multiboot();
    for (size_t n = 0; n < 300; ++n) Try{Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)), "", ""};
    for (size_t at = 0; at < 84; ++at)
        for (const u8 v : {0x00, 0x7f, 0xff}) {
            Bytes b = good;
            b[at] = v;
            Try{b, "", ""};
        }
}

TEST_CASE("Multiboot: module lists split at commas, and doubled commas stand for one") {
    CHECK(split_modules("") == std::vector<std::string>{});
    CHECK(split_modules("a b,c") == std::vector<std::string>{"a b", "c"});
    CHECK(split_modules("a,,b,") == std::vector<std::string>{"a,b"});
}
