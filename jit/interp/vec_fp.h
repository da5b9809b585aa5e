// Floating-point vector ops on values: what the interpreter executes, and what guests' helpers use when an exception of
// theirs may have to be delivered.
#pragma once
#include "jit/ir/ir.h"
#include "jit/interp/interp.h"
#include "support/softfloat/softfloat.h"

namespace calque::jit {

/// The environment that a control word in MXCSR's layout describes.
inline fp::FpEnv fp_environment(u32 control) {
    fp::FpEnv e;
    e.rounding = static_cast<fp::Round>(control >> 13 & 3);
    e.daz = control & 0x40;
    e.ftz = control & 0x8000;
    e.masks = control >> 7 & fp::kAllFlags;
    return e;
}

/// The result of a floating-point op of vec_ops.inc. Integers are in lo, zero-extended; `type` is Inst::type. Raises its flags
/// in `env`; exceptions that are raised before an operation keep those raised after it of other lanes away when unmasked.
V128 vec_fp(Op op, Type type, Lane lane, u8 aux, const V128& a, const V128& b, const V128& c, fp::FpEnv& env);
}  // namespace calque::jit
