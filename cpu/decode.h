// Guest bytes to a compact instruction. decode.cpp is the only user of Zydis.
#pragma once
#include <string>

#include "cpu/isa.h"
#include "cpu/state.h"

namespace calque {

/// Instructions that have a rule; the names are Intel's mnemonics.
enum class Mn : u16 {
    invalid,
#define RULE(mnemonic, rule, isa) mnemonic,
#include "cpu/lift/rules.inc"
#undef RULE
    count
};

struct Operand {
    enum Kind : u8 { none, gpr, gpr_high, segment, control, debug, st, mmx, xmm, mem, imm, rel };
    Kind kind = none;
    u8 reg = 0;        // number within its kind; gpr_high: 0..3 for AH CH DH BH
    u8 size = 0;       // bytes; xmm: 16, or 32 when the whole register is meant
    // mem
    i8 base = -1, index = -1;   // general registers; base 16: RIP
    bool vector_index = false;  // a gather's: index is a vector register
    u8 scale = 1;
    Seg seg = DS;
    // mem: displacement; imm: value, sign-extended; rel: target RIP (cut to the operand size)
    u64 value = 0;
    bool is_mem() const { return kind == mem; }
};

struct Insn {
    Mn mn = Mn::invalid;
    u8 length = 0;
    u8 op_size = 0;     // effective operand size, bytes (2, 4, 8)
    u8 addr_size = 0;   // effective address size, bytes
    u8 op_count = 0;    // explicit operands
    u8 opcode = 0;      // last opcode byte
    u8 modrm = 0;       // 0 without one
    bool lock = false, rep = false, repne = false, prefix66 = false;
    u8 vex = 0;         // VEX encoding: the vector's size in bytes, 16 or 32
    Seg seg = DS;       // the override that applies to implicit operands (string sources, XLAT), DS without one
    u64 rip = 0, next = 0;
    Operand op[4];
};

enum class Decode : u8 { ok, more, too_long, undefined };
/// Decodes for the code size that `mode` gives. `more`: `size` bytes are not enough and fewer than 15. Undefined encodings are wanted
/// whole, too, and have a length.
Decode decode(const u8* bytes, size_t size, u64 rip, jit::Mode mode, const IsaSet& features, Insn& out);
/// The instruction in Intel's syntax, for people to read, and its length; one byte when it cannot be decoded.
struct Disassembly {
    std::string text;
    unsigned length = 1;
};
Disassembly disassemble(const u8* bytes, size_t size, u64 rip, jit::Mode mode, const IsaSet& features);
/// Instructions of which AVX has a form are the same Mn, and named as Insn::vex says.
const char* mnemonic_name(Mn, bool vex = false);
Isa isa_of(Mn);
/// An x87 or MMX instruction that reports a pending x87 exception (#MF) before anything else.
bool waits_for_fpu(const Insn&);
}  // namespace calque
