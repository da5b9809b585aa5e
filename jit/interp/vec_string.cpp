// Comparison of strings (SDM vol. 2B, "Imm8 Control Byte Operation for PCMPESTRI / PCMPESTRM / PCMPISTRI / PCMPISTRM").
#include <bit>

#include "jit/interp/vec_op.h"

namespace calque::jit {
namespace {

/// The control byte. Its highest bit means nothing to the guest and tells here that lengths are given.
struct Control {
    explicit Control(u8 imm) : words{(imm & 1) != 0}, is_signed{(imm & 2) != 0}, aggregation{imm >> 2 & 3u}, polarity{imm >> 4 & 3u}, upper{(imm & 0x40) != 0}, explicit_{(imm & 0x80) != 0} {}
    bool words, is_signed;
    unsigned aggregation, polarity;
    bool upper;   // the most significant index; masks of whole elements
    bool explicit_;
    unsigned count() const { return words ? 8 : 16; }
};

struct String {
    std::array<i32, 16> element{};
    unsigned length;

    String(const V128& v, const Control& c, u8 given) : length{c.count()} {
        for (unsigned k = 0; k < c.count(); ++k) {
            const unsigned width = c.words ? 16 : 8, bit = k * width;
            const u64 raw = (bit < 64 ? v.lo : v.hi) >> (bit & 63);
            element[k] = c.words ? (c.is_signed ? i32{static_cast<i16>(raw)} : i32{static_cast<u16>(raw)}) : c.is_signed ? i32{static_cast<i8>(raw)} : i32{static_cast<u8>(raw)};
            if (!c.explicit_ && raw << (64 - width) == 0) length = std::min(length, k);
        }
        if (c.explicit_) length = given;
    }
};

struct Comparison {
    Control control;
    u32 bits = 0;   // IntRes2
    bool ends_a = false, ends_b = false;
};

u32 equal_any(const String& a, const String& b) {
    u32 r = 0;
    for (unsigned j = 0; j < b.length; ++j)
        for (unsigned i = 0; i < a.length; ++i) r |= u32{a.element[i] == b.element[j]} << j;
    return r;
}
u32 ranges(const String& a, const String& b) {
    u32 r = 0;
    for (unsigned j = 0; j < b.length; ++j)
        for (unsigned i = 0; i + 1 < a.length; i += 2) r |= u32{a.element[i] <= b.element[j] && b.element[j] <= a.element[i + 1]} << j;
    return r;
}
/// Beyond both ends they are equal.
u32 equal_each(const String& a, const String& b, unsigned count) {
    u32 r = 0;
    for (unsigned j = 0; j < count; ++j) {
        const bool in_a = j < a.length, in_b = j < b.length;
        r |= u32{in_a && in_b ? a.element[j] == b.element[j] : in_a == in_b} << j;
    }
    return r;
}
/// Where a starts in b, as far as b goes.
u32 equal_ordered(const String& a, const String& b, unsigned count) {
    u32 r = 0;
    for (unsigned j = 0; j < count; ++j) {
        bool found = true;
        for (unsigned i = 0; i < a.length && i + j < count; ++i) found &= i + j < b.length && a.element[i] == b.element[i + j];
        r |= u32{found} << j;
    }
    return r;
}

Comparison compare(const InterpInst& i, const V128& va, const V128& vb, u64 lengths) {
    Comparison c{Control{i.aux}};
    const unsigned n = c.control.count();
    const String a{va, c.control, static_cast<u8>(lengths)}, b{vb, c.control, static_cast<u8>(lengths >> 8)};
    switch (c.control.aggregation) {
    case 0: c.bits = equal_any(a, b); break;
    case 1: c.bits = ranges(a, b); break;
    case 2: c.bits = equal_each(a, b, n); break;
    default: c.bits = equal_ordered(a, b, n);
    }
    const u32 all = (1u << n) - 1;
    if (c.control.polarity == 1) c.bits ^= all;
    if (c.control.polarity == 3) c.bits ^= (1u << b.length) - 1;
    c.ends_a = a.length < n, c.ends_b = b.length < n;
    return c;
}
}  // namespace

VEC_OP(vstr_index) {
    const Comparison c = compare(i, A, B, f.v[i.c].lo);
    const int at = !c.bits ? static_cast<int>(c.control.count()) : c.control.upper ? 31 - std::countl_zero(c.bits) : std::countr_zero(c.bits);
    out = {static_cast<u64>(at), 0};
}
VEC_OP(vstr_mask) {
    const Comparison c = compare(i, A, B, f.v[i.c].lo);
    if (!c.control.upper) {
        out = {c.bits, 0};
        return;
    }
    Lanes<u8> r;
    for (unsigned k = 0; k < 16; ++k) r[k] = c.bits >> (c.control.words ? k / 2 : k) & 1 ? 0xff : 0;
    out = vec_of<u8>(r);
}
VEC_OP(vstr_flags) {
    const Comparison c = compare(i, A, B, f.v[i.c].lo);
    out = {u64{fl::One} | (c.bits ? fl::CF : 0) | (c.ends_b ? fl::ZF : 0) | (c.ends_a ? fl::SF : 0) | (c.bits & 1 ? fl::OF : 0), 0};
}
}  // namespace calque::jit
