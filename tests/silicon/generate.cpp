#include "tests/silicon/generate.h"

#include <sstream>

#include "tests/silicon/maker.h"

namespace calque::silicon {

Generator::Generator(CodeMode m, const IsaSet& features, u64 fs_base, const BaseImage& base, const std::string& only)
    : mode_{m}, features_{features}, fs_base_{fs_base}, base_{base}, rules_{find_forms(m, features)} {
    if (only.empty()) return;
    std::vector<std::string> names;
    std::istringstream words{only};
    for (std::string w; std::getline(words, w, ',');) names.push_back(w);
    std::erase_if(rules_, [&](const RuleForms& r) {
        const std::string n = mnemonic_name(r.mn, r.vex);
        return std::none_of(names.begin(), names.end(), [&](const std::string& w) {
            return w == n || (w == "@vector" && r.vector) || (w == "@integer" && !r.vector) || (w.ends_with('*') && n.starts_with(w.substr(0, w.size() - 1)));
        });
    });
}

void Generator::begin(u64 seed, Case& c) const {
    c.seed = seed;
    c.mode = mode_;
    c.fs_base = fs_base_;
    c.length = 0;
    c.count = 1;
    c.start[0] = 0;
    c.patches = 0;
}

bool Generator::make(u64 seed, Case& c) const {
    begin(seed, c);
    Maker m{*this, c, Random{seed}};
    const RuleForms& rule = rules_[m.r.below(static_cast<u32>(rules_.size()))];
    return m.make(rule.forms[m.r.below(static_cast<u32>(rule.forms.size()))]);
}

bool Generator::make(u64 seed, const Form& form, Case& c) const {
    begin(seed, c);
    Maker m{*this, c, Random{seed}};
    return m.make(form);
}
}  // namespace calque::silicon
