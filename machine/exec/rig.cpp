#include "machine/exec/rig.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "cpu/fpu/x87.h"
#include "cpu/inspect.h"
#include "cpu/memory.h"
#include "cpu/system.h"

namespace calque::exec {
namespace {

constexpr u64 kPage = 4096, kIterations = 100'000'000;   // of repeated instructions, beside a case's steps

jit::EngineOptions options(bool jit, const std::vector<std::string>& disable) {
    jit::EngineOptions o;
    o.disable = disable;
    o.jit = jit;
    o.warm = 0;
    o.arena_bytes = 16u << 20;
    o.fit_blocks = true;
    return o;
}

bool is_long(Mode m) { return m == Mode::compat32 || m == Mode::long64; }
bool is_8086(Mode m) { return m == Mode::real16 || m == Mode::vm86; }

u32 code_attr(Mode m) {
    switch (m) {
    case Mode::protected16: return 0x809b00;
    case Mode::long64: return 0xa09b00;
    default: return 0xc09b00;
    }
}

void set_segments(CpuState& s, const Case& c) {
    const u32 dpl = c.cpl << 13;
    if (is_8086(c.mode)) {
        for (Segment& g : s.seg) g = {0, 0x9300 | dpl, 0xffff, 0};
        if (c.mode == Mode::real16) s.seg[CS].attr = 0x9b00;
        return;
    }
    const u16 rpl = static_cast<u16>(c.cpl);
    for (Segment& g : s.seg) g = {static_cast<u16>(0x10 | rpl), (c.mode == Mode::protected16 ? 0x809300 : 0xc09300) | dpl, 0xffffffff, 0};
    s.seg[CS] = {static_cast<u16>(8 | rpl), code_attr(c.mode) | dpl, 0xffffffff, 0};
}

/// x87, SSE and what XSAVE manages are on as far as the model has them.
void enable_extensions(CpuState& s, const IsaSet& has) {
    s.cr0 = cr0::ET | (has.has(Isa::fpu) ? cr0::MP | cr0::NE : 0);
    s.cr4 = (has.has(Isa::fxsr) ? cr4::OSFXSR : 0) | (has.has(Isa::sse) ? cr4::OSXMMEXCPT : 0) | (has.has(Isa::xsave) ? cr4::OSXSAVE : 0);
    s.xcr0 = xcr0_supported(has);
    reset_fpu(s.fpu);
    s.mxcsr = 0x1f80;
}
}  // namespace

Rig::Rig(CpuModel m, bool jit, const std::vector<std::string>& disable)
    : model_{std::move(m)}, cpu_{std::make_unique<Cpu>(model_, CpuWiring{memory_, ports_, ack_, clock_}, options(jit, disable))}, random_{cpu_->state().random},
      registers_{state_registers(*cpu_)} {}

void Rig::clear(u64 ram) {
    for (const u32 page : memory_.touched()) cpu_->memory_changed(memory_.host(page), kPage);
    if (ram > memory_.mapped()) cpu_->engine().flush();   // it moves
    memory_.reset(ram);
    placed_.clear();
    cpu_->reset();
    CpuState& s = cpu_->state();
    for (u64& r : s.gpr) r = 0;
    s.random = random_;
    s.tracing = {};
}

void Rig::set_mode(const Case& c) {
    CpuState& s = cpu_->state();
    enable_extensions(s, model_.features);
    if (c.mode != Mode::real16) s.cr0 |= cr0::PE;
    if (is_long(c.mode)) {
        s.cr0 |= cr0::PG | cr0::WP;
        s.cr4 |= cr4::PAE;
        s.cr3 = Memory::kTables;
        s.efer = efer::LME | efer::LMA | (model_.has(Isa::nx) ? efer::NXE : 0) | (model_.has(Isa::syscall) ? efer::SCE : 0);
    }
    s.cpl = static_cast<u8>(c.cpl);
    write_eflags(s, 2 | (c.mode == Mode::vm86 ? u32{eflags::VM} : 0));
    set_segments(s, c);
    s.ldtr = {0, 0x8200, 0, 0};
    s.tr = {0, 0x8b00, 0, 0};   // too small for anything: no stacks of inner levels, no permission for ports
    s.x.rip = 0;
}

// ---- loading

std::optional<u64> Rig::physical(u64 address, bool already) {
    const CpuState& s = cpu_->state();
    const u64 p = (s.cr0 & cr0::PG) && !already ? translate_quietly(*cpu_, address).value_or(address) : address;
    return p < memory_.size() ? std::optional{p} : std::nullopt;
}

bool Rig::place(const MemoryItem& m) {
    u64 address = m.address;
    std::span<const u8> bytes = m.bytes;
    while (!bytes.empty()) {
        const size_t n = std::min<u64>(bytes.size(), kPage - address % kPage);
        const auto p = physical(address, m.physical);
        if (!p) return false;
        std::memcpy(memory_.page(*p & ~(kPage - 1)).host + *p % kPage, bytes.data(), n);
        placed_.push_back({*p, bytes.first(n)});
        bytes = bytes.subspan(n), address += n;
    }
    return true;
}

static bool is_in_mode(const CpuState& s, Mode m) {
    const bool code64 = s.code64(), code32 = s.x.mode.bits & mode::Code32, flat = s.protected_mode() && !s.vm86();
    switch (m) {
    case Mode::real16: return !s.protected_mode();
    case Mode::vm86: return s.vm86();
    case Mode::protected16: return flat && !s.long_active() && !code32;
    case Mode::protected32: return flat && !s.long_active() && code32;
    case Mode::compat32: return s.long_active() && !code64 && code32;
    case Mode::long64: return code64;
    }
    return false;
}

Result<void> Rig::load(const Case& c) { return load(c, {}); }

Result<void> Rig::load(const Case& c, std::function<const u8*(u64 page)> memory) {
    if (is_long(c.mode) && !model_.has(Isa::long_mode)) return Error{"mode is one that the processor '" + c.cpu + "' does not have"};
    clear(c.ram);
    if (memory) memory_.set_source(std::move(memory));
    set_mode(c);
    CpuState& s = cpu_->state();
    static const u16 flags = find_register("rflags")->whole;
    for (const RegisterItem& i : c.regs) {
        const bool vm = i.reg->whole == flags && c.mode == Mode::vm86;
        write_register(*cpu_, *i.reg, vm ? RegisterValue{i.value.word[0] | eflags::VM} : i.value);
    }
    if (auto r = settle_registers(*cpu_); !r) return Error{"initial.regs: " + r.error().message};
    if (!is_in_mode(s, c.mode)) return Error{std::string{"initial.regs: with them the processor is not in mode "} + kModeNames[static_cast<size_t>(c.mode)]};
    for (size_t n = 0; n < c.mem.size(); ++n)
        if (!place(c.mem[n])) return Error{"initial." + field(c.mem, n) + ": " + kOutside};
    // These lie in memory.
    if ((s.cr0 & cr0::PG) && !s.long_active() && (s.cr4 & cr4::PAE))
        if (auto r = settle_registers(*cpu_); !r) return Error{"initial.mem: " + r.error().message};
    return warm_up(c.warm);
}

Result<void> Rig::warm_up(const Case::Warm& w) {
    const auto none = [](const char* list, size_t n) { return Error{std::string{"warm."} + list + "[" + std::to_string(n) + "]: there is nothing to be had"}; };
    for (size_t n = 0; n < w.data.size(); ++n)
        if (!cpu_->touch(w.data[n])) return none("data", n);
    for (size_t n = 0; n < w.code.size(); ++n)
        if (!cpu_->engine().prepare(w.code[n])) return none("code", n);
    for (size_t n = 0; n < w.stores.size(); ++n) {
        const MemoryItem& m = w.stores[n];
        if (m.address >= memory_.size() || m.address % kPage + m.bytes.size() > kPage) return none("stores", n);
        cpu_->engine().about_to_store(memory_.host(m.address), m.bytes.data(), m.bytes.size());
        place(m);
    }
    for (const u64 at : w.invlpg) tlb_flush_page(cpu_->state(), at);
    if (w.cr3) load_cr3(cpu_->state(), cpu_->state().cr3);
    return {};
}

// ---- running

std::string next_instruction(Cpu& cpu) {
    const CpuState& s = cpu.state();
    const u64 linear = s.code64() ? s.x.rip : (s.seg[CS].base + s.x.rip) & 0xffffffff;
    u8 bytes[15];
    size_t n = 0;
    while (n < sizeof bytes && read_linear_quietly(cpu, linear + n, {bytes + n, 1})) ++n;
    const Disassembly d = disassemble(bytes, n, s.x.rip, s.x.mode, cpu.features());
    char text[96];
    int at = std::snprintf(text, sizeof text, "%04x:%0*llx ", s.seg[CS].selector, s.code64() ? 16 : 8, static_cast<unsigned long long>(s.x.rip));
    for (size_t i = 0; i < std::min<size_t>(n, d.length); ++i) at += std::snprintf(text + at, sizeof text - static_cast<size_t>(at), " %02x", bytes[i]);
    std::string line = text;
    line.resize(std::max<size_t>(line.size() + 1, 52), ' ');
    return line + (n ? d.text : "(nothing to fetch)");
}

Outcome Rig::run(const Case& c, const std::function<void(const std::string&)>& trace) {
    cpu_->stop_at_vector(c.exception ? c.exception->vector : -1);
    const Tracing& t = cpu_->state().tracing;
    const u64 begun = cpu_->instructions(), most = cpu_->icount() + c.steps + kIterations, exceptions = t.exceptions;
    const auto done = [&] { return cpu_->instructions() - begun; };
    Cpu::Stop stop = Cpu::Stop::deadline;
    while (stop == Cpu::Stop::deadline && done() < c.steps && cpu_->icount() < most) {
        if (trace) trace(next_instruction(*cpu_));
        stop = cpu_->run_instructions(trace ? 1 : c.steps - done(), most);
    }
    cpu_->stop_at_vector(-1);
    Outcome o;
    o.instructions = done();
    o.exceptions = t.exceptions - exceptions;
    o.last = stop == Cpu::Stop::exception ? cpu_->state().exception : t.last;
    switch (stop) {
    case Cpu::Stop::halted: o.end = Outcome::End::halted; break;
    case Cpu::Stop::shut_down: o.end = Outcome::End::shut_down; break;
    case Cpu::Stop::exception: o.end = Outcome::End::exception; break;
    default: o.end = o.instructions < c.steps ? Outcome::End::endless : Outcome::End::steps; break;
    }
    return o;
}

// ---- looking at the end

bool Rig::read(u64 address, std::span<u8> out, bool is_physical) {
    while (!out.empty()) {
        const size_t n = std::min<u64>(out.size(), kPage - address % kPage);
        const auto p = physical(address, is_physical);
        if (!p) return false;
        std::memcpy(out.data(), memory_.host(*p), n);
        out = out.subspan(n), address += n;
    }
    return true;
}

std::vector<MemoryItem> Rig::changed_memory() {
    std::vector<u32> pages = memory_.touched();
    std::sort(pages.begin(), pages.end());
    std::vector<MemoryItem> out;
    u8 before[kPage];
    for (const u32 page : pages) {
        memory_.initial(page, before);
        for (const Placed& p : placed_)
            if ((p.physical & ~(kPage - 1)) == page) std::memcpy(before + p.physical % kPage, p.bytes.data(), p.bytes.size());
        const u8* now = memory_.host(page);
        for (u64 i = 0; i < kPage; ++i) {
            if (now[i] == before[i]) continue;
            if (out.empty() || out.back().address + out.back().bytes.size() != page + i) out.push_back({page + i, {}});
            out.back().bytes.push_back(now[i]);
        }
    }
    return out;
}
}  // namespace calque::exec
