// What a processor model lacks is #UD: every encoding of every rule, for every feature that can be taken away. Nothing is listed here, so a
// new rule is tested as soon as it is there.
#include <algorithm>

#include "guest.h"
#include "spellings.h"

namespace calque::test {
namespace {

IsaSet everything() {
    IsaSet r = IsaSet::all();
    r.remove(Isa::zen);
    return r;
}

jit::Mode decoding(Mode m) {
    switch (m) {
    case Mode::long64: return {mode::Code64 | mode::Protected, 0};
    case Mode::protected32: return {mode::Code32 | mode::Stack32 | mode::Protected, 0};
    default: return {0, 0};
    }
}

std::string hex(const Bytes& b) {
    std::string s;
    for (const u8 x : b) s += "0123456789ABCDEF"[x >> 4], s += "0123456789ABCDEF"[x & 15];
    return s;
}

constexpr Mode kModes[] = {Mode::real, Mode::protected32, Mode::long64};
const Spellings& spellings(Mode m) {
    static const std::map<Mode, Spellings> all = [] {
        std::map<Mode, Spellings> r;
        for (const Mode each : kModes) r.emplace(each, find_spellings(decoding(each), everything()));
        return r;
    }();
    return all.at(m);
}
}  // namespace

TEST_CASE("every rule has an encoding") {
    for (unsigned i = 1; i < static_cast<unsigned>(Mn::count); ++i) {
        const Mn mn = static_cast<Mn>(i);
        CAPTURE(mnemonic_name(mn));
        bool found = false;
        for (const Mode m : kModes) found |= spellings(m).count({mn, false}) || spellings(m).count({mn, true});
        CHECK(found);
    }
}

TEST_CASE("an instruction that the model lacks is #UD") {
    const CpuModel max = *parse_cpu_model("max");
    for (const std::string& name : cpu_features()) {
        const auto without = parse_cpu_model("max,-" + name);
        REQUIRE(without);
        const auto lost = [&](Isa f) { return max.has(f) && !without->has(f); };
        const auto gone = [&](const std::pair<Mn, bool>& rule) {
            const Isa f = isa_of(rule.first);
            return lost(f) || (rule.second && lost(Isa::avx) && f != Isa::bmi1 && f != Isa::bmi2);
        };
        for (const Mode m : kModes) {
            if (m == Mode::long64 && lost(Isa::long_mode)) continue;
            if (std::none_of(spellings(m).begin(), spellings(m).end(), [&](const auto& x) { return gone(x.first); })) continue;
            Guest interp{Engine::interp, m, "90", "max,-" + name}, jit{Engine::jit, m, "90", "max,-" + name};
            for (const auto& [rule, list] : spellings(m)) {
                if (!gone(rule)) continue;
                CAPTURE(mnemonic_name(rule.first, rule.second));
                CAPTURE(name);
                bool ran = false;
                for (const Spelled& x : list) {
                    Insn in;
                    const Decode d = decode(x.bytes.data(), x.bytes.size(), 0x1000, decoding(m), without->features, in);
                    // Without LZCNT and TZCNT their prefix means nothing, and BSR and BSF are left.
                    const bool other = d == Decode::ok && (in.mn == Mn::BSR || in.mn == Mn::BSF);
                    if (d != Decode::undefined && !other) FAIL_CHECK(hex(x.bytes) << " is not undefined");
                    if (ran || other) continue;
                    ran = true;
                    for (Guest* g : {&interp, &jit}) {
                        g->s().halted = false;
                        g->enter(m);
                        g->code(hex(x.bytes));
                        g->run(2);
                        CHECK(g->vector() == 6);
                        if (g == &jit && !jit::Engine::has_jit()) break;
                    }
                }
            }
        }
    }
}
}  // namespace calque::test
