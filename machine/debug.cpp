#include "machine/debug.h"

#include <algorithm>
#include <cstdio>

#include "cpu/apic.h"

namespace calque {
namespace {
constexpr u64 kPresent = 1, kLarge = 0x80, kFrame = 0x000ffffffffff000;
constexpr const char* kNames64[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr const char* kSegments[] = {"es", "cs", "ss", "ds", "fs", "gs"};

std::optional<u64> entry_at(Machine& m, u64 address, unsigned size) {
    u8 bytes[8] = {};
    if (!read_physical(m, address, {bytes, size})) return {};
    u64 v = 0;
    for (unsigned i = 0; i < size; ++i) v |= u64{bytes[i]} << (8 * i);
    return v & kPresent ? std::optional{v} : std::nullopt;
}

std::optional<u64> walk32(Machine& m, const CpuState& s, u32 linear) {
    const auto pde = entry_at(m, (s.cr3 & 0xfffff000) + (linear >> 22) * 4, 4);
    if (!pde) return {};
    if ((*pde & kLarge) && (s.cr4 & cr4::PSE)) return (*pde & 0xffc00000) | (*pde >> 13 & 0xff) << 32 | (linear & 0x3fffff);
    const auto pte = entry_at(m, (*pde & 0xfffff000) + (linear >> 12 & 0x3ff) * 4, 4);
    if (!pte) return {};
    return (*pte & 0xfffff000) | (linear & 0xfff);
}

// PAE (from level 3) and 4-level paging (from level 4): "Linear-Address Translation" in SDM vol. 3A, "Paging".
std::optional<u64> walk64(Machine& m, u64 table, u64 linear, unsigned level) {
    for (;; --level) {
        const unsigned shift = 12 + 9 * (level - 1);
        const auto e = entry_at(m, table + (linear >> shift & 0x1ff) * 8, 8);
        if (!e) return {};
        const u64 inside = (u64{1} << shift) - 1;
        if (level == 1 || ((*e & kLarge) && level < 4)) return (*e & kFrame & ~inside) | (linear & inside);
        table = *e & kFrame;
    }
}

std::string format(const char* fmt, auto... values) {
    char text[256];
    std::snprintf(text, sizeof text, fmt, values...);
    return text;
}
}  // namespace

bool read_physical(Machine& m, u64 address, std::span<u8> out) {
    while (!out.empty()) {
        const size_t n = std::min<u64>(out.size(), PhysMap::kPage - address % PhysMap::kPage);
        const PhysPage page = m.memory().page(address & ~(PhysMap::kPage - 1));
        if (!page.host) return false;
        std::copy_n(page.host + address % PhysMap::kPage, n, out.begin());
        out = out.subspan(n), address += n;
    }
    return true;
}

std::optional<u64> translate_quietly(Machine& m, u64 linear) {
    const CpuState& s = m.cpu().state();
    if (!(s.cr0 & cr0::PG)) return linear & 0xffffffff;
    if (!(s.cr4 & cr4::PAE)) return walk32(m, s, static_cast<u32>(linear));
    if (s.efer & efer::LMA) return walk64(m, s.cr3 & kFrame, linear, 4);
    const auto pdpte = entry_at(m, (s.cr3 & 0xffffffe0) + (linear >> 30 & 3) * 8, 8);
    return pdpte ? walk64(m, *pdpte & kFrame, linear & 0x3fffffff, 2) : std::nullopt;
}

bool read_linear_quietly(Machine& m, u64 address, std::span<u8> out) {
    while (!out.empty()) {
        const size_t n = std::min<u64>(out.size(), PhysMap::kPage - address % PhysMap::kPage);
        const auto physical = translate_quietly(m, address);
        if (!physical || !read_physical(m, *physical, out.first(n))) return false;
        out = out.subspan(n), address += n;
    }
    return true;
}

std::string register_text(const CpuState& s) {
    std::string t;
    const auto u = [](u64 v) { return static_cast<unsigned long long>(v); };
    for (unsigned i = 0; i < 16; ++i) {
        std::string name = kNames64[i];
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        t += format("%-3s=%016llx%c", name.c_str(), u(s.gpr[i]), i % 4 == 3 ? '\n' : ' ');
    }
    const u32 f = read_eflags(s);
    t += format("RIP=%016llx RFL=%08x [%c%c%c%c%c%c%c] CPL=%u HLT=%d SMM=%d\n", u(s.x.rip), f, f & eflags::DF ? 'D' : '-',
                f & eflags::OF ? 'O' : '-', f & eflags::SF ? 'S' : '-', f & eflags::ZF ? 'Z' : '-', f & eflags::AF ? 'A' : '-',
                f & eflags::PF ? 'P' : '-', f & eflags::CF ? 'C' : '-', s.cpl, s.halted, s.smm);
    for (unsigned i = 0; i < kSegs; ++i) {
        const Segment& g = s.seg[i];
        t += format("%cS =%04x %016llx %08x %08x\n", "ECSDFG"[i], g.selector, u(g.base), g.limit, g.attr);
    }
    t += format("LDT=%04x %016llx %08x %08x\n", s.ldtr.selector, u(s.ldtr.base), s.ldtr.limit, s.ldtr.attr);
    t += format("TR =%04x %016llx %08x %08x\n", s.tr.selector, u(s.tr.base), s.tr.limit, s.tr.attr);
    t += format("GDT=     %016llx %08x\nIDT=     %016llx %08x\n", u(s.gdtr.base), s.gdtr.limit, u(s.idtr.base), s.idtr.limit);
    t += format("CR0=%08llx CR2=%016llx CR3=%016llx CR4=%08llx CR8=%llx\n", u(s.cr0), u(s.cr2), u(s.cr3), u(s.cr4), u(s.cpu->apic().cr8()));
    t += format("DR0=%016llx DR1=%016llx DR2=%016llx DR3=%016llx\n", u(s.dr[0]), u(s.dr[1]), u(s.dr[2]), u(s.dr[3]));
    t += format("DR6=%016llx DR7=%016llx EFER=%016llx\n", u(s.dr6), u(s.dr7), u(s.efer));
    t += format("FCW=%04x FSW=%04x MXCSR=%08x\n", s.fpu.cw, s.fpu.sw | (s.fpu.top_tags & 7) << 11, s.mxcsr);
    for (unsigned i = 0; i < 16; ++i) t += format("XMM%02u=%016llx%016llx%c", i, u(s.xmm[i].hi), u(s.xmm[i].lo), i % 2 ? '\n' : ' ');
    return t;
}

std::optional<u64> register_by_name(const CpuState& s, std::string_view name) {
    for (unsigned i = 0; i < 16; ++i) {
        if (name == kNames64[i]) return s.gpr[i];
        if (i < 8 && name.size() == 3 && name[0] == 'e' && name.substr(1) == std::string_view{kNames64[i]}.substr(1)) return s.gpr[i] & 0xffffffff;
    }
    for (unsigned i = 0; i < kSegs; ++i)
        if (name == kSegments[i]) return s.seg[i].selector;
    if (name == "rip" || name == "eip" || name == "pc") return s.x.rip;
    if (name == "eflags" || name == "rflags") return read_eflags(s);
    if (name == "cr0") return s.cr0;
    if (name == "cr2") return s.cr2;
    if (name == "cr3") return s.cr3;
    if (name == "cr4") return s.cr4;
    return {};
}
}  // namespace calque
