#include "bios/rom_search.h"

#include <doctest/doctest.h>

#include "bios/bytes.h"
#include "temp_file.h"

using namespace calque;

namespace {
bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
Bytes bios() {
    Bytes b(128 * kKiB);
    b[b.size() - 16] = 0xea;
    return b;
}
Bytes option_rom() {
    Bytes b(1024);
    b[0] = 0x55, b[1] = 0xaa, b[2] = 2;
    b[1023] = checksum(b);
    return b;
}
template <class R>
std::string why(const R& r) {
    REQUIRE_FALSE(r.has_value());
    return r.error().message;
}
}  // namespace

TEST_CASE("ROM files: good ones load, bad ones are named with the reason") {
    TempFile good{bios()}, rom{option_rom()};
    CHECK(load_system_bios(good.path)->bytes.size() == 128 * kKiB);
    CHECK(load_vga_bios(rom.path)->bytes.size() == 1024);

    Bytes b = bios();
    b.resize(100000);
    TempFile cut{b}, zeros{Bytes(128 * kKiB)}, empty{Bytes{}};
    CHECK(says(why(load_system_bios(cut.path)), cut.path));
    CHECK(says(why(load_system_bios(cut.path)), "truncated"));
    CHECK(says(why(load_system_bios(zeros.path)), "reset vector"));
    CHECK(says(why(load_system_bios(empty.path)), "no BIOS image"));
    CHECK(says(why(load_system_bios("/nowhere/at-all")), "/nowhere/at-all"));
    CHECK(says(why(load_system_bios("/tmp")), "directory"));
    CHECK(says(why(load_system_bios("/dev/null")), "regular"));

    Bytes r = option_rom();
    r.resize(700);
    TempFile short_rom{r};
    CHECK(says(why(load_vga_bios(short_rom.path)), "truncated"));
    r = option_rom(), r[100] = 1;
    TempFile damaged{r};
    CHECK(says(why(load_vga_bios(damaged.path)), "checksum"));
    CHECK(says(why(load_vga_bios(good.path)), "55 AA"));
}

TEST_CASE("ROM search: says where it looked and what to install") {
    const auto none = find_system_bios("", {"/nowhere"});
    CHECK(says(why(none), "/nowhere"));
    CHECK(says(why(none), "seabios"));
    CHECK(says(why(find_vga_bios("", {"/nowhere"})), "--vgabios"));
}

TEST_CASE("ROM search: the manifest's ROMs are valid where they are installed") {
    if (::access("/usr/share/seabios/bios-256k.bin", R_OK) != 0) return;
    CHECK(find_system_bios("")->bytes.size() == 256 * kKiB);
    CHECK(find_vga_bios("")->bytes.size() == 39936);
}
