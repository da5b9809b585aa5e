// x87, MMX and SSE state between CpuState and the FXSAVE image.
#pragma once
#include "tests/silicon/case.h"

namespace calque::silicon {
void load_fx(CpuState&, const FxState&);
void store_fx(const CpuState&, FxState&);
}  // namespace calque::silicon
