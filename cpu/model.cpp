// The models, and where CPUID reports each feature (SDM vol. 2A, "CPUID"; AMD APM vol. 3, appendix E).
#include "cpu/model.h"

#include <algorithm>
#include <cstring>

#include "cpu/cpu.h"
#include "cpu/helpers.h"
#include "cpu/mmu.h"
#include "cpu/xsave.h"

namespace calque {
namespace {

enum Word : u8 { Edx1, Ecx1, Ebx7, Ecx7, ExtEdx, ExtEcx, PowerEdx, ThermalEax, XsaveEax, None };

struct Feature {
    const char* name;
    Isa isa;
    Word word;
    u8 bit;
};

constexpr Feature kFeatures[] = {
    {"fpu", Isa::fpu, Edx1, 0}, {"vme", Isa::vme, Edx1, 1}, {"de", Isa::de, Edx1, 2}, {"pse", Isa::pse, Edx1, 3}, {"tsc", Isa::tsc, Edx1, 4},
    {"msr", Isa::msr, Edx1, 5}, {"pae", Isa::pae, Edx1, 6}, {"mce", Isa::mce, Edx1, 7}, {"cx8", Isa::cx8, Edx1, 8}, {"apic", Isa::apic, Edx1, 9},
    {"sep", Isa::sep, Edx1, 11}, {"mtrr", Isa::mtrr, Edx1, 12}, {"pge", Isa::pge, Edx1, 13}, {"mca", Isa::mca, Edx1, 14},
    {"cmov", Isa::cmov, Edx1, 15}, {"pat", Isa::pat, Edx1, 16}, {"pse36", Isa::pse36, Edx1, 17}, {"clflush", Isa::clflush, Edx1, 19},
    {"mmx", Isa::mmx, Edx1, 23}, {"fxsr", Isa::fxsr, Edx1, 24}, {"sse", Isa::sse, Edx1, 25}, {"sse2", Isa::sse2, Edx1, 26},
    {"sse3", Isa::sse3, Ecx1, 0}, {"monitor", Isa::monitor, Ecx1, 3}, {"ssse3", Isa::ssse3, Ecx1, 9}, {"cx16", Isa::cx16, Ecx1, 13},
    {"sse4.1", Isa::sse4_1, Ecx1, 19}, {"sse4.2", Isa::sse4_2, Ecx1, 20},
    {"pclmulqdq", Isa::pclmulqdq, Ecx1, 1}, {"fma", Isa::fma, Ecx1, 12}, {"aes", Isa::aes, Ecx1, 25}, {"avx", Isa::avx, Ecx1, 28}, {"f16c", Isa::f16c, Ecx1, 29},
    {"pcid", Isa::pcid, Ecx1, 17}, {"x2apic", Isa::x2apic, Ecx1, 21}, {"movbe", Isa::movbe, Ecx1, 22}, {"popcnt", Isa::popcnt, Ecx1, 23},
    {"tsc-deadline", Isa::tsc_deadline, Ecx1, 24}, {"xsave", Isa::xsave, Ecx1, 26}, {"rdrand", Isa::rdrand, Ecx1, 30},
    {"fsgsbase", Isa::fsgsbase, Ebx7, 0}, {"tsc-adjust", Isa::tsc_adjust, Ebx7, 1}, {"erms", Isa::erms, Ebx7, 9}, {"bmi1", Isa::bmi1, Ebx7, 3}, {"avx2", Isa::avx2, Ebx7, 5}, {"smep", Isa::smep, Ebx7, 7}, {"bmi2", Isa::bmi2, Ebx7, 8}, {"sha", Isa::sha, Ebx7, 29}, {"invpcid", Isa::invpcid, Ebx7, 10},
    {"rdseed", Isa::rdseed, Ebx7, 18}, {"adx", Isa::adx, Ebx7, 19}, {"smap", Isa::smap, Ebx7, 20}, {"clflushopt", Isa::clflushopt, Ebx7, 23},
    {"umip", Isa::umip, Ecx7, 2}, {"gfni", Isa::gfni, Ecx7, 8}, {"vaes", Isa::vaes, Ecx7, 9}, {"vpclmulqdq", Isa::vpclmulqdq, Ecx7, 10}, {"rdpid", Isa::rdpid, Ecx7, 22},
    {"syscall", Isa::syscall, ExtEdx, 11}, {"nx", Isa::nx, ExtEdx, 20}, {"page1g", Isa::page1g, ExtEdx, 26}, {"rdtscp", Isa::rdtscp, ExtEdx, 27},
    {"lm", Isa::long_mode, ExtEdx, 29},
    {"lahf64", Isa::lahf64, ExtEcx, 0}, {"lzcnt", Isa::lzcnt, ExtEcx, 5}, {"prefetchw", Isa::prefetchw, ExtEcx, 8},
    {"invtsc", Isa::invtsc, PowerEdx, 8}, {"arat", Isa::arat, ThermalEax, 2}, {"xsaveopt", Isa::xsaveopt, XsaveEax, 0}, {"xsavec", Isa::xsavec, XsaveEax, 1}, {"xgetbv1", Isa::xgetbv1, XsaveEax, 2}, {"xsaves", Isa::xsaves, XsaveEax, 3},
    {"zen", Isa::zen, None, 0},
};

template <class... F>
constexpr IsaSet set(F... f) { return IsaSet::of(f...); }

constexpr IsaSet Base486 = set(Isa::base, Isa::fpu);
constexpr IsaSet BasePentium = Base486 | set(Isa::vme, Isa::de, Isa::pse, Isa::tsc, Isa::msr, Isa::mce, Isa::cx8, Isa::mmx);
constexpr IsaSet BasePentium3 = BasePentium | set(Isa::pae, Isa::apic, Isa::sep, Isa::mtrr, Isa::pge, Isa::mca, Isa::cmov, Isa::pat, Isa::pse36,
                                               Isa::fxsr, Isa::sse);
constexpr IsaSet BaseV1 = BasePentium3 | set(Isa::clflush, Isa::sse2, Isa::syscall, Isa::nx, Isa::long_mode, Isa::invtsc);
constexpr IsaSet BaseCore2 = BaseV1 | set(Isa::sse3, Isa::ssse3, Isa::cx16, Isa::lahf64, Isa::monitor);
constexpr IsaSet BaseV2 = BaseV1 | set(Isa::sse3, Isa::ssse3, Isa::cx16, Isa::lahf64, Isa::popcnt, Isa::sse4_1, Isa::sse4_2);
constexpr IsaSet BaseV3 = BaseV2 | set(Isa::xsave, Isa::avx, Isa::avx2, Isa::bmi1, Isa::bmi2, Isa::f16c, Isa::fma, Isa::lzcnt, Isa::movbe);
/// The third level, and of the system's features all that pay. Not MONITOR: HLT idles as well, without a driver that looks for deeper sleep. Nor
/// ERMS: REP MOVSB takes eight times the machine time of REP MOVSQ, and the host as long.
constexpr IsaSet Default = BaseV3 | set(Isa::pcid, Isa::x2apic, Isa::tsc_deadline, Isa::tsc_adjust, Isa::xsaveopt, Isa::rdrand, Isa::fsgsbase, Isa::smep,
                                     Isa::invpcid, Isa::rdseed, Isa::adx, Isa::smap, Isa::clflushopt, Isa::umip, Isa::rdpid, Isa::page1g, Isa::rdtscp,
                                     Isa::prefetchw, Isa::arat);
constexpr IsaSet Max = Default | set(Isa::monitor, Isa::erms, Isa::xsavec, Isa::xgetbv1, Isa::xsaves, Isa::aes, Isa::pclmulqdq, Isa::sha, Isa::gfni, Isa::vaes,
                                   Isa::vpclmulqdq);

/// What a feature cannot do without: it uses the other's registers, state or tables, or no processor has had the one without the other.
constexpr struct { Isa is, needs; } kNeeds[] = {
    {Isa::mmx, Isa::fpu}, {Isa::fxsr, Isa::fpu}, {Isa::sse, Isa::fxsr}, {Isa::sse2, Isa::sse}, {Isa::sse3, Isa::sse2}, {Isa::ssse3, Isa::sse3},
    {Isa::sse4_1, Isa::ssse3}, {Isa::sse4_2, Isa::sse4_1}, {Isa::aes, Isa::sse2}, {Isa::pclmulqdq, Isa::sse2}, {Isa::sha, Isa::ssse3}, {Isa::gfni, Isa::sse2},
    {Isa::xsave, Isa::fxsr}, {Isa::xsaveopt, Isa::xsave}, {Isa::xsavec, Isa::xsave}, {Isa::xgetbv1, Isa::xsave}, {Isa::xsaves, Isa::xsavec},
    {Isa::avx, Isa::xsave}, {Isa::avx, Isa::sse4_2}, {Isa::avx2, Isa::avx}, {Isa::fma, Isa::avx}, {Isa::f16c, Isa::avx},
    {Isa::vaes, Isa::avx}, {Isa::vaes, Isa::aes}, {Isa::vpclmulqdq, Isa::avx}, {Isa::vpclmulqdq, Isa::pclmulqdq},
    {Isa::long_mode, Isa::pae}, {Isa::long_mode, Isa::msr}, {Isa::long_mode, Isa::syscall}, {Isa::long_mode, Isa::fxsr}, {Isa::long_mode, Isa::cx8},
    {Isa::lahf64, Isa::long_mode}, {Isa::cx16, Isa::long_mode}, {Isa::fsgsbase, Isa::long_mode}, {Isa::page1g, Isa::long_mode}, {Isa::pcid, Isa::long_mode},
    {Isa::nx, Isa::pae}, {Isa::pse36, Isa::pse}, {Isa::mca, Isa::mce}, {Isa::clflushopt, Isa::clflush}, {Isa::bmi2, Isa::bmi1},
    {Isa::sep, Isa::msr}, {Isa::mtrr, Isa::msr}, {Isa::pat, Isa::msr}, {Isa::nx, Isa::msr}, {Isa::syscall, Isa::msr},
    {Isa::apic, Isa::msr}, {Isa::x2apic, Isa::apic}, {Isa::arat, Isa::apic}, {Isa::tsc_deadline, Isa::apic}, {Isa::tsc_deadline, Isa::tsc},
    {Isa::tsc_adjust, Isa::tsc}, {Isa::tsc_adjust, Isa::msr}, {Isa::invtsc, Isa::tsc}, {Isa::rdtscp, Isa::tsc}, {Isa::rdtscp, Isa::msr}, {Isa::rdpid, Isa::msr},
};

const char* name_of(Isa isa) {
    return std::find_if(std::begin(kFeatures), std::end(kFeatures), [&](const Feature& f) { return f.isa == isa; })->name;
}

/// With everything that cannot be without it.
void take_away(IsaSet& from, Isa isa) {
    from.remove(isa);
    for (const auto& n : kNeeds)
        if (n.needs == isa && from.has(n.is)) take_away(from, n.is);
}

struct ModelRow {
    const char *name, *about, *brand;
    u32 signature, max_leaf;
    IsaSet features;
};
// The default says it is an in-order Atom (family 6, model 1Ch, a stepping without the erratum of its page size extension): a
// processor that does not speculate, as ours does not, so that kernels do not spend time on mitigations of what cannot happen here.
// Intel's leaves 15h and 16h also spare them calibrating the time stamp counter and the local APIC's timer.
constexpr u32 Atom = 0x106ca;
constexpr ModelRow kModels[] = {
    {"default", "x86-64-v3, and of the rest what pays", "Calque Virtual CPU", Atom, 0x16, Default},
    {"max", "everything that Calque has", "Calque Virtual CPU", Atom, 0x16, Max},
    {"486", "80486DX4", "", 0x480, 1, Base486},
    {"pentium", "Pentium MMX", "", 0x543, 1, BasePentium},
    {"pentium3", "Pentium III", "", 0x683, 2, BasePentium3},
    {"core2", "Core 2", "Calque Core 2", 0x6fb, 0xa, BaseCore2},
    {"x86-64-v1", "the baseline of 64-bit systems", "Calque x86-64-v1", Atom, 0x16, BaseV1},
    {"x86-64-v2", "the second level of 64-bit systems (SSE4)", "Calque x86-64-v2", Atom, 0x16, BaseV2},
    {"x86-64-v3", "the third level of 64-bit systems (AVX2)", "Calque x86-64-v3", Atom, 0x16, BaseV3},
};

std::string known_models() {
    std::string r;
    for (const auto& m : kModels) r += (r.empty() ? "" : ", ") + std::string{m.name};
    return r;
}

u32 word(const CpuModel& m, Word w) {
    u32 v = 0;
    for (const Feature& f : kFeatures)
        if (f.word == w && m.has(f.isa)) v |= 1u << f.bit;
    return v;
}

u32 text(const std::string& s, unsigned at) {
    u32 v = 0;
    for (unsigned i = 0; i < 4; ++i) v |= (at + i < s.size() ? static_cast<u32>(static_cast<u8>(s[at + i])) : 0) << (8 * i);
    return v;
}

CpuidLeaf leaf_1(const CpuState& s, const CpuModel& m) {
    CpuidLeaf r{m.signature, 0, word(m, Ecx1), word(m, Edx1)};
    r.ebx = m.has(Isa::clflush) ? 8u << 8 : 0;   // CLFLUSH line of 64 bytes; APIC ID 0
    if (m.has(Isa::clflush)) r.ebx |= 1u << 16;  // one logical processor
    if (s.cr4 & cr4::OSXSAVE) r.ecx |= 1u << 27;
    if (!(s.apic_base & 0x800)) r.edx &= ~(1u << 9);
    return r;
}

/// Caches that a guest may want to know: 32 KiB L1, 512 KiB L2, 64-byte lines, 8 ways.
CpuidLeaf leaf_4(u32 sub) {
    const auto cache = [](u32 type, u32 level, u32 kib) { return CpuidLeaf{type | level << 5 | 1u << 8, 63 | 7u << 22, kib * 1024 / 64 / 8 - 1, 0}; };
    switch (sub) {
    case 0: return cache(1, 1, 32);
    case 1: return cache(2, 1, 32);
    case 2: return cache(3, 2, 512);
    default: return {};
    }
}

CpuidLeaf leaf_b(u32 sub) {
    if (sub == 0) return {0, 1, 0x100, 0};
    if (sub == 1) return {0, 1, 0x201, 0};
    return {0, 0, sub & 0xff, 0};
}

CpuidLeaf leaf_d(const CpuState& s, const CpuModel& m, u32 sub) {
    if (!m.has(Isa::xsave)) return {};
    const u64 all = xcr0_supported(m.features);
    if (sub == 0) return {static_cast<u32>(all), xsave_size(s.xcr0), xsave_size(all), static_cast<u32>(all >> 32)};
    const bool compacts = m.has(Isa::xsavec) || m.has(Isa::xsaves);
    if (sub == 1) return {word(m, XsaveEax), compacts ? xsave_size(s.xcr0 | s.xss) : 0, 0, 0};
    return sub == 2 && (all & xsave::Avx) ? CpuidLeaf{xsave::kAvxSize, xsave::kAvxOffset, 0, 0} : CpuidLeaf{};
}

/// "Intel processors support SYSCALL and SYSRET only in 64-bit mode. This feature flag is always enumerated as 0 outside 64-bit mode" (SDM
/// vol. 2A, "CPUID").
u32 extended_edx(const CpuState& s, const CpuModel& m) {
    const u32 v = word(m, ExtEdx);
    return s.code64() || m.has(Isa::zen) ? v : v & ~(1u << 11);
}

CpuidLeaf extended(const CpuState& s, const CpuModel& m, u32 leaf) {
    switch (leaf) {
    case 0x80000000: return {0x80000008, 0, 0, 0};
    case 0x80000001: return {0, 0, word(m, ExtEcx), extended_edx(s, m)};
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
        const unsigned at = (leaf - 0x80000002) * 16;
        return {text(m.brand, at), text(m.brand, at + 4), text(m.brand, at + 8), text(m.brand, at + 12)};
    }
    case 0x80000006: return {0, 0, 512u << 16 | 6u << 12 | 64, 0};
    case 0x80000007: return {0, 0, 0, word(m, PowerEdx)};
    case 0x80000008: return {(m.has(Isa::long_mode) ? 48u : 32u) << 8 | (m.has(Isa::pae) ? kPhysBits : 32u), 0, 0, 0};
    default: return {};
    }
}

/// FDP only of unmasked exceptions (bit 6), and CS and DS as 0 (bit 13): so does the x87 here, but for Zen's.
u32 x87_pointers(const CpuModel& m) { return m.has(Isa::fpu) && !m.has(Isa::zen) ? 1u << 6 | 1u << 13 : 0; }

CpuidLeaf basic(const CpuState& s, const CpuModel& m, u32 leaf, u32 sub) {
    switch (leaf) {
    case 1: return leaf_1(s, m);
    case 2: return {0x4fba5901, 0x000000c0, 0, 0x007b302c};   // TLBs as an Atom has them; 32 KiB L1s, 512 KiB L2
    case 4: return leaf_4(sub);
    case 5: return m.has(Isa::monitor) ? CpuidLeaf{64, 64, 3, 0x10} : CpuidLeaf{};
    case 6: return {word(m, ThermalEax), 0, 0, 0};
    case 7: return sub == 0 ? CpuidLeaf{0, word(m, Ebx7) | x87_pointers(m), word(m, Ecx7), 0} : CpuidLeaf{};
    case 0xb: return m.has(Isa::x2apic) ? leaf_b(sub) : CpuidLeaf{};
    case 0xd: return leaf_d(s, m, sub);
    // The crystal and the time stamp counter run at 1 GHz: one tick an instruction.
    case 0x15: return m.has(Isa::tsc) ? CpuidLeaf{1, 1, 1'000'000'000, 0} : CpuidLeaf{};
    case 0x16: return {1000, 1000, 100, 0};
    default: return {};
    }
}
}  // namespace

std::vector<std::string> cpu_features() {
    std::vector<std::string> r;
    for (const Feature& f : kFeatures) r.emplace_back(f.name);
    return r;
}

static Result<void> change_feature(CpuModel& m, std::string_view item) {
    if (item.size() < 2 || (item[0] != '+' && item[0] != '-'))
        return Error{"CPU feature '" + std::string{item} + "' must begin with + or -"};
    const std::string name{item.substr(1)};
    const auto f = std::find_if(std::begin(kFeatures), std::end(kFeatures), [&](const Feature& x) { return name == x.name; });
    if (f == std::end(kFeatures)) {
        std::string names;
        for (const std::string& n : cpu_features()) names += (names.empty() ? "" : ", ") + n;
        return Error{"unknown CPU feature '" + name + "'; known are " + names};
    }
    if (item[0] == '+') m.features.add(f->isa);
    else take_away(m.features, f->isa);
    return {};
}

static Result<void> check_features(const CpuModel& m) {
    for (const auto& n : kNeeds)
        if (m.has(n.is) && !m.has(n.needs)) {
            const std::string is = name_of(n.is), needs = name_of(n.needs);
            return Error{"CPU feature " + is + " needs " + needs + ", which the model '" + m.name + "' does not have; add it with +" + needs};
        }
    return {};
}

Result<CpuModel> parse_cpu_model(std::string_view spec) {
    const auto name = spec.substr(0, spec.find(','));
    const bool level = name == "v1" || name == "v2" || name == "v3";   // of x86-64, in short
    const std::string whole = (level ? "x86-64-" : "") + std::string{name};
    const auto row = std::find_if(std::begin(kModels), std::end(kModels), [&](const ModelRow& r) { return whole == r.name; });
    if (row == std::end(kModels)) return Error{"unknown CPU model '" + std::string{name} + "'; known are " + known_models()};
    CpuModel m;
    m.name = row->name, m.brand = row->brand, m.signature = row->signature, m.max_leaf = row->max_leaf, m.features = row->features;
    while (spec.find(',') != std::string_view::npos) {
        spec.remove_prefix(spec.find(',') + 1);
        if (auto r = change_feature(m, spec.substr(0, spec.find(','))); !r) return r.error();
    }
    if (auto r = check_features(m); !r) return r.error();
    return m;
}

std::vector<std::pair<std::string, std::string>> cpu_models() {
    std::vector<std::pair<std::string, std::string>> r;
    for (const auto& m : kModels) r.emplace_back(m.name, m.about);
    return r;
}

CpuidLeaf cpuid(const CpuState& s, u32 leaf, u32 sub) {
    const CpuModel& m = s.cpu->model();
    if (leaf >= 0x80000000 && leaf <= 0x80000008 && !m.brand.empty()) return extended(s, m, leaf);
    // "If a value is higher than the maximum, the data for the highest basic leaf is returned."
    // MISC_ENABLE's "limit CPUID maxval" is for systems that cannot take more than leaf 3.
    const u32 last = s.misc_enable & u64{1} << 22 ? std::min(m.max_leaf, 3u) : m.max_leaf;
    if (leaf == 0) return {last, text(m.vendor, 0), text(m.vendor, 8), text(m.vendor, 4)};
    return basic(s, m, std::min(leaf, last), sub);
}

u64 helper_cpuid(CpuState& s, u64, u64, u64) {
    const CpuidLeaf r = cpuid(s, static_cast<u32>(s.gpr[RAX]), static_cast<u32>(s.gpr[RCX]));
    s.gpr[RAX] = r.eax, s.gpr[RBX] = r.ebx, s.gpr[RCX] = r.ecx, s.gpr[RDX] = r.edx;
    return 0;
}
}  // namespace calque
