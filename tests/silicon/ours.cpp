#include "tests/silicon/ours.h"

#include <algorithm>
#include <cstring>

#include "cpu/cpu.h"
#include "cpu/lift/lift_block.h"
#include "cpu/mmu.h"
#include "cpu/model.h"
#include "jit/interp/interp.h"
#include "tests/silicon/fx.h"

namespace calque::silicon {
namespace {

constexpr const char* kNames[] = {"direct", "interp", "jit"};

/// Page tables, code and data, at physical addresses equal to their linear ones.
struct Memory final : PhysSpace {
    static constexpr u64 tables = 0x1000;   // PML4, PDPT, PD, and the page tables for code, data, and what may only be read
    alignas(4096) u8 table[6][4096]{};
    alignas(4096) u8 code[2][4096];
    alignas(4096) u8 data[2][4096];
    alignas(4096) u8 read_only[4096];

    Memory(CodeMode mode, const BaseImage& base) {
        code_image(mode, code[0]);
        std::memcpy(data, base.bytes, sizeof data);
        std::memcpy(read_only, base.read_only, sizeof read_only);
        const auto put = [&](unsigned t, u64 index, u64 entry) { std::memcpy(&table[t][index * 8], &entry, 8); };
        put(0, 0, (tables + 0x1000) | 7);
        put(1, 0, (tables + 0x2000) | 7);
        put(2, where::code >> 21, (tables + 0x3000) | 7);
        put(2, where::data >> 21, (tables + 0x4000) | 7);
        put(2, where::read_only >> 21, (tables + 0x5000) | 7);
        constexpr u64 NoExec = u64{1} << 63;
        for (u64 i = 0; i < 2; ++i) {
            put(3, (where::code >> 12 & 511) + i, (where::code + 4096 * i) | 0x25);
            put(4, (where::data >> 12 & 511) + i, (where::data + 4096 * i) | 0x67 | NoExec);
        }
        put(5, where::read_only >> 12 & 511, where::read_only | 0x25 | NoExec);
    }
    PhysPage page(u64 p) override {
        if (p >= tables && p < tables + sizeof table) return {table[(p - tables) >> 12], true};
        if (p >= where::code && p < where::code + sizeof code) return {code[(p - where::code) >> 12], true};
        if (p >= where::data && p < where::data + sizeof data) return {data[(p - where::data) >> 12], true};
        if (p == where::read_only) return {read_only, true};
        return {};
    }
    u64 read(u64 p, unsigned size) override {
        const PhysPage g = page(p & ~u64{4095});
        u64 v = ~u64{0};
        if (g.host) v = 0, std::memcpy(&v, g.host + (p & 4095), size);
        return v;
    }
    void write(u64 p, u64 v, unsigned size) override {
        const PhysPage g = page(p & ~u64{4095});
        if (g.host) std::memcpy(g.host + (p & 4095), &v, size);
    }
};
struct NoPorts final : IoSpace {
    u32 in(u16, unsigned) override { return 0; }
    void out(u16, u32, unsigned) override {}
};
struct NoInterrupts final : IntAck {
    u8 acknowledge() override { return 0; }
};

CpuModel model(const IsaSet& features) {
    CpuModel m;
    m.features = features;
    return m;
}
jit::EngineOptions options(Executor e) {
    jit::EngineOptions o;
    o.jit = e == Executor::jit;
    o.warm = 0;
    o.arena_bytes = 16u << 20;
    return o;
}

Segment segment(const SegmentSpec& g, bool long_mode) {
    Segment s;
    s.selector = g.selector;
    s.base = g.base, s.limit = g.limit;
    const u32 type = g.code ? 0xb : (g.expand_down ? 4u : 0) | (g.writable ? 2u : 0) | 1u;
    s.attr = type << 8 | 0xf000 | (g.big ? 0x400000u : 0) | (g.limit == 0xffffffff ? 0x800000u : 0) | (g.code && long_mode ? 0x200000u : 0);
    return s;
}
}  // namespace

const char* executor_name(Executor e) { return kNames[static_cast<size_t>(e)]; }
bool parse_executor(const std::string& s, Executor& e) {
    for (size_t i = 0; i < std::size(kNames); ++i)
        if (s == kNames[i]) return e = static_cast<Executor>(i), true;
    return false;
}

struct Ours::Rig {
    Rig(CodeMode, Executor, const BaseImage&, const IsaSet& features, u64 fs_base);
    void load(const Case&);
    void grant(u64 insns);
    void execute_sequence(const Case&);
    void execute(const Case&);
    void execute_directly(const Case&);
    void store(const Case&, Outcome&);

    const BaseImage& base;
    const Executor executor;
    std::unique_ptr<Memory> memory;
    NoPorts ports;
    NoInterrupts ack;
    Clock clock;
    CpuModel cpu_model;
    Cpu cpu;
    CpuState& s;
    jit::Interp interp;
    jit::Block block;
    u64 begun = 0;   // instruction count before the case
};

Ours::Rig::Rig(CodeMode mode, Executor e, const BaseImage& b, const IsaSet& features, u64 fs_base)
    : base{b}, executor{e}, memory{std::make_unique<Memory>(mode, b)}, cpu_model{model(features)},
      cpu{cpu_model, CpuWiring{*memory, ports, ack, clock}, options(e)}, s{cpu.state()}, interp{&s, cpu_layout()} {
    s.cr0 = cr0::PE | cr0::MP | cr0::ET | cr0::NE | cr0::WP | cr0::AM | cr0::PG;
    s.cr4 = cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE | cr4::FSGSBASE;
    s.xcr0 = 7;
    s.cr3 = Memory::tables;
    s.efer = efer::LME | efer::LMA | efer::SCE | efer::NXE;
    s.cpl = 3;
    const bool wide = mode == CodeMode::long64;
    for (unsigned i = 0; i < kSegs; ++i) s.seg[i] = segment(segments(mode)[i], wide);
    if (wide) s.seg[FS].base = fs_base;
    s.tr.limit = 0x60;   // no I/O permission map: every port is refused
    s.eflags_system = eflags::IF | 2;
    for (unsigned i = 0; i < kSegs; ++i) update_segment(s, static_cast<Seg>(i));
    refresh_mode(s);
    paging_changed(s);
}

void Ours::Rig::load(const Case& c) {
    base.apply(c, memory->data[0]);
    std::memset(memory->code[0] + c.end - sizeof c.bytes, 0xcc, sizeof c.bytes);
    std::memcpy(memory->code[0] + c.end - c.length, c.bytes, c.length);
    std::memcpy(s.gpr, c.gpr, sizeof s.gpr);
    s.flags = pack_flags(c.flags);
    s.df = c.flags & eflags::DF ? 1 : 0;
    s.eflags_system = eflags::IF | 2 | (c.flags & eflags::AC);
    s.mxcsr = 0x1f80;
    if (c.vector) load_fx(s, c.fx);
    compute_mode(s);
    s.x.rip = c.rip();
    s.x.fault = jit::Fault::none;
    s.x.attention = 0;
    grant(1);
    begun = s.x.icount();
}

void Ours::Rig::grant(u64 insns) {
    s.x.deadline = s.x.icount() + insns;
    s.x.unretired = 0;
    s.x.budget = static_cast<i64>(insns);
}

void Ours::Rig::execute_directly(const Case& c) {
    u8 bytes[15];
    std::memset(bytes, 0xcc, sizeof bytes);
    std::memcpy(bytes, c.bytes, c.length);
    lift_one(bytes, sizeof bytes, c.rip(), s.x.mode, cpu.features(), block);
    s.x.unretired = 2;
    --s.x.budget;
    interp.run(jit::compile_for_interp(block, cpu_layout()));
    if (s.x.fault == jit::Fault::done) s.x.fault = jit::Fault::none, s.x.rip = block.end_rip;
}

void Ours::Rig::execute_sequence(const Case& c) {
    if (executor == Executor::jit) {
        grant(c.count);
        cpu.engine().run();
        return;
    }
    for (unsigned n = 0; n < c.count && s.x.fault == jit::Fault::none; ++n) {
        if (n) grant(1);
        cpu.engine().step();
    }
}

void Ours::Rig::execute(const Case& c) {
    cpu.memory_changed(memory->code[0] + c.end - sizeof c.bytes, sizeof c.bytes);
    if (c.count > 1) return execute_sequence(c);
    // An iteration of a repeated instruction counts as one.
    for (unsigned n = 0; n < 5000; ++n) {
        if (executor == Executor::direct) execute_directly(c);
        else if (executor == Executor::jit) cpu.engine().run();
        else cpu.engine().step();
        if (s.x.fault != jit::Fault::none || s.x.rip != c.rip()) return;
        const u64 left = s.gpr[RCX] & (c.in.addr_size == 8 ? ~u64{0} : (u64{1} << 8 * c.in.addr_size) - 1);
        const bool may_stop = c.in.opcode == 0xa6 || c.in.opcode == 0xa7 || c.in.opcode == 0xae || c.in.opcode == 0xaf;
        grant(may_stop || left == 0 ? 1 : std::min<u64>(left, 1 + (c.seed ^ n) % 3));
    }
}

void Ours::Rig::store(const Case& c, Outcome& out) {
    out.vector = kNoFault, out.error = 0, out.cr2 = 0;
    if (s.x.fault != jit::Fault::none) {
        if (executor == Executor::direct) s.x.rip = c.rip();
        cpu.refine_fault();
        out.vector = s.exception.vector;
        out.error = s.exception.has_error ? s.exception.error : 0;
        out.cr2 = s.exception.vector == 14 ? s.exception.address : 0;
    }
    std::memcpy(out.gpr, s.gpr, sizeof out.gpr);
    out.rip = s.x.rip;
    out.retired = static_cast<u32>(s.x.icount() - begun);
    out.flags = (unpack_flags(s.flags) | (s.df ? u32{eflags::DF} : 0)) & kFlagsCompared;
    if (c.vector) store_fx(s, out.fx);
    base.collect(memory->data[0], out);
}

Ours::Ours(CodeMode m, Executor e, const BaseImage& base, const IsaSet& features, u64 fs_base) : rig_{std::make_unique<Rig>(m, e, base, features, fs_base)} {}
Ours::~Ours() = default;

void Ours::run(const Case& c, Outcome& out) {
    rig_->load(c);
    rig_->execute(c);
    rig_->store(c, out);
}
}  // namespace calque::silicon
