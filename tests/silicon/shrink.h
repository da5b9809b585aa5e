// Takes everything out of a reproducer that its outcome does not depend on.
#pragma once
#include "machine/exec/rig.h"

namespace calque::silicon {
/// Only the interpreter is asked; whoever wants to know what silicon says of the smaller case must run it there.
void shrink(exec::Case&, exec::Rig& interp);
}  // namespace calque::silicon
