// Which bits of each flags value are looked at: merges that bring nothing of interest become one of their arguments.
#include "jit/opt/opt.h"
#include "jit/opt/rewrite.h"
#include "support/planted.h"

namespace calque::jit {
namespace {
u16 bits_of(u8 cond) {
    constexpr u16 table[8] = {fl::OF, fl::CF, fl::ZF, fl::CF | fl::ZF, fl::SF, fl::PF, fl::SF | fl::OF, fl::SF | fl::OF | fl::ZF};
    return table[cond >> 1 & 7];
}
}  // namespace

void dead_flags(Block& b, const Layout&) {
    size_t first = 1;
    while (first < b.code.size() && b.code[first].op != Op::flag_merge) ++first;
    if (first == b.code.size()) return;
    std::vector<u16> wanted(b.code.size());
    for (size_t n = b.code.size() - 1; n >= first; --n) {
        const Inst& i = b.code[n];
        if (i.op == Op::cond) {
            wanted[i.a] |= bits_of(i.aux);
        } else if (i.op == Op::flag_merge) {
            wanted[i.a] |= wanted[n] & ~static_cast<u16>(i.imm);
            wanted[i.b] |= wanted[n] & static_cast<u16>(i.imm);
        } else {
            for (unsigned k = 0; k < info(i.op).args; ++k) wanted[i.arg(k)] = 0xffff;
        }
    }
    Aliases aliases{b};
    for (size_t n = first; n < b.code.size(); ++n) {
        Inst& i = b.code[n];
        aliases.rename_args(i);
        if (i.op != Op::flag_merge) continue;
        const u16 now = static_cast<u16>(i.imm) & fl::All & wanted[n], old = fl::All & ~static_cast<u16>(i.imm) & wanted[n];
        if (now && old && !planted("opt_dead_flags")) continue;
        // A single flag put in place is not yet a flags value: it lacks the bit that is always set.
        if (now && info(b.code[i.b].op).result != ResultKind::flags && b.code[i.b].op != Op::get) continue;
        aliases.set(n, now ? i.b : i.a);
        drop(i);
    }
}
}  // namespace calque::jit
