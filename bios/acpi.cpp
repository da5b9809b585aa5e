#include "bios/acpi.h"

#include <algorithm>

#include "bios/dsdt_aml.h"
#include "bios/linker.h"

namespace calque {
namespace {
constexpr std::string_view kTables = "etc/acpi/tables", kRsdp = "etc/acpi/rsdp", kLoader = "etc/table-loader";
constexpr size_t kChecksumOffset = 9;

// Tables in one file, each with its header; remembers what the firmware has to link and sum.
class TableFile {
public:
    explicit TableFile(LinkerScript& script) : script_{script} {}

    u32 begin(std::string_view signature, u8 revision) {
        start_ = static_cast<u32>(bytes.size());
        put(bytes, signature);
        put(bytes, 0, 4);  // length, at end()
        put(bytes, revision, 1);
        put(bytes, 0, 1);  // checksum
        put(bytes, "CALQUE"), put_field(bytes, "CALQPC", 8, ' ');
        put(bytes, 1, 4), put(bytes, "CALQ"), put(bytes, 1, 4);
        return start_;
    }
    void pointer(u32 target, unsigned size = 4) {  // to an offset in the same file
        script_.add_pointer(kTables, static_cast<u32>(bytes.size()), size, kTables);
        put(bytes, target, size);
    }
    void end() {
        const u32 length = static_cast<u32>(bytes.size()) - start_;
        poke(bytes, start_ + 4, length, 4);
        script_.add_checksum(kTables, start_ + kChecksumOffset, start_, length);
    }

    Bytes bytes;

private:
    LinkerScript& script_;
    u32 start_ = 0;
};

// Generic Address Structure
void put_gas(Bytes& out, u8 space, u8 bits, u8 access, u64 address) {
    put(out, space, 1), put(out, bits, 1), put(out, 0, 1), put(out, access, 1), put(out, address, 8);
}
constexpr u8 kGasMemory = 0, kGasIo = 1;

u32 add_facs(TableFile& t) {
    align(t.bytes, 64);
    const auto start = static_cast<u32>(t.bytes.size());
    put(t.bytes, "FACS"), put(t.bytes, 64, 4);
    t.bytes.resize(start + 64);
    return start;
}

// Gives a Name of the DSDT its value: NameOp, the name, DWordPrefix, and the placeholder that dsdt.asl writes.
void fill_name(std::span<u8> aml, std::string_view name, u32 value) {
    Bytes pattern{0x08};
    put(pattern, name), put(pattern, 0x0c, 1), put(pattern, 0xf0f0f0f0, 4);
    const auto found = std::search(aml.begin(), aml.end(), pattern.begin(), pattern.end());
    ASSERT(found != aml.end());
    poke(aml, static_cast<size_t>(found - aml.begin()) + pattern.size() - 4, value, 4);
}

u32 add_dsdt(TableFile& t, const AcpiHardware& hw) {
    const auto start = static_cast<u32>(t.bytes.size());
    put(t.bytes, std::span<const u8>{kDsdtAml});
    const std::span<u8> aml = std::span{t.bytes}.subspan(start);
    fill_name(aml, "PCIW", pci_window_start(hw.low_ram));
    fill_name(aml, "COMS", (1u << hw.serial_ports) - 1);
    fill_name(aml, "LPTS", (1u << hw.parallel_ports) - 1);
    fill_name(aml, "FLPY", hw.floppy);
    aml[kChecksumOffset] = static_cast<u8>(aml[kChecksumOffset] + checksum(aml));
    return start;
}

u32 add_fadt(TableFile& t, const AcpiHardware& hw, u32 facs, u32 dsdt) {
    const u32 start = t.begin("FACP", 3);
    Bytes& b = t.bytes;
    t.pointer(facs), t.pointer(dsdt);
    put(b, 0, 1);                          // reserved
    put(b, 1, 1);                          // preferred profile: desktop
    put(b, hw.sci_irq, 2);
    put(b, hw.smi_command, 4);
    put(b, hw.acpi_enable, 1), put(b, hw.acpi_disable, 1);
    put(b, 0, 2);                          // no S4BIOS, no P-state control
    put(b, hw.pm_base, 4), put(b, 0, 4);   // PM1a, PM1b event blocks
    put(b, hw.pm_base + 4u, 4), put(b, 0, 4);
    put(b, 0, 4);                          // no PM2 block
    put(b, hw.pm_base + 8u, 4);            // PM timer
    put(b, hw.gpe0_base, 4), put(b, 0, 4);
    put(b, 4, 1), put(b, 2, 1), put(b, 0, 1), put(b, 4, 1), put(b, hw.gpe0_length, 1);
    put(b, 0, 3);                          // no GPE1, no C-state control
    put(b, 0xfff, 2), put(b, 0xfff, 2);    // C2 and C3 latencies: neither exists
    put(b, 0, 4), put(b, 0, 2);            // flush size and stride, duty cycle
    put(b, 0, 2), put(b, 0x32, 1);         // no alarm day or month; CMOS century byte
    put(b, 0x0003, 2), put(b, 0, 1);       // IAPC_BOOT_ARCH: legacy devices, 8042
    constexpr u32 kWbinvd = 1, kProcC1 = 1 << 2, kSleepButtonAbsent = 1 << 5, kResetReg = 1 << 10;
    put(b, kWbinvd | kProcC1 | kSleepButtonAbsent | kResetReg, 4);
    put_gas(b, kGasIo, 8, 1, hw.reset_port), put(b, hw.reset_value, 1), put(b, 0, 3);
    put(b, 0, 8);                          // X_FIRMWARE_CTRL: the 32-bit pointer serves
    t.pointer(dsdt, 8);
    put_gas(b, kGasIo, 32, 2, hw.pm_base), put_gas(b, kGasIo, 0, 0, 0);
    put_gas(b, kGasIo, 16, 2, hw.pm_base + 4u), put_gas(b, kGasIo, 0, 0, 0);
    put_gas(b, kGasIo, 0, 0, 0);
    put_gas(b, kGasIo, 32, 3, hw.pm_base + 8u);
    put_gas(b, kGasIo, static_cast<u8>(hw.gpe0_length * 8), 1, hw.gpe0_base), put_gas(b, kGasIo, 0, 0, 0);
    t.end();
    return start;
}

u32 add_madt(TableFile& t, const AcpiHardware& hw) {
    const u32 start = t.begin("APIC", 1);
    Bytes& b = t.bytes;
    put(b, hw.lapic, 4), put(b, 1, 4);  // PCAT_COMPAT: there are 8259s as well
    for (unsigned i = 0; i < hw.cpus; ++i) put(b, 0, 1), put(b, 8, 1), put(b, i, 1), put(b, i, 1), put(b, 1, 4);
    put(b, 1, 1), put(b, 12, 1), put(b, 0, 2), put(b, hw.ioapic, 4), put(b, 0, 4);
    const auto interrupt_override = [&](u8 irq, u32 gsi, u16 flags) {
        put(b, 2, 1), put(b, 10, 1), put(b, 0, 1), put(b, irq, 1), put(b, gsi, 4), put(b, flags, 2);
    };
    interrupt_override(0, 2, 0);  // the timer is on I/O APIC pin 2
    constexpr u16 kLevelHigh = 0x000d;
    for (const u8 irq : {5, 9, 10, 11}) interrupt_override(irq, irq, kLevelHigh);
    put(b, 4, 1), put(b, 6, 1), put(b, 0xff, 1), put(b, 0, 2), put(b, 1, 1);  // NMI at LINT1 of all CPUs
    t.end();
    return start;
}

u32 add_hpet(TableFile& t, const AcpiHardware& hw) {
    const u32 start = t.begin("HPET", 1);
    put(t.bytes, 0x8086a201, 4);  // the low half of the capabilities register
    put_gas(t.bytes, kGasMemory, 0, 0, hw.hpet);
    put(t.bytes, 0, 1), put(t.bytes, 0, 2), put(t.bytes, 0, 1);
    t.end();
    return start;
}

// Windows ACPI Emulated Devices Table: the RTC loses no ticks, and one read of the PM timer is enough.
u32 add_waet(TableFile& t) {
    const u32 start = t.begin("WAET", 1);
    put(t.bytes, 3, 4);
    t.end();
    return start;
}
}  // namespace

u32 pci_window_start(u64 low_ram) { return low_ram <= 2 * kGiB ? 0x80000000u : 0xc0000000u; }

void add_acpi(FwCfgItems& out, const AcpiHardware& hw) {
    LinkerScript script;
    script.allocate(kRsdp, 16, LinkerScript::Zone::f_segment);
    script.allocate(kTables, 64, LinkerScript::Zone::high);
    TableFile t{script};
    const u32 facs = add_facs(t), dsdt = add_dsdt(t, hw);
    const u32 fadt = add_fadt(t, hw, facs, dsdt);
    const u32 roots[] = {fadt, add_madt(t, hw), add_hpet(t, hw), add_waet(t)};
    const u32 rsdt = t.begin("RSDT", 1);
    for (const u32 table : roots) t.pointer(table);
    t.end();

    Bytes rsdp;
    put(rsdp, "RSD PTR "), put(rsdp, 0, 1), put(rsdp, "CALQUE"), put(rsdp, 0, 1);
    put(rsdp, rsdt, 4);
    script.add_pointer(kRsdp, 16, 4, kTables);
    script.add_checksum(kRsdp, 8, 0, 20);

    out.files[std::string{kTables}] = std::move(t.bytes);
    out.files[std::string{kRsdp}] = std::move(rsdp);
    out.files[std::string{kLoader}] = script.take();
}
}  // namespace calque
