#include "jit/opt/opt.h"
#include "jit/opt/rewrite.h"

namespace calque::jit {

void dead_code(Block& b, const Layout&) {
    std::vector<Ref> to(b.code.size());  // first: 1 when used; then the new number
    for (size_t n = b.code.size() - 1; n > 0; --n) {
        const Inst& i = b.code[n];
        if ((info(i.op).effects & ~ReadsState) == 0 && !to[n]) continue;
        to[n] = 1;
        for (unsigned k = 0; k < info(i.op).args; ++k) to[i.arg(k)] = 1;
    }
    size_t end = 1;
    to[0] = 0;
    for (size_t n = 1; n < b.code.size(); ++n) {
        if (!to[n]) continue;
        Inst i = b.code[n];
        i.a = to[i.a], i.b = to[i.b], i.c = to[i.c], i.d = to[i.d];
        to[n] = static_cast<Ref>(end);
        b.code[end++] = i;
    }
    b.code.resize(end);
}
}  // namespace calque::jit
