#include "tests/silicon/native.h"

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/silicon/native_entry.h"

namespace calque::silicon {
namespace {

void fail(const char* what) {
    std::perror(what);
    std::_Exit(3);
}

void* map_fixed(u64 at, size_t size, int protection) {
    void* p = mmap(reinterpret_cast<void*>(at), size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (p != reinterpret_cast<void*>(at)) fail("mmap");
    return p;
}

/// What the child process consists of. Static, because the signal handler needs it.
struct Child {
    NativeContext* context;
    u8* code;   // writable view of the code pages
    bool wide;  // 64-bit code
    u8* data;
    const Case* running;
    Outcome* out;
    bool faulted;
};
Child child;

u32 visible(u64 flags) { return static_cast<u32>(flags) & kFlagsCompared; }

/// The kernel keeps an XSAVE area of the standard format; upper halves that are not there are zero.
void vectors_from_signal(const u8* area, FxState& out) {
    out = {};
    std::memcpy(static_cast<void*>(&out), area, offsetof(FxState, high));
    u64 present = 0;
    if (child.context->host_avx) std::memcpy(&present, area + 512, 8);
    if (present & 4) std::memcpy(out.high, area + 576, sizeof out.high);
}

/// FXSAVE leaves the last instruction's pointers out where AMD's processors run it without a pending exception; FNSTENV does not.
void pointers_from_environment(const u32* env, FxState& out) {
    out.fop = env[4] >> 16 & 0x7ff;
    out.fip = env[3] | (env[4] & u64{0xffff}) << 32;
    out.fdp = env[5] | (env[6] & u64{0xffff}) << 32;
}

void from_signal(const ucontext_t& uc, const Case& c, Outcome& out) {
    static constexpr int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                      REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    const auto& g = uc.uc_mcontext.gregs;
    for (int i = 0; i < 16; ++i) out.gpr[i] = static_cast<u64>(g[order[i]]);
    out.rip = static_cast<u64>(g[REG_RIP]);
    out.flags = visible(static_cast<u64>(g[REG_EFL]));
    out.vector = static_cast<u8>(g[REG_TRAPNO]);
    out.error = static_cast<u32>(g[REG_ERR]);
    out.cr2 = out.vector == 14 ? static_cast<u64>(g[REG_CR2]) : 0;
    vectors_from_signal(reinterpret_cast<const u8*>(uc.uc_mcontext.fpregs), out.fx);
    // Landed on a filler byte, or somewhere that cannot be fetched: the instruction itself has retired.
    if (out.vector == 3) --out.rip;
    if (out.rip - c.rip() >= c.length) out.vector = kNoFault, out.error = 0, out.cr2 = 0;
}

void on_signal(int, siginfo_t*, void* context) {
    // Alignment is still checked, if the case asked for that.
    asm volatile("pushfq\n\tandq $~0x40000, (%%rsp)\n\tpopfq" : : : "memory", "cc");
    // The case's segments are still loaded: first get thread-local storage back.
    if (!child.wide || child.running->end != where::next)
        asm volatile("xorl %%eax, %%eax\n\tmovw %%ax, %%ds\n\tmovw %%ax, %%es\n\tmovw %%ax, %%fs\n\tmovw %%ax, %%gs\n\t"
                     "wrfsbase %0\n\twrgsbase %1" : : "r"(child.context->host_fs_base), "r"(child.context->host_gs_base) : "rax", "memory");
    auto& uc = *static_cast<ucontext_t*>(context);
    if (!child.running) std::_Exit(4);
    from_signal(uc, *child.running, *child.out);
    child.faulted = child.out->trapped = true;
    auto& g = uc.uc_mcontext.gregs;
    g[REG_RIP] = reinterpret_cast<greg_t>(&silicon_fault);
    g[REG_EFL] = 0x202;
    g[REG_CSGSFS] = 0x33 | i64{0x2b} << 48;
    FxState clean;
    std::memcpy(uc.uc_mcontext.fpregs, &clean, offsetof(FxState, rest));
}

void run_case(const Case& c, Outcome& out, const BaseImage& base) {
    auto& x = *child.context;
    base.apply(c, child.data);
    std::memset(child.code + c.end - sizeof c.bytes, 0xcc, sizeof c.bytes);
    std::memcpy(child.code + c.end - c.length, c.bytes, c.length);
    std::memcpy(x.in_gpr, c.gpr, sizeof x.in_gpr);
    x.flag_slot[0] = c.flags | eflags::IF | 2;
    x.pad = 0;
    x.target = c.rip();
    x.far_target = c.rip() | u64{segments(c.mode)[CS].selector} << 32;
    char* const ways[3][3] = {{silicon_exit64, silicon_exit64_after, silicon_exit64_before},
                              {silicon_exit64_vector, silicon_exit64_vector_after, silicon_exit64_vector_before},
                              {silicon_exit32, silicon_exit32_after, silicon_exit32_before}};
    const bool wide = c.mode == CodeMode::long64;
    for (unsigned i = 0; i < 3; ++i) x.exit[i] = reinterpret_cast<u64>(ways[!wide ? 2 : c.vector][i]);
    if (c.vector) x.fx_in = c.fx;
    child.faulted = out.trapped = false;
    child.running = &c, child.out = &out;
    if (!wide) silicon_enter32();
    else if (c.vector) silicon_enter64_vector();
    else silicon_enter64();
    child.running = nullptr;
    if (!child.faulted) {
        std::memcpy(out.gpr, x.out_gpr, sizeof out.gpr);
        out.flags = visible(x.flag_slot[1]);
        out.vector = kNoFault, out.error = 0, out.cr2 = 0;
        out.rip = c.code_origin() + (x.pad == 0 ? where::next : x.pad == 1 ? where::pad_after : where::pad_before);
        if (c.vector) out.fx = x.fx_out, pointers_from_environment(x.environment, out.fx);
    }
    if (!wide)
        for (unsigned i = 0; i < 16; ++i) out.gpr[i] = i < 8 ? out.gpr[i] & 0xffffffff : c.gpr[i];
    base.collect(child.data, out);
}

void prepare_segments(CodeMode m) {
    for (unsigned i = 0; i < 6; ++i) {
        const SegmentSpec& g = segments(m)[i];
        child.context->segments[i] = g.selector;
        if ((g.selector & 7) != 7) continue;
        user_desc d{};
        d.entry_number = g.selector >> 3;
        d.base_addr = g.base, d.limit = g.limit;
        d.seg_32bit = g.big, d.contents = g.code ? 2 : g.expand_down ? 1 : 0;
        d.read_exec_only = !g.code && !g.writable;
        d.useable = 1;
        if (syscall(SYS_modify_ldt, 0x11, &d, sizeof d) != 0) fail("modify_ldt");
    }
    u64 base = 0;
    syscall(SYS_arch_prctl, ARCH_GET_FS, &base), child.context->host_fs_base = base;
    syscall(SYS_arch_prctl, ARCH_GET_GS, &base), child.context->host_gs_base = base;
}

void prepare_memory(CodeMode mode, const BaseImage& base) {
    constexpr size_t code_size = 0x2000;
    child.wide = mode == CodeMode::long64;
    child.context = new (map_fixed(where::context, sizeof(NativeContext), PROT_READ | PROT_WRITE)) NativeContext{};
    child.context->host_mxcsr = 0x1f80;
    child.context->host_avx = __builtin_cpu_supports("avx") != 0;
    const int fd = memfd_create("silicon", 0);
    if (fd < 0 || ftruncate(fd, code_size) != 0) fail("memfd");
    child.code = static_cast<u8*>(mmap(nullptr, code_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    void* run = mmap(reinterpret_cast<void*>(where::code), code_size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    if (run != reinterpret_cast<void*>(where::code)) fail("mmap of code");
    close(fd);
    code_image(mode, child.code);
    u8* gates = static_cast<u8*>(map_fixed(where::gates, 4096, PROT_READ | PROT_WRITE));
    for (unsigned n = 0; n < 3; ++n) put_jump(gates + (gate(n) - where::gates), exit_slot(n));
    mprotect(gates, 4096, PROT_READ | PROT_EXEC);
    prepare_segments(mode);
    child.data = static_cast<u8*>(map_fixed(where::data, where::data_size, PROT_READ | PROT_WRITE));
    std::memcpy(child.data, base.bytes, sizeof base.bytes);
    void* ro = map_fixed(where::read_only, 4096, PROT_READ | PROT_WRITE);
    std::memcpy(ro, base.read_only, 4096);
    mprotect(ro, 4096, PROT_READ);
}

void prepare_signals() {
    stack_t alternate{};
    alternate.ss_size = 1 << 16;
    alternate.ss_sp = mmap(nullptr, alternate.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&alternate, nullptr);
    struct sigaction action{};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigaction(s, &action, nullptr);
}

[[noreturn]] void child_main(CodeMode mode, Batch* shared, const BaseImage& base, int in, int out) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prepare_memory(mode, base);
    prepare_signals();
    u8 n;
    while (read(in, &n, 1) == 1) {
        Batch& b = shared[n];
        for (b.running = 0; b.running < b.count; ++b.running) run_case(b.in[b.running], b.out[b.running], base);
        if (write(out, &n, 1) != 1) break;
    }
    std::_Exit(0);
}
}  // namespace

Native::Native(CodeMode mode, const BaseImage& base) : mode_{mode}, base_{base} {
    void* p = mmap(nullptr, sizeof(Batch) * batches, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) fail("mmap");
    shared_ = static_cast<Batch*>(p);
    for (unsigned i = 0; i < batches; ++i) new (shared_ + i) Batch;
    syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base_);
    spawn();
}

Native::~Native() {
    close(to_), close(from_);
    waitpid(child_, nullptr, 0);
    munmap(shared_, sizeof(Batch) * batches);
}

void Native::spawn() {
    int down[2], up[2];
    if (pipe(down) || pipe(up)) fail("pipe");
    std::fflush(nullptr);
    child_ = fork();
    if (child_ < 0) fail("fork");
    if (child_ == 0) {
        close(down[1]), close(up[0]);
        child_main(mode_, shared_, base_, down[0], up[1]);
    }
    close(down[0]), close(up[1]);
    to_ = down[1], from_ = up[0];
}

void Native::start(unsigned n) {
    const u8 byte = static_cast<u8>(n);
    if (write(to_, &byte, 1) != 1) fail("write to the child");
}

bool Native::finish(unsigned) {
    pollfd p{from_, POLLIN, 0};
    u8 byte;
    if (poll(&p, 1, 5000) == 1 && read(from_, &byte, 1) == 1) return true;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    close(to_), close(from_);
    spawn();
    return false;
}
}  // namespace calque::silicon
