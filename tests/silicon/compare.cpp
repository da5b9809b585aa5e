#include "tests/silicon/compare.h"

#include <Zydis/Zydis.h>
#include <sys/mman.h>

#include <cmath>
#include <cstdio>
#include <cstring>

#include "tests/silicon/forms.h"

namespace calque::silicon {
namespace {

ZydisMachineMode machine(CodeMode m) {
    return m == CodeMode::long64 ? ZYDIS_MACHINE_MODE_LONG_64 : m == CodeMode::prot16 ? ZYDIS_MACHINE_MODE_LEGACY_16 : ZYDIS_MACHINE_MODE_LEGACY_32;
}
ZydisStackWidth stack(CodeMode m) {
    return m == CodeMode::long64 ? ZYDIS_STACK_WIDTH_64 : m == CodeMode::prot16 ? ZYDIS_STACK_WIDTH_16 : ZYDIS_STACK_WIDTH_32;
}

std::string disassemble(const Case& c, unsigned start) {
    ZydisDecoder d;
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand zo[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderInit(&d, machine(c.mode), stack(c.mode));
    ZydisFormatter f;
    ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL);
    char text[200] = "?";
    const u64 rip = c.rip() + start;
    if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, c.bytes + start, c.length - start, &zi, zo)))
        ZydisFormatterFormatInstruction(&f, &zi, zo, zi.operand_count_visible, text, sizeof text, rip, nullptr);
    return text;
}

/// Transcendentals: within one unit of the last place, and C1 (rounded up) as it comes.
bool approximate(Mn m) {
    switch (m) {
    case Mn::F2XM1: case Mn::FCOS: case Mn::FPATAN: case Mn::FPTAN: case Mn::FSIN: case Mn::FSINCOS: case Mn::FYL2X: case Mn::FYL2XP1: return true;
    default: return false;
    }
}
/// Estimates whose bits differ between processors; the manual bounds the relative error by 1.5 * 2^-12, and leaves open whether a result
/// about as small as the smallest normal number is 0 (SDM vol. 2B, "RCPSS").
bool estimate(Mn m) { return m == Mn::RCPPS || m == Mn::RCPSS || m == Mn::RSQRTPS || m == Mn::RSQRTSS; }
bool near(u32 a, u32 b) {
    float x, y;
    std::memcpy(&x, &a, 4), std::memcpy(&y, &b, 4);
    const auto tiny = [](u32 v) { return (v & 0x7fffffff) == 0 || (v & 0x7fffffff) == 0x00800000; };
    return a == b || std::fabs(x - y) <= std::fabs(x) * (3.0f / 4096) || (tiny(a) && tiny(b) && !((a ^ b) >> 31));
}
bool same_estimates(const FxState& a, const FxState& b) {
    for (unsigned i = 0; i < 16; ++i)
        for (const auto& [x, y] : {std::pair{a.xmm[i].lo, b.xmm[i].lo}, std::pair{a.xmm[i].hi, b.xmm[i].hi}, std::pair{a.high[i].lo, b.high[i].lo},
                                   std::pair{a.high[i].hi, b.high[i].hi}})
            if (!near(static_cast<u32>(x), static_cast<u32>(y)) || !near(static_cast<u32>(x >> 32), static_cast<u32>(y >> 32))) return false;
    return true;
}

/// Numbers as steps of the last place, also across exponents.
bool within(const FxState::Reg& a, const FxState::Reg& b, u64 ulp) {
    const auto steps = [](const FxState::Reg& r) { return u128{r.se & 0x7fff} << 63 | (r.sig & ~(u64{1} << 63)); };
    return ((a.se ^ b.se) & 0x8000) == 0 && steps(a) - steps(b) + ulp <= 2 * ulp;
}

bool same_vector_state(Mn mn, const FxState& a, const FxState& b) {
    const u64 ulp = approximate(mn) ? 1 : 0;
    const u16 ignored = approximate(mn) ? 0x200 : 0;
    if (a.fcw != b.fcw || ((a.fsw ^ b.fsw) & ~ignored) || a.ftw != b.ftw || a.mxcsr != b.mxcsr) return false;
    for (unsigned i = 0; i < 8; ++i)
        if ((a.st[i].sig != b.st[i].sig || (a.st[i].se ^ b.st[i].se) & 0xffff) && !(ulp && within(a.st[i], b.st[i], ulp))) return false;
    if (estimate(mn)) return same_estimates(a, b);
    return std::memcmp(a.xmm, b.xmm, sizeof a.xmm) == 0 && std::memcmp(a.high, b.high, sizeof a.high) == 0;
}

/// What a signal frame has of the pointers: no selectors, and on AMD's processors nothing at all while no exception is pending.
bool same_pointers(const Outcome& n, const Outcome& o) {
    const FxState &a = n.fx, &b = o.fx;
    if (n.vector == kNoFault && !n.trapped) return a.fop == b.fop && a.fip == b.fip && a.fdp == b.fdp;
    static const bool amd = host_features().has(Isa::zen);
    if (amd && !(a.fsw & 0x80)) return true;
    return a.fop == b.fop && static_cast<u32>(a.fip) == static_cast<u32>(b.fip) && static_cast<u32>(a.fdp) == static_cast<u32>(b.fdp);
}

bool same_memory(const Outcome& a, const Outcome& b) {
    if (a.changed != b.changed) return false;
    for (u32 i = 0; i < a.changed; ++i)
        if (a.line[i].index != b.line[i].index || a.line[i].bytes != b.line[i].bytes) return false;
    return true;
}

bool mapped(u64 address) { return msync(reinterpret_cast<void*>(address & ~u64{0xfff}), 4096, MS_ASYNC) == 0; }

template <class... A>
void put(std::string& s, const char* format, A... a) {
    char line[256];
    std::snprintf(line, sizeof line, format, a...);
    s += line;
}
using ull = unsigned long long;

constexpr const char* kNames[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"};

std::string flag_text(u32 f) {
    std::string s;
    const std::pair<u32, char> all[] = {{eflags::CF, 'c'}, {eflags::PF, 'p'}, {eflags::AF, 'a'}, {eflags::ZF, 'z'}, {eflags::SF, 's'}, {eflags::DF, 'd'}, {eflags::OF, 'o'}};
    for (auto [bit, ch] : all) s += f & bit ? ch : '.';
    return s;
}

void describe_memory(std::string& s, const Case& c, const Outcome& n, const Outcome& o) {
    for (u32 line = 0; line < Line::count; ++line) {
        const auto find = [&](const Outcome& x) -> const Line* {
            for (u32 i = 0; i < x.changed; ++i)
                if (x.line[i].index == line) return &x.line[i];
            return nullptr;
        };
        const Line *a = find(n), *b = find(o);
        if (!a && !b) continue;
        if (a && b && a->bytes == b->bytes) continue;
        for (u32 i = 0; i < Line::size; ++i) {
            const int x = a ? a->bytes[i] : -1, y = b ? b->bytes[i] : -1;
            if (x != y) put(s, "  mem %llx: native %02x ours %02x (-1: as before)\n", static_cast<ull>(where::data + line * Line::size + i), x, y);
        }
    }
    (void)c;
}

void describe_vector(std::string& s, const Case& c, const Outcome& n, const Outcome& o) {
    const auto control = [&](const char* name, unsigned start, unsigned a, unsigned b) {
        if (a != b || start != a) put(s, "  %-5s %04x -> native %04x ours %04x%s\n", name, start, a, b, a != b ? "   <==" : "");
    };
    control("fcw", c.fx.fcw, n.fx.fcw, o.fx.fcw);
    control("fsw", c.fx.fsw, n.fx.fsw, o.fx.fsw);
    control("ftw", c.fx.ftw, n.fx.ftw, o.fx.ftw);
    control("mxcsr", c.fx.mxcsr, n.fx.mxcsr, o.fx.mxcsr);
    control("fop", c.fx.fop, n.fx.fop, o.fx.fop);
    const auto pointer = [&](const char* name, u64 start, u64 a, u64 b) {
        if (a != b || start != a)
            put(s, "  %-5s %012llx -> native %012llx ours %012llx%s\n", name, static_cast<ull>(start), static_cast<ull>(a), static_cast<ull>(b), a != b ? "   <==" : "");
    };
    pointer("fip", c.fx.fip, n.fx.fip, o.fx.fip);
    pointer("fdp", c.fx.fdp, n.fx.fdp, o.fx.fdp);
    put(s, "  start fcw %04x fsw %04x ftw %02x mxcsr %04x\n", c.fx.fcw, c.fx.fsw, c.fx.ftw, c.fx.mxcsr);
    for (unsigned i = 0; i < 8; ++i) {
        const auto &x = c.fx.st[i], &a = n.fx.st[i], &b = o.fx.st[i];
        const bool differ = a.sig != b.sig || (a.se ^ b.se) & 0xffff;
        bool used = i < 2;
        for (const auto& p : c.in.op) used |= p.kind == Operand::st && p.reg == i;
        for (const auto& p : c.in.op) used |= p.kind == Operand::mmx;
        if (differ || (used && c.in.opcode >= 0xd8))
            put(s, "  st%u %04llx:%016llx -> native %04llx:%016llx ours %04llx:%016llx%s\n", i, static_cast<ull>(x.se), static_cast<ull>(x.sig), static_cast<ull>(a.se & 0xffff),
                static_cast<ull>(a.sig), static_cast<ull>(b.se & 0xffff), static_cast<ull>(b.sig), differ ? "   <==" : "");
    }
    const auto half = [&](const char* name, unsigned i, const jit::V128& x, const jit::V128& a, const jit::V128& b, bool used) {
        const bool differ = a.lo != b.lo || a.hi != b.hi;
        if (differ || used)
            put(s, "  %s%u %016llx%016llx -> native %016llx%016llx ours %016llx%016llx%s\n", name, i, static_cast<ull>(x.hi), static_cast<ull>(x.lo), static_cast<ull>(a.hi),
                static_cast<ull>(a.lo), static_cast<ull>(b.hi), static_cast<ull>(b.lo), differ ? "   <==" : "");
    };
    for (unsigned i = 0; i < 16; ++i) {
        bool used = false, whole = false;
        for (const auto& p : c.in.op)
            if (p.kind == Operand::xmm && p.reg == i) used = true, whole |= p.size == 32;
        half("xmm", i, c.fx.xmm[i], n.fx.xmm[i], o.fx.xmm[i], used);
        half("ymm.high", i, c.fx.high[i], n.fx.high[i], o.fx.high[i], whole);
    }
}
}  // namespace

/// How many instructions of a sequence retire when it ends so.
static u32 retired_before(const Case& c, const Outcome& n) {
    if (n.vector == kNoFault) return c.count;
    u32 k = 0;
    while (k < c.count && c.rip() + c.start[k] != n.rip) ++k;
    return k;
}

u32 undefined_flags(const Case& c) {
    ZydisDecoder d;
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand zo[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderInit(&d, machine(c.mode), stack(c.mode));
    if (ZYAN_FAILED(ZydisDecoderDecodeFull(&d, c.bytes, c.length, &zi, zo))) return 0;
    return zi.cpu_flags ? zi.cpu_flags->undefined : 0;
}

Difference compare(const Case& c, const Outcome& n, const Outcome& o) {
    Difference d;
    // Of the kernel's addresses the kernel says that all are present.
    const bool hidden = n.vector == 14 && n.cr2 >> 47;
    d.fault = n.vector != o.vector || n.cr2 != o.cr2 || (n.error != o.error && !hidden);
    d.rip = n.rip != o.rip;
    d.retired = c.count > 1 && !d.rip && o.retired != retired_before(c, n);
    // POPA loads registers one by one, also before a fault.
    const bool partial = c.count == 1 && n.vector != kNoFault && (c.in.mn == Mn::POPA || c.in.mn == Mn::POPAD);
    d.registers = !partial && std::memcmp(n.gpr, o.gpr, sizeof n.gpr) != 0;
    d.memory = !same_memory(n, o);
    d.vector = c.vector && !(same_vector_state(c.in.mn, n.fx, o.fx) && same_pointers(n, o));
    d.flags = n.flags != o.flags;
    return d;
}

/// Before the fourth Zen, BSF and BSR leave alone the flags that are undefined after them, and CMPS reads at DI first.
static bool as_older_zen(const Case& c, Outcome native, const Outcome& ours) {
    const Mn mn = c.in.mn;
    if (!older_zen() || c.count > 1) return false;
    if (mn == Mn::BSF || mn == Mn::BSR) {
        const u32 open = undefined_flags(c);
        native.flags = (native.flags & ~open) | (ours.flags & open);
    } else if (c.in.op_count == 0 && (mn == Mn::CMPSB || mn == Mn::CMPSW || mn == Mn::CMPSD || mn == Mn::CMPSQ) && native.vector == 14 && ours.vector == 14) {
        native.cr2 = ours.cr2, native.error = ours.error;
    }
    return !compare(c, native, ours).any();
}

bool hosts_own(const Case& c, const Outcome& native, const Outcome& ours) {
    if (as_older_zen(c, native, ours)) return true;
    // MXCSR.MM, misaligned exception mask (AMD vol. 2, "SSE Instructions", "MXCSR Register").
    constexpr u32 kMisaligned = 1 << 17;
    if ((native.fx.mxcsr & kMisaligned) && ours.vector == 13) return true;
    // Whether a page that a process cannot have is present is the kernel's affair.
    if (ours.vector == 14 && native.vector == 14 && ours.cr2 == native.cr2 && (ours.cr2 >> 40) && (ours.error ^ native.error) == 1) return true;
    return ours.vector == 14 && native.vector != 14 && (ours.cr2 >> 40) && mapped(ours.cr2);
}

std::string describe(const Case& c, const Outcome& n, const Outcome& o) {
    std::string s;
    for (unsigned k = 0; k < c.count; ++k) {
        const unsigned end = k + 1 < c.count ? c.start[k + 1] : c.length;
        put(s, "  %s:", disassemble(c, c.start[k]).c_str());
        for (unsigned i = c.start[k]; i < end; ++i) put(s, " %02x", c.bytes[i]);
        put(s, "\n");
    }
    if (c.count > 1) put(s, "  %u retired of %u\n", o.retired, retired_before(c, n));
    put(s, "  fault native %d(%x, %llx) ours %d(%x, %llx)%s\n", n.vector == kNoFault ? -1 : n.vector, n.error, static_cast<ull>(n.cr2),
        o.vector == kNoFault ? -1 : o.vector, o.error, static_cast<ull>(o.cr2), n.vector != o.vector || n.error != o.error || n.cr2 != o.cr2 ? "   <==" : "");
    put(s, "  rip native %llx ours %llx%s\n", static_cast<ull>(n.rip), static_cast<ull>(o.rip), n.rip != o.rip ? "   <==" : "");
    put(s, "  flags %s -> native %s ours %s%s\n", flag_text(c.flags).c_str(), flag_text(n.flags).c_str(), flag_text(o.flags).c_str(), n.flags != o.flags ? "   <==" : "");
    for (unsigned i = 0; i < 16; ++i) {
        bool used = c.in.op_count == 0 && (i == RSI || i == RDI || i == RCX);
        for (const auto& p : c.in.op)
            used |= (p.kind == Operand::gpr && p.reg == i) || (p.kind == Operand::gpr_high && p.reg == i) || (p.is_mem() && (p.base == static_cast<int>(i) || p.index == static_cast<int>(i)));
        if (used || c.gpr[i] != n.gpr[i] || n.gpr[i] != o.gpr[i])
            put(s, "  %-3s %016llx -> native %016llx ours %016llx%s\n", kNames[i], static_cast<ull>(c.gpr[i]), static_cast<ull>(n.gpr[i]), static_cast<ull>(o.gpr[i]),
                n.gpr[i] != o.gpr[i] ? "   <==" : "");
    }
    describe_memory(s, c, n, o);
    if (c.vector) describe_vector(s, c, n, o);
    return s;
}
}  // namespace calque::silicon
