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
/// The same for the upper half: some immediates have bits of their own for it.
u8 upper_aux(const Row&, const Insn&, u8 aux);
/// The row's op on a (the first source), b (the second, which may be memory) and c; ops of one argument take b.
Val compute(Lifter&, const Row&, u8 aux, Val a, Val b, Val c = {});

// Each raises what forbids the instruction and returns false then. begin_sse is for the VEX forms too.
bool begin_sse(Lifter&);
bool begin_mmx(Lifter&);

// ---- operands. Legacy forms overwrite their first source; VEX forms name it.
inline const Operand& last(const Insn& in) { return in.op[in.op_count - 1]; }
inline const Operand& first(const Insn& in) { return in.op[in.vex ? 1 : 0]; }
/// The source that may be memory.
inline const Operand& second(const Insn& in) { return in.op[in.vex && in.op_count > 2 && in.op[2].kind != Operand::imm ? 2 : 1]; }
inline bool uses_mmx(const Insn& in) { return in.op[0].kind == Operand::mmx || in.op[1].kind == Operand::mmx; }

/// A vector source: a register, or `bytes` bytes of memory in the low part with zeros above. Aligned 16-byte operands of legacy
/// instructions raise #GP when they are not. MMX registers and general ones give their value in the low half.
Val source(Lifter&, const Operand&, unsigned bytes, bool aligned = true);

/// A YMM register is two values (docs/decisions/0007-ymm-as-halves.md). The upper one is there in instructions of 256 bits only.
struct Halves {
    Val lo, hi;
};
inline bool is_wide(const Insn& in) { return in.vex == 32; }
Halves registers(Lifter&, u8 reg);
/// As source(), with `bytes` bytes of memory for each half.
Halves sources(Lifter&, const Operand&, unsigned bytes, bool aligned = true);
/// `bytes` bytes for each half from a linear address.
Halves loads(Lifter&, Val at, unsigned bytes);
/// f(a, b) for each half.
template <class F>
Halves each(Halves a, Halves b, F f) {
    const Val lo = f(a.lo, b.lo);
    return {lo, a.hi ? f(a.hi, b.hi) : Val{}};
}
template <class F>
Halves each(Halves a, F f) {
    return each(a, a, [&](Val x, Val) { return f(x); });
}
/// Into a register. VEX forms clear what is above the result.
void put(Lifter&, u8 reg, Halves);
inline void put(Lifter& l, u8 reg, Val v) { put(l, reg, Halves{v, {}}); }
/// To memory at a linear address. Nothing is written when a part cannot be.
void store(Lifter&, Val at, Halves);

Val low64(Lifter&, Val v);
Val high64(Lifter&, Val v);
inline Val from_int(Lifter& l, Val v) { return l.ir.vec(Op::vfrom_int, Lane::I64, v); }
inline Val mmx_value(Lifter& l, u8 n) { return l.ir.get(static_cast<u8>(slot::mmx + n), Type::I64); }

/// What every MMX instruction does to the x87: call it after the last memory access and before set_mmx. `written`: register or 8.
void touch_mmx(Lifter&, u8 written);
void set_mmx(Lifter&, u8 n, Val v64);

/// A floating-point op, by the IR or by the helper that can deliver #XM. Both halves are there before anything is written.
Halves compute(Lifter&, const FpOp&, Halves a, Halves b = {}, Halves c = {});
inline Val compute(Lifter& l, const FpOp& op, Val a, Val b = {}, Val c = {}) { return compute(l, op, Halves{a, {}}, Halves{b, {}}, Halves{c, {}}).lo; }
/// Results of 64 bits in the low part of each half come together in one register.
inline Val join(Lifter& l, Halves v) { return v.hi ? l.ir.vec(Op::vunpack_lo, Lane::I64, v.lo, v.hi) : v.lo; }
}  // namespace calque::vector
