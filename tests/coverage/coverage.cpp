// Which rules have been compared with something that is not ours, in which mode and on which executor: a table by extension, and the rules
// that are missing.
//   rule_coverage [--silicon FILE]... CASES.json...
// FILE is what `silicon --coverage FILE` has written. Of the cases those count that pass; what they execute is found by running them.
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "frontend/exec/parse.h"
#include "frontend/exec/texts.h"
#include "machine/exec/runner.h"
#include "tests/cpu/spellings.h"

namespace calque::exec {
namespace {

using Rule = std::pair<Mn, bool>;   // and whether with VEX
constexpr unsigned kModes = std::size(kModeNames), kEngines = 2;
constexpr const char* kIsaNames[] = {
#define RULE(mnemonic, rule, isa) #isa,
    "",
#include "cpu/lift/rules.inc"
#undef RULE
};

jit::Mode decoding(Mode m) {
    switch (m) {
    case Mode::real16: return {0, 0};
    case Mode::vm86: return {mode::Protected | mode::Vm86, 0};
    case Mode::protected16: return {mode::Protected, 0};
    case Mode::long64: return {mode::Protected | mode::Code64, 0};
    default: return {mode::Protected | mode::Code32 | mode::Stack32, 0};
    }
}

class Coverage {
public:
    Coverage();
    bool silicon(const char* file);
    bool cases(const char* file);
    int print() const;

private:
    bool has(const Rule& r, unsigned mode, unsigned engine) const { return covered_.count({r, mode, engine}); }
    void one(const Case&);

    const CpuModel model_ = *parse_cpu_model("max");
    std::array<std::set<Rule>, kModes> rules_;
    std::map<std::string, Rule> by_name_;
    std::set<std::tuple<Rule, unsigned, unsigned>> covered_;
    CaseRunner tracer_{{Engine::interp}}, interp_{{Engine::interp}}, jit_{{Engine::jit}};
};

Coverage::Coverage() {
    for (unsigned m = 0; m < kModes; ++m)
        for (const auto& [rule, list] : test::find_spellings(decoding(static_cast<Mode>(m)), model_.features)) {
            rules_[m].insert(rule);
            by_name_[mnemonic_name(rule.first, rule.second)] = rule;
        }
}

/// Lines of mode, executor, rule. flat32 is what compat32 is in a case; both modes of 32-bit code run the same bytes.
bool Coverage::silicon(const char* file) {
    static const std::map<std::string, Mode> modes = {
        {"long64", Mode::long64}, {"flat32", Mode::compat32}, {"prot32", Mode::protected32}, {"prot16", Mode::protected16}};
    std::ifstream in{file};
    for (std::string line; std::getline(in, line);) {
        std::istringstream words{line};
        std::string mode, executor, rule;
        words >> mode >> executor >> rule;
        if (!modes.count(mode) || !by_name_.count(rule)) continue;
        covered_.insert({by_name_.at(rule), static_cast<unsigned>(modes.at(mode)), executor == "jit"});
    }
    return in.eof();
}

void Coverage::one(const Case& c) {
    std::set<Rule> seen;
    Rig* rig = nullptr;
    const auto note = [&](const std::string&) {
        const CpuState& s = rig->cpu().state();
        u8 bytes[15];
        size_t n = 0;
        while (n < sizeof bytes && rig->read(s.x.rip + s.x.mode.base + n, {bytes + n, 1})) ++n;
        Insn in;
        if (decode(bytes, n, s.x.rip, s.x.mode, rig->cpu().features(), in) == Decode::ok) seen.insert({in.mn, in.vex != 0});
    };
    // The runner's rig for this model is known after a first run.
    if (auto v = tracer_.run(c); !v || !v->pass()) return;
    rig = &tracer_.rig();
    if (!tracer_.run(c, note)) return;
    for (unsigned e = 0; e < kEngines; ++e) {
        if (e == 1 && !jit::Engine::has_jit()) continue;
        const auto v = (e ? jit_ : interp_).run(c);
        if (!v || !v->pass()) continue;
        for (const Rule& r : seen) covered_.insert({r, static_cast<unsigned>(c.mode), e});
    }
}

bool Coverage::cases(const char* name) {
    std::FILE* f = std::fopen(name, "r");
    if (!f) return std::perror(name), false;
    CaseTexts texts{f};
    CaseTexts::Text t;
    while (texts.next(t)) {
        Case c;
        if (!t.error && !parse_case(t.text, c) && c.expects()) one(c);
    }
    std::fclose(f);
    return true;
}

int Coverage::print() const {
    std::map<std::string, std::set<Rule>> groups;
    for (const auto& all : rules_)
        for (const Rule& r : all) groups[r.second && isa_of(r.first) != Isa::bmi1 && isa_of(r.first) != Isa::bmi2 ? "avx" : kIsaNames[static_cast<size_t>(r.first)]].insert(r);
    std::printf("Rules that have been compared, of those that each mode has: on the interpreter, on the JIT, all\n%-12s", "");
    for (const char* m : kModeNames) std::printf(" %13s", m);
    std::printf("\n");
    unsigned total[kModes][3]{};
    const auto row = [](const char* name, const unsigned (&n)[kModes][3]) {
        std::printf("%-12s", name);
        for (const auto& cell : n) {
            char text[32];
            std::snprintf(text, sizeof text, "%u %u %u", cell[0], cell[1], cell[2]);
            std::printf(" %13s", cell[2] ? text : "-");
        }
        std::printf("\n");
    };
    for (const auto& [name, rules] : groups) {
        unsigned n[kModes][3]{};
        for (unsigned m = 0; m < kModes; ++m)
            for (const Rule& r : rules)
                if (rules_[m].count(r)) n[m][0] += has(r, m, 0), n[m][1] += has(r, m, 1), ++n[m][2];
        row(name.c_str(), n);
        for (unsigned m = 0; m < kModes; ++m)
            for (unsigned k = 0; k < 3; ++k) total[m][k] += n[m][k];
    }
    row("all", total);
    unsigned empty = 0;
    for (unsigned m = 0; m < kModes; ++m)
        for (unsigned e = 0; e < kEngines; ++e) {
            std::string missing;
            if (e == 1 && !jit::Engine::has_jit()) continue;
            for (const Rule& r : rules_[m])
                if (!has(r, m, e)) missing += std::string{" "} + mnemonic_name(r.first, r.second), ++empty;
            if (!missing.empty()) std::printf("none in %s on %s:%s\n", kModeNames[m], kEngineNames[e], missing.c_str());
        }
    std::printf("%u empty cells\n", empty);
    return empty != 0;
}
}  // namespace
}  // namespace calque::exec

int main(int argc, char** argv) {
    calque::exec::Coverage c;
    for (int i = 1; i < argc; ++i) {
        const bool silicon = std::strcmp(argv[i], "--silicon") == 0 && i + 1 < argc;
        if (!(silicon ? c.silicon(argv[++i]) : c.cases(argv[i]))) return std::fprintf(stderr, "rule_coverage: cannot read %s\n", argv[i]), 2;
    }
    return c.print();
}
