#include "machine/exec/host/refuse.h"

#include <algorithm>
#include <string_view>

namespace calque::exec::host {
namespace {
constexpr std::string_view kKernel[] = {"SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT", "INT", "INT1", "IRET", "IRETD", "IRETQ", "RSM"};
// What differs from run to run, or shows what the kernel has set up.
constexpr std::string_view kOthers[] = {
    "CPUID", "RDTSC", "RDTSCP", "RDPMC", "RDPID", "RDRAND", "RDSEED", "SMSW", "SGDT", "SIDT", "SLDT", "STR", "LAR", "LSL", "VERR", "VERW", "LDS", "LES", "LFS",
    "LGS", "LSS", "RDFSBASE", "RDGSBASE", "WRFSBASE", "WRGSBASE", "XGETBV", "XSAVE", "XSAVEOPT", "XSAVEC", "XRSTOR", "XSAVE64", "XSAVEOPT64", "XSAVEC64",
    "XRSTOR64"};
constexpr std::string_view kPushf[] = {"PUSHF", "PUSHFD", "PUSHFQ"}, kPopf[] = {"POPF", "POPFD", "POPFQ"};
// Rights that depend on the privilege level, which is 3 here.
constexpr std::string_view kPrivileged[] = {
    "CLI", "STI", "HLT", "IN", "OUT", "INSB", "INSW", "INSD", "OUTSB", "OUTSW", "OUTSD", "LGDT", "LIDT", "LLDT", "LTR", "LMSW", "CLTS", "INVLPG", "INVPCID", "INVD",
    "WBINVD", "RDMSR", "WRMSR", "XSETBV", "MONITOR", "MWAIT", "CLAC", "STAC", "SWAPGS", "XSAVES", "XRSTORS", "XSAVES64", "XRSTORS64"};

template <size_t N>
bool in_list(const std::string_view (&list)[N], std::string_view name) { return std::find(std::begin(list), std::end(list), name) != std::end(list); }

bool touches_segments(const Insn& in) {
    for (const Operand& o : in.op)
        if (o.kind == Operand::segment) return true;
    if (in.mn == Mn::JMP || in.mn == Mn::CALL) return in.op_count == 2 || (in.op[0].is_mem() && in.opcode == 0xff && (in.modrm >> 3 & 1));
    return in.mn == Mn::RET && (in.opcode == 0xca || in.opcode == 0xcb);
}
}  // namespace

bool pushes_flags(const Insn& in) { return in_list(kPushf, mnemonic_name(in.mn)); }

const char* why_not(const Insn& in, bool user, bool interrupts) {
    const std::string_view name = mnemonic_name(in.mn);
    if (in_list(kKernel, name)) return "calls the host's kernel";
    if (in_list(kOthers, name)) return "shows the host's own state";
    if (touches_segments(in)) return "uses segment selectors, which are the host's";
    const bool flags = in_list(kPushf, name) || in_list(kPopf, name);
    if (flags && !interrupts) return "shows that interrupts are on there, and the case has them off";
    bool control = in_list(kPrivileged, name) || in_list(kPopf, name);
    for (const Operand& o : in.op) control |= o.kind == Operand::control || o.kind == Operand::debug;
    return control && !user ? "depends on the privilege level, which is 3 there" : nullptr;
}
}  // namespace calque::exec::host
