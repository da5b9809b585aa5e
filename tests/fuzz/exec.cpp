// Reproducer files, as calque exec reads and runs them.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "frontend/exec/parse.h"
#include "frontend/exec/report.h"
#include "frontend/exec/texts.h"
#include "tests/fuzz/fuzz.h"

namespace calque::fuzz {
namespace {
std::vector<Bytes> seeds() {
    std::vector<Bytes> out;
    for (const char* name : {"long64", "protected32", "real16", "vm86"}) {
        std::ifstream in{std::string{CASES} + "/" + name + ".json"};
        std::string line;
        for (unsigned n = 0; n < 400 && std::getline(in, line); ++n)
            if (n % 40 == 7) out.push_back(bytes_of(line));
    }
    if (out.size() < 10) std::abort();
    for (const char* text : {R"([{"mode":"long64","initial":{"regs":{"rip":"0x1000","st0":"0x3fff8000000000000000"},"mem":[["0x1000","d9e8"]]},"final":{"regs":{"rip":"0x1002"}}}])",
                             R"({"name":"a","mode":"protected32","cpl":3,"cpu":"max,-avx","steps":2,"initial":{"regs":{"eip":"0x10","ds":{"sel":8,"base":"0","limit":"0xffff","attr":"0x9300"}},"mem":[["0x10","f3a4cc"]]},"exception":{"vector":3,"error":0,"cr2":"0"},"undefined":{"eflags":"0x10"}})"})
        out.push_back(bytes_of(text));
    return out;
}

bool run(std::span<const u8> in) {
    using namespace calque::exec;
    if (in.empty()) return false;
    bool good = false;
    std::FILE* const f = ::fmemopen(const_cast<u8*>(in.data()), in.size(), "r");
    if (!f) std::abort();
    CaseRunner runner{{Engine::interp}};
    {
        CaseTexts texts{f};
        CaseTexts::Text t;
        Case c;
        for (unsigned n = 0; n < 20 && texts.next(t); ++n) {
            if (t.error || parse_case(t.text, c)) continue;
            c.steps = std::min<u64>(c.steps, 50);
            const auto verdict = runner.run(c);
            if (!verdict) continue;
            good = true;
            (void)json_report(c, *verdict, runner.rig());
            (void)text_report({"input", t.line}, c, *verdict);
        }
    }
    std::fclose(f);
    return good;
}
}  // namespace

const Target target{"exec", seeds, run};
}  // namespace calque::fuzz
