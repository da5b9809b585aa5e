// State, memory and control.
#include "jit/interp/handlers.h"

namespace calque::jit {
namespace {
template <class T>
void run_get(InterpFrame& f, const InterpInst* i) {
    T value;
    std::memcpy(&value, f.state + i->imm, sizeof value);
    if constexpr (sizeof(T) == 16) f.v[i->dst] = value;
    else f.v[i->dst].lo = value;
    return next(f, i);
}
template <class T>
void run_set(InterpFrame& f, const InterpInst* i) {
    std::memcpy(f.state + i->imm, &f.v[i->a], sizeof(T));  // hosts are little-endian
    return next(f, i);
}

// log2 of an access's size, as slow paths want it.
template <class T> constexpr u32 size_code = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : sizeof(T) == 8 ? 3 : 4;

// The host address when the access hits in the TLB. One compare tests tag, permission and that the last byte is on the page.
template <class T, u64 TlbEntry::*Tag>
inline u8* hit(const InterpFrame& f, u64 address) {
    const TlbEntry& e = f.tlb[Tag == &TlbEntry::write_tag][address >> 12 & ((1u << kTlbBits) - 1)];
    if (((address + (sizeof(T) - 1)) & ~u64{4095}) != e.*Tag) return nullptr;
    return reinterpret_cast<u8*>(address + e.addend);
}

template <class T, u64 TlbEntry::*Tag>
void load_slowly(InterpFrame& f, const InterpInst* i) {
    const u32 what = size_code<T> | (Tag == &TlbEntry::write_tag ? 8 : 0) | f.view;
    const u64 low = f.layout->read(f.state, f.v[i->a].lo, what);
    if (f.x->fault != Fault::none) return;
    if constexpr (sizeof(T) == 16) f.v[i->dst] = f.x->vec;
    else f.v[i->dst].lo = low;
    return next(f, i);
}
template <class T, u64 TlbEntry::*Tag>
void run_load(InterpFrame& f, const InterpInst* i) {
    const u8* p = hit<T, Tag>(f, f.v[i->a].lo);
    if (!p) [[unlikely]] return load_slowly<T, Tag>(f, i);
    T value;
    std::memcpy(&value, p, sizeof value);
    if constexpr (sizeof(T) == 16) f.v[i->dst] = value;
    else f.v[i->dst].lo = value;
    return next(f, i);
}
template <class T>
void store_slowly(InterpFrame& f, const InterpInst* i) {
    if constexpr (sizeof(T) == 16) f.x->vec = f.v[i->b];
    f.layout->write(f.state, f.v[i->a].lo, f.v[i->b].lo, size_code<T> | f.view);
    if (f.x->fault != Fault::none) return;
    return next(f, i);
}
template <class T>
void run_store(InterpFrame& f, const InterpInst* i) {
    u8* p = hit<T, &TlbEntry::write_tag>(f, f.v[i->a].lo);
    if (!p) [[unlikely]] return store_slowly<T>(f, i);
    std::memcpy(p, &f.v[i->b], sizeof(T));
    return next(f, i);
}
template <u64 TlbEntry::*Tag>
Handler load_of(Type t) {
    if (!is_int(t)) return run_load<V128, Tag>;
    return by_width(t, run_load<u8, Tag>, run_load<u16, Tag>, run_load<u32, Tag>, run_load<u64, Tag>);
}

void run_insn(InterpFrame& f, const InterpInst* i) {
    --f.x->unretired;
    return next(f, i);
}
void run_guard(InterpFrame& f, const InterpInst* i) {
    if (f.v[i->a].lo == 0) [[unlikely]] return f.layout->raise(f.state, i->imm);
    return next(f, i);
}
void run_call(InterpFrame& f, const InterpInst* i) {
    const u64 r = f.layout->helpers[i->imm].fn(f.state, f.v[i->a].lo, f.v[i->b].lo, f.v[i->c].lo);
    if (f.x->fault != Fault::none) return;
    f.v[i->dst].lo = is_int(i->type) ? r & mask(i->type) : r;
    return next(f, i);
}
void run_call_wide(InterpFrame& f, const InterpInst* i) {
    f.layout->helpers[i->imm].fn(f.state, f.v[i->a].lo, f.v[i->b].lo, f.v[i->c].lo);
    if (f.x->fault != Fault::none) return;
    f.v[i->dst] = f.x->vec;
    return next(f, i);
}
void run_call_if(InterpFrame& f, const InterpInst* i) {
    if (f.v[i->a].lo) {
        f.layout->helpers[i->imm].fn(f.state, f.v[i->b].lo, f.v[i->c].lo, f.v[i->d].lo);
        if (f.x->fault != Fault::none) return;
    }
    return next(f, i);
}
void run_jump(InterpFrame& f, const InterpInst* i) { f.x->rip = i->imm; }
void run_branch(InterpFrame& f, const InterpInst* i) { f.x->rip = f.v[i->a].lo ? i->imm : f.end_rip; }
void run_jump_to(InterpFrame& f, const InterpInst* i) { f.x->rip = f.v[i->a].lo; }
void run_leave(InterpFrame&, const InterpInst*) {}
}  // namespace

Handler handler_of_get(const InterpInst& i) {
    return !is_int(i.type) ? run_get<V128> : by_width(i.type, run_get<u8>, run_get<u16>, run_get<u32>, run_get<u64>);
}
Handler handler_of_set(const InterpInst& i) {
    return !is_int(i.type) ? run_set<V128> : by_width(i.type, run_set<u8>, run_set<u16>, run_set<u32>, run_set<u64>);
}
Handler handler_of_load(const InterpInst& i) { return i.aux & 1 ? load_of<&TlbEntry::write_tag>(i.type) : load_of<&TlbEntry::read_tag>(i.type); }
Handler handler_of_store(const InterpInst& i) {
    return !is_int(i.type) ? run_store<V128> : by_width(i.type, run_store<u8>, run_store<u16>, run_store<u32>, run_store<u64>);
}
Handler handler_of_insn(const InterpInst&) { return run_insn; }
Handler handler_of_guard(const InterpInst&) { return run_guard; }
Handler handler_of_call(const InterpInst& i) { return i.type == Type::V128 ? run_call_wide : run_call; }
Handler handler_of_call_if(const InterpInst&) { return run_call_if; }
Handler handler_of_jump(const InterpInst&) { return run_jump; }
Handler handler_of_branch(const InterpInst&) { return run_branch; }
Handler handler_of_jump_to(const InterpInst&) { return run_jump_to; }
Handler handler_of_leave(const InterpInst&) { return run_leave; }
}  // namespace calque::jit
