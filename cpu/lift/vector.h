// What the MMX and SSE rules share.
#pragma once
#include "cpu/fpu/sse.h"
#include "cpu/lift/lifter.h"

namespace calque::vector {

using jit::Lane;
using jit::Op;
using jit::Type;

/// An instruction that is one op of the IR.
struct Row {
    Mn mn;
    Op op;
    Lane lane;
    u8 imm = 0;      // the bits of the immediate that become the op's aux
    u8 aux = 0;      // what is always there
    u8 bytes = 16;   // of a memory operand
};
const Row& row_of(Mn);
u8 aux_of(const Row&, const Insn&);
/// The row's op on a (the first source), b (the second, which may be memory) and c; ops of one argument take b.
Val compute(Lifter&, const Row&, u8 aux, Val a, Val b, Val c = {});

// Each raises what forbids the instruction and returns false then.
bool begin_sse(Lifter&);
bool begin_mmx(Lifter&);

inline const Operand& last(const Insn& in) { return in.op[in.op_count - 1]; }
inline bool uses_mmx(const Insn& in) { return in.op[0].kind == Operand::mmx || in.op[1].kind == Operand::mmx; }

/// A vector source: a register, or `bytes` bytes of memory in the low part with zeros above. Aligned 16-byte operands raise #GP
/// when they are not. MMX registers and general ones give their value in the low half.
Val source(Lifter&, const Operand&, unsigned bytes, bool aligned = true);

Val low64(Lifter&, Val v);
Val high64(Lifter&, Val v);
inline Val from_int(Lifter& l, Val v) { return l.ir.vec(Op::vfrom_int, Lane::I64, v); }
inline Val mmx_value(Lifter& l, u8 n) { return l.ir.get(static_cast<u8>(slot::mmx + n), Type::I64); }

/// What every MMX instruction does to the x87: call it after the last memory access and before set_mmx. `written`: register or 8.
void touch_mmx(Lifter&, u8 written);
void set_mmx(Lifter&, u8 n, Val v64);

/// A floating-point op on an xmm register (`reg`) and a source, by the IR or by the helper that can deliver #XM. Its result goes to
/// `reg`, or is returned when `keep` is set (integer results and those for MMX registers).
Val fp_op(Lifter&, Op, Lane, u8 aux, u8 reg, Val source, bool keep = false, Type = Type::V128);
}  // namespace calque::vector
