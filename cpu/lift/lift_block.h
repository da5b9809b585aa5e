// From guest bytes to a block of IR.
#pragma once
#include "cpu/decode.h"
#include "jit/guest.h"

namespace calque {

/// Lifts instructions that lie wholly in the request's page, until one ends the block.
/// insn_count is 0 when the first instruction needs bytes beyond the page.
void lift_block(const jit::LiftRequest&, const IsaSet& features, jit::Block& out);

/// Lifts the one instruction whose first `size` bytes are given (at least 15 unless the rest cannot be fetched).
/// False: the instruction needs more bytes than given.
bool lift_one(const u8* bytes, size_t size, u64 rip, jit::Mode, const IsaSet& features, jit::Block& out);
}  // namespace calque
