// What rules are written with. A rule turns one Insn into IR; operand shape, width, segment, lock and fault order belong here.
//
// The order that makes faults precise: read and check everything that may fault first, then store, then set registers and
// flags. read() and write() of memory operands may fault; a rule therefore sets registers after its last memory access.
#pragma once
#include "cpu/decode.h"
#include "cpu/helpers.h"
#include "jit/ir/builder.h"

namespace calque {

using jit::Val;

class Lifter {
public:
    Lifter(jit::Block& block, jit::Mode mode, const IsaSet& features) : ir{block}, mode_{mode}, features_{features} {}
    /// Marks the start of an instruction, and calls its rule.
    void mark(const Insn&);
    void apply(const Insn&);

    jit::Builder ir;

    // ---- where we are
    const Insn& in() const { return *in_; }
    bool code64() const { return mode_.bits & mode::Code64; }
    jit::Mode mode() const { return mode_; }
    bool has(u32 mode_bit) const { return mode_.bits & mode_bit; }
    /// Do what AMD's Zen does where the manuals leave it open, not what Intel's processors do.
    bool zen() const { return features_.has(Isa::zen); }
    /// Stack address size in bytes: 2, 4 or 8.
    unsigned stack_size() const { return code64() ? 8 : has(mode::Stack32) ? 4 : 2; }
    /// The RIP after this instruction, and any RIP cut to what the code size allows.
    u64 next_rip() const { return in_->next; }

    // ---- operands. Values have the operand's own width.
    Val read(const Operand&);
    void write(const Operand&, Val);
    /// old = read, now = f(old), write(now); a memory operand is checked for writing before it is read.
    template <class F>
    std::pair<Val, Val> rmw(const Operand& o, F f) {
        if (!o.is_mem()) {
            const Val old = read(o), now = f(old);
            write(o, now);
            return {old, now};
        }
        const Val at = linear(o, o.size, true), old = ir.load(jit::int_type(o.size), at, true), now = f(old);
        ir.store(at, now);
        return {old, now};
    }
    Val imm(const Operand& o, jit::Type t) { return ir.constant(t, o.value); }

    // ---- general registers by number. Writing 32 bits clears the upper half, 8 and 16 bits keep the rest.
    Val gpr(u8 n, unsigned size);
    void set_gpr(u8 n, Val v);
    Val gpr64(u8 n) { return ir.get(static_cast<u8>(slot::gpr + n), jit::Type::I64); }

    // ---- flags
    Val flags() { return ir.get(slot::flags, jit::Type::I16); }
    void set_flags(Val all) { ir.set(slot::flags, all); }
    /// Sets only the fl:: bits in `mask`.
    void set_flags(Val now, u16 mask) { ir.set(slot::flags, ir.flag_merge(flags(), now, mask)); }
    Val flag(u16 fl_bit);                    // I8 0 or 1
    void set_flag(u16 fl_bit, Val bit);      // bit: I8 0 or 1
    Val condition(u8 cc) { return ir.cond(static_cast<jit::Cond>(cc), flags()); }

    // ---- memory
    /// Effective address of a memory operand: I64, already cut to the address size.
    Val effective(const Operand&);
    /// Linear address of [effective, +size) after segment checks, and after alignment checking where that is on: by `alignment`, or by what
    /// a plain number of this size needs.
    Val linear(const Operand& o, unsigned size, bool write, unsigned alignment = 0) { return linear(o.seg, effective(o), size, write, alignment); }
    Val linear(Seg, Val effective, unsigned size, bool write, unsigned alignment = 0);
    /// The same for operands that must be aligned to their size (a power of 2, at least 16); that is checked first.
    Val linear_aligned(const Operand& o, unsigned size, bool write);
    /// #GP(0) unless the linear address is a multiple of `alignment` (16-byte SSE operands, CMPXCHG16B, FXSAVE).
    void require_aligned(Val linear, unsigned alignment);

    // ---- stack: nothing changes before everything that may fault has happened; commit with set_sp
    Val sp();                                // I64, cut to the stack's width
    void set_sp(Val v);
    /// Stores v below the current stack pointer and moves it.
    void push(Val v);
    /// Loads `size` bytes at the stack pointer + offset; the pointer does not move.
    Val peek(unsigned size, unsigned offset = 0);
    void drop(unsigned bytes) { set_sp(ir.add(sp(), u64{bytes})); }

    // ---- vector registers: the lower and the upper 128 bits
    Val xmm(u8 n) { return ir.get(static_cast<u8>(slot::xmm + n), jit::Type::V128); }
    void set_xmm(u8 n, Val v) { ir.set(static_cast<u8>(slot::xmm + n), v); }
    Val ymm_high(u8 n) { return ir.get(static_cast<u8>(slot::ymm_high + n), jit::Type::V128); }
    void set_ymm_high(u8 n, Val v) { ir.set(static_cast<u8>(slot::ymm_high + n), v); }

    /// In real and virtual-8086 mode a segment register is loaded without checks and without changing the mode, so the block can go on.
    /// False elsewhere: call a helper and end the block.
    bool load_segment_8086(u8 seg, Val selector, bool shadow = true);

    // ---- control
    void raise(u8 vector) { ir.call(static_cast<u16>(Helper::raise), jit::Type::None, ir.constant(jit::Type::I64, jit::fault_code(vector))), ir.leave(); }
    void raise(u8 vector, u16 error) { ir.call(static_cast<u16>(Helper::raise), jit::Type::None, ir.constant(jit::Type::I64, jit::fault_code(vector, error))), ir.leave(); }
    Val call(Helper h, jit::Type result = jit::Type::None, Val a = {}, Val b = {}, Val c = {}) { return ir.call(static_cast<u16>(h), result, a, b, c); }
    Val c64(u64 v) { return ir.constant(jit::Type::I64, v); }
    /// Calls a helper that sets RIP, with c = next RIP, and ends the block.
    void end_with(Helper h, Val a = {}, Val b = {});
    /// Near transfers: cut to the operand size, checked against the code segment's limit or for being canonical, before anything changes.
    void check_target(Val rip);
    /// I8: 0 when check_target() would raise #GP(0). No value: it never does.
    Val target_ok(Val rip);
    void jump(u64 rip);                      // ends the block
    void branch(Val cond, u64 rip);
    void jump_to(Val rip);

private:
    const Insn* in_ = nullptr;
    jit::Mode mode_;
    const IsaSet& features_;
};

using Rule = void (*)(Lifter&, const Insn&);
Rule rule_of(Mn);
#define RULE(mnemonic, rule, isa) void rule(Lifter&, const Insn&);
#include "cpu/lift/rules.inc"
#undef RULE
/// The SSE2 instructions that share a mnemonic with a string instruction (rules MOVSD and CMPSD).
void lift_movsd_sse(Lifter&, const Insn&);
void lift_cmpsd_sse(Lifter&, const Insn&);
}  // namespace calque
