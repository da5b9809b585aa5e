// Appends instructions to a block's code and simplifies them on the way: constants are folded and what is algebraically
// redundant becomes an older value. The builder and the passes use it.
#pragma once
#include "jit/ir/ir.h"

namespace calque::jit {

class Folder {
public:
    explicit Folder(std::vector<Inst>& code) : code_{code} {}
    /// Appends the instruction, or something simpler with the same value. Returns the value; 0 if it makes none.
    Ref add(Inst);
    Ref constant(Type, u64 value);
    /// A constant of its own, whose value will be filled in later. Nothing may have been folded from it.
    Ref late_constant(Type);
    bool is_constant(Ref, u64& value) const;

private:
    Ref append(const Inst&);
    Ref fold_constants(const Inst&);
    Ref simplify(Inst&);
    Ref simplify_add(Inst&);
    Ref simplify_bitwise(Inst&);
    Ref simplify_width(Inst&);
    Ref simplify_choice(Inst&);
    const Inst& at(Ref r) const { return code_[r]; }
    std::vector<Inst>& code_;
    Ref recent_[8]{};  // the constants used last
    unsigned next_recent_ = 0;
};

/// The value of a pure integer op with constant arguments (types from `code`); false when it cannot be computed beforehand.
bool evaluate(const Inst&, const std::vector<Inst>& code, u64 a, u64 b, u64 c, u64& out);
}  // namespace calque::jit
