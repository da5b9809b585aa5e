#include "jit/ir/builder.h"

#include "support/assert.h"

namespace calque::jit {

Builder::Builder(Block& block) : block_{block}, folder_{block.code} {
    block_.code.clear();
    block_.code.emplace_back();  // Ref 0 is "no value"
}

Val Builder::emit(Op op, Type t, Val a, Val b, Val c, Val d, u8 aux, u64 imm) {
    Inst i;
    i.op = op, i.type = t, i.aux = aux, i.imm = imm;
    i.a = a.ref, i.b = b.ref, i.c = c.ref, i.d = d.ref;
    const Ref r = folder_.add(i);
    return {r, r ? result_type(block_.code[r]) : Type::None};
}

Val Builder::vec(Op op, Lane lane, Val a, Val b, u8 aux, Type t, Val c) {
    Inst i;
    i.op = op, i.type = t, i.aux = aux, i.slot = static_cast<u8>(lane), i.a = a.ref, i.b = b.ref, i.c = c.ref;
    const Ref r = folder_.add(i);
    return {r, result_type(block_.code[r])};
}

bool Builder::is_constant(Val v, u64* value) const {
    u64 k;
    const bool yes = folder_.is_constant(v.ref, k);
    if (yes && value) *value = k;
    return yes;
}

Val Builder::unary(Op op, Val a) { return emit(op, a.type, a); }
Val Builder::binary(Op op, Val a, Val b) { return emit(op, a.type, a, b); }

Val Builder::zext(Val v, Type t) {
    return v.type == t ? v : emit(v.type < t ? Op::zext : Op::trunc, t, v);
}
Val Builder::sext(Val v, Type t) {
    return v.type == t ? v : emit(v.type < t ? Op::sext : Op::trunc, t, v);
}
Val Builder::extract(Val v, unsigned at, Type t) { return emit(Op::extract, t, v, {}, {}, {}, static_cast<u8>(at)); }
Val Builder::insert(Val into, Val v, unsigned at) { return emit(Op::insert, into.type, into, v, {}, {}, static_cast<u8>(at)); }

Val Builder::icmp(Cmp c, Val a, Val b) { return emit(Op::icmp, a.type, a, b, {}, {}, static_cast<u8>(c)); }
Val Builder::select(Val cond, Val yes, Val no) { return emit(Op::select, yes.type, cond, yes, no); }
Val Builder::flags(Op op, Val a, Val b, Val carry) { return emit(op, a.type, a, b, carry); }
Val Builder::flag_merge(Val old, Val now, u16 mask) { return emit(Op::flag_merge, Type::I16, old, now, {}, {}, 0, mask); }
Val Builder::cond(Cond c, Val flags) { return emit(Op::cond, Type::I8, flags, {}, {}, {}, static_cast<u8>(c)); }

Val Builder::load(Type t, Val address, bool for_write) { return emit(Op::load, t, address, {}, {}, {}, for_write); }
void Builder::store(Val address, Val v) { emit(Op::store, v.type, address, v); }

void Builder::insn(u64 rip, u8 length) {
    emit(Op::insn, Type::None, {}, {}, {}, {}, length, rip);
}
void Builder::guard(Val ok, u64 fault) {
    u64 k;
    if (is_constant(ok, &k) && k) return;
    emit(Op::guard, Type::None, ok, {}, {}, {}, 0, fault);
}
Val Builder::call(u16 helper, Type result, Val a, Val b, Val c) { return emit(Op::call, result, a, b, c, {}, 0, helper); }
void Builder::call_if(Val cond, u16 helper, Val a, Val b, Val c) {
    u64 k;
    if (is_constant(cond, &k)) {
        if (k) call(helper, Type::None, a, b, c);
        return;
    }
    emit(Op::call_if, Type::None, cond, a, b, c, 0, helper);
}

void Builder::terminal(Op op, Val a, u64 imm) {
    ASSERT(!ended_);
    emit(op, Type::None, a, {}, {}, {}, 0, imm);
    ended_ = true;
}
void Builder::jump(u64 rip) { terminal(Op::jump, {}, rip); }
void Builder::branch(Val cond, u64 rip) {
    u64 k;
    if (is_constant(cond, &k)) return jump(k ? rip : block_.end_rip);
    terminal(Op::branch, cond, rip);
}
void Builder::jump_to(Val rip) {
    u64 k;
    if (is_constant(rip, &k)) return jump(k);
    terminal(Op::jump_to, rip, 0);
}
void Builder::leave() { terminal(Op::leave, {}, 0); }
}  // namespace calque::jit
