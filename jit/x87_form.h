// The common path of the x87: what a back end needs to know to make it inline, instead of calling the guest layer's helper.
#pragma once
#include "support/types.h"

namespace calque::jit {

/// One x87 instruction, or half of one (a store to memory is `store`, then, behind the memory access, `stored`).
struct X87Form {
    enum Kind : u8 { none, load, arith, compare, compare_flags, store, stored, exchange, move, change_sign, absolute, sqrt };
    enum Source : u8 { st, m32, m64, i16, i32, i64, constant };   // or, of a store, destination
    enum Op : u8 { add, mul, sub, subr, div, divr };              // of arith; the "r" ones take the source on the left
    Kind kind = none;
    Source source = st;
    Op op = add;
    u8 index = 0;             // i of ST(i), or of a constant in the order of D9 E8..EE
    u8 pops = 0;
    bool to_index = false;    // the result goes to ST(i)
    bool quiet = false;       // comparisons: FUCOM and kin
};

/// Where the x87 is, as offsets from the state pointer. The common path is that of the control word 037Fh (all exceptions masked, 64 bits,
/// nearest) and operands that are in the stack; all else is the helper's.
struct X87Layout {
    u32 control, status;      // u16 each, status behind control; status without TOP
    u32 top_tags;             // u32: TOP in bits 0-2, one bit a physical register from bit 8 on: not empty
    u32 registers;            // 16 bytes a physical register: significand, sign and exponent
    u32 store_status, store_kept;   // u16, u8: between `store` and `stored`
    u32 flags;                // the flags slot
    /// The form of a helper call with this descriptor; none if only the helper can do it.
    X87Form (*form)(u16 helper, u64 descriptor);
};
}  // namespace calque::jit
