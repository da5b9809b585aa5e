// Appends instructions to a block's code and simplifies them on the way: constants are folded and what is algebraically
// redundant becomes an older value. The builder and the passes use it.
#pragma once
#include "jit/ir/ir.h"

namespace calque::jit {

class Folder {
public:
    explicit Folder(std::vector<Inst>& code) : code_{code} {}
    /// Appends the instruction, or something simpler with the same value. Returns the value; 0 if it makes none.
    Ref add(const Inst& i) {
        if (info(i.op).effects == Pure) return add_pure(i);
        const Ref r = append(i);
        return result_type(i) == Type::None ? Ref{0} : r;
    }
    /// Appends it as it is.
    Ref append(const Inst& i) {
        code_.push_back(i);
        return static_cast<Ref>(code_.size() - 1);
    }
    Ref constant(Type t, u64 value) {
        value &= mask(t);
        Ref& r = recent_[(value ^ value >> 3 ^ static_cast<u64>(t) << 1) & 7];
        if (r && code_[r].imm == value && code_[r].type == t) return r;
        return r = append(constant_inst(t, value));
    }
    /// A constant of its own, whose value will be filled in later. Nothing may have been folded from it.
    Ref late_constant(Type t) { return append(constant_inst(t, 0x5bd1e995)); }  // no value that an algebraic rule looks for
    bool is_constant(Ref r, u64& value) const {
        if (!is_constant(r)) return false;
        value = code_[r].imm;
        return true;
    }
    bool is_constant(Ref r) const { return r != 0 && code_[r].op == Op::constant; }

private:
    static Inst constant_inst(Type t, u64 value) {
        Inst i;
        i.op = Op::constant, i.type = t, i.imm = value & mask(t);
        return i;
    }
    Ref add_pure(Inst);
    Ref fold_constants(const Inst&);
    Ref simplify(Inst&);
    Ref simplify_add(Inst&);
    Ref simplify_bitwise(Inst&);
    Ref simplify_width(Inst&);
    Ref simplify_choice(Inst&);
    const Inst& at(Ref r) const { return code_[r]; }
    std::vector<Inst>& code_;
    Ref recent_[8]{};  // constants used before, by a hash of their value
};

/// The value of a pure integer op with constant arguments (types from `code`); false when it cannot be computed beforehand.
bool evaluate(const Inst&, const std::vector<Inst>& code, u64 a, u64 b, u64 c, u64& out);
}  // namespace calque::jit
