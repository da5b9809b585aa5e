// What each integer op computes, once: the builder's folding and the interpreter instantiate these. U is the unsigned integer
// of the op's width; arguments and results are zero-extended.
#pragma once
#include <bit>
#include <type_traits>

#include "jit/ir/ir.h"

namespace calque::jit::sem {

template <class U> using Signed = std::make_signed_t<U>;
template <class U> constexpr unsigned width = sizeof(U) * 8;
template <class U> constexpr u64 top = u64{1} << (width<U> - 1);

template <class U> constexpr u64 add(u64 a, u64 b) { return static_cast<U>(a + b); }
template <class U> constexpr u64 sub(u64 a, u64 b) { return static_cast<U>(a - b); }
template <class U> constexpr u64 mul(u64 a, u64 b) { return static_cast<U>(a * b); }
template <class U> constexpr u64 mul_hi_u(u64 a, u64 b) { return static_cast<U>(static_cast<u128>(a) * b >> width<U>); }
template <class U> constexpr u64 mul_hi_s(u64 a, u64 b) {
    return static_cast<U>(static_cast<u128>(static_cast<i128>(static_cast<Signed<U>>(a)) * static_cast<Signed<U>>(b)) >> width<U>);
}
template <class U> constexpr u64 and_(u64 a, u64 b) { return a & b; }
template <class U> constexpr u64 or_(u64 a, u64 b) { return a | b; }
template <class U> constexpr u64 xor_(u64 a, u64 b) { return a ^ b; }
template <class U> constexpr u64 not_(u64 a) { return static_cast<U>(~a); }
template <class U> constexpr u64 neg(u64 a) { return static_cast<U>(0 - a); }
template <class U> constexpr u64 shl(u64 a, u64 n) { return static_cast<U>(a << (n & (width<U> - 1))); }
template <class U> constexpr u64 shr(u64 a, u64 n) { return a >> (n & (width<U> - 1)); }
template <class U> constexpr u64 sar(u64 a, u64 n) { return static_cast<U>(static_cast<Signed<U>>(a) >> (n & (width<U> - 1))); }
template <class U> constexpr u64 rol(u64 a, u64 n) { return static_cast<U>(std::rotl(static_cast<U>(a), static_cast<int>(n & (width<U> - 1)))); }
template <class U> constexpr u64 ror(u64 a, u64 n) { return static_cast<U>(std::rotr(static_cast<U>(a), static_cast<int>(n & (width<U> - 1)))); }
// A guard keeps zero divisors and overflow away; the tests here only keep a wrong guard from killing the host process.
template <class U> constexpr u64 div_u(u64 a, u64 b) { return b ? a / b : 0; }
template <class U> constexpr u64 rem_u(u64 a, u64 b) { return b ? a % b : 0; }
template <class U> constexpr u64 div_s(u64 a, u64 b) {
    const auto d = static_cast<Signed<U>>(b);
    return d == 0 ? 0 : d == -1 ? static_cast<U>(0 - a) : static_cast<U>(static_cast<Signed<U>>(a) / d);
}
template <class U> constexpr u64 rem_s(u64 a, u64 b) {
    const auto d = static_cast<Signed<U>>(b);
    return d == 0 || d == -1 ? 0 : static_cast<U>(static_cast<Signed<U>>(a) % d);
}
template <class U> constexpr u64 bswap(u64 a) { return __builtin_bswap64(a) >> (64 - width<U>); }
template <class U> constexpr u64 clz(u64 a) { return static_cast<u64>(std::countl_zero(static_cast<U>(a))); }
template <class U> constexpr u64 ctz(u64 a) { return static_cast<u64>(std::countr_zero(static_cast<U>(a))); }
template <class U> constexpr u64 popcount(u64 a) { return static_cast<u64>(std::popcount(a)); }
template <class U> constexpr u64 deposit_bits(u64 a, u64 where) {
    u64 r = 0;
    for (; where; where &= where - 1, a >>= 1)
        if (a & 1) r |= where & (0 - where);
    return r;
}
template <class U> constexpr u64 extract_bits(u64 a, u64 where) {
    u64 r = 0;
    for (u64 bit = 1; where; where &= where - 1, bit <<= 1)
        if (a & where & (0 - where)) r |= bit;
    return r;
}
/// CRC-32C (polynomial 11EDC6F41h), bits reflected, no final complement.
constexpr u64 crc32c(u64 crc, u64 data, unsigned byte_count) {
    crc ^= data & mask(int_type(byte_count));
    for (unsigned k = 0; k < 8 * byte_count; ++k) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0u);
    return crc;
}
/// From U to 64 bits with the sign.
template <class U> constexpr u64 sign_extend(u64 a) { return static_cast<u64>(static_cast<i64>(static_cast<Signed<U>>(a))); }

template <class U> constexpr bool eq(u64 a, u64 b) { return a == b; }
template <class U> constexpr bool ne(u64 a, u64 b) { return a != b; }
template <class U> constexpr bool ult(u64 a, u64 b) { return a < b; }
template <class U> constexpr bool ule(u64 a, u64 b) { return a <= b; }
template <class U> constexpr bool ugt(u64 a, u64 b) { return a > b; }
template <class U> constexpr bool uge(u64 a, u64 b) { return a >= b; }
template <class U> constexpr bool slt(u64 a, u64 b) { return static_cast<Signed<U>>(a) < static_cast<Signed<U>>(b); }
template <class U> constexpr bool sle(u64 a, u64 b) { return static_cast<Signed<U>>(a) <= static_cast<Signed<U>>(b); }
template <class U> constexpr bool sgt(u64 a, u64 b) { return slt<U>(b, a); }
template <class U> constexpr bool sge(u64 a, u64 b) { return sle<U>(b, a); }

// ---- flags
template <class U> constexpr u64 szp(u64 r) {
    return u64{fl::One} | (r & top<U> ? fl::SF : 0) | (r == 0 ? fl::ZF : 0) | (std::popcount(r & 0xff) & 1 ? 0 : fl::PF);
}
template <class U> constexpr u64 flags_adc(u64 a, u64 b, u64 c) {
    const u64 r = static_cast<U>(a + b + c);
    const u64 carry = (a & b) | ((a | b) & ~r);  // out of each bit
    return szp<U>(r) | (carry & top<U> ? fl::CF : 0) | (carry & 8 ? fl::AF : 0) | ((a ^ r) & (b ^ r) & top<U> ? fl::OF : 0);
}
template <class U> constexpr u64 flags_sbb(u64 a, u64 b, u64 c) {
    const u64 r = static_cast<U>(a - b - c);
    const u64 borrow = (~a & b) | ((~a | b) & r);
    return szp<U>(r) | (borrow & top<U> ? fl::CF : 0) | (borrow & 8 ? fl::AF : 0) | ((a ^ b) & (a ^ r) & top<U> ? fl::OF : 0);
}
template <class U> constexpr u64 flags_add(u64 a, u64 b) { return flags_adc<U>(a, b, 0); }
template <class U> constexpr u64 flags_sub(u64 a, u64 b) { return flags_sbb<U>(a, b, 0); }
template <class U> constexpr u64 flags_logic(u64 r) { return szp<U>(r); }
template <class U> constexpr u64 flags_shl(u64 a, u64 n) {
    const bool cf = n && (a >> (width<U> - n) & 1), of = n && ((a ^ a << 1) & top<U>);
    return szp<U>(shl<U>(a, n)) | (cf ? fl::CF : 0) | (of ? fl::OF : 0);
}
template <class U> constexpr u64 flags_shr(u64 a, u64 n) {
    const bool cf = n && (a >> (n - 1) & 1), of = n && (a & top<U>);
    return szp<U>(shr<U>(a, n)) | (cf ? fl::CF : 0) | (of ? fl::OF : 0);
}
template <class U> constexpr u64 flags_sar(u64 a, u64 n) {
    const bool cf = n && (sign_extend<U>(a) >> (n - 1) & 1);
    return szp<U>(sar<U>(a, n)) | (cf ? fl::CF : 0);
}
constexpr bool test_base(Cond c, u64 f) {
    const bool sf = f & fl::SF, of = f & fl::OF;
    switch (static_cast<Cond>(static_cast<u8>(c) & ~1u)) {
    case Cond::o: return of;
    case Cond::b: return f & fl::CF;
    case Cond::e: return f & fl::ZF;
    case Cond::be: return f & (fl::CF | fl::ZF);
    case Cond::s: return sf;
    case Cond::p: return f & fl::PF;
    case Cond::l: return sf != of;
    default: return sf != of || (f & fl::ZF);
    }
}
constexpr u64 cond(Cond c, u64 f) { return test_base(c, f) != ((static_cast<u8>(c) & 1) != 0); }
}  // namespace calque::jit::sem
