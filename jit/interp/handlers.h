// What the files that define handlers share.
#pragma once
#include <cstring>

#include "jit/interp/interp.h"

namespace calque::jit {

/// Goes on with the following instruction. In tail position this is a jump.
inline void next(InterpFrame& f, const InterpInst* i) { i[1].run(f, i + 1); }

/// One of four functions by the width of an integer type.
inline Handler by_width(Type t, Handler w8, Handler w16, Handler w32, Handler w64) {
    return t == Type::I8 ? w8 : t == Type::I16 ? w16 : t == Type::I32 ? w32 : w64;
}

template <u64 (*F)(u64)>
void unary(InterpFrame& f, const InterpInst* i) {
    f.v[i->dst].lo = F(f.v[i->a].lo);
    return next(f, i);
}
template <u64 (*F)(u64, u64)>
void binary(InterpFrame& f, const InterpInst* i) {
    f.v[i->dst].lo = F(f.v[i->a].lo, f.v[i->b].lo);
    return next(f, i);
}
template <u64 (*F)(u64, u64, u64)>
void ternary(InterpFrame& f, const InterpInst* i) {
    f.v[i->dst].lo = F(f.v[i->a].lo, f.v[i->b].lo, f.v[i->c].lo);
    return next(f, i);
}
}  // namespace calque::jit
