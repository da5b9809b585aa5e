// A case's state is loaded by returning from a signal handler into it, and comes back with the next signal: single steps are traps,
// exceptions are signals anyway. So the processor's whole state is in the signal's frame, but for DS, ES, FS and GS.
// Compiled without stack protector: the handler starts without thread-local storage.
#include "machine/exec/host/child.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "machine/exec/host/refuse.h"

namespace calque::exec::host {
namespace {

constexpr u64 kMostTraps = 2'000'000;
constexpr u32 kTf = 0x100;
constexpr int kOrder[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                            REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

struct Child {
    Exchange* x;
    const u8* ram;            // a view that the case's code does not use
    u64 fs_base, gs_base;     // the child's own
    bool inside;              // the case runs
    Insn in;                  // its current instruction
    u64 traps;
    gregset_t own;            // the child's own registers
    u8 own_fp[1024];
} child;

/// The extended part of a frame's floating-point state (SDM vol. 1, "XSAVE Area"); the kernel says in the software bytes whether it is there.
struct FpFrame {
    u8* at;
    explicit FpFrame(const ucontext_t& uc) : at{reinterpret_cast<u8*>(uc.uc_mcontext.fpregs)} {}
    static constexpr size_t kSoftware = 464, kHeader = 512, kYmm = 576;
    bool extended() const {
        u32 magic;
        std::memcpy(&magic, at + kSoftware, 4);
        return magic == 0x46505853;
    }
    size_t size() const { return extended() ? kYmm + 256 : 512; }
    u64 present() const {
        u64 v;
        std::memcpy(&v, at + kHeader, 8);
        return v;
    }
    void load(const State& s) const {
        std::memcpy(at, &s.fx, sizeof s.fx);
        if (!extended()) return;
        const u64 bits = present() | 7;
        std::memcpy(at + kHeader, &bits, 8);
        std::memcpy(at + kYmm, s.ymm_high, sizeof s.ymm_high);
    }
    void store(State& s) const {
        std::memcpy(&s.fx, at, sizeof s.fx);
        std::memset(s.ymm_high, 0, sizeof s.ymm_high);
        if (extended() && (present() & 4)) std::memcpy(s.ymm_high, at + kYmm, sizeof s.ymm_high);
    }
};

void refuse(const char* what, const char* why) { std::snprintf(child.x->refused, sizeof child.x->refused, "%s %s", what, why); }

/// May the instruction at RIP run? False: `refused` says why not.
bool look_at(u64 rip) {
    Exchange& x = *child.x;
    const u64 linear = x.wide ? rip : (x.code_base + rip) & 0xffffffff;
    if (linear >= kRam) return refuse("the case", "goes on outside of its memory"), false;
    const size_t room = kRam - linear < 15 ? kRam - linear : 15;
    const Decode d = decode(child.ram + linear, room, rip, x.mode, x.features, child.in);
    if (d == Decode::ok) {
        const char* why = why_not(child.in, x.user, x.interrupts);
        if (why) refuse(mnemonic_name(child.in.mn), why);
        return !why;
    }
    // What is undefined on the case's model may be defined on the host.
    Insn any;
    if (d == Decode::undefined && decode(child.ram + linear, room, rip, x.mode, IsaSet::all(), any) == Decode::ok)
        return refuse(mnemonic_name(any.mn), "is not in the case's model"), false;
    if (d == Decode::more) return refuse("the case", "goes on outside of its memory"), false;
    child.in = {};
    return true;
}

void load_guest(ucontext_t& uc) {
    const Exchange& x = *child.x;
    auto& g = uc.uc_mcontext.gregs;
    for (int i = 0; i < 16; ++i) g[kOrder[i]] = static_cast<greg_t>(x.state.gpr[i]);
    g[REG_RIP] = static_cast<greg_t>(x.state.rip);
    g[REG_EFL] = static_cast<greg_t>(x.state.flags | kTf | 0x202);
    g[REG_CSGSFS] = static_cast<greg_t>(x.selector[CS] | u64{x.selector[SS]} << 48);
    FpFrame{uc}.load(x.state);
}

void store_guest(const ucontext_t& uc) {
    Exchange& x = *child.x;
    const auto& g = uc.uc_mcontext.gregs;
    for (int i = 0; i < 16; ++i) x.state.gpr[i] = static_cast<u64>(g[kOrder[i]]);
    x.state.rip = static_cast<u64>(g[REG_RIP]);
    x.state.flags = static_cast<u32>(g[REG_EFL]) & ~kTf;
    FpFrame{uc}.store(x.state);
}

/// A step or an exception of the case. True: it goes on.
bool guest_event(const ucontext_t& uc) {
    Exchange& x = *child.x;
    const auto& g = uc.uc_mcontext.gregs;
    const int vector = static_cast<int>(g[REG_TRAPNO]);
    const u64 rip = static_cast<u64>(g[REG_RIP]);
    if (vector != 1) {
        x.vector = vector;
        x.error = static_cast<u32>(g[REG_ERR]);
        x.cr2 = vector == 14 ? static_cast<u64>(g[REG_CR2]) : 0;
        ++x.done;
        return false;
    }
    // It has pushed the trap flag, which is ours.
    if (pushes_flags(child.in)) *reinterpret_cast<u8*>(((x.stack_base + (static_cast<u64>(g[REG_RSP]) & x.stack_mask)) & x.linear_mask) + 1) &= 0xfe;
    const bool repeats = (child.in.rep || child.in.repne) && rip == child.in.rip;
    if (!repeats) ++x.done;
    x.endless = ++child.traps >= kMostTraps;
    return !x.endless && x.done < x.steps && (repeats || look_at(rip));
}

void on_event(ucontext_t& uc) {
    if (!child.inside) {   // the child's own INT3: in
        std::memcpy(child.own, uc.uc_mcontext.gregs, sizeof child.own);
        std::memcpy(child.own_fp, uc.uc_mcontext.fpregs, FpFrame{uc}.size());
        child.inside = true;
        load_guest(uc);
        return;
    }
    if (guest_event(uc)) {
        uc.uc_mcontext.gregs[REG_EFL] |= kTf;
        return;
    }
    store_guest(uc);
    child.inside = false;
    std::memcpy(uc.uc_mcontext.gregs, child.own, sizeof child.own);
    std::memcpy(uc.uc_mcontext.fpregs, child.own_fp, FpFrame{uc}.size());
}

void set_bases(u64 fs, u64 gs) { asm volatile("wrfsbase %0\n\twrgsbase %1" : : "r"(fs), "r"(gs) : "memory"); }

// Returns from the signal by itself, because the case's segments must be loaded after the last line of C++.
[[noreturn]] void leave(ucontext_t* uc) {
    const Exchange& x = *child.x;
    if (child.inside && x.wide) set_bases(x.fs_base, x.gs_base);
    const u64 none = 0;
    const bool load = child.inside && !x.wide;
    const u64 es = load ? x.selector[ES] : none, ds = load ? x.selector[DS] : none, fs = load ? x.selector[FS] : none, gs = load ? x.selector[GS] : none;
    if (!load)
        asm volatile("movq %0, %%rsp\n\tmovl $15, %%eax\n\tsyscall" : : "r"(uc) : "memory");
    else
        asm volatile("movw %w1, %%es\n\tmovw %w2, %%ds\n\tmovw %w3, %%fs\n\tmovw %w4, %%gs\n\tmovq %0, %%rsp\n\tmovl $15, %%eax\n\tsyscall"
                     : : "r"(uc), "r"(es), "r"(ds), "r"(fs), "r"(gs) : "memory");
    __builtin_unreachable();
}

void on_signal(int, siginfo_t*, void* context) {
    // The case may have alignment checks on, and its segments are still loaded.
    asm volatile("pushfq\n\tandq $~0x40000, (%%rsp)\n\tpopfq" : : : "memory", "cc");
    if (child.inside) {
        asm volatile("xorl %%eax, %%eax\n\tmovw %%ax, %%ds\n\tmovw %%ax, %%es\n\tmovw %%ax, %%fs\n\tmovw %%ax, %%gs" : : : "rax", "memory");
        set_bases(child.fs_base, child.gs_base);
    }
    auto* uc = static_cast<ucontext_t*>(context);
    on_event(*uc);
    leave(uc);
}

void fail(const char* what) {
    std::perror(what);
    std::_Exit(3);
}

void prepare_signals() {
    stack_t alternate{};
    alternate.ss_size = 1 << 18;
    alternate.ss_sp = mmap(nullptr, alternate.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (alternate.ss_sp == MAP_FAILED) fail("mmap");
    sigaltstack(&alternate, nullptr);
    struct sigaction action{};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigaction(s, &action, nullptr);
}

/// Whatever a case does, it reaches no more of the kernel than this.
void lock_up() {
    constexpr u32 kCalls[] = {SYS_read, SYS_write, SYS_rt_sigreturn, SYS_modify_ldt, SYS_exit_group};
    std::vector<sock_filter> code = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
                                     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const u32 call : kCalls) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) fail("seccomp");
}

/// Memory at its address, as much of it as the host gives: low addresses may be refused (vm.mmap_min_addr).
void* map_at(u64 address, u64 offset, int fd) {
    return mmap(reinterpret_cast<void*>(address + offset), kRam - offset, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, static_cast<off_t>(offset));
}
}  // namespace

u64 lowest_address() {
    for (u64 at : {u64{0}, u64{0x1000}, u64{0x10000}, u64{0x20000}, u64{0x100000}}) {
        void* p = mmap(reinterpret_cast<void*>(at), 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (p == MAP_FAILED) continue;
        munmap(p, 4096);
        return at;
    }
    return kRam;
}

void serve(Exchange& x, int ram_fd, bool wide, int parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    child.x = &x;
    child.ram = static_cast<const u8*>(mmap(nullptr, kRam, PROT_READ, MAP_SHARED, ram_fd, 0));
    if (child.ram == MAP_FAILED) fail("mmap");
    const u64 base = wide ? 0 : kBase32, low = wide ? lowest_address() : 0;
    if (low < kRam && map_at(base, low, ram_fd) == MAP_FAILED) fail("mmap");
    asm volatile("rdfsbase %0\n\trdgsbase %1" : "=r"(child.fs_base), "=r"(child.gs_base));
    prepare_signals();
    Insn warm;   // the decoder's tables
    decode(child.ram, 15, 0, {}, IsaSet::all(), warm);
    lock_up();
    u8 byte;
    while (read(parent, &byte, 1) == 1) {
        for (const user_desc& d : x.segment)
            if (d.entry_number && syscall(SYS_modify_ldt, 0x11, &d, sizeof d) != 0) refuse("the host", "refuses a segment like this");
        x.done = 0, x.endless = false, x.vector = -1, x.error = 0, x.cr2 = 0;
        child.traps = 0;
        if (!x.refused[0] && x.steps && look_at(x.state.rip)) asm volatile("int3" : : : "memory", "cc");
        if (write(parent, &byte, 1) != 1) break;
    }
    _exit(0);
}
}  // namespace calque::exec::host
