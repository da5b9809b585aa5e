// What a back end needs to know of the x87 to keep it in the host's own, instead of calling the guest layer's helpers.
#pragma once
#include "support/types.h"

namespace calque::jit {

/// One x87 instruction, or half of one (a store to memory is `store`, which makes the value, then, behind the memory access, `stored`;
/// `store_wide` makes a V128 of which eight bytes and then two are stored).
struct X87Form {
    enum Kind : u8 {
        none, load, arith, compare, compare_flags, store, store_wide, stored, exchange, move, free, conditional, change_sign, absolute, test, examine, step_down,
        step_up, sqrt, round, remainder, nearest_remainder, scale, extract, load_control, clear_flags, wait, control_word, status_word
    };
    enum Source : u8 { st, m32, m64, m80, i16, i32, i64, constant };   // or, of a store, destination
    enum Op : u8 { add, mul, sub, subr, div, divr };                   // of arith; the "r" ones take the source on the left
    Kind kind = none;
    Source source = st;
    Op op = add;
    u8 index = 0;             // i of ST(i), or of a constant in the order of D9 E8..EE
    u8 pops = 0;
    bool to_index = false;    // the result goes to ST(i)
    bool quiet = false;       // comparisons: FUCOM and kin
    bool truncate = false;    // stores: FISTTP
    bool in_memory() const { return source != st && source != constant; }
};

/// Where the x87 is while it is not in the host's, as offsets from the state pointer, and what names it in the IR.
struct X87Layout {
    u32 control, status;      // u16 each; status without TOP
    u32 top_tags;             // u32: TOP in bits 0-2, one bit a physical register from bit 8 on: not empty
    u32 registers;            // 16 bytes a physical register: significand, sign and exponent
    u32 flags;                // the flags slot
    u8 first_slot, slots;     // state slots that lie in it
    /// The form of a helper call with this descriptor; none if only the helper can do it.
    X87Form (*form)(u16 helper, u64 descriptor);
    bool has_slot(u8 slot) const { return static_cast<u8>(slot - first_slot) < slots; }
};
}  // namespace calque::jit
