// Runs two machines that should behave alike (the JIT and the interpreter, or two sets of switches) in lockstep and finds
// the first instruction after which they differ.
//   lockstep [--a OPTIONS] [--b OPTIONS] [--chunk N] [--from N] [--to N] -- machine options as for calque
// where OPTIONS is "interp" or "jit" with switches to turn off: "jit,regs,chain".
#include <cinttypes>
#include <cstdio>
#include <sstream>

#include "cpu/inspect.h"
#include "frontend/cli/options.h"
#include "machine/debug.h"
#include "machine/machine.h"
#include "machine/state_hash.h"
#include "support/state_io.h"

using namespace calque;

namespace {
struct Sink final : CharSink {
    void put(u8) override {}
} sink;

void set_engine(MachineConfig& c, const std::string& text) {
    std::istringstream in{text};
    std::string word;
    std::getline(in, word, ',');
    c.jit = word != "interp";
    c.jit_disable.clear();
    while (std::getline(in, word, ',')) c.jit_disable.push_back(word);
}

std::unique_ptr<Machine> make(MachineConfig c, const std::string& engine) {
    set_engine(c, engine);
    c.clock = ClockMode::fixed;
    auto m = Machine::create(c);
    if (!m) std::fprintf(stderr, "lockstep: %s\n", m.error().message.c_str()), std::exit(1);
    return std::move(*m);
}

void run_to(Machine& m, u64 icount) {
    m.set_stop_at(icount);
    while (m.icount() < icount && m.run(~u64{0}) == Machine::Stop::slice) {}
    m.set_stop_at(~u64{0});
}

std::vector<u8> state_of(Machine& m) {
    StateIO s = StateIO::saver();
    m.cpu().save_state(s);
    for (const auto& d : m.board().devices())
        if (std::string_view{d.name} != "vga") d.device->state(s);
    return s.bytes();
}

void report(Machine& a, Machine& b) {
    std::printf("--- a\n%s--- b\n%s", register_text(a.cpu().state()).c_str(), register_text(b.cpu().state()).c_str());
    const auto sa = state_of(a), sb = state_of(b);
    for (size_t i = 0, shown = 0; i < sa.size() && i < sb.size() && shown < 40; ++i)
        if (sa[i] != sb[i]) std::printf("state byte %zu: %02x %02x\n", i, sa[i], sb[i]), ++shown;
    const auto ra = a.memory().ram(), rb = b.memory().ram();
    for (size_t i = 0, shown = 0; i < ra.size() && shown < 40; ++i)
        if (ra[i] != rb[i]) std::printf("RAM at %#zx: %02x %02x\n", i, ra[i], rb[i]), ++shown;
}

void show_code(Machine& m) {
    u8 bytes[32];
    const auto& s = m.cpu().state();
    const u64 at = s.code64() ? s.x.rip : s.seg[CS].base + s.x.rip;
    if (!read_linear_quietly(m.cpu(), at, bytes)) return;
    std::printf("next instruction at %#" PRIx64 ":", s.x.rip);
    for (const u8 b : bytes) std::printf(" %02x", b);
    std::printf("\n");
}

bool same(Machine& a, Machine& b, bool memory) {
    if (a.icount() != b.icount() || state_of(a) != state_of(b)) return false;
    return !memory || a.state_hash() == b.state_hash();
}
}  // namespace

int main(int argc, char** argv) {
    std::string a_engine = "jit", b_engine = "interp";
    u64 chunk = 1'000'000, from = 0, to = ~u64{0};
    bool memory = true;
    int i = 1;
    for (; i + 1 < argc && std::string_view{argv[i]} != "--"; i += 2) {
        const std::string_view o = argv[i];
        if (o == "--a") a_engine = argv[i + 1];
        else if (o == "--b") b_engine = argv[i + 1];
        else if (o == "--chunk") chunk = std::strtoull(argv[i + 1], nullptr, 0);
        else if (o == "--from") from = std::strtoull(argv[i + 1], nullptr, 0);
        else if (o == "--to") to = std::strtoull(argv[i + 1], nullptr, 0);
        else if (o == "--memory") memory = std::string_view{argv[i + 1]} == "on";
    }
    auto options = parse_options({argv + std::min(i + 1, argc), argv + argc});
    if (!options) return std::fprintf(stderr, "lockstep: %s\n", options.error().message.c_str()), 1;
    MachineConfig config = options->machine;
    config.serial = {&sink};
    for (u64 lo = from;;) {
        auto a = make(config, a_engine), b = make(config, b_engine);
        run_to(*a, lo), run_to(*b, lo);
        if (lo && !same(*a, *b, memory)) {
            std::printf("they differ at %" PRIu64 " already, where they were equal when reached in other steps\n", lo);
            report(*a, *b);
            return 2;
        }
        u64 at = lo;
        bool differ = false;
        while (at < to && !differ) {
            lo = at, at += chunk;
            if (chunk == 1) show_code(*a);
            run_to(*a, at), run_to(*b, at);
            differ = !same(*a, *b, memory || chunk == 1);
            std::fprintf(stderr, "\r%" PRIu64 " %s   ", at, differ ? "differ" : "equal");
        }
        if (!differ) return std::printf("equal up to %" PRIu64 "\n", at), 0;
        if (chunk == 1) {
            std::printf("first difference after instruction %" PRIu64 "\n", at);
            report(*a, *b);
            return 2;
        }
        std::printf("between %" PRIu64 " and %" PRIu64 "\n", lo, at);
        std::fflush(stdout);
        chunk = std::max<u64>(1, chunk / 50);
        to = ~u64{0};
    }
}
