#include "tests/silicon/reproducer.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "frontend/exec/write.h"
#include "machine/exec/compare.h"
#include "tests/silicon/forms.h"
#include "tests/silicon/shrink.h"

namespace calque::silicon {
namespace {

struct Registers {
    std::vector<exec::RegisterItem>& out;
    void set(const std::string& name, const RegisterValue& v) { out.push_back({find_register(name), v}); }
};

void general(const Case& c, Registers r) {
    static constexpr const char* kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"};
    for (unsigned i = 0; i < (c.mode == CodeMode::long64 ? 16u : 8u); ++i) r.set(i < 8 ? kNames[i] : "r" + std::to_string(i), c.gpr[i]);
    r.set("rip", c.rip());
    r.set("rflags", u64{c.flags} | eflags::IF | 2);
}

void segment_registers(const Case& c, Registers r) {
    if (c.mode == CodeMode::long64) return r.set("fs.base", c.fs_base);
    static constexpr const char* kNames[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    for (unsigned i = 0; i < kSegs; ++i) {
        const SegmentSpec& g = segments(c.mode)[i];
        const std::string name = kNames[i];
        const u32 type = g.code ? 0xb : (g.expand_down ? 4u : 0) | (g.writable ? 2u : 0) | 1u;
        r.set(name + ".base", u64{g.base});
        r.set(name + ".limit", u64{g.limit});
        r.set(name + ".attr", u64{type << 8 | 0xf000 | (g.big ? 0x400000u : 0) | (g.limit > 0xfffff ? 0x800000u : 0)});
    }
}

void vectors(const Case& c, Registers r) {
    const FxState& f = c.fx;
    u64 tags = 0;
    for (unsigned i = 0; i < 8; ++i) tags |= u64{f.ftw >> i & 1u ? 0u : 3u} << (2 * i);
    r.set("fcw", u64{f.fcw}), r.set("fsw", u64{f.fsw}), r.set("ftw", tags), r.set("mxcsr", u64{f.mxcsr});
    for (unsigned i = 0; i < 8; ++i) r.set("st" + std::to_string(i), {f.st[i].sig, f.st[i].se & 0xffff});
    static const bool avx = reproducer_model().has(Isa::avx);
    for (unsigned i = 0; i < (c.mode == CodeMode::long64 ? 16u : 8u); ++i) {
        if (avx) r.set("ymm" + std::to_string(i), {f.xmm[i].lo, f.xmm[i].hi, f.high[i].lo, f.high[i].hi});
        else r.set("xmm" + std::to_string(i), {f.xmm[i].lo, f.xmm[i].hi});
    }
}

std::vector<u8> data_of(const Case& c, const BaseImage& base) {
    std::vector<u8> data(base.bytes, base.bytes + sizeof base.bytes);
    for (u32 i = 0; i < c.patches; ++i) std::memcpy(data.data() + c.patch[i].index * Line::size, c.patch[i].bytes.data(), Line::size);
    return data;
}

/// Registers that user mode decides on, by their widest names.
bool visible(const Register& r) {
    static const u16 flags = find_register("rflags")->whole;
    if (r.isa == Isa::sse || r.isa == Isa::avx) return true;
    if (r.isa == Isa::fpu) return r.name.starts_with("st") || r.name == "fcw" || r.name == "fsw" || r.name == "ftw";
    return r.whole <= flags;   // general registers, RIP, RFLAGS
}

bool is_8086(exec::Mode m) { return m == exec::Mode::real16 || m == exec::Mode::vm86; }

/// The mode in which our executors see what the host's code mode sees.
exec::Mode mode_of(CodeMode m) { return m == CodeMode::long64 ? exec::Mode::long64 : m == CodeMode::prot16 ? exec::Mode::protected16 : exec::Mode::compat32; }
}  // namespace

const char* reproducer_cpu() {
    static const bool amd = host_features().has(Isa::zen);
    return amd ? "max,+zen" : "max";
}
CpuModel reproducer_model() {
    auto m = parse_cpu_model(reproducer_cpu());
    return std::move(*m);
}

exec::Case to_reproducer(const Case& c, const BaseImage& base, exec::Mode mode) {
    exec::Case e;
    e.mode = mode;
    e.cpu = reproducer_cpu();
    e.cpl = mode == exec::Mode::real16 ? 0 : 3;
    e.steps = c.count;
    general(c, {e.regs});
    segment_registers(c, {e.regs});
    if (c.vector) vectors(c, {e.regs});
    std::sort(e.regs.begin(), e.regs.end(), [](const exec::RegisterItem& a, const exec::RegisterItem& b) { return a.reg < b.reg; });
    const u64 at = where::code + where::next - c.length;
    e.mem.push_back({at, {c.bytes, c.bytes + c.length}});
    e.mem.push_back({where::data, data_of(c, base)});
    return e;
}

Result<std::unique_ptr<Oracle>> Oracle::create() {
    auto host = exec::HostProcessor::create();
    if (!host) return host.error();
    return std::unique_ptr<Oracle>{new Oracle{std::move(*host)}};
}

std::optional<exec::Outcome> Oracle::expect(exec::Case& c) {
    exec::Case native = c;
    native.final_regs.clear(), native.final_mem.clear(), native.exception.reset();
    if (is_8086(c.mode)) native.mode = exec::Mode::protected16, native.cpl = 3;
    if (!rig_.load(native)) return {};
    std::vector<RegisterValue> before;
    for (const Register* r : rig_.registers()) before.push_back(rig_.value(*r));
    const auto outcome = host_->run(native, rig_);
    if (!outcome || outcome->end == exec::Outcome::End::endless) return {};
    if (is_8086(c.mode) && outcome->exceptions) return {};
    c.has_final = true;
    c.exception.reset(), c.final_regs.clear();
    if (outcome->exceptions) {
        c.exception = exec::Case::Expected{outcome->last.vector, {}, {}};
        if (outcome->last.has_error) c.exception->error = outcome->last.error;
        if (outcome->last.vector == 14) c.exception->cr2 = outcome->last.address;
    }
    c.final_mem = rig_.changed_memory();
    for (size_t i = 0; i < before.size(); ++i) {
        const Register& r = *rig_.registers()[i];
        RegisterValue after = rig_.value(r);
        if (!visible(r) || (after == before[i] && r.name != "rip" && r.name != "rflags")) continue;
        if (c.mode == exec::Mode::vm86 && r.name == "rflags") after.word[0] |= eflags::VM;
        c.final_regs.push_back({&r, after});
    }
    return *outcome;
}

std::string write_reproducer(const Case& made, const BaseImage& base, bool jit) {
    auto oracle = Oracle::create();
    if (!oracle) return oracle.error().message;
    exec::Rig interp{reproducer_model(), false}, ours{reproducer_model(), jit};
    const auto differs = [&](exec::Case& c) {
        if (!(*oracle)->expect(c) || !ours.load(c)) return false;
        const auto d = exec::compare(c, ours, ours.run(c));
        return d && !d->empty();
    };
    exec::Case whole = to_reproducer(made, base, mode_of(made.mode));
    exec::Case small = whole;
    if (!differs(whole)) return "no reproducer: it takes this program to see the difference";
    shrink(small, interp);
    exec::Case& best = differs(small) ? small : whole;
    best.name = std::string{mnemonic_name(made.in.mn)} + " by silicon";
    char name[64];
    std::snprintf(name, sizeof name, "silicon-%s-%llx.json", mode_name(made.mode), static_cast<unsigned long long>(made.seed));
    std::FILE* out = std::fopen(name, "w");
    if (!out) return "no reproducer: this folder cannot be written to";
    std::fprintf(out, "%s\n", exec::case_json(best).c_str());
    return std::fclose(out) == 0 ? "reproducer: " + std::string{name} : "no reproducer: the file cannot be written";
}
}  // namespace calque::silicon
