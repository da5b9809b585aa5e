// Vector ops for which this host has no instruction: the interpreter's function is called.
#include "jit/interp/interp.h"
#include "jit/x64/x64.h"

namespace calque::jit::x64 {
namespace {
using VectorFn = void (*)(InterpFrame&, const InterpInst&, jit::Value&);

VectorFn function_of(Op op) {
    switch (op) {
#define OP(name, result, args, effects) case Op::name: return interp_##name;
#include "jit/ir/vec_ops.inc"
#undef OP
    default: return nullptr;
    }
}

/// v[0] = op(v[1], v[2], v[3]). `what`: op, lane, aux, type, type of b, a byte each.
u64 run(u32* fp_control, u64 what, V128* v) {
    InterpInst i;
    i.op = static_cast<Op>(static_cast<u8>(what)), i.slot = static_cast<u8>(what >> 8), i.aux = static_cast<u8>(what >> 16);
    i.type = static_cast<Type>(static_cast<u8>(what >> 24)), i.type_b = static_cast<Type>(static_cast<u8>(what >> 32));
    i.a = 1, i.b = 2, i.c = 3;
    InterpFrame f;
    f.v = v;
    f.fp_control = fp_control;
    function_of(i.op)(f, i, v[0]);
    return v[0].lo;
}
}  // namespace

void X64::compute_by_call(const Inst& i) {
    fp_end();
    clobber();
    const auto place = [](unsigned n) { return x86::ptr(x86::rsp, kXmmSaveAt + 16 * static_cast<i32>(n), 16); };
    for (unsigned n = 0; n < info(i.op).args; ++n) {
        const Ref r = i.arg(n);
        if (type_of(r) == Type::V128) {
            vmov(place(n + 1), use(r));
        } else {
            x86::Mem low = place(n + 1);
            low.setSize(8);
            as.mov(low, r64(use_clean(r)));
        }
    }
    const SlotSet saved = caller_saved_slots();
    evict_live();
    spill_pinned(saved);
    as.lea(x86::rdi, slot_mem(layout.fp_control, 4));
    const u64 type_b = i.b ? static_cast<u64>(type_of(i.b)) : 0;
    mov_imm(rsi, static_cast<u64>(i.op) | u64{i.slot} << 8 | u64{i.aux} << 16 | static_cast<u64>(i.type) << 24 | type_b << 32);
    as.lea(x86::rdx, place(0));
    call_host(reinterpret_cast<const void*>(run));
    load_pinned(saved);
    fp_ready_ = false;
    if (type_of(index_of(i)) != Type::V128) return define(i, rax, true);
    const Reg d = scratch_xmm();
    vmovu(d, place(0));
    define(i, d, true);
}
}  // namespace calque::jit::x64
