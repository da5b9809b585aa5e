// Random code in every mode: nothing may crash or hang, and the executors must agree on state, memory and count. A failure prints its
// seed; CALQUE_FUZZ_CASES and CALQUE_FUZZ_SEED run more of them, or one.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "guest.h"
#include "support/state_io.h"
#include "tests/cpu/random.h"

using namespace calque;
using namespace calque::test;

namespace {

/// Bytes that are more often interesting than uniform ones: prefixes, system opcodes, string instructions, short jumps.
std::vector<u8> random_code(Random& r, size_t size) {
    static constexpr u8 spice[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x64, 0x48, 0x0f, 0x0f, 0x0f, 0xa4, 0xa5, 0xaa, 0xab, 0xa6, 0xae, 0x8e, 0x9c,
                                   0x9d, 0xcf, 0xcd, 0xfb, 0xfa, 0x50, 0x58, 0xc8, 0xe8, 0xeb, 0x74, 0xe2, 0x8b, 0x89, 0x00, 0x01, 0x22, 0x20, 0x30, 0x32, 0xff};
    std::vector<u8> out(size);
    for (u8& b : out) b = r.below(3) ? static_cast<u8>(r.next()) : spice[r.below(sizeof spice)];
    return out;
}

u64 random_value(Random& r) {
    switch (r.below(6)) {
    case 0: return r.below(0x40000);
    case 1: return at::Data + r.below(0x10000);
    case 2: return at::Code + r.below(0x400);
    case 3: return r.next();
    case 4: return u64{0} - r.below(100);
    default: return r.below(100);
    }
}

void prepare(Guest& g, u64 seed) {
    Random r{seed};
    const auto code = random_code(r, 512);
    std::memcpy(&g.memory.ram[at::Code], code.data(), code.size());
    for (unsigned i = 0; i < 0x2000; ++i) g.memory.ram[at::Data + i] = static_cast<u8>(r.next());
    for (u64& reg : g.s().gpr) reg = random_value(r);
    if (r.below(4)) g.rsp = g.s().seg[SS].base ? 0xfff0 : at::Stack;
    u32 flags = static_cast<u32>(r.next()) & (eflags::Arithmetic | eflags::DF | eflags::IF);
    if (r.below(16) == 0) flags |= eflags::TF;
    if (r.below(4) == 0) flags |= eflags::IOPL;
    write_eflags(g.s(), flags | 2 | (g.s().eflags_system & eflags::VM));
    if (r.below(4) == 0) g.s().cr4 |= cr4::VME | cr4::PVI;
    if (r.below(16) == 0) g.s().dr[0] = at::Data + r.below(64), g.s().dr7 = 0x400 | 1 | r.below(16) << 16, g.s().watching = true;
    // Pages that fault in the middle of things: absent, read-only, the supervisor's, not executable, with a reserved bit, no memory.
    for (u64 n = r.below(6); (g.s().cr0 & cr0::PG) && n > 0; --n) {
        static constexpr u64 leaves[] = {0, 5, 3, 7 | u64{1} << 63, 7 | u64{1} << 50, 7 | u64{0xd0000000}};
        const u64 page = (r.below(4) ? at::Data : at::Code) + (r.below(16) << 12), f = leaves[r.below(6)];
        g.put(g.leaf_64(page), f >= 0xd0000000 && f < u64{1} << 50 ? f : page | f, 8);
    }
    g.refresh();
}

u64 hash(u64 h, const u8* p, size_t n) {
    for (size_t i = 0; i + 8 <= n; i += 8) {
        u64 v;
        std::memcpy(&v, p + i, 8);
        h = (h ^ v) * 0x9e3779b97f4a7c15;
        h ^= h >> 29;
    }
    for (size_t i = n & ~size_t{7}; i < n; ++i) h = (h ^ p[i]) * 0x100000001b3;
    return h;
}

/// The registers in words, for the report.
std::string describe(Guest& g) {
    char line[200];
    std::string out;
    const CpuState& s = g.s();
    for (unsigned i = 0; i < 16; ++i) std::snprintf(line, sizeof line, "%u=%llx ", i, static_cast<unsigned long long>(s.gpr[i])), out += line;
    std::snprintf(line, sizeof line, "\n rip=%llx flags=%x packed=%x df=%u cs=%x ss=%x cpl=%u cr0=%llx cr2=%llx dr6=%llx mxcsr=%x tags=%x icount=%llu",
                  static_cast<unsigned long long>(s.x.rip), read_eflags(s), s.flags, s.df, s.seg[CS].selector, s.seg[SS].selector, s.cpl,
                  static_cast<unsigned long long>(s.cr0), static_cast<unsigned long long>(s.cr2), static_cast<unsigned long long>(s.dr6), s.mxcsr,
                  s.fpu.top_tags, static_cast<unsigned long long>(g.cpu->icount()));
    return out + line;
}

struct Outcome {
    std::string words;
    std::vector<u8> state;
    u64 ram = 0, icount = 0;
    Cpu::Stop stop{};
};

Outcome run(Engine e, Mode m, u64 seed) {
    Guest g{e, m, ""};
    prepare(g, seed);
    Outcome o;
    for (unsigned i = 0; i < 4; ++i) {
        o.stop = g.run(300);
        if (o.stop == Cpu::Stop::halted) {   // an interrupt now and then
            g.s().apic_base = 0;
            g.cpu->intr().raise();
        }
    }
    o.icount = g.cpu->icount();
    o.words = describe(g);
    auto io = StateIO::saver();
    g.cpu->save_state(io);
    o.state = io.bytes();
    o.ram = hash(0, g.memory.ram.data(), g.memory.ram.size());
    return o;
}

u64 environment(const char* name, u64 otherwise) {
    const char* v = std::getenv(name);
    return v ? std::strtoull(v, nullptr, 0) : otherwise;
}
}  // namespace

TEST_CASE("random code: no crash, and the executors agree") {
    const u64 one = environment("CALQUE_FUZZ_SEED", 0), cases = one ? 1 : environment("CALQUE_FUZZ_CASES", 150);
    const u64 first = one ? one : environment("CALQUE_FUZZ_FIRST", 1);
    for (u64 n = 0; n < cases; ++n) {
        const u64 seed = first + n;
        for (const Mode m : {Mode::real, Mode::vm86, Mode::protected16, Mode::protected32, Mode::long64, Mode::user32, Mode::user64}) {
            CAPTURE(seed);
            CAPTURE(static_cast<int>(m));
            const Outcome a = run(Engine::interp, m, seed);
            if (!jit::Engine::has_jit()) continue;
            const Outcome b = run(Engine::jit, m, seed);
            CAPTURE(a.words);
            CAPTURE(b.words);
            CHECK(a.icount == b.icount);
            CHECK(a.ram == b.ram);
            CHECK((a.state == b.state));
        }
    }
}
