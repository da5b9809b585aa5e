// Builds the IR of one block. Folds what is constant at once; everything else is left to the passes.
#pragma once
#include "jit/ir/fold.h"

namespace calque::jit {

/// A value with its type, as rules handle it.
struct Val {
    Ref ref = 0;
    Type type = Type::None;
    explicit operator bool() const { return ref != 0; }
};

class Builder {
public:
    explicit Builder(Block& block);

    Val constant(Type t, u64 value) { return {folder_.constant(t, value), t}; }  // value is cut to the type
    /// A constant whose value is known only later: fill() it before the block is finished, and compute nothing from it but comparisons
    /// with unknown values.
    Val late_constant(Type t) { return {folder_.late_constant(t), t}; }
    void fill(Val v, u64 value) { block_.code[v.ref].imm = value & mask(v.type); }
    bool is_constant(Val v, u64* value = nullptr) const;
    Val get(u8 slot, Type t) {
        Inst i;
        i.op = Op::get, i.type = t, i.slot = slot;
        return {folder_.append(i), t};
    }
    void set(u8 slot, Val v) {
        Inst i;
        i.op = Op::set, i.type = v.type, i.slot = slot, i.a = v.ref;
        folder_.append(i);
    }

    Val add(Val a, Val b) { return binary(Op::add, a, b); }
    Val sub(Val a, Val b) { return binary(Op::sub, a, b); }
    Val mul(Val a, Val b) { return binary(Op::mul, a, b); }
    Val and_(Val a, Val b) { return binary(Op::and_, a, b); }
    Val or_(Val a, Val b) { return binary(Op::or_, a, b); }
    Val xor_(Val a, Val b) { return binary(Op::xor_, a, b); }
    Val not_(Val a) { return unary(Op::not_, a); }
    Val neg(Val a) { return unary(Op::neg, a); }
    Val shl(Val a, Val count) { return binary(Op::shl, a, count); }
    Val shr(Val a, Val count) { return binary(Op::shr, a, count); }
    Val sar(Val a, Val count) { return binary(Op::sar, a, count); }
    Val add(Val a, u64 b) { return add(a, constant(a.type, b)); }
    Val sub(Val a, u64 b) { return sub(a, constant(a.type, b)); }
    Val and_(Val a, u64 b) { return and_(a, constant(a.type, b)); }
    Val or_(Val a, u64 b) { return or_(a, constant(a.type, b)); }
    Val xor_(Val a, u64 b) { return xor_(a, constant(a.type, b)); }
    Val shl(Val a, unsigned n) { return shl(a, constant(Type::I8, n)); }
    Val shr(Val a, unsigned n) { return shr(a, constant(Type::I8, n)); }
    Val sar(Val a, unsigned n) { return sar(a, constant(Type::I8, n)); }

    Val unary(Op op, Val a);                       // result has a's type
    Val binary(Op op, Val a, Val b);               // result has a's type
    /// Any op; `t` becomes Inst::type.
    Val emit(Op op, Type t, Val a = {}, Val b = {}, Val c = {}, Val d = {}, u8 aux = 0, u64 imm = 0);
    Val vec(Op op, Lane lane, Val a = {}, Val b = {}, u8 aux = 0, Type t = Type::V128, Val c = {});

    Val zext(Val v, Type t);                       // widens or cuts, whichever is needed; no op when equal
    Val sext(Val v, Type t);                       // likewise
    Val trunc(Val v, Type t) { return zext(v, t); }
    Val extract(Val v, unsigned at, Type t);
    Val insert(Val into, Val v, unsigned at);

    Val icmp(Cmp c, Val a, Val b);
    Val icmp(Cmp c, Val a, u64 b) { return icmp(c, a, constant(a.type, b)); }
    Val select(Val cond, Val yes, Val no);         // type of yes
    Val flags(Op op, Val a, Val b, Val carry = {});
    Val flags_logic(Val r) { return emit(Op::flags_logic, r.type, r); }
    Val flag_merge(Val old, Val now, u16 mask);    // mask: fl:: bits taken from `now`
    Val cond(Cond c, Val flags);

    Val load(Type t, Val address, bool for_write = false);
    void store(Val address, Val v);

    void insn(u64 rip, u8 length);
    void guard(Val ok, u64 fault);
    Val call(u16 helper, Type result, Val a = {}, Val b = {}, Val c = {});
    void call_if(Val cond, u16 helper, Val a = {}, Val b = {}, Val c = {});

    void jump(u64 rip);
    void branch(Val cond, u64 rip);                // a constant condition becomes a jump
    void jump_to(Val rip);
    void leave();
    /// True once a terminal has been emitted.
    bool ended() const { return ended_; }
    Block& block() { return block_; }

private:
    void terminal(Op op, Val a, u64 imm);
    Block& block_;
    Folder folder_;
    bool ended_ = false;
};
}  // namespace calque::jit
