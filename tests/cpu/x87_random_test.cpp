// Random x87 code, with MMX, SSE and integer instructions between, under control words that let the JIT use the host's x87 and some that
// do not: the executors must agree on state, memory and count.
#include <cstdlib>
#include <cstring>

#include "guest.h"
#include "cpu/fpu/x87.h"
#include "support/state_io.h"
#include "tests/cpu/random.h"

using namespace calque;
using namespace calque::test;

namespace {

/// ModRM for [rbx], [rsi] or [rdi] with a displacement of eight bits; in 16-bit code [bx], [si] or [di].
void memory_operand(Random& r, std::vector<u8>& out, unsigned reg, bool word) {
    static constexpr u8 wide[] = {3, 6, 7, 3}, narrow[] = {7, 4, 5, 7};
    const u64 n = r.below(4);
    out.push_back(static_cast<u8>(0x40 | reg << 3 | (word ? narrow : wide)[n]));
    out.push_back(static_cast<u8>(r.below(4) ? r.below(8) * 8 : r.below(120)));
}

std::vector<u8> random_code(Random& r, unsigned count, bool word) {
    std::vector<u8> out;
    const auto bytes = [&](std::initializer_list<u8> b) { out.insert(out.end(), b); };
    for (unsigned n = 0; n < count; ++n) {
        const u8 escape = static_cast<u8>(0xd8 + r.below(8));
        switch (r.below(16)) {
        default:
            bytes({escape, static_cast<u8>(0xc0 + r.below(64))});
            break;
        case 0: case 1: case 2: case 3: case 4: {
            unsigned reg = static_cast<unsigned>(r.below(8));
            const bool area = (escape == 0xd9 || escape == 0xdd) && (reg == 4 || reg == 5 || reg == 6);
            if (area && r.below(8)) reg = 0;
            out.push_back(escape);
            memory_operand(r, out, reg, word);
            break;
        }
        case 5: bytes({0xd9, static_cast<u8>(0xe8 + r.below(7))}); break;                     // constants
        case 6: out.push_back(0xdb), memory_operand(r, out, r.below(2) ? 5 : 7, word); break;  // ten bytes
        case 7: bytes({0x0f, 0x6f, static_cast<u8>(0xc0 + r.below(64))}); break;              // movq mm, mm
        case 8: bytes({0x0f, 0xfe, static_cast<u8>(0xc0 + r.below(64))}); break;              // paddd mm, mm
        case 9: bytes({0x0f, 0x77}); break;                                                    // emms
        case 10: bytes({0x0f, 0x58, static_cast<u8>(0xc0 + r.below(64))}); break;             // addps
        case 11: bytes({0xdf, 0xe0}); break;                                                   // fnstsw ax
        }
    }
    return out;
}

struct Outcome {
    std::vector<u8> state, ram;
    u64 icount = 0;
};

Outcome run(Engine e, Mode m, u64 seed) {
    Guest g{e, m, ""};
    Random r{seed};
    const bool word = m == Mode::real || m == Mode::protected16;
    auto code = random_code(r, 4 + static_cast<unsigned>(r.below(24)), word);
    const i32 back = -static_cast<i32>(code.size()) - (word ? 3 : 5);
    code.push_back(0xe9);
    for (unsigned i = 0; i < (word ? 2u : 4u); ++i) code.push_back(static_cast<u8>(back >> (8 * i)));
    std::memcpy(&g.memory.ram[at::Code], code.data(), code.size());
    for (unsigned i = 0; i < 0x3000; ++i) g.memory.ram[at::Data + i] = static_cast<u8>(r.below(3) ? r.next() : r.below(2) ? 0 : 0xff);
    for (unsigned i = 0; i < 0x3000; i += 8) {
        if (r.below(2)) g.put(at::Data + i, u64{0x3ff0000000000000} + (r.below(64) << 52) + (r.below(2) ? r.next() >> 12 : 0), 8);
        if (r.below(6) == 0) g.put(at::Data + i, 0x37f | r.below(4) << 10 | (r.below(2) ? 0 : 0x200), 2);
        if (r.below(9) == 0) g.put(at::Data + i, r.next() & 0xf7f, 2);
    }
    const u64 data = word ? 0x3000 : at::Data;
    g.rbx = data + r.below(0x40), g.rsi = data + 0x1000 - r.below(0x80), g.rdi = data + 0x2000 - r.below(0x100);
    if (word) g.s().seg[DS] = {g.s().seg[DS].selector, 0x9300, 0xffff, at::Data - 0x3000};
    CpuState& s = g.s();
    s.cr0 = (s.cr0 & ~(cr0::EM | cr0::TS)) | cr0::NE;
    s.cr4 |= cr4::OSFXSR | cr4::OSXMMEXCPT;
    reset_fpu(s.fpu);
    if (r.below(2)) s.fpu.cw = static_cast<u16>(0x37f | r.below(4) << 10 | (r.below(2) ? 0 : 0x200));
    if (r.below(8) == 0) s.fpu.cw = static_cast<u16>(r.next() & 0xf7f);
    for (auto& reg : s.fpu.reg) {
        reg.sig = r.below(4) ? r.next() | u64{1} << 63 : r.next();
        reg.se = static_cast<u16>(r.below(4) ? 0x3fff - 40 + r.below(80) : r.next());
    }
    s.fpu.top_tags = static_cast<u32>(r.below(8) | (r.below(2) ? r.below(256) : 0xff) << 8);
    s.fpu.sw = static_cast<u16>(r.next() & 0x473f & ~(~s.fpu.cw & 0x3f));
    for (auto& x : s.xmm) x = {0x3f8000003f800000 + r.below(1000), 0x4000000040000000};
    for (u64 n = r.below(3); (s.cr0 & cr0::PG) && n > 0; --n) g.put(g.leaf_64(at::Data + (r.below(3) << 12)), r.below(2) ? 0 : (at::Data + (1 << 12)) | 5, 8);
    if (word && r.below(2)) s.seg[DS].limit = 0x3fff;
    if (m == Mode::protected32 && r.below(2)) s.seg[DS].base = 0x1000, s.seg[DS].limit = at::Data + 0x1fff;
    for (unsigned i = 0; i < kSegs; ++i) update_segment(s, static_cast<Seg>(i));
    g.refresh();
    for (const u64 slice : {u64{1}, r.below(9), r.below(90), u64{200}}) g.run(slice);
    Outcome o;
    o.icount = g.cpu->icount();
    auto io = StateIO::saver();
    g.cpu->save_state(io);
    o.state = io.bytes();
    o.ram.assign(g.memory.ram.begin() + at::Data - 0x3000, g.memory.ram.begin() + at::Data + 0x5000);
    return o;
}
}  // namespace

TEST_CASE("random x87 code: the executors agree") {
    const char* one = std::getenv("CALQUE_FUZZ_SEED");
    const char* more = std::getenv("CALQUE_FUZZ_CASES");
    const u64 first = one ? std::strtoull(one, nullptr, 0) : 1, cases = one ? 1 : more ? std::strtoull(more, nullptr, 0) : 60;
    if (!jit::Engine::has_jit()) return;
    for (u64 seed = first; seed < first + cases; ++seed) {
        for (const Mode m : {Mode::real, Mode::protected16, Mode::protected32, Mode::long64}) {
            CAPTURE(seed);
            CAPTURE(static_cast<int>(m));
            const Outcome a = run(Engine::interp, m, seed), b = run(Engine::jit, m, seed);
            CHECK(a.icount == b.icount);
            CHECK((a.state == b.state));
            CHECK((a.ram == b.ram));
        }
    }
}
