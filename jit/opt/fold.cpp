#include "jit/opt/opt.h"
#include "jit/opt/rewrite.h"

namespace calque::jit {
namespace {
// Guards, conditional calls and jumps whose condition or target is known.
void fold_control(const Block& b, const Folder& folder, Inst& i) {
    u64 k;
    folder.is_constant(i.a, k);
    if (i.op == Op::branch) {
        i.op = Op::jump, i.a = 0;
        if (!k) i.imm = b.end_rip;
    } else if (i.op == Op::jump_to) {
        i.op = Op::jump, i.a = 0, i.imm = k;
    } else if (i.op == Op::guard && k) {
        drop(i);
    } else if (i.op == Op::call_if) {
        if (!k) drop(i);
        else i.op = Op::call, i.a = i.b, i.b = i.c, i.c = i.d, i.d = 0;
    }
}
}  // namespace


// Lifting has folded already, so only instructions whose arguments other passes have replaced need another look, and then those
// that use what has become simpler.
void fold(Block& b, const Layout&) {
    size_t first = 1;
    while (first < b.code.size() && !b.code[first].revisit) ++first;
    if (first == b.code.size()) return;
    std::vector<bool> simpler(b.code.size() - first);
    rebuild(b, first, [&](Folder& folder, Inst& i, const auto& original) -> Ref {
        const auto changed = [&](Ref r) { return r >= first && simpler[r - first]; };
        if (!i.revisit && !changed(original.a) && !changed(original.b) && !changed(original.c)) return folder.append(i);
        i.revisit = false;
        const auto effects = info(i.op).effects;
        if (effects != Pure && folder.is_constant(i.a)) fold_control(b, folder, i);
        const size_t end = b.code.size();
        const Ref r = folder.add(i);
        // What came out is something else, or at least not what it was.
        simpler[original.index - first] = effects == Pure && (r < end || b.code[r].op != i.op);
        return r;
    });
}
}  // namespace calque::jit
