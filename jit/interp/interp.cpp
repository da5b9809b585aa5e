#include "jit/interp/interp.h"

#include "jit/interp/handlers.h"
#include "support/assert.h"

namespace calque::jit {
namespace {
template <void (*F)(InterpFrame&, const InterpInst&, Value&)>
void vector_op(InterpFrame& f, const InterpInst* i) {
    F(f, *i, f.v[i->dst]);
    return next(f, i);
}

Handler handler_of(const InterpInst& i) {
    switch (i.op) {
#define OP(name, result, args, effects) case Op::name: return handler_of_##name(i);
#include "jit/ir/scalar_ops.inc"
#undef OP
#define OP(name, result, args, effects) case Op::name: return vector_op<interp_##name>;
#include "jit/ir/vec_ops.inc"
#undef OP
    case Op::count: break;
    }
    ASSERT(!"op without a handler");
    return nullptr;
}
// Handlers that follow from op and type alone, looked up once for all.
class HandlerTable {
public:
    HandlerTable() {
        for (size_t op = 0; op < static_cast<size_t>(Op::count); ++op)
            for (size_t type = 0; type < kTypes; ++type) {
                InterpInst i;
                i.op = static_cast<Op>(op), i.type = static_cast<Type>(type);
                const bool depends = i.op == Op::icmp || i.op == Op::cond || i.op == Op::sext || i.op == Op::load;
                table_[op][type] = depends ? nullptr : handler_of(i);
            }
    }
    Handler of(const InterpInst& i) const {
        const Handler h = table_[static_cast<size_t>(i.op)][static_cast<size_t>(i.type)];
        return h ? h : handler_of(i);
    }

private:
    static constexpr size_t kTypes = static_cast<size_t>(Type::F80) + 1;
    Handler table_[static_cast<size_t>(Op::count)][kTypes];
};
const HandlerTable& handlers() {
    static const HandlerTable table;
    return table;
}
}  // namespace

InterpBlock compile_for_interp(const Block& b, const Layout& layout) {
    const HandlerTable& table = handlers();
    InterpBlock out;
    out.size = static_cast<u32>(b.code.size() - 1);
    out.code = std::make_unique_for_overwrite<InterpInst[]>(out.size);
    out.view = b.mode.view() << 4;
    out.end_rip = b.end_rip;
    for (u32 n = 0; n < out.size; ++n) {
        const Inst& from = b.code[n + 1];
        InterpInst& to = out.code[n];
        to.op = from.op, to.type = from.type, to.aux = from.aux, to.slot = from.slot;
        to.a = from.a, to.b = from.b, to.c = from.c, to.d = from.d;
        to.dst = static_cast<Ref>(n + 1);
        to.type_a = from.a ? result_type(b.code[from.a]) : Type::None;
        to.type_b = from.b ? result_type(b.code[from.b]) : Type::None;
        to.imm = from.op == Op::get || from.op == Op::set ? layout.slots[from.slot].offset : from.imm;
        to.run = table.of(to);
    }
    return out;
}

void restore_ir(const InterpBlock& from, std::vector<Inst>& out) {
    out.resize(from.size + 1);
    out[0] = {};
    for (u32 n = 0; n < from.size; ++n) {
        const InterpInst& i = from.code[n];
        Inst& to = out[n + 1];
        to.op = i.op, to.type = i.type, to.aux = i.aux, to.slot = i.slot;
        to.a = i.a, to.b = i.b, to.c = i.c, to.d = i.d;
        to.imm = i.op == Op::get || i.op == Op::set ? 0 : i.imm;
    }
}

Interp::Interp(void* state, const Layout& layout) : values_{std::make_unique<Value[]>(1u << 16)} {
    frame_.v = values_.get();
    frame_.state = static_cast<u8*>(state);
    frame_.x = static_cast<ExecContext*>(state);
    frame_.fp_control = reinterpret_cast<u32*>(frame_.state + layout.slots[layout.fp_control].offset);
    frame_.layout = &layout;
}

void Interp::run(const InterpBlock& b) {
    auto& tlb = *reinterpret_cast<Tlb*>(frame_.state + frame_.layout->tlb_offset);
    frame_.tlb[0] = tlb.data[tlb_table(b.view >> 4, false)];
    frame_.tlb[1] = tlb.data[tlb_table(b.view >> 4, true)];
    frame_.view = b.view;
    frame_.end_rip = b.end_rip;
    b.code[0].run(frame_, &b.code[0]);
    if (frame_.x->fault == Fault::none) frame_.x->unretired = 0;
}
}  // namespace calque::jit
