// Draws cases from the rule table.
#pragma once
#include "tests/silicon/forms.h"

namespace calque::silicon {

class Generator {
public:
    Generator(CodeMode, const IsaSet& features, u64 fs_base, const BaseImage&, const std::string& only_rules);
    /// The same seed gives the same case. False: this seed gives none; take another.
    bool make(u64 seed, Case&) const;
    /// One of this form.
    bool make(u64 seed, const Form&, Case&) const;
    /// Several instructions in a row, up to a branch at the end.
    bool make_sequence(u64 seed, Case&) const;
    const std::vector<RuleForms>& rules() const { return rules_; }

    bool alignment = false;   // some cases check alignment (EFLAGS.AC)

private:
    void begin(u64 seed, Case&) const;
    struct Maker;
    struct SequenceMaker;
    CodeMode mode_;
    IsaSet features_;
    u64 fs_base_;
    const BaseImage& base_;
    std::vector<RuleForms> rules_;
};
}  // namespace calque::silicon
