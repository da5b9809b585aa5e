#include "bios/smbios.h"

#include <algorithm>

#include "bios/bytes.h"

namespace calque {
namespace {
constexpr u16 kSystem = 0x0100, kChassis = 0x0300, kCpu = 0x0400, kMemoryArray = 0x1000, kMemoryModule = 0x1100,
              kArrayAddress = 0x1300, kBootStatus = 0x2000, kEnd = 0x7f00;
constexpr u16 kUnknownHandle = 0xfffe, kNoHandle = 0xffff;

// Structures one after another: a formatted area, then numbered strings, then an empty string.
class Structures {
public:
    void begin(u8 type, u16 handle) {
        start_ = bytes.size();
        put(bytes, type, 1), put(bytes, 0, 1), put(bytes, handle, 2);
        strings_.clear();
        count_strings_ = 0;
        ++count;
    }
    void n(u64 value, unsigned size) { put(bytes, value, size); }
    void string(std::string_view s) {
        put(bytes, ++count_strings_, 1);
        put(strings_, s), put(strings_, 0, 1);
    }
    void end() {
        poke(bytes, start_ + 1, bytes.size() - start_, 1);
        put(bytes, std::span<const u8>{strings_});
        put(bytes, 0, strings_.empty() ? 2 : 1);
        longest = std::max(longest, bytes.size() - start_);
    }

    Bytes bytes;
    u16 count = 0;
    size_t longest = 0;

private:
    Bytes strings_;
    size_t start_ = 0;
    u8 count_strings_ = 0;
};

void add_system(Structures& s) {
    s.begin(1, kSystem);
    s.string("Calque"), s.string("PC (i440FX + PIIX)"), s.string("1.0"), s.n(0, 1);
    s.n(0, 8), s.n(0, 8);        // UUID: not set
    s.n(6, 1), s.n(0, 2);        // woken by the power switch; no SKU, no family
    s.end();
    s.begin(3, kChassis);
    s.string("Calque"), s.n(1, 1), s.n(0, 3);  // type: other
    s.n(3, 1), s.n(3, 1), s.n(3, 1), s.n(2, 1);  // states: safe; security: unknown
    s.n(0, 4), s.n(0, 1), s.n(1, 1), s.n(0, 2), s.n(0, 1);
    s.end();
}

void add_cpu(Structures& s, unsigned index, const SmbiosHardware& hw) {
    s.begin(4, static_cast<u16>(kCpu + index));
    s.string("CPU " + std::to_string(index));
    s.n(3, 1), s.n(2, 1);        // central processor; family unknown
    s.string("Calque"), s.n(0, 8), s.string(hw.cpu_name);
    s.n(0, 1), s.n(0, 2);        // voltage, external clock unknown
    s.n(hw.cpu_mhz, 2), s.n(hw.cpu_mhz, 2);
    s.n(0x41, 1), s.n(1, 1);     // populated and enabled; socket: other
    s.n(kNoHandle, 2), s.n(kNoHandle, 2), s.n(kNoHandle, 2);
    s.n(0, 3);                   // serial, asset, part
    s.n(1, 1), s.n(1, 1), s.n(1, 1), s.n(2, 2), s.n(2, 2);
    s.end();
}

void add_memory(Structures& s, const SmbiosHardware& hw) {
    const u64 total = hw.low_ram + hw.high_ram;
    s.begin(16, kMemoryArray);
    s.n(1, 1), s.n(3, 1), s.n(6, 1);  // other location, system memory, multi-bit ECC
    const bool big = total / kKiB >= 0x80000000;
    s.n(big ? 0x80000000 : total / kKiB, 4), s.n(kUnknownHandle, 2), s.n(1, 2);
    s.n(big ? total : 0, 8);
    s.end();
    s.begin(17, kMemoryModule);
    s.n(kMemoryArray, 2), s.n(kUnknownHandle, 2), s.n(kNoHandle, 2), s.n(kNoHandle, 2);
    const u64 mib = total / kMiB;
    s.n(mib < 0x7fff ? mib : 0x7fff, 2);
    s.n(9, 1), s.n(0, 1);        // DIMM, in no set
    s.string("DIMM 0"), s.n(0, 1);
    s.n(7, 1), s.n(2, 2), s.n(0, 2);  // RAM of unknown detail and speed
    s.string("Calque"), s.n(0, 3), s.n(0, 1);
    s.n(mib < 0x7fff ? 0 : mib, 4), s.n(0, 2), s.n(0, 6);
    s.end();
    u16 index = 0;
    const auto range = [&](u64 start, u64 size) {
        if (size == 0) return;
        s.begin(19, static_cast<u16>(kArrayAddress + index++));
        const bool wide = (start + size - 1) / kKiB >= 0xffffffff;
        s.n(wide ? 0xffffffff : start / kKiB, 4), s.n(wide ? 0xffffffff : (start + size - 1) / kKiB, 4);
        s.n(kMemoryArray, 2), s.n(1, 1), s.n(wide ? start : 0, 8), s.n(wide ? start + size - 1 : 0, 8);
        s.end();
    };
    range(0, hw.low_ram), range(4 * kGiB, hw.high_ram);
}
}  // namespace

void add_smbios(FwCfgItems& out, const SmbiosHardware& hw) {
    Structures s;
    add_system(s);
    for (unsigned i = 0; i < hw.cpus; ++i) add_cpu(s, i, hw);
    add_memory(s, hw);
    s.begin(32, kBootStatus), s.n(0, 6), s.n(0, 1), s.end();
    s.begin(127, kEnd), s.end();

    Bytes anchor;
    put(anchor, "_SM_"), put(anchor, 0, 1), put(anchor, 0x1f, 1), put(anchor, 2, 1), put(anchor, 8, 1);
    put(anchor, s.longest, 2), put(anchor, 0, 6);
    put(anchor, "_DMI_"), put(anchor, 0, 1), put(anchor, s.bytes.size(), 2);
    put(anchor, 0, 4);  // the firmware's choice
    put(anchor, s.count, 2), put(anchor, 0x28, 1);
    poke(anchor, 0x15, checksum(std::span{anchor}.subspan(0x10)), 1);
    poke(anchor, 4, checksum(anchor), 1);
    out.files["etc/smbios/smbios-anchor"] = std::move(anchor);
    out.files["etc/smbios/smbios-tables"] = std::move(s.bytes);
}
}  // namespace calque
