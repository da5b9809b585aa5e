// Which opcodes exist, and how long each is: every encoding, whether a rule has it or not, on the host's processor and on ours.
#pragma once
#include "tests/silicon/case.h"

namespace calque::silicon {
/// Walks the opcode maps and prints every encoding that only one of the two runs, or whose length differs. The result is an exit status.
/// In long64 and flat32 mode only: elsewhere the end of the code is a segment's limit, and its fault looks like others.
int walk_encodings(CodeMode);
}  // namespace calque::silicon
