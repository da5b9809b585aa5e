#include "machine/exec/host/host.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "cpu/fpu/x87.h"
#include "machine/exec/compare.h"
#include "machine/exec/host/child.h"

namespace calque::exec {
namespace {

using host::Exchange;

constexpr u64 kPage = 4096;
constexpr u32 kFlags = eflags::Arithmetic | eflags::DF | eflags::NT | eflags::AC | eflags::ID;   // that user mode has

Error failed(const char* what) { return {std::string{"--engine host: "} + what + ": " + std::strerror(errno)}; }

/// A child process that runs one kind of code, with the memory it shares.
class Child {
public:
    static Result<std::unique_ptr<Child>> create(bool wide);
    ~Child();
    Exchange& exchange() { return *exchange_; }
    u8* ram() { return ram_; }
    /// Everything that has been written is zero again.
    void clear() { ::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kRam); }
    template <class F>
    void each_used_page(F f) const {
        for (off_t at = 0; (at = ::lseek(fd_, at, SEEK_DATA)) >= 0;) {
            const off_t end = ::lseek(fd_, at, SEEK_HOLE);
            for (; at < end; at += kPage) f(static_cast<u64>(at));
        }
    }
    /// False: it died or hung.
    bool run();

private:
    Child() = default;
    bool spawn();
    void kill();
    int fd_ = -1, socket_ = -1;
    pid_t pid_ = -1;
    bool wide_ = false;
    Exchange* exchange_ = nullptr;
    u8* ram_ = nullptr;
};

Result<std::unique_ptr<Child>> Child::create(bool wide) {
    std::unique_ptr<Child> c{new Child};
    c->wide_ = wide;
    c->fd_ = ::memfd_create("calque-exec", MFD_CLOEXEC);
    if (c->fd_ < 0 || ::ftruncate(c->fd_, kRam) != 0) return failed("cannot get memory");
    void* ram = ::mmap(nullptr, kRam, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd_, 0);
    void* shared = ::mmap(nullptr, sizeof(Exchange), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ram != MAP_FAILED) c->ram_ = static_cast<u8*>(ram);
    if (shared != MAP_FAILED) c->exchange_ = new (shared) Exchange{};
    if (!c->ram_ || !c->exchange_) return failed("cannot get memory");
    if (!c->spawn()) return failed("cannot start a process");
    return c;
}

Child::~Child() {
    kill();
    if (exchange_) ::munmap(exchange_, sizeof(Exchange));
    if (ram_) ::munmap(ram_, kRam);
    if (fd_ >= 0) ::close(fd_);
}

bool Child::spawn() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
        ::close(ends[0]);
        host::serve(*exchange_, fd_, wide_, ends[1]);
    }
    ::close(ends[1]);
    socket_ = ends[0];
    return pid_ > 0;
}

void Child::kill() {
    if (pid_ > 0) ::kill(pid_, SIGKILL), ::waitpid(pid_, nullptr, 0);
    if (socket_ >= 0) ::close(socket_);
    pid_ = socket_ = -1;
}

bool Child::run() {
    u8 byte = 1;
    pollfd p{socket_, POLLIN, 0};
    if (::send(socket_, &byte, 1, MSG_NOSIGNAL) == 1 && ::poll(&p, 1, 60'000) == 1 && ::recv(socket_, &byte, 1, 0) == 1) return true;
    kill();
    spawn();
    return false;
}

// ---- state

/// Segments that the local descriptor table can have; `base` is where the case's memory is.
bool set_segments(const CpuState& s, Exchange& x) {
    for (unsigned n = 0; n < kSegs; ++n) {
        const Segment& g = s.seg[n];
        x.selector[n] = 0;
        x.segment[n] = {};
        if (!g.attr) continue;
        const bool large = g.limit > 0xfffff;
        if (large && (g.limit & 0xfff) != 0xfff) return false;
        user_desc& d = x.segment[n];
        d.entry_number = n + 1;
        d.base_addr = static_cast<u32>(g.base + host::kBase32);
        d.limit = large ? g.limit >> 12 : g.limit;
        d.limit_in_pages = large;
        d.seg_32bit = g.big();
        d.contents = g.code() ? (g.conforming() ? 3 : 2) : g.expand_down() ? 1 : 0;
        d.read_exec_only = g.code() ? !g.readable() : !g.writable();
        d.seg_not_present = !g.present();
        d.useable = 1;
        x.selector[n] = static_cast<u16>((n + 1) << 3 | 7);
    }
    return true;
}

void give_state(const CpuState& s, host::State& to) {
    std::memcpy(to.gpr, s.gpr, sizeof to.gpr);
    to.rip = s.x.rip;
    to.flags = read_eflags(s) & kFlags;
    host::FxImage& f = to.fx;
    f = {};
    f.fcw = s.fpu.cw, f.fsw = status_word(s.fpu), f.ftw = static_cast<u8>(s.fpu.top_tags >> 8), f.fop = s.fpu.opcode;
    f.fip = s.fpu.ip, f.fdp = s.fpu.dp;
    f.mxcsr = s.mxcsr;
    for (unsigned i = 0; i < 8; ++i) {
        const auto& r = s.fpu.reg[(s.fpu.top_tags + i) & 7];
        f.st[i].sig = r.sig, f.st[i].se = r.se;
    }
    std::memcpy(f.xmm, s.xmm, sizeof f.xmm);
    std::memcpy(to.ymm_high, s.ymm_high, sizeof to.ymm_high);
}

void take_state(const host::State& from, const Exchange& x, CpuState& s) {
    const u64 mask = x.wide ? ~u64{0} : 0xffffffff;
    for (unsigned i = 0; i < (x.wide ? 16u : 8u); ++i) s.gpr[i] = from.gpr[i] & mask;
    s.x.rip = from.rip & mask;
    write_eflags(s, (read_eflags(s) & ~kFlags) | (from.flags & kFlags));
    const host::FxImage& f = from.fx;
    s.fpu.cw = f.fcw, s.fpu.opcode = f.fop, s.fpu.ip = f.fip, s.fpu.dp = f.fdp;
    s.fpu.top_tags = u32{f.ftw} << 8;
    set_status_word(s.fpu, f.fsw);
    for (unsigned i = 0; i < 8; ++i) {
        auto& r = s.fpu.reg[(s.fpu.top_tags + i) & 7];
        r.sig = f.st[i].sig, r.se = f.st[i].se;
    }
    s.mxcsr = f.mxcsr;
    const unsigned vectors = x.wide ? 16 : 8;
    std::memcpy(s.xmm, f.xmm, vectors * sizeof(jit::V128));
    std::memcpy(s.ymm_high, from.ymm_high, vectors * sizeof(jit::V128));
}

/// Everything else is the kernel's.
bool may_be_given(const CpuState& s, const RegisterItem& i) {
    const std::string_view name = i.reg->name, stem = name.substr(0, name.find('.'));
    constexpr std::string_view kKernels[] = {"cr0", "cr2", "cr3", "cr4", "cr8", "efer", "xcr0", "ldtr", "tr", "gdtr", "idtr", "star", "lstar", "cstar", "sfmask",
                                             "kernel_gs_base", "tsc_aux", "sysenter_cs", "sysenter_esp", "sysenter_eip", "cpl", "fcs", "fds"};
    if (name.starts_with("dr")) return false;
    if (i.reg->whole == find_register("rflags")->whole) {
        const bool checks = (s.cr0 & cr0::AM) && s.cpl == 3;   // as they are there
        return !(read_eflags(s) & (eflags::TF | eflags::NT | eflags::RF | eflags::IOPL | (checks ? 0 : u32{eflags::AC})));
    }
    for (const std::string_view k : kKernels)
        if (stem == k) return name == "cr0" && !((i.value.word[0] ^ s.cr0) & ~u64{cr0::AM}) && !(i.value.word[0] & (cr0::TS | cr0::EM));
    return true;
}

/// AMD's processors leave the x87's pointers out of FXSAVE's image unless an exception is pending (AMD64 Architecture Programmer's Manual
/// vol. 5, "FXSAVE").
bool may_be_seen(const RegisterItem& i) {
    const std::string_view name = i.reg->name;
    return !(name == "fip" || name == "fdp" || name == "fop") || !__builtin_cpu_is("amd");
}

class Host final : public HostProcessor {
public:
    Result<Outcome> run(const Case&, Rig&) override;

private:
    Result<void> prepare(const Case&, Rig&, Child&);
    Result<Outcome> finish(Rig&, Child&);
    std::unique_ptr<Child> children_[2];   // by `wide`
};

Error not_here(const std::string& why) { return {"the host's processor cannot run this: " + why}; }

Result<void> Host::prepare(const Case& c, Rig& rig, Child& child) {
    if (c.ram != kRam) return not_here("its memory is not of the usual size");
    const CpuState& s = rig.cpu().state();
    for (const RegisterItem& i : c.regs)
        if (!may_be_given(s, i)) return not_here("initial.regs." + i.reg->name + " is the kernel's");
    for (const RegisterItem& i : c.final_regs)
        if (!may_be_seen(i)) return not_here("its FXSAVE leaves out " + std::string{i.reg->name});
    Exchange& x = child.exchange();
    x.wide = c.mode == Mode::long64;
    x.user = c.cpl == 3;
    x.interrupts = read_eflags(s) & eflags::IF;
    if (!x.wide && !set_segments(s, x)) return not_here("it has no such segment limit");
    if (x.wide) x.selector[CS] = 0x33, x.selector[SS] = 0x2b;
    x.fs_base = s.seg[FS].base, x.gs_base = s.seg[GS].base;
    x.code_base = s.seg[CS].base;
    x.stack_base = x.wide ? 0 : s.seg[SS].base + host::kBase32;
    x.linear_mask = x.wide ? ~u64{0} : 0xffffffff;
    x.stack_mask = x.wide ? ~u64{0} : s.seg[SS].big() ? 0xffffffff : 0xffff;
    x.mode = s.x.mode, x.features = rig.cpu().features();
    x.steps = c.steps;
    x.refused[0] = 0;
    give_state(s, x.state);
    child.clear();
    const u64 low = x.wide ? host::lowest_address() : 0;
    for (const u32 page : rig.memory().touched()) {
        if (page < low) return not_here("it lends no memory below " + hex(low) + " (sysctl vm.mmap_min_addr)");
        std::memcpy(child.ram() + page, rig.memory().host(page), kPage);
    }
    return {};
}

Result<Outcome> Host::finish(Rig& rig, Child& child) {
    const Exchange& x = child.exchange();
    if (x.refused[0]) return not_here(x.refused);
    child.each_used_page([&](u64 page) { std::memcpy(rig.memory().page(page).host, child.ram() + page, kPage); });
    CpuState& s = rig.cpu().state();
    take_state(x.state, x, s);
    Outcome o;
    o.instructions = x.done;
    if (x.endless) o.end = Outcome::End::endless;
    if (x.vector < 0) return o;
    o.end = Outcome::End::exception;
    o.exceptions = 1;
    o.last.vector = static_cast<u8>(x.vector);
    o.last.has_error = x.vector == 8 || (x.vector >= 10 && x.vector <= 14) || x.vector == 17;
    o.last.error = x.error;
    if (x.vector != 14) return o;
    o.last.address = x.wide ? x.cr2 : (x.cr2 - host::kBase32) & 0xffffffff;
    if (!(s.cr0 & cr0::PG)) return not_here("it accesses " + hex(o.last.address) + ", outside of its memory");
    if (o.last.address < kRam) return not_here("it accesses memory that the host does not lend");
    // A supervisor's fault, and without what the host may add to error codes.
    if (!x.user) o.last.error &= ~4u;
    s.cr2 = o.last.address;
    return o;
}

Result<Outcome> Host::run(const Case& c, Rig& rig) {
    if (c.mode == Mode::real16 || c.mode == Mode::vm86) return not_here("real and virtual-8086 mode are the kernel's");
    const bool wide = c.mode == Mode::long64;
    std::unique_ptr<Child>& child = children_[wide];
    if (!child) {
        auto made = Child::create(wide);
        if (!made) return made.error();
        child = std::move(*made);
    }
    if (auto r = prepare(c, rig, *child); !r) return r.error();
    if (!child->run()) return not_here("it does not come back");
    return finish(rig, *child);
}
}  // namespace

Result<std::unique_ptr<HostProcessor>> HostProcessor::create() {
    constexpr unsigned long kFsGsBase = 2;   // HWCAP2_FSGSBASE
    if (!(::getauxval(AT_HWCAP2) & kFsGsBase)) return Error{"--engine host needs a kernel that allows WRFSBASE (Linux 5.9)"};
    return std::unique_ptr<HostProcessor>{std::make_unique<Host>()};
}
}  // namespace calque::exec
