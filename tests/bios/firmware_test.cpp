#include "bios/firmware.h"

#include <doctest/doctest.h>

#include "bios/bytes.h"

using namespace calque;

TEST_CASE("firmware: e820 file, boot order and sleep states") {
    FirmwareConfig c;
    c.smbios.low_ram = 3 * kGiB;
    c.smbios.high_ram = kGiB;
    c.boot_paths = {"/first", "/second"};
    c.boot_only_listed = true;
    const FwCfgItems items = firmware_items(c);
    const Bytes& e820 = items.files.at("etc/e820");
    REQUIRE(e820.size() == 40);
    CHECK(peek(e820, 0, 8) == 0);
    CHECK(peek(e820, 8, 8) == 3 * kGiB);
    CHECK(peek(e820, 16, 4) == 1);
    CHECK(peek(e820, 20, 8) == 4 * kGiB);
    CHECK(peek(e820, 28, 8) == kGiB);
    const Bytes& order = items.files.at("bootorder");
    CHECK(std::string{order.begin(), order.end()} == std::string("/first\n/second\nHALT\0", 20));
    CHECK(items.files.at("etc/system-states").size() == 6);
    CHECK(peek(items.items.at(fw_cfg_key::ram_size), 0, 8) == 4 * kGiB);
    CHECK(items.items.at(fw_cfg_key::cpus) == Bytes{1, 0});
}

TEST_CASE("SMBIOS: both checksums are right and the structures can be walked to the end") {
    FwCfgItems items;
    add_smbios(items, {.low_ram = 3 * kGiB, .high_ram = 5 * kGiB, .cpus = 2, .cpu_name = "test", .cpu_mhz = 1000});
    const Bytes& a = items.files.at("etc/smbios/smbios-anchor");
    const Bytes& t = items.files.at("etc/smbios/smbios-tables");
    REQUIRE(a.size() == 31);
    CHECK(checksum(a) == 0);
    CHECK(checksum(std::span{a}.subspan(16)) == 0);
    CHECK(peek(a, 22, 2) == t.size());
    std::vector<u64> types;
    size_t at = 0, longest = 0;
    while (at + 4 < t.size()) {
        types.push_back(t[at]);
        size_t end = at + t[at + 1];
        while (end + 1 < t.size() && (t[end] || t[end + 1])) ++end;
        longest = std::max(longest, end + 2 - at);
        at = end + 2;
    }
    CHECK(at == t.size());
    CHECK(types == std::vector<u64>{1, 3, 4, 4, 16, 17, 19, 19, 32, 127});
    CHECK(peek(a, 28, 2) == types.size());
    CHECK(peek(a, 8, 2) == longest);
    CHECK(t[1] == 0x1b);
}
