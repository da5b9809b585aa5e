// What the two files of vector ops share.
#pragma once
#include <algorithm>

#include "jit/x64/x64.h"

namespace calque::jit::x64 {

/// d = a op b, in the SSE or the AVX form; imm < 0: none.
void vec_binary(X64&, const Inst&, InstId sse, InstId avx, int imm = -1);
/// d = op a.
void vec_unary(X64&, const Inst&, Ref a, InstId sse, InstId avx, int imm = -1);
}  // namespace calque::jit::x64
