// What a case may not do on the host's processor.
#pragma once
#include "cpu/decode.h"

namespace calque::exec::host {
/// nullptr: nothing speaks against it. `user`: the case is at privilege level 3. `interrupts`: it has them on.
const char* why_not(const Insn&, bool user, bool interrupts);
/// PUSHF in all its sizes.
bool pushes_flags(const Insn&);
}  // namespace calque::exec::host
