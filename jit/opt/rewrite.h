// Two ways to change a block: in place with aliases, and by building it anew through the Folder.
#pragma once
#include "jit/ir/fold.h"

namespace calque::jit {

/// For passes that find that a value equals an older one. Arguments must be renamed in order.
class Aliases {
public:
    explicit Aliases(const Block& b) : to_(b.code.size()) {
        for (size_t n = 0; n < to_.size(); ++n) to_[n] = static_cast<Ref>(n);
    }
    void rename_args(Inst& i) const { i.a = to_[i.a], i.b = to_[i.b], i.c = to_[i.c], i.d = to_[i.d]; }
    void set(size_t from, Ref to) { to_[from] = to; }

private:
    std::vector<Ref> to_;
};

/// Makes an instruction a value that nobody uses; dead_code removes it.
inline void drop(Inst& i) {
    i = {};
    i.op = Op::constant, i.type = Type::I8;
}

/// Appends every instruction anew. `f(Folder&, Inst&)` may change the instruction, whose arguments are renamed already, or return the
/// value that replaces it (0: none).
template <class F>
void rebuild(Block& b, F f) {
    std::vector<Inst> code;
    code.reserve(b.code.size() + 16);
    code.emplace_back();
    Folder folder{code};
    std::vector<Ref> to(b.code.size());
    for (size_t n = 1; n < b.code.size(); ++n) {
        Inst i = b.code[n];
        i.a = to[i.a], i.b = to[i.b], i.c = to[i.c], i.d = to[i.d];
        const Ref other = f(folder, code, i);
        to[n] = other ? other : folder.add(i);
    }
    b.code.swap(code);
}
}  // namespace calque::jit
