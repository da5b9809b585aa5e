#include "jit/opt/opt.h"
#include "jit/opt/rewrite.h"
#include "support/planted.h"

namespace calque::jit {

void forward_state(Block& b, const Layout& layout) {
    Aliases aliases{b};
    Ref known[kMaxSlots]{};  // the value that each slot holds
    const auto forget = [&](SlotSet slots) {
        for (unsigned half = 0; half < kMaxSlots; half += 64)
            for (u64 s = static_cast<u64>(slots >> half); s; s &= s - 1) known[half + static_cast<unsigned>(__builtin_ctzll(s))] = 0;
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
        } else if (info(i.op).effects & Call && !planted("opt_forward_state")) {
            forget(layout.helpers[i.imm].writes);
        } else if (info(i.op).effects & Fp) {
            forget(slot_bit(layout.fp_control));
        }
    }
}
}  // namespace calque::jit
