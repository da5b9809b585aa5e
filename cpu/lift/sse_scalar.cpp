// Scalar double-precision moves and comparisons that share their mnemonic with a string instruction.
#include "cpu/lift/lifter.h"

namespace calque {

void lift_movsd_sse(Lifter& l, const Insn&) { l.raise(6); }
void lift_cmpsd_sse(Lifter& l, const Insn&) { l.raise(6); }
}  // namespace calque
