// Into translated code and out of it, the slow paths' thunks, and the Backend around the emitter.
#include <cstring>

#include "jit/x64/x64.h"
#include "support/assert.h"
#include "support/log.h"

namespace calque::jit::x64 {
namespace {
Log logger{"x64"};

x86::Mem at_context(size_t offset, unsigned size) { return x86::ptr(x86::rbp, static_cast<i32>(offset) - kBias, size); }
x86::Mem scratch_word(unsigned n, unsigned size) { return at_context(offsetof(ExecContext, scratch) + 8 * n, size); }

struct ThunkBuilder {
    x86::Assembler& as;
    const Arena& arena;
    const Layout& layout;
    unsigned pinned;
    Thunks& t;

    u32 here() { return static_cast<u32>(as.offset()); }
    u64 rx(u32 at) { return reinterpret_cast<u64>(arena.rx) + at; }
    x86::Mem slot(u8 s, unsigned size) { return x86::ptr(x86::rbp, static_cast<i32>(layout.slots[s].offset) - kBias, size); }
    void call(const void* fn) {
        as.mov(x86::rax, Imm(reinterpret_cast<i64>(fn)));
        as.call(x86::rax);
    }
    void spill() {
        for (u8 s = 0; s < pinned; ++s) as.mov(slot(s, 8), r64(kPinnedRegs[s]));
    }

    void enter() {
        t.enter = here();
        for (Reg r : {rbx, rbp, Reg{12}, Reg{13}, Reg{14}, Reg{15}}) as.push(r64(r));
        as.sub(x86::rsp, Imm(kFrame));
        as.lea(x86::rbp, x86::ptr(x86::rdi, kBias));
        as.mov(x86::rax, x86::rsi);
        for (u8 s = 0; s < pinned; ++s) as.mov(r64(kPinnedRegs[s]), slot(s, 8));
        as.jmp(x86::rax);
    }

    /// `spills`: pinned registers are newer than memory.
    u32 exit(Exit why, bool set_rip, bool spills) {
        const u32 at = here();
        if (set_rip) as.mov(at_context(offsetof(ExecContext, rip), 8), x86::rdx);
        if (spills) spill();
        as.mov(x86::eax, Imm(static_cast<int>(why)));
        as.jmp(out);
        return at;
    }
    Label out;
    void common_exit() {
        as.bind(out);
        const Label plain = as.newLabel();
        as.cmp(scratch_word(kScratchFp, 1), Imm(0));
        as.je(plain);
        as.call(rx(t.fp_leave));
        as.bind(plain);
        as.add(x86::rsp, Imm(kFrame));
        for (Reg r : {Reg{15}, Reg{14}, Reg{13}, Reg{12}, rbp, rbx}) as.pop(r64(r));
        as.ret();
    }

    void fp() {
        const u8 control = layout.fp_control;
        t.fp_enter = here();
        as.push(x86::rax);
        as.mov(x86::eax, slot(control, 4));
        as.and_(x86::eax, Imm(0xffff));
        as.or_(x86::eax, Imm(0x1f80));
        as.mov(scratch_word(kScratchMxcsr, 4), x86::eax);
        as.ldmxcsr(scratch_word(kScratchMxcsr, 4));
        as.or_(scratch_word(kScratchFp, 1), Imm(kLiveMxcsr));
        as.pop(x86::rax);
        as.ret();
        if (layout.x87) {
            t.x87_enter = here();
            emit_x87_enter(as, *layout.x87);
            t.x87_leave = here();
            for (Reg r : {rax, rcx, rdx}) as.push(r64(r));
            emit_x87_leave(as, *layout.x87);
            for (Reg r : {rdx, rcx, rax}) as.pop(r64(r));
            as.ret();
        }
        t.fp_leave = here();
        const Label sse = as.newLabel(), out_of_here = as.newLabel();
        as.test(scratch_word(kScratchFp, 1), Imm(kLiveX87));
        as.jz(sse);
        as.call(rx(t.x87_leave));
        as.bind(sse);
        as.test(scratch_word(kScratchFp, 1), Imm(kLiveMxcsr));
        as.jz(out_of_here);
        as.push(x86::rax);
        as.stmxcsr(scratch_word(kScratchMxcsr, 4));
        as.mov(x86::eax, scratch_word(kScratchMxcsr, 4));
        as.and_(x86::eax, Imm(0x3f));
        as.or_(slot(control, 4), x86::eax);
        as.mov(scratch_word(kScratchMxcsr, 4), Imm(0x1f80));
        as.ldmxcsr(scratch_word(kScratchMxcsr, 4));
        as.and_(scratch_word(kScratchFp, 1), Imm(0xff & ~kLiveMxcsr));
        as.pop(x86::rax);
        as.bind(out_of_here);
        as.ret();
    }

    // Thunks of accesses are entered by call with a word pushed before, so rsp is 16 below the frame.
    static constexpr Reg kSaved[9] = {rax, rcx, rdx, rsi, rdi, 8, 9, 10, 11};
    static x86::Mem save(unsigned n, i32 below = 16) { return x86::ptr(x86::rsp, below + kSaveAt + 8 * static_cast<i32>(n), 8); }

    /// Compares the page of [rax, rax + rdx + 1) with the TLB; rcx: the entry, as an offset from rbp. Changes rdx.
    void check(unsigned view, bool write, const Label& miss) {
        as.mov(x86::ecx, x86::eax);
        as.shr(x86::ecx, 12 - 5);
        as.lea(x86::rdx, x86::ptr(x86::rax, x86::rdx));
        as.and_(x86::ecx, Imm(((1u << kTlbBits) - 1) << 5));
        as.and_(x86::rdx, Imm(-4096));
        as.cmp(x86::rdx, tlb_field(view, write, write ? offsetof(TlbEntry, write_tag) : offsetof(TlbEntry, read_tag)));
        as.jne(miss);
    }
    x86::Mem tlb_field(unsigned view, bool write, size_t field) {
        return x86::ptr(x86::rbp, x86::rcx, 0, static_cast<i32>(layout.tlb_offset + tlb_table(view, write) * sizeof(Tlb::data[0]) + field) - kBias, 8);
    }

    /// scratch[kScratchAddress], scratch[kScratchValue] or ExecContext::vec. Tries the TLB first: a group's member comes here when
    /// only the group's check has failed.
    void access(bool write, unsigned what, const Label& generic) {
        const unsigned size = 1u << (what & 7), view = what >> 4;
        const Label miss = as.newLabel();
        for (unsigned n = 0; n < 3; ++n) as.mov(save(n), r64(kSaved[n]));
        as.mov(x86::rax, scratch_word(kScratchAddress, 8));
        as.mov(x86::edx, Imm(size - 1));
        check(view, write || (what & 8), miss);
        as.add(x86::rax, tlb_field(view, write || (what & 8), offsetof(TlbEntry, addend)));
        for (unsigned part = 0; part < size; part += 8) {
            const unsigned width = std::min(size, 8u);
            x86::Mem host = x86::ptr(x86::rax, static_cast<i32>(part), width), ours = size == 16 ? at_context(offsetof(ExecContext, vec) + part, 8) : scratch_word(kScratchValue, width);
            as.mov(gp(rdx, width), write ? ours : host);
            as.mov(write ? host : ours, gp(rdx, width));
        }
        for (unsigned n = 0; n < 3; ++n) as.mov(r64(kSaved[n]), save(n));
        as.ret(Imm(8));
        as.bind(miss);
        as.mov(scratch_word(kScratchWhat, 4), Imm(what));
        as.jmp(generic);
    }

    /// Calls the guest layer. Keeps every general register.
    void slow(bool write, const Label& generic) {
        as.bind(generic);
        for (unsigned n = 3; n < 9; ++n) as.mov(save(n), r64(kSaved[n]));
        const Label plain = as.newLabel(), sse = as.newLabel(), after = as.newLabel(), fault = as.newLabel(), told = as.newLabel();
        as.mov(x86::eax, x86::ptr(x86::rsp, 8, 4));
        as.mov(x86::ecx, x86::eax);
        as.and_(x86::eax, Imm((1u << kBlockBits) - 1));
        as.shr(x86::ecx, kBlockBits);
        as.jz(told);
        as.mov(at_context(offsetof(ExecContext, block), 4), x86::eax);
        as.mov(at_context(offsetof(ExecContext, unretired), 4), x86::ecx);
        as.bind(told);
        as.movzx(x86::eax, scratch_word(kScratchFp, 1));
        as.mov(save(9), x86::rax);
        as.test(x86::eax, x86::eax);
        as.jz(plain);
        as.call(rx(t.fp_leave));
        as.bind(plain);
        as.lea(x86::rdi, x86::ptr(x86::rbp, -kBias));
        as.mov(x86::rsi, scratch_word(kScratchAddress, 8));
        if (write) as.mov(x86::rdx, scratch_word(kScratchValue, 8));
        as.mov(write ? x86::ecx : x86::edx, scratch_word(kScratchWhat, 4));
        call(write ? reinterpret_cast<const void*>(layout.write) : reinterpret_cast<const void*>(layout.read));
        if (!write) as.mov(scratch_word(kScratchValue, 8), x86::rax);
        as.cmp(at_context(offsetof(ExecContext, fault), 1), Imm(0));
        as.jne(fault);
        as.mov(x86::rax, save(9));
        as.test(x86::eax, Imm(kLiveX87));
        as.jz(sse);
        as.call(rx(t.x87_enter));
        as.bind(sse);
        as.test(x86::eax, Imm(kLiveMxcsr));
        as.jz(after);
        as.call(rx(t.fp_enter));
        as.bind(after);
        for (unsigned n = 0; n < 9; ++n) as.mov(r64(kSaved[n]), save(n));
        as.mov(at_context(offsetof(ExecContext, unretired), 4), Imm(0));
        as.ret(Imm(8));
        as.bind(fault);
        for (unsigned n = 0; n < 9; ++n) as.mov(r64(kSaved[n]), save(n));
        as.add(x86::rsp, Imm(16));
        as.jmp(rx(t.exit_fault));
    }
    void accesses(bool write) {
        const Label generic = as.newLabel();
        slow(write, generic);
        for (unsigned what = 0; what < 64; ++what) {
            if ((what & 7) > 4 || (write && (what & 8))) continue;
            (write ? t.slow_write : t.slow_read)[what] = here();
            access(write, what, generic);
        }
    }

    /// A group's common check once more: scratch[kScratchLinear] and, in scratch[kScratchWhat], the span; the pointer or -1 goes to
    /// scratch[kScratchValue].
    void regroups() {
        for (unsigned n = 0; n < 8; ++n) {
            t.regroup[n] = here();
            const Label miss = as.newLabel(), out_of_here = as.newLabel();
            for (unsigned k = 0; k < 3; ++k) as.mov(save(k, 8), r64(kSaved[k]));
            as.mov(x86::rax, scratch_word(kScratchLinear, 8));
            as.mov(x86::edx, scratch_word(kScratchWhat, 4));
            as.dec(x86::edx);
            check(n & 3, n & 4, miss);
            as.add(x86::rax, tlb_field(n & 3, n & 4, offsetof(TlbEntry, addend)));
            as.jmp(out_of_here);
            as.bind(miss);
            as.mov(x86::rax, Imm(-1));
            as.bind(out_of_here);
            as.mov(scratch_word(kScratchValue, 8), x86::rax);
            for (unsigned k = 0; k < 3; ++k) as.mov(r64(kSaved[k]), save(k, 8));
            as.ret();
        }
    }

    void build() {
        // Offset 0: "not translated", with RIP in rdx.
        out = as.newLabel();
        t.exit_lookup = exit(Exit::lookup, true, true);
        t.exit_budget = exit(Exit::budget, true, true);
        t.exit_fault = exit(Exit::fault, false, true);
        t.exit_fault_clean = exit(Exit::fault, false, false);
        t.exit_leave = exit(Exit::leave, false, true);
        t.exit_leave_clean = exit(Exit::leave, false, false);
        fp();
        common_exit();
        enter();
        accesses(false);
        accesses(true);
        regroups();
        t.raise = here();
        spill();
        const Label plain = as.newLabel();
        as.cmp(scratch_word(kScratchFp, 1), Imm(0));
        as.je(plain);
        as.call(rx(t.fp_leave));
        as.bind(plain);
        as.lea(x86::rdi, x86::ptr(x86::rbp, -kBias));
        call(reinterpret_cast<const void*>(layout.raise));
        as.jmp(rx(t.exit_fault_clean));
    }
};

/// Whether AND and its like leave AF clear, which manuals leave undefined.
bool logic_clears_af() {
    u64 flags = 0;
    asm volatile("movl $15, %%eax\n\taddl $1, %%eax\n\tandl $-1, %%eax\n\tpushfq\n\tpop %0" : "=r"(flags) : : "rax", "cc", "memory");
    u64 other = 0;
    asm volatile("movl $15, %%eax\n\taddb $1, %%al\n\txorl %%eax, %%eax\n\tpushfq\n\tpop %0" : "=r"(other) : : "rax", "cc", "memory");
    return !((flags | other) & 0x10);
}

/// Whether shifts by any count clear AF and set OF as a shift by one would, as the IR's do. (Intel's do. AMD's set AF, and OF by the last step.)
#define SHIFT(value, insn)                                                                                                                  \
    [] {                                                                                                                                    \
        u64 flags;                                                                                                                          \
        asm volatile("movl $15, %%eax\n\taddl $1, %%eax\n\tmovl $" value ", %%eax\n\tmovl $2, %%ecx\n\t" insn "\n\tpushfq\n\tpop %0"         \
                     : "=r"(flags) : : "rax", "rcx", "cc", "memory");                                                                       \
        return flags & 0x810;                                                                                                               \
    }()
bool shift_flags() {
    const bool left = SHIFT("0x60000000", "shll $2, %%eax") == 0x800 && SHIFT("0x60000000", "shll %%cl, %%eax") == 0x800 && SHIFT("0x60", "shlb %%cl, %%al") == 0x800;
    const bool right = SHIFT("0x80000000", "shrl $2, %%eax") == 0x800 && SHIFT("0x80000000", "shrl %%cl, %%eax") == 0x800 && SHIFT("0x80", "shrb %%cl, %%al") == 0x800;
    return left && right && SHIFT("0x80000000", "sarl $2, %%eax") == 0 && SHIFT("0x80000000", "sarl %%cl, %%eax") == 0;
}
#undef SHIFT

using EnterFn = u32 (*)(void* state, const u8* code);
}  // namespace

HostCpu HostCpu::detect() {
    using F = asmjit::CpuFeatures::X86;
    const auto& f = asmjit::CpuInfo::host().features().x86();
    HostCpu c;
    c.avx = f.has(F::kAVX), c.bmi2 = f.has(F::kBMI2), c.lzcnt = f.has(F::kLZCNT), c.tzcnt = f.has(F::kBMI), c.popcnt = f.has(F::kPOPCNT);
    c.sse42 = f.has(F::kSSE4_2), c.avx2 = f.has(F::kAVX2), c.aes = f.has(F::kAESNI), c.pclmul = f.has(F::kPCLMULQDQ), c.sha = f.has(F::kSHA), c.gfni = f.has(F::kGFNI), c.fma = f.has(F::kFMA), c.f16c = f.has(F::kF16C);
    c.logic_clears_af = x64::logic_clears_af();
    c.shift_flags = x64::shift_flags();
    return c;
}

struct Switch {
    const char* name;
    const char* what;
    bool Switches::*on;
};
constexpr Switch kSwitches[] = {
    {"pinning", "guest registers in host registers across blocks", &Switches::pinning},
    {"host_flags", "flags and comparisons answered by EFLAGS of the arithmetic", &Switches::fuse_flags},
    {"linking", "direct jumps between blocks of a page", &Switches::link},
    {"inline_lookup", "jumps to other pages looked up without leaving translated code", &Switches::inline_lookup},
    {"inline_tlb", "loads and stores that hit the TLB done without a call", &Switches::inline_tlb},
    {"address_modes", "sums folded into the address of the access", &Switches::fold_addresses},
    {"shared_checks", "one TLB check for neighbouring accesses of a block", &Switches::share_checks},
    {"targets", "results made in the guest register's host register", &Switches::targets},
    {"avx", "AVX encodings for vectors", &Switches::avx},
    {"x87", "the guest's x87 in the host's", &Switches::x87},
    {"crypto", "the host's AES, PCLMULQDQ, SHA and GFNI", &Switches::crypto},
    {"bmi", "BMI and LZCNT instructions", &Switches::bmi},
};

class X64Backend final : public Backend {
public:
    X64Backend(void* state, const Layout& layout) : state_{static_cast<u8*>(state)}, layout_{layout}, cpu_{HostCpu::detect()} {}

    void begin(Arena& arena) override {
        arena_ = &arena;
        Errors errors;
        asmjit::CodeHolder code;
        code.init(asmjit::Environment::host(), reinterpret_cast<u64>(arena.rx));
        code.setErrorHandler(&errors);
        asmjit::CodeBuffer& buffer = code.textSection()->buffer();
        buffer._data = arena.rw;
        buffer._capacity = arena.size;
        buffer._flags = asmjit::CodeBufferFlags::kIsExternal | asmjit::CodeBufferFlags::kIsFixed;
        x86::Assembler as{&code};
        thunks_ = {};
        ThunkBuilder b{as, arena, layout_, pinned(), thunks_, {}};
        b.build();
        ASSERT(!errors.any && !code.hasUnresolvedLinks());
        arena.used = static_cast<u32>(as.offset());
        emitter_ = std::make_unique<X64>(layout_, cpu_, switches_, thunks_, arena);
        cautious_ = switches_;
        cautious_.fuse_flags = cautious_.fold_addresses = cautious_.targets = cautious_.share_checks = false;
        plain_ = std::make_unique<X64>(layout_, cpu_, cautious_, thunks_, arena);
    }

    bool translate(const TranslateRequest& request, Translation& out) override {
        if (emitter_->emit_block(request, out) || retry(request, out)) {
            if (logger.on(LogLevel::debug)) {
                logger.debug("guest %llx (%u instructions) at %p to %p", static_cast<unsigned long long>(request.block.rip), request.block.insn_count,
                             static_cast<const void*>(arena_->rx + out.entry), static_cast<const void*>(arena_->rx + out.end));
            }
            return true;
        }
        out = {};
        return !emitter_->full && !plain_->full;
    }

    void patch(u32 at, u32 target) override {
        const i32 distance = static_cast<i32>(target - (at + 4));
        std::memcpy(arena_->rw + at, &distance, 4);
    }

    Exit enter(u32 entry) override {
        auto* x = reinterpret_cast<ExecContext*>(state_);
        x->scratch[kScratchArena] = reinterpret_cast<u64>(arena_->rx);
        x->scratch[kScratchFp] = 0;
        const auto fn = reinterpret_cast<EnterFn>(reinterpret_cast<u64>(arena_->rx) + thunks_.enter);
        return static_cast<Exit>(fn(state_, arena_->rx + entry));
    }

    void disable(const std::string& name) override {
        for (const Switch& s : kSwitches) {
            if (name == s.name) switches_.*s.on = false;
        }
    }

private:
    /// Without what makes values live longer, there are registers for everything.
    bool retry(const TranslateRequest& request, Translation& out) {
        out = {};
        if (emitter_->full) return false;
        logger.warn("block at %llx: %s", static_cast<unsigned long long>(request.block.rip), emitter_->error.c_str());
        if (plain_->emit_block(request, out)) return true;
        if (!plain_->full) logger.error("block at %llx stays with the interpreter: %s", static_cast<unsigned long long>(request.block.rip), plain_->error.c_str());
        return false;
    }

    class Errors final : public asmjit::ErrorHandler {
    public:
        bool any = false;
        void handleError(asmjit::Error, const char* text, asmjit::BaseEmitter*) override {
            any = true;
            logger.error("thunks: %s", text);
        }
    };
    unsigned pinned() const { return switches_.pinning ? std::min<unsigned>(layout_.pinned, kPinned) : 0; }

    u8* state_;
    const Layout& layout_;
    const HostCpu cpu_;
    Switches switches_;
    Thunks thunks_;
    Arena* arena_ = nullptr;
    Switches cautious_;
    std::unique_ptr<X64> emitter_, plain_;
};
}  // namespace calque::jit::x64

namespace calque::jit {
std::unique_ptr<Backend> make_backend(void* state, const Layout& layout) {
    const auto cpu = x64::HostCpu::detect();
    if (!cpu.popcnt || !cpu.sse42) return nullptr;  // older than x86-64-v2: interpreted
    return std::make_unique<x64::X64Backend>(state, layout);
}
std::vector<std::pair<std::string, std::string>> backend_switches() {
    std::vector<std::pair<std::string, std::string>> all;
    for (const x64::Switch& s : x64::kSwitches) all.emplace_back(s.name, s.what);
    return all;
}
}  // namespace calque::jit
