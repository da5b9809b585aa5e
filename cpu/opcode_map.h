// How long an encoding is, by the opcode maps alone (SDM vol. 2D, appendix A): for encodings that are undefined, which a processor
// fetches whole before it reports them.
#pragma once
#include <cstddef>

#include "support/types.h"

namespace calque {
/// Code and operands of 16, 32 or 64 bits.
enum class CodeSize : u8 { b16, b32, b64 };
/// The length of the encoding, or a number larger than `size` when that takes more bytes to tell. `zen`: AMD's Zen reads no ModRM behind UD0, UD1
/// and some opcodes that do not exist, but knows the lengths of EXTRQ, INSERTQ and XOP.
size_t encoding_length(const u8* bytes, size_t size, CodeSize, bool zen);
}  // namespace calque
