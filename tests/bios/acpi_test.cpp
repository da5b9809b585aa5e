#include "bios/acpi.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "simulated_loader.h"

using namespace calque;

namespace {
std::string signature(std::span<const u8> table) { return {table.begin(), table.begin() + 4}; }
FwCfgItems sample() {
    FwCfgItems items;
    AcpiHardware hw;
    hw.low_ram = 512 * kMiB;
    hw.serial_ports = 2;
    hw.floppy = true;
    add_acpi(items, hw);
    return items;
}
}  // namespace

TEST_CASE("ACPI: the script links RSDP, RSDT and all tables, and every checksum is right") {
    const FwCfgItems items = sample();
    SimulatedLoader l{items};
    REQUIRE(l.ok);
    const Bytes& rsdp = l.file["etc/acpi/rsdp"];
    REQUIRE(rsdp.size() == 20);
    CHECK(std::string{rsdp.begin(), rsdp.begin() + 8} == "RSD PTR ");
    CHECK(checksum(rsdp) == 0);
    const auto rsdt = l.table(peek(rsdp, 16, 4));
    REQUIRE(rsdt.size() > 36);
    CHECK(signature(rsdt) == "RSDT");
    CHECK(checksum(rsdt) == 0);
    std::set<std::string> seen;
    for (size_t at = 36; at < rsdt.size(); at += 4) {
        const auto t = l.table(peek(rsdt, at, 4));
        REQUIRE(t.size() >= 36);
        CHECK(checksum(t) == 0);
        seen.insert(signature(t));
    }
    CHECK(seen == std::set<std::string>{"FACP", "APIC", "HPET", "WAET"});
}

TEST_CASE("ACPI: FADT fields stand where the specification puts them") {
    SimulatedLoader l{sample()};
    const auto rsdt = l.table(peek(l.file["etc/acpi/rsdp"], 16, 4));
    const auto fadt = l.table(peek(rsdt, 36, 4));
    REQUIRE(signature(fadt) == "FACP");
    CHECK(fadt.size() == 244);
    CHECK(peek(fadt, 46, 2) == 9);        // SCI_INT
    CHECK(peek(fadt, 48, 4) == 0xb2);     // SMI_CMD
    CHECK(peek(fadt, 56, 4) == 0x600);    // PM1a_EVT_BLK
    CHECK(peek(fadt, 64, 4) == 0x604);    // PM1a_CNT_BLK
    CHECK(peek(fadt, 76, 4) == 0x608);    // PM_TMR_BLK
    CHECK(peek(fadt, 80, 4) == 0xafe0);   // GPE0_BLK
    CHECK(peek(fadt, 88, 1) == 4);        // PM1_EVT_LEN
    CHECK(peek(fadt, 91, 1) == 4);        // PM_TMR_LEN
    CHECK(peek(fadt, 108, 1) == 0x32);    // CENTURY
    CHECK(peek(fadt, 120, 4) == 0xcf9);   // RESET_REG address
    CHECK(peek(fadt, 128, 1) == 6);       // RESET_VALUE
    CHECK(peek(fadt, 140, 8) == peek(fadt, 40, 4));  // X_DSDT, DSDT
    CHECK(peek(fadt, 152, 8) == 0x600);
    CHECK(peek(fadt, 212, 8) == 0x608);
    const auto facs = l.table(peek(fadt, 36, 4)), dsdt = l.table(peek(fadt, 40, 4));
    CHECK(signature(facs) == "FACS");
    CHECK(facs.size() == 64);
    CHECK(peek(fadt, 36, 4) % 64 == 0);
    CHECK(signature(dsdt) == "DSDT");
    CHECK(checksum(dsdt) == 0);
}

TEST_CASE("ACPI: MADT lists CPUs, one I/O APIC and the overrides") {
    FwCfgItems items;
    AcpiHardware hw;
    hw.cpus = 2;
    add_acpi(items, hw);
    SimulatedLoader l{items};
    const auto rsdt = l.table(peek(l.file["etc/acpi/rsdp"], 16, 4));
    const auto madt = l.table(peek(rsdt, 40, 4));
    REQUIRE(signature(madt) == "APIC");
    std::map<u64, unsigned> kinds;
    for (u64 at = 44; at < madt.size(); at += peek(madt, at + 1, 1)) {
        REQUIRE(peek(madt, at + 1, 1) >= 2);
        ++kinds[peek(madt, at, 1)];
    }
    CHECK(kinds == std::map<u64, unsigned>{{0, 2}, {1, 1}, {2, 5}, {4, 1}});
}

TEST_CASE("ACPI: the byte code disassembles, and its methods run in ACPICA's interpreter") {
    if (std::system("command -v iasl >/dev/null && command -v acpiexec >/dev/null") != 0) return;
    SimulatedLoader l{sample()};
    const auto rsdt = l.table(peek(l.file["etc/acpi/rsdp"], 16, 4));
    const auto fadt = l.table(peek(rsdt, 36, 4));
    char folder[] = "/tmp/calque-acpi-XXXXXX";
    REQUIRE(::mkdtemp(folder));
    const auto save = [&](const char* name, std::span<const u8> t) {
        std::ofstream{std::string{folder} + name}.write(reinterpret_cast<const char*>(t.data()), static_cast<std::streamsize>(t.size()));
    };
    save("/dsdt.aml", l.table(peek(fadt, 40, 4)));
    const std::string in = std::string{"cd "} + folder + " && ";
    CHECK(std::system((in + "iasl -d dsdt.aml >/dev/null 2>&1 && iasl -p again dsdt.dsl >/dev/null 2>&1").c_str()) == 0);
    const std::string run = "acpiexec -b 'execute \\_SB.PCI0._CRS;execute \\_SB.LNKS._CRS;execute \\_SB.PCI0.ISA.FDC._STA;"
                            "execute \\_SB.LNKA._CRS' dsdt.aml >out 2>&1 </dev/null";
    CHECK(std::system((in + run).c_str()) == 0);
    CHECK(std::system((in + "! grep -qi 'AE_[A-Z_]*[^K]$\\|error' out").c_str()) == 0);
    CHECK(std::system((std::string{"rm -rf "} + folder).c_str()) == 0);
}
