// x87, MMX, SSE and AVX state between CpuState and its wire format.
#pragma once
#include "tests/silicon/case.h"

namespace calque::silicon {
void load_fx(CpuState&, const FxState&);
void store_fx(const CpuState&, FxState&);
}  // namespace calque::silicon
