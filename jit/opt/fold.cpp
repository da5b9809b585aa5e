#include "jit/opt/opt.h"
#include "jit/opt/rewrite.h"

namespace calque::jit {

void fold(Block& b, const Layout&) {
    rebuild(b, [&](Folder& folder, std::vector<Inst>&, Inst& i) -> Ref {
        u64 k;
        if (i.op == Op::branch && folder.is_constant(i.a, k)) {
            i.op = Op::jump, i.a = 0;
            if (!k) i.imm = b.end_rip;
        } else if (i.op == Op::jump_to && folder.is_constant(i.a, k)) {
            i.op = Op::jump, i.a = 0, i.imm = k;
        } else if (i.op == Op::guard && folder.is_constant(i.a, k) && k) {
            drop(i);
        } else if (i.op == Op::call_if && folder.is_constant(i.a, k)) {
            if (!k) drop(i);
            else i.op = Op::call, i.a = i.b, i.b = i.c, i.c = i.d, i.d = 0;
        }
        return 0;
    });
}
}  // namespace calque::jit
