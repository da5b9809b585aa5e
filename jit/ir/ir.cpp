#include "jit/ir/ir.h"

namespace calque::jit {

const OpInfo kOps[static_cast<size_t>(Op::count)] = {
#define OP(name, result, args, effects) {#name, ResultKind::result, args, effects},
#include "jit/ir/ops.inc"
#undef OP
};
}  // namespace calque::jit
