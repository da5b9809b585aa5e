#include "jit/ir/fold.h"

#include <utility>

namespace calque::jit {
namespace {
bool commutes(Op op) {
    return op == Op::add || op == Op::mul || op == Op::mul_hi_u || op == Op::mul_hi_s || op == Op::and_ || op == Op::or_ || op == Op::xor_ || op == Op::flags_add;
}
Cmp swapped(Cmp c) {
    switch (c) {
    case Cmp::ult: return Cmp::ugt;
    case Cmp::ule: return Cmp::uge;
    case Cmp::ugt: return Cmp::ult;
    case Cmp::uge: return Cmp::ule;
    case Cmp::slt: return Cmp::sgt;
    case Cmp::sle: return Cmp::sge;
    case Cmp::sgt: return Cmp::slt;
    case Cmp::sge: return Cmp::sle;
    default: return c;
    }
}
Cmp negated(Cmp c) {
    switch (c) {
    case Cmp::eq: return Cmp::ne;
    case Cmp::ne: return Cmp::eq;
    case Cmp::ult: return Cmp::uge;
    case Cmp::ule: return Cmp::ugt;
    case Cmp::ugt: return Cmp::ule;
    case Cmp::uge: return Cmp::ult;
    case Cmp::slt: return Cmp::sge;
    case Cmp::sle: return Cmp::sgt;
    case Cmp::sgt: return Cmp::sle;
    default: return Cmp::slt;
    }
}
}  // namespace

Ref Folder::add_pure(Inst i) {
    if (i.op == Op::constant) return constant(i.type, i.imm);
    // Constants stand on the right, where executors look for immediates. So all are constants if the left one is.
    if (is_constant(i.a)) {
        if (!is_constant(i.b)) {
            if (commutes(i.op)) std::swap(i.a, i.b);
            if (i.op == Op::icmp) std::swap(i.a, i.b), i.aux = static_cast<u8>(swapped(static_cast<Cmp>(i.aux)));
        }
        if (const Ref r = fold_constants(i)) return r;
    }
    if (const Ref r = simplify(i)) return r;
    return append(i);
}

Ref Folder::fold_constants(const Inst& i) {
    u64 v[3]{}, out;
    for (unsigned k = 0; k < info(i.op).args; ++k)
        if (!is_constant(i.arg(k), v[k])) return 0;
    return evaluate(i, code_, v[0], v[1], v[2], out) ? constant(result_type(i), out) : Ref{0};
}

Ref Folder::simplify(Inst& i) {
    u64 k;
    switch (i.op) {
    case Op::add: case Op::sub: return simplify_add(i);
    case Op::and_: case Op::or_: case Op::xor_: return simplify_bitwise(i);
    case Op::shl: case Op::shr: case Op::sar: case Op::rol: case Op::ror:
        return is_constant(i.b, k) && k == 0 ? i.a : Ref{0};
    case Op::mul:
        if (!is_constant(i.b, k)) return 0;
        if (k == 0) return i.b;
        if (k == 1) return i.a;
        if ((k & (k - 1)) == 0) i.op = Op::shl, i.b = constant(Type::I8, static_cast<u64>(__builtin_ctzll(k)));
        return 0;
    case Op::zext: case Op::sext: case Op::trunc: case Op::extract: case Op::insert: return simplify_width(i);
    case Op::icmp: case Op::select: case Op::flag_merge: case Op::cond: return simplify_choice(i);
    default: return 0;
    }
}

// Subtractions stay what they are, so that a back end can pair them with the flags of the same operands; only a second
// displacement on top of one is joined with it.
Ref Folder::simplify_add(Inst& i) {
    u64 k, inner;
    if (i.op == Op::sub && i.a == i.b) return constant(i.type, 0);
    if (!is_constant(i.b, k)) return 0;
    if (k == 0) return i.a;
    const Inst a = at(i.a);
    if ((a.op != Op::add && a.op != Op::sub) || !is_constant(a.b, inner)) return 0;
    const u64 sum = ((i.op == Op::sub ? 0 - k : k) + (a.op == Op::sub ? 0 - inner : inner)) & mask(i.type);
    if (sum == 0) return a.a;
    i.op = Op::add, i.a = a.a, i.b = constant(i.type, sum);
    return 0;
}

Ref Folder::simplify_bitwise(Inst& i) {
    u64 k, inner;
    if (i.a == i.b) return i.op == Op::xor_ ? constant(i.type, 0) : i.a;
    if (!is_constant(i.b, k)) return 0;
    const bool ones = k == mask(i.type);
    if (k == 0) return i.op == Op::and_ ? i.b : i.a;
    if (ones && i.op == Op::and_) return i.a;
    if (ones && i.op == Op::or_) return i.b;
    // The value may be known to be narrower than its type.
    const Inst& a = at(i.a);
    if (i.op == Op::and_ && a.op == Op::zext && (mask(result_type(at(a.a))) & ~k) == 0) return i.a;
    if (a.op == i.op && is_constant(a.b, inner)) {
        const u64 both = i.op == Op::and_ ? k & inner : i.op == Op::or_ ? k | inner : k ^ inner;
        const Ref base = a.a;
        if (i.op == Op::xor_ && both == 0) return base;
        i.b = constant(i.type, both), i.a = base;
    } else if (ones && i.op == Op::xor_) {
        i.op = Op::not_, i.b = 0;
    }
    return 0;
}

Ref Folder::simplify_width(Inst& i) {
    const Inst a = at(i.a);
    const Type from = result_type(a);
    if (i.op == Op::insert) {
        if (i.aux == 0 && result_type(at(i.b)) == i.type) return i.b;
        return 0;
    }
    if (from == i.type && i.op != Op::extract) return i.a;
    if (i.op == Op::extract) {
        if (i.aux == 0) i.op = Op::trunc;
        else return 0;
        if (from == i.type) return i.a;
    }
    if (i.op == Op::trunc) {
        if (a.op == Op::zext || a.op == Op::sext) {  // back to what it came from, or part of it
            const Type source = result_type(at(a.a));
            if (source == i.type) return a.a;
            if (source > i.type) i.a = a.a;
            else i.op = a.op, i.a = a.a;
        } else if (a.op == Op::trunc) {
            i.a = a.a;
        } else if (a.op == Op::insert && a.aux == 0) {
            const Type low = result_type(at(a.b));
            if (low == i.type) return a.b;
            if (low > i.type) i.a = a.b;
        }
        return 0;
    }
    if (a.op == Op::zext) i.op = Op::zext, i.a = a.a;  // sext(zext(x)): the sign is 0
    else if (a.op == Op::sext && i.op == Op::sext) i.a = a.a;
    return 0;
}

Ref Folder::simplify_choice(Inst& i) {
    u64 k;
    if (i.op == Op::select) {
        if (is_constant(i.a, k)) return k ? i.b : i.c;
        return i.b == i.c ? i.b : Ref{0};
    }
    if (i.op == Op::flag_merge) {
        if (i.a == i.b || (i.imm & fl::All) == 0) return i.a;
        if ((i.imm & fl::All) == fl::All) return i.b;
        if (at(i.a).op == Op::flag_merge && (at(i.a).imm & ~i.imm) == 0) i.a = at(i.a).a;  // all of it is replaced
        return 0;
    }
    if (i.op == Op::cond) return 0;
    const auto c = static_cast<Cmp>(i.aux);
    if (i.a == i.b) return constant(Type::I8, c == Cmp::eq || c == Cmp::ule || c == Cmp::uge || c == Cmp::sle || c == Cmp::sge);
    if (!is_constant(i.b, k)) return 0;
    if (k == 0 && c == Cmp::ult) return constant(Type::I8, 0);
    if (k == 0 && c == Cmp::uge) return constant(Type::I8, 1);
    // (bit) != 0 is the bit, (bit) == 0 the opposite comparison
    const Inst a = at(i.a);
    const bool is_bit = info(a.op).result == ResultKind::bit;
    if (is_bit && ((c == Cmp::ne && k == 0) || (c == Cmp::eq && k == 1))) return i.a;
    if (is_bit && ((c == Cmp::eq && k == 0) || (c == Cmp::ne && k == 1))) {
        i = a;
        i.aux = a.op == Op::cond ? a.aux ^ 1 : static_cast<u8>(negated(static_cast<Cmp>(a.aux)));
        return 0;
    }
    if (a.op == Op::zext && (c == Cmp::eq || c == Cmp::ne) && k <= mask(result_type(at(a.a)))) {  // compare in the narrow width
        const Type narrow = result_type(at(a.a));
        i.type = narrow, i.a = a.a, i.b = constant(narrow, k);
        return 0;
    }
    return 0;
}
}  // namespace calque::jit
