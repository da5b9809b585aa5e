#include "tests/silicon/forms.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace calque::silicon {
namespace {

// Left out: what reaches the kernel or its tables, differs from run to run, or depends on how the kernel set the processor up.
const std::set<std::string> kNotHere = {
    "SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT", "RSM", "INT", "INT3", "INT1", "INTO", "IRET", "IRETD", "IRETQ", "CPUID", "RDTSC", "RDTSCP", "RDPMC", "RDPID",
    "RDRAND", "RDSEED", "SMSW", "SGDT", "SIDT", "SLDT", "STR", "LAR", "LSL", "VERR", "VERW", "LDS", "LES", "LFS", "LGS", "LSS", "SWAPGS",
    "RDFSBASE", "RDGSBASE", "WRFSBASE", "WRGSBASE", "XGETBV", "XSETBV", "MONITOR", "MWAIT", "CLAC", "STAC", "XSAVE", "XSAVEOPT", "XSAVEC", "XSAVES",
    "XRSTOR", "XRSTORS", "XSAVE64", "XSAVEOPT64", "XSAVEC64", "XSAVES64", "XRSTOR64", "XRSTORS64", "FXSAVE", "FXRSTOR", "FXSAVE64", "FXRSTOR64", "INVPCID",
};

// What Linux calls each feature in /proc/cpuinfo.
constexpr std::pair<Isa, const char*> kHostNames[] = {
    {Isa::cmov, "cmov"}, {Isa::cx8, "cx8"}, {Isa::fpu, "fpu"}, {Isa::mmx, "mmx"}, {Isa::fxsr, "fxsr"}, {Isa::sse, "sse"}, {Isa::sse2, "sse2"},
    {Isa::sse3, "pni"}, {Isa::ssse3, "ssse3"}, {Isa::sse4_1, "sse4_1"}, {Isa::sse4_2, "sse4_2"}, {Isa::aes, "aes"}, {Isa::pclmulqdq, "pclmulqdq"},
    {Isa::sha, "sha_ni"}, {Isa::avx, "avx"}, {Isa::avx2, "avx2"}, {Isa::fma, "fma"}, {Isa::f16c, "f16c"}, {Isa::gfni, "gfni"}, {Isa::vaes, "vaes"},
    {Isa::vpclmulqdq, "vpclmulqdq"}, {Isa::cx16, "cx16"}, {Isa::clflush, "clflush"}, {Isa::clflushopt, "clflushopt"}, {Isa::long_mode, "lm"},
    {Isa::movbe, "movbe"}, {Isa::popcnt, "popcnt"}, {Isa::lzcnt, "abm"}, {Isa::bmi1, "bmi1"}, {Isa::bmi2, "bmi2"}, {Isa::lahf64, "lahf_lm"},
    {Isa::adx, "adx"}, {Isa::prefetchw, "3dnowprefetch"}, {Isa::smap, "smap"}, {Isa::msr, "msr"}, {Isa::syscall, "syscall"}, {Isa::sep, "sep"},
    {Isa::tsc, "tsc"}, {Isa::rdtscp, "rdtscp"}, {Isa::xsave, "xsave"}, {Isa::xsaveopt, "xsaveopt"}, {Isa::xsavec, "xsavec"}, {Isa::xsaves, "xsaves"},
    {Isa::fsgsbase, "fsgsbase"}, {Isa::invpcid, "invpcid"}, {Isa::rdrand, "rdrand"}, {Isa::rdseed, "rdseed"}, {Isa::rdpid, "rdpid"}, {Isa::monitor, "monitor"},
};

std::vector<u8> spell(const Template& t, CodeMode m) {
    std::vector<u8> b;
    if (t.vex) {
        b = vex_prefix(t, 0, t.gather ? 1 : 0, false);
        if (t.gather && m == CodeMode::prot16) b.insert(b.begin(), 0x67);
    } else {
        if (t.prefix) b.push_back(t.prefix);
        if (t.wide && m == CodeMode::long64) b.push_back(0x48);
        if (t.map) b.push_back(0x0f);
        if (t.map == 2) b.push_back(0x38);
        if (t.map == 3) b.push_back(0x3a);
    }
    b.push_back(t.opcode);
    b.push_back(t.modrm);
    if (t.gather) b.push_back(0x10);   // SIB: the third register is the index
    b.resize(15);
    return b;
}

bool is_prefix(u8 opcode, CodeMode m) {
    static constexpr u8 plain[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3};
    for (u8 p : plain)
        if (opcode == p) return true;
    return m == CodeMode::long64 && (opcode & 0xf0) == 0x40;
}
}  // namespace

std::vector<u8> vex_prefix(const Template& t, u8 rxb, u8 vvvv, bool shortest) {
    const u8 pp = t.prefix == 0x66 ? 1 : t.prefix == 0xf3 ? 2 : t.prefix == 0xf2 ? 3 : 0;
    const u8 low = static_cast<u8>((~vvvv & 15) << 3 | (t.l ? 4 : 0) | pp);
    if (shortest && t.map == 1 && !t.wide && !(rxb & 3)) return {0xc5, static_cast<u8>((rxb & 4 ? 0 : 0x80) | low)};
    return {0xc4, static_cast<u8>((~rxb & 7) << 5 | t.map), static_cast<u8>((t.wide ? 0x80 : 0) | low)};
}

IsaSet host_features() {
    std::ifstream in{"/proc/cpuinfo"};
    std::string line;
    std::set<std::string> cpu;
    while (std::getline(in, line)) {
        if (line.rfind("flags", 0) != 0) continue;
        std::istringstream words{line.substr(line.find(':') + 1)};
        for (std::string w; words >> w;) cpu.insert(w);
        break;
    }
    IsaSet r = IsaSet::of(Isa::base);
    for (const auto& [isa, name] : kHostNames)
        if (cpu.count(name)) r.add(isa);
    if (__builtin_cpu_is("amd")) r.add(Isa::zen);
    return r;
}

bool older_zen() {
    static const bool answer = [] {
        bool carry;
        u64 index;
        asm("stc\n bsf %2, %1\n setc %0" : "=q"(carry), "=r"(index) : "r"(u64{2}) : "cc");
        return carry && __builtin_cpu_is("amd");
    }();
    return answer;
}

jit::Mode jit_mode(CodeMode m) {
    jit::Mode r;
    r.bits = mode::ViewUser | mode::Protected;
    if (m == CodeMode::long64) r.bits |= mode::Code64;
    if (m == CodeMode::flat32 || m == CodeMode::prot32) r.bits |= mode::Code32;
    return r;
}

bool runs_in_user_mode(const Insn& in) {
    if (kNotHere.count(mnemonic_name(in.mn))) return false;
    for (const auto& o : in.op)
        if (o.kind == Operand::segment) return false;
    const bool transfer = in.mn == Mn::JMP || in.mn == Mn::CALL;
    if (transfer && ((in.op_count == 2) || (in.op[0].is_mem() && in.opcode == 0xff && (in.modrm >> 3 & 1)))) return false;  // far
    return !(in.mn == Mn::RET && (in.opcode == 0xca || in.opcode == 0xcb));
}

bool is_vector(const Insn& in) {
    if ((in.mn == Mn::MOVSD || in.mn == Mn::CMPSD) && in.op_count) return true;
    for (const auto& o : in.op)
        if (o.kind == Operand::xmm || o.kind == Operand::mmx) return true;
    switch (isa_of(in.mn)) {
    case Isa::fpu: case Isa::mmx: case Isa::sse: case Isa::sse2: case Isa::sse3: case Isa::ssse3: case Isa::avx: return in.mn != Mn::MOVNTI;
    default: return false;
    }
}

std::vector<RuleForms> find_forms(CodeMode m, const IsaSet& features) {
    using Key = std::array<unsigned, 8>;
    using Rule = std::pair<Mn, bool>;   // and whether encoded with VEX
    std::map<Rule, std::map<Key, Form>> found;
    std::map<Rule, bool> vector;
    const jit::Mode jm = jit_mode(m);
    Insn in;
    const auto decodes = [&](const Template& t) {
        const auto b = spell(t, m);
        return decode(b.data(), b.size(), where::next - 15, jm, features, in) == Decode::ok;
    };
    const auto keep = [&](const Template& t) {
        if (!runs_in_user_mode(in)) return;
        if (t.gather && std::none_of(std::begin(in.op), std::end(in.op), [](const Operand& o) { return o.vector_index; })) return;
        const bool reg_is_opcode = t.map == 1 || (t.map == 0 && (t.opcode >= 0xf6 || (t.opcode & 0xf8) == 0x80 || (t.opcode & 0xf0) >= 0xc0));
        const unsigned reg = !t.has_modrm ? 8 : reg_is_opcode ? t.modrm >> 3 & 7 : 0;
        found[{in.mn, t.vex}][{t.vex, t.l, t.prefix, t.wide, t.map, t.opcode, reg, t.has_modrm && t.modrm >= 0xc0}].push_back(t);
        vector[{in.mn, t.vex}] |= is_vector(in);
    };
    const auto try_opcode = [&](Template t) {
        for (unsigned modrm = 255;; --modrm) {
            t.modrm = static_cast<u8>(modrm), t.has_modrm = true;
            if (decodes(t)) {
                if (in.modrm == modrm && (modrm != 0 || !found.empty())) {
                    keep(t);
                } else {   // there is no ModRM byte
                    t.modrm = 0, t.has_modrm = false;
                    return keep(t);
                }
            }
            if (modrm == 0) return;
        }
    };
    for (u8 prefix : {0x00, 0x66, 0xf2, 0xf3})
        for (bool wide : {false, true})
            for (u8 map = 0; map < 4; ++map)
                for (unsigned opcode = 0; opcode < 256; ++opcode) {
                    if (wide && m != CodeMode::long64) continue;
                    if (map == 0 && (is_prefix(static_cast<u8>(opcode), m) || opcode == 0x0f)) continue;
                    if (map == 1 && (opcode == 0x38 || opcode == 0x3a)) continue;
                    try_opcode({prefix, wide, map, static_cast<u8>(opcode), 0, false, false, false});
                }
    // W means something outside of 64-bit code too. Where it or L means nothing both are tried.
    for (u8 prefix : {0x00, 0x66, 0xf2, 0xf3})
        for (bool wide : {false, true})
            for (bool l : {false, true})
                for (u8 map = 1; map < 4; ++map)
                    for (unsigned opcode = 0; opcode < 256; ++opcode)
                        for (bool gather : {false, true}) try_opcode({prefix, wide, map, static_cast<u8>(opcode), 0, false, true, l, gather});
    std::vector<RuleForms> out;
    for (auto& [rule, forms] : found) {
        RuleForms r{rule.first, rule.second, vector[rule], {}};
        for (auto& [key, form] : forms) r.forms.push_back(std::move(form));
        out.push_back(std::move(r));
    }
    return out;
}
}  // namespace calque::silicon
