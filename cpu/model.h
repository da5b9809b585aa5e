// Named processor models: what CPUID says, and so which instructions and features exist.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cpu/decode.h"
#include "support/result.h"

namespace calque {

struct CpuModel {
    std::string name = "default";
    std::string vendor = "GenuineIntel";   // 12 characters
    std::string brand;                     // up to 47; empty: no brand string leaves
    u32 signature = 0;                     // leaf 1 EAX, EDX after reset
    u32 max_leaf = 0x16;
    IsaSet features;
    unsigned family() const { return signature >> 8 & 15; }
    bool has(Isa f) const { return features.has(f); }
};

/// "NAME", then any number of ",+feature" and ",-feature". Taking a feature away takes what needs it too; adding one that needs what is not
/// there is refused. "v1" to "v3" are short for "x86-64-v1" and so on.
Result<CpuModel> parse_cpu_model(std::string_view spec);
/// Names and what they are.
std::vector<std::pair<std::string, std::string>> cpu_models();
std::vector<std::string> cpu_features();

/// XCR0 bits of the given features.
u64 xcr0_supported(const IsaSet&);
/// Bytes of an XSAVE area (standard format) for these components.
u32 xsave_size(u64 xcr0);

struct CpuidLeaf {
    u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};
CpuidLeaf cpuid(const CpuState&, u32 leaf, u32 subleaf);
}  // namespace calque
