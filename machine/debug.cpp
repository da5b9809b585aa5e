#include "machine/debug.h"

#include <algorithm>
#include <cstdio>

#include "cpu/apic.h"

namespace calque {
namespace {
constexpr const char* kNames64[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};

std::string format(const char* fmt, auto... values) {
    char text[256];
    std::snprintf(text, sizeof text, fmt, values...);
    return text;
}
}  // namespace

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
    t += format("FCW=%04x FSW=%04x FTW=%02x MXCSR=%08x\n", s.fpu.cw, s.fpu.sw | (s.fpu.top_tags & 7) << 11, s.fpu.top_tags >> 8, s.mxcsr);
    for (unsigned i = 0; i < 8; ++i) {
        const auto& r = s.fpu.reg[(s.fpu.top_tags + i) & 7];
        t += format("ST%u=%04x %016llx%c", i, r.se, u(r.sig), i % 4 == 3 ? '\n' : ' ');
    }
    for (unsigned i = 0; i < 16; ++i) t += format("XMM%02u=%016llx%016llx%c", i, u(s.xmm[i].hi), u(s.xmm[i].lo), i % 2 ? '\n' : ' ');
    return t;
}
}  // namespace calque
