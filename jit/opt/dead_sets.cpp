#include "jit/opt/opt.h"
#include "jit/opt/rewrite.h"

namespace calque::jit {

void dead_sets(Block& b, const Layout& layout) {
    SlotSet live = kAllSlots;  // slots that somebody may look at before they are set again
    for (size_t n = b.code.size() - 1; n > 0; --n) {
        Inst& i = b.code[n];
        const u16 effects = info(i.op).effects;
        if (i.op == Op::set) {
            if (!(live & slot_bit(i.slot))) drop(i);
            else live &= ~slot_bit(i.slot);
        } else if (i.op == Op::get) {
            live |= slot_bit(i.slot);
        } else if (effects & (MayFault | Terminal)) {
            live = kAllSlots;
        } else if (effects & Call) {
            // What a helper writes it may also leave alone, so earlier sets of those slots stay.
            const HelperInfo& h = layout.helpers[i.imm];
            live |= h.flags & HelperMayFault ? kAllSlots : h.reads | h.writes;
        } else if (effects & Fp) {
            live |= slot_bit(layout.fp_control);
        }
    }
}
}  // namespace calque::jit
