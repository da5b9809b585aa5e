// Equal pure computations are done once; a guard whose condition has been tested before is dropped.
#include <utility>

#include "jit/opt/opt.h"
#include "jit/opt/rewrite.h"

namespace calque::jit {
namespace {
bool same(const Inst& x, const Inst& y) {
    return x.op == y.op && x.type == y.type && x.aux == y.aux && x.slot == y.slot && x.a == y.a && x.b == y.b && x.c == y.c && x.imm == y.imm;
}
u32 hash(const Inst& i) {
    u64 h = static_cast<u64>(i.op) | u64{static_cast<u8>(i.type)} << 8 | u64{i.aux} << 16 | u64{i.slot} << 24;
    h = (h ^ (u64{i.a} << 32 | u64{i.b} << 48) ^ i.imm ^ i.c) * 0x9e3779b97f4a7c15u;
    return static_cast<u32>(h >> 40);
}
}  // namespace

void common_values(Block& b, const Layout&) {
    Aliases aliases{b};
    Ref table[256]{};  // the newest value for each hash; a collision only loses a chance
    std::vector<bool> tested(b.code.size());
    for (size_t n = 1; n < b.code.size(); ++n) {
        Inst& i = b.code[n];
        aliases.rename_args(i);
        if (i.op == Op::guard) {
            if (tested[i.a]) drop(i);
            else tested[i.a] = true;
            continue;
        }
        if (info(i.op).effects != Pure) continue;
        Ref& seen = table[hash(i) & 255];
        if (seen && same(b.code[seen], i)) {
            aliases.set(n, seen);
            drop(i);
        } else {
            seen = static_cast<Ref>(n);
        }
    }
}
}  // namespace calque::jit
