// The IR interpreter: runs cold code on every host, and is the reference for the back ends. A block is first turned into an
// array of InterpInst, each with the function that executes it; the functions call one another in a chain to the terminal.
#pragma once
#include <memory>

#include "jit/context.h"

namespace calque::jit {

/// What an IR value holds at run time. Integers are zero-extended into lo.
using Value = V128;

struct InterpFrame {
    Value* v = nullptr;           // by Ref
    u8* state = nullptr;          // the state pointer
    ExecContext* x = nullptr;     // the same, typed
    TlbEntry* tlb[2]{};           // of this block's view, for reads and for writes
    u32* fp_control = nullptr;    // the slot Layout::fp_control
    u32 view = 0;                 // Mode::view() << 4, as slow paths want it
    u64 end_rip = 0;
    const Layout* layout = nullptr;
};

struct InterpInst;
/// Executes one instruction and all that follow it. Returns when the terminal has set RIP, or with ExecContext::fault set.
using Handler = void (*)(InterpFrame&, const InterpInst*);

/// An Inst made ready: `imm` of get and set is the slot's offset, of call the function; `dst` is the index of the value it makes.
struct InterpInst {
    Handler run = nullptr;
    Op op{};
    Type type = Type::None;
    u8 aux = 0;
    u8 slot = 0;
    Ref a = 0, b = 0, c = 0, d = 0;
    Ref dst = 0;
    Type type_a = Type::None, type_b = Type::None;  // of the values a and b
    u64 imm = 0;
    Lane lane() const { return static_cast<Lane>(slot); }
};
static_assert(sizeof(InterpInst) == 32);

/// The function of an integer, memory or control op for this type: one for each row of ops.inc, in jit/interp/*.cpp.
#define OP(name, result, args, effects) Handler handler_of_##name(const InterpInst&);
#include "jit/ir/scalar_ops.inc"
#undef OP

/// Vector ops, one function for each row of vec_ops.inc, in jit/interp/vec*.cpp: computes `out` from f.v[i.a], f.v[i.b] and the
/// fields of i. Integers come in and go out zero-extended in Value::lo; hi of an integer may be anything.
#define OP(name, result, args, effects) void interp_##name(InterpFrame& f, const InterpInst& i, Value& out);
#include "jit/ir/vec_ops.inc"
#undef OP

/// A block in the interpreter's form. It keeps everything of the IR.
struct InterpBlock {
    std::unique_ptr<InterpInst[]> code;
    u32 size = 0;                 // instructions, without the unused code[0] of the block
    u32 view = 0;
    u64 end_rip = 0;
    size_t bytes() const { return size * sizeof(InterpInst); }
};
InterpBlock compile_for_interp(const Block&, const Layout&);
/// The code that compile_for_interp() was given.
void restore_ir(const InterpBlock&, std::vector<Inst>& out);

/// The interpreter of one processor.
class Interp {
public:
    Interp(void* state, const Layout&);
    /// Runs a block. ExecContext::unretired must be the block's instruction count + 1 on entry (each `insn` counts it down);
    /// afterwards it is 0 and RIP is set, or ExecContext::fault is set and unretired tells where.
    void run(const InterpBlock&);
    Value value(Ref r) const { return values_[r]; }  // for tests

private:
    InterpFrame frame_;
    std::unique_ptr<Value[]> values_;
};
}  // namespace calque::jit
