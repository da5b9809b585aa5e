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
    void rename_args(Inst& i) const {
        const Ref a = to_[i.a], b = to_[i.b], c = to_[i.c], d = to_[i.d];
        i.revisit |= a != i.a || b != i.b || c != i.c || d != i.d;
        i.a = a, i.b = b, i.c = c, i.d = d;
    }
    void set(size_t from, Ref to) { to_[from] = to; }

private:
    std::vector<Ref> to_;
};

/// Makes an instruction a value that nobody uses; dead_code removes it.
inline void drop(Inst& i) {
    i = {};
    i.op = Op::constant, i.type = Type::I8;
}

/// Appends the instructions from `first` on anew. `f(Folder&, Inst&, original)` may change the instruction, whose arguments are renamed
/// already; `original` has the old arguments and index. It returns the value that stands for it afterwards (of no matter if it makes
/// none), usually folder.add(i) or folder.append(i).
template <class F>
void rebuild(Block& b, size_t first, F f) {
    struct Original {
        size_t index;
        Ref a, b, c;
    };
    const std::vector<Inst> rest(b.code.begin() + static_cast<std::ptrdiff_t>(first), b.code.end());
    b.code.resize(first);
    Folder folder{b.code};
    std::vector<Ref> to(rest.size());
    const auto renamed = [&](Ref r) { return r < first ? r : to[r - first]; };
    for (size_t n = 0; n < rest.size(); ++n) {
        Inst i = rest[n];
        const Original original{first + n, i.a, i.b, i.c};
        i.a = renamed(i.a), i.b = renamed(i.b), i.c = renamed(i.c), i.d = renamed(i.d);
        to[n] = f(folder, i, original);
    }
}
}  // namespace calque::jit
