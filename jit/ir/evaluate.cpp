#include "jit/ir/fold.h"
#include "jit/ir/semantics.h"

namespace calque::jit {
namespace {
// Calls f with a value of the unsigned type of t's width.
template <class F>
u64 by_width(Type t, F f) {
    switch (t) {
    case Type::I8: return f(u8{});
    case Type::I16: return f(u16{});
    case Type::I32: return f(u32{});
    default: return f(u64{});
    }
}
bool compare(Cmp c, Type t, u64 a, u64 b) {
    switch (c) {
    case Cmp::eq: return a == b;
    case Cmp::ne: return a != b;
    case Cmp::ult: return a < b;
    case Cmp::ule: return a <= b;
    case Cmp::ugt: return a > b;
    case Cmp::uge: return a >= b;
    default: break;
    }
    const auto sa = static_cast<i64>(by_width(t, [&](auto u) { return sem::sign_extend<decltype(u)>(a); }));
    const auto sb = static_cast<i64>(by_width(t, [&](auto u) { return sem::sign_extend<decltype(u)>(b); }));
    return c == Cmp::slt ? sa < sb : c == Cmp::sle ? sa <= sb : c == Cmp::sgt ? sa > sb : sa >= sb;
}
}  // namespace

#define UNARY(name) \
    case Op::name: out = by_width(i.type, [&](auto u) { return sem::name<decltype(u)>(a); }); return true;
#define BINARY(name) \
    case Op::name: out = by_width(i.type, [&](auto u) { return sem::name<decltype(u)>(a, b); }); return true;
#define TERNARY(name) \
    case Op::name: out = by_width(i.type, [&](auto u) { return sem::name<decltype(u)>(a, b, c); }); return true;

bool evaluate(const Inst& i, const std::vector<Inst>& code, u64 a, u64 b, u64 c, u64& out) {
    switch (i.op) {
    BINARY(add) BINARY(sub) BINARY(mul) BINARY(mul_hi_u) BINARY(mul_hi_s) BINARY(and_) BINARY(or_) BINARY(xor_)
    UNARY(not_) UNARY(neg) BINARY(shl) BINARY(shr) BINARY(sar) BINARY(rol) BINARY(ror)
    UNARY(bswap) UNARY(clz) UNARY(ctz) UNARY(popcount) BINARY(deposit_bits) BINARY(extract_bits)
    BINARY(flags_add) BINARY(flags_sub) UNARY(flags_logic) BINARY(flags_shl) BINARY(flags_shr) BINARY(flags_sar)
    TERNARY(flags_adc) TERNARY(flags_sbb)
    case Op::div_u: case Op::rem_u: case Op::div_s: case Op::rem_s:
        return false;  // a guard may stand before it
    case Op::zext: out = a; return true;
    case Op::trunc: out = a & mask(i.type); return true;
    case Op::sext:
        out = by_width(result_type(code[i.a]), [&](auto u) { return sem::sign_extend<decltype(u)>(a); }) & mask(i.type);
        return true;
    case Op::extract: out = a >> i.aux & mask(i.type); return true;
    case Op::insert: {
        const u64 m = mask(result_type(code[i.b])) << i.aux;
        out = ((a & ~m) | (b << i.aux & m)) & mask(i.type);
        return true;
    }
    case Op::icmp: out = compare(static_cast<Cmp>(i.aux), i.type, a, b); return true;
    case Op::select: out = a ? b : c; return true;
    case Op::flag_merge: out = (a & ~i.imm) | (b & i.imm); return true;
    case Op::cond: out = sem::cond(static_cast<Cond>(i.aux), a); return true;
    default: return false;
    }
}
}  // namespace calque::jit
