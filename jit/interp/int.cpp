// Integer ops: what they compute is in jit/ir/semantics.h.
#include "jit/interp/handlers.h"
#include "jit/ir/semantics.h"

namespace calque::jit {

#define EACH_WIDTH(shape, name) \
    Handler handler_of_##name(const InterpInst& i) { \
        return by_width(i.type, shape<sem::name<u8>>, shape<sem::name<u16>>, shape<sem::name<u32>>, shape<sem::name<u64>>); \
    }

EACH_WIDTH(binary, add)
EACH_WIDTH(binary, sub)
EACH_WIDTH(binary, mul)
EACH_WIDTH(binary, mul_hi_u)
EACH_WIDTH(binary, mul_hi_s)
EACH_WIDTH(binary, and_)
EACH_WIDTH(binary, or_)
EACH_WIDTH(binary, xor_)
EACH_WIDTH(unary, not_)
EACH_WIDTH(unary, neg)
EACH_WIDTH(binary, shl)
EACH_WIDTH(binary, shr)
EACH_WIDTH(binary, sar)
EACH_WIDTH(binary, rol)
EACH_WIDTH(binary, ror)
EACH_WIDTH(binary, div_u)
EACH_WIDTH(binary, rem_u)
EACH_WIDTH(binary, div_s)
EACH_WIDTH(binary, rem_s)
EACH_WIDTH(unary, bswap)
EACH_WIDTH(unary, clz)
EACH_WIDTH(unary, ctz)
EACH_WIDTH(unary, popcount)
EACH_WIDTH(binary, deposit_bits)
EACH_WIDTH(binary, extract_bits)
EACH_WIDTH(binary, flags_add)
EACH_WIDTH(binary, flags_sub)
EACH_WIDTH(ternary, flags_adc)
EACH_WIDTH(ternary, flags_sbb)
EACH_WIDTH(unary, flags_logic)
EACH_WIDTH(binary, flags_shl)
EACH_WIDTH(binary, flags_shr)
EACH_WIDTH(binary, flags_sar)
#undef EACH_WIDTH

namespace {
u64 copy(u64 a) { return a; }
template <class U> u64 cut(u64 a) { return static_cast<U>(a); }
template <class From, class To> u64 widen(u64 a) { return static_cast<To>(sem::sign_extend<From>(a)); }
template <class To>
Handler sext_to(Type from) {
    return by_width(from, unary<widen<u8, To>>, unary<widen<u16, To>>, unary<widen<u32, To>>, unary<widen<u64, To>>);
}
void run_constant(InterpFrame& f, const InterpInst* i) {
    f.v[i->dst].lo = i->imm;
    return next(f, i);
}
void run_extract(InterpFrame& f, const InterpInst* i) {
    f.v[i->dst].lo = f.v[i->a].lo >> i->aux & mask(i->type);
    return next(f, i);
}
void run_insert(InterpFrame& f, const InterpInst* i) {
    const u64 m = mask(i->type_b) << i->aux;
    f.v[i->dst].lo = (f.v[i->a].lo & ~m) | f.v[i->b].lo << i->aux;
    return next(f, i);
}
void run_select(InterpFrame& f, const InterpInst* i) {
    f.v[i->dst].lo = f.v[i->a].lo ? f.v[i->b].lo : f.v[i->c].lo;
    return next(f, i);
}
void run_select_wide(InterpFrame& f, const InterpInst* i) {
    f.v[i->dst] = f.v[i->a].lo ? f.v[i->b] : f.v[i->c];
    return next(f, i);
}
void run_crc32c(InterpFrame& f, const InterpInst* i) {
    f.v[i->dst].lo = sem::crc32c(f.v[i->a].lo, f.v[i->b].lo, bytes(i->type_b));
    return next(f, i);
}
void run_flag_merge(InterpFrame& f, const InterpInst* i) {
    f.v[i->dst].lo = (f.v[i->a].lo & ~i->imm) | (f.v[i->b].lo & i->imm);
    return next(f, i);
}
template <bool (*F)(u64, u64)>
void compare(InterpFrame& f, const InterpInst* i) {
    f.v[i->dst].lo = F(f.v[i->a].lo, f.v[i->b].lo);
    return next(f, i);
}
template <class U>
Handler compare_of(Cmp c) {
    switch (c) {
    case Cmp::eq: return compare<sem::eq<u64>>;
    case Cmp::ne: return compare<sem::ne<u64>>;
    case Cmp::ult: return compare<sem::ult<u64>>;
    case Cmp::ule: return compare<sem::ule<u64>>;
    case Cmp::ugt: return compare<sem::ugt<u64>>;
    case Cmp::uge: return compare<sem::uge<u64>>;
    case Cmp::slt: return compare<sem::slt<U>>;
    case Cmp::sle: return compare<sem::sle<U>>;
    case Cmp::sgt: return compare<sem::sgt<U>>;
    default: return compare<sem::sge<U>>;
    }
}
template <Cond C>
u64 test(u64 flags) { return sem::cond(C, flags); }
template <Cond... C>
Handler cond_of(u8 c) {
    static constexpr Handler table[] = {unary<test<C>>...};
    return table[c & 15];
}
}  // namespace

Handler handler_of_constant(const InterpInst&) { return run_constant; }
Handler handler_of_zext(const InterpInst&) { return unary<copy>; }
Handler handler_of_sext(const InterpInst& i) {
    return i.type == Type::I16 ? sext_to<u16>(i.type_a) : i.type == Type::I32 ? sext_to<u32>(i.type_a) : sext_to<u64>(i.type_a);
}
Handler handler_of_trunc(const InterpInst& i) { return by_width(i.type, unary<cut<u8>>, unary<cut<u16>>, unary<cut<u32>>, unary<copy>); }
Handler handler_of_extract(const InterpInst&) { return run_extract; }
Handler handler_of_insert(const InterpInst&) { return run_insert; }
Handler handler_of_icmp(const InterpInst& i) {
    const auto c = static_cast<Cmp>(i.aux);
    return by_width(i.type, compare_of<u8>(c), compare_of<u16>(c), compare_of<u32>(c), compare_of<u64>(c));
}
Handler handler_of_select(const InterpInst& i) { return is_int(i.type) ? run_select : run_select_wide; }
Handler handler_of_crc32c(const InterpInst&) { return run_crc32c; }
Handler handler_of_flag_merge(const InterpInst&) { return run_flag_merge; }
Handler handler_of_cond(const InterpInst& i) {
    return cond_of<Cond::o, Cond::no, Cond::b, Cond::ae, Cond::e, Cond::ne, Cond::be, Cond::a, Cond::s, Cond::ns, Cond::p, Cond::np,
                   Cond::l, Cond::ge, Cond::le, Cond::g>(i.aux);
}
}  // namespace calque::jit
