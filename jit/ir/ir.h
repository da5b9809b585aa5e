// The intermediate representation: a block is a straight line of SSA values over the guest's state, with faults as side
// exits and one terminal. It knows no guest and no host.
#pragma once
#include <string>
#include <vector>

#include "support/types.h"

namespace calque::jit {

enum class Type : u8 { None, I8, I16, I32, I64, V128, F80 };
constexpr bool is_int(Type t) { return t >= Type::I8 && t <= Type::I64; }
constexpr unsigned bits(Type t) { return t == Type::None ? 0 : is_int(t) ? 4u << static_cast<u8>(t) : 128; }
constexpr unsigned bytes(Type t) { return bits(t) / 8; }
constexpr u64 mask(Type t) { return t == Type::I64 ? ~u64{0} : (u64{1} << bits(t)) - 1; }
constexpr Type int_type(unsigned byte_count) {
    return byte_count == 1 ? Type::I8 : byte_count == 2 ? Type::I16 : byte_count == 4 ? Type::I32 : Type::I64;
}
enum class Lane : u8 { I8, I16, I32, I64, F32, F64 };
constexpr unsigned lane_bytes(Lane l) { return l == Lane::F32 ? 4 : l == Lane::F64 ? 8 : 1u << static_cast<u8>(l); }

/// What Inst::aux of vfma says.
struct FusedForm {
    bool scalar = false, negate_product = false, negate_addend = false;
    bool alternate = false;   // even lanes have the addend's sign turned round
    u8 keep = 0;              // scalar: the rest comes from a (0), b (1) or c (2)
    constexpr u8 pack() const { return static_cast<u8>(scalar | negate_product << 1 | negate_addend << 2 | alternate << 3 | keep << 4); }
    static constexpr FusedForm unpack(u8 v) { return {(v & 1) != 0, (v & 2) != 0, (v & 4) != 0, (v & 8) != 0, static_cast<u8>(v >> 4)}; }
};

enum class Cmp : u8 { eq, ne, ult, ule, slt, sle, ugt, uge, sgt, sge };

/// Conditions over the packed flags, in the customary order; the lowest bit negates.
enum class Cond : u8 { o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g };

/// The packed flag layout. A host with LAHF makes it in two instructions (LAHF; SETO AL) and takes it back in two
/// (ADD AL,127; SAHF). Bit 9 is always set.
namespace fl {
constexpr u16 OF = 1 << 0, CF = 1 << 8, One = 1 << 9, PF = 1 << 10, AF = 1 << 12, ZF = 1 << 14, SF = 1 << 15;
constexpr u16 All = OF | CF | PF | AF | ZF | SF;
}  // namespace fl

enum Effects : u16 {
    Pure = 0,
    ReadsState = 1,
    WritesState = 2,
    ReadsMem = 4,
    WritesMem = 8,
    MayFault = 16,  // observes the whole state: every earlier set must have happened
    Marker = 32,
    Call = 64,      // ask the helper's row
    Terminal = 128,
    Fp = 256,       // reads and changes the floating-point control slot: keep in order with helpers that touch it
};

enum class Op : u8 {
#define OP(name, result, args, effects) name,
#include "jit/ir/ops.inc"
#undef OP
    count
};
enum class ResultKind : u8 { none, same, bit, flags };
struct OpInfo {
    const char* name;
    ResultKind result;
    u8 args;
    u16 effects;
};
extern const OpInfo kOps[static_cast<size_t>(Op::count)];
inline const OpInfo& info(Op op) { return kOps[static_cast<size_t>(op)]; }

/// A value: the index of the instruction that makes it. 0 is "no value".
using Ref = u16;

struct Inst {
    Op op{};
    Type type = Type::None;  // of the result; of the operands for flags_*, icmp and store
    u8 aux = 0;
    u8 slot = 0;             // get, set: the state slot; vector ops: the Lane
    Ref a = 0, b = 0, c = 0, d = 0;
    bool revisit = false;    // passes only: an argument has been replaced, so it may simplify now
    u64 imm = 0;
    Lane lane() const { return static_cast<Lane>(slot); }
    Ref arg(unsigned i) const { return i == 0 ? a : i == 1 ? b : i == 2 ? c : d; }
};

/// The type of the value that `inst` makes; None if it makes none.
inline Type result_type(const Inst& inst) {
    switch (info(inst.op).result) {
    case ResultKind::none: return Type::None;
    case ResultKind::bit: return Type::I8;
    case ResultKind::flags: return Type::I16;
    case ResultKind::same: return inst.type;
    }
    return Type::None;
}

/// What the guest layer bakes into a block besides its address.
struct Mode {
    u32 bits = 0;  // opaque to jit/ but for `view`
    u32 base = 0;  // linear address = RIP + base (modulo 2^32 unless base is 0)
    bool operator==(const Mode&) const = default;
    /// Which of the TLB's views the block's loads and stores use: the two lowest bits.
    unsigned view() const { return bits & 3; }
};

struct Block {
    u64 rip = 0, end_rip = 0;  // of the first instruction, and of the one after the last
    Mode mode;
    u16 insn_count = 0;        // guest instructions; charged at entry
    u16 byte_count = 0;        // guest bytes
    std::vector<Inst> code;    // code[0] is unused; the last is the terminal
};
constexpr size_t kMaxInsts = 4000;  // per block; lifting ends the block before it would grow past this

/// A fault as it travels through a guard: vector in the low byte, "has an error code" in bit 8, the code from bit 16.
constexpr u64 fault_code(u8 vector) { return vector; }
constexpr u64 fault_code(u8 vector, u16 error) { return vector | 0x100u | u64{error} << 16; }

/// Text of a block, one op a line; the same for the same block on every host.
std::string print(const Block&);
/// Empty when the block keeps the IR's rules, else what is wrong and where.
std::string verify(const Block&);
}  // namespace calque::jit
