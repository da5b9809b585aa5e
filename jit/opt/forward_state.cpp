#include "jit/opt/opt.h"
#include "jit/opt/rewrite.h"

namespace calque::jit {

void forward_state(Block& b, const Layout& layout) {
    Aliases aliases{b};
    Ref known[64]{};  // the value that each slot holds
    const auto forget = [&](u64 slots) {
        for (; slots; slots &= slots - 1) known[__builtin_ctzll(slots)] = 0;
    };
    for (size_t n = 1; n < b.code.size(); ++n) {
        Inst& i = b.code[n];
        aliases.rename_args(i);
        if (i.op == Op::get) {
            const Ref k = known[i.slot];
            if (k && result_type(b.code[k]) == i.type) {
                aliases.set(n, k);
                drop(i);
            } else {
                known[i.slot] = static_cast<Ref>(n);
            }
        } else if (i.op == Op::set) {
            known[i.slot] = i.a;
        } else if (info(i.op).effects & Call) {
            forget(layout.helpers[i.imm].writes);
        } else if (info(i.op).effects & Fp) {
            forget(slot_bit(layout.fp_control));
        }
    }
}
}  // namespace calque::jit
