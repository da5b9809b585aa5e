// x87 instructions. Their operation is told by the opcode byte and ModRM (SDM vol. 2, "Escape Opcode Instruction Set"); all the
// work is done by helpers on the register stack.
#include "cpu/fpu/x87.h"
#include "cpu/lift/vector.h"
#include "cpu/memory.h"

namespace calque {

using jit::Type;

namespace {

/// One instruction on its way to a helper.
struct Fpu {
    Lifter& l;
    const Insn& in;
    FpuOp op;
    unsigned reg;  // ModRM.reg

    Fpu(Lifter& lifter, const Insn& insn) : l{lifter}, in{insn}, reg{insn.modrm >> 3 & 7u} {
        op.index = insn.modrm & 7;
        op.fop = static_cast<u16>((insn.opcode & 7) << 8 | insn.modrm);
    }
    const Operand& memory() const {
        for (const Operand& o : in.op)
            if (o.is_mem()) return o;
        return in.op[0];
    }
    Val descriptor() const { return l.c64(op.pack()); }
    /// Data instructions note where they were. Golden Cove keeps FOP and FDP of unmasked exceptions only, and no selectors (the helpers
    /// do that, by the effective address in c); Zen keeps all of it always, FDP and FDS of the last instruction that had a memory operand.
    void note(Val effective = {}) {
        if (!l.zen()) return l.ir.set(slot::fpu_ip, l.c64(in.rip));
        const u64 seg = effective ? memory().seg | 8u : 0;
        l.call(Helper::fpu_note, Type::None, l.c64(op.fop | seg << 16), effective ? effective : l.c64(0), l.c64(in.rip));
    }
    void call(Helper h, Val b = {}, Val effective = {}) {
        l.call(h, Type::None, descriptor(), b ? b : l.c64(0), effective ? effective : l.c64(0));
        note(effective);
    }

    static unsigned bytes(FpuOp::Source s) {
        switch (s) {
        case FpuOp::i16: return 2;
        case FpuOp::m32:
        case FpuOp::i32: return 4;
        case FpuOp::m80: return 10;
        default: return 8;
        }
    }
    /// Loads a memory operand (integers sign-extended) and calls the helper with it.
    void with_memory(Helper h, FpuOp::Source source) {
        op.source = source;
        const Val ea = l.effective(memory()), at = l.linear(memory().seg, ea, bytes(source), false, source == FpuOp::m80 ? 8 : 0);
        if (source == FpuOp::m80) return with_m80(h, ea, at);
        const Val raw = l.ir.load(jit::int_type(bytes(source)), at);
        const bool integer = source == FpuOp::i16 || source == FpuOp::i32;
        call(h, integer ? l.ir.sext(raw, Type::I64) : l.ir.zext(raw, Type::I64), ea);
    }
    void with_m80(Helper h, Val ea, Val at) {
        const Val sig = l.ir.load(Type::I64, at), se = l.ir.load(Type::I16, l.ir.add(at, u64{8}));
        const Val d = l.ir.or_(l.ir.shl(l.ir.zext(se, Type::I64), FpuOp::se_shift), descriptor());
        l.call(h, Type::None, d, sig, ea);
        note(ea);
    }
    void store(FpuOp::Source to, unsigned pops, bool truncate = false) {
        op.source = to;
        op.pops = static_cast<u8>(pops);
        op.op = truncate ? fop::truncate : fop::round;
        Val at, v;
        const Val ea = l.effective(memory());
        if (l.zen()) {
            at = l.linear(memory().seg, ea, bytes(to), true);
            v = l.call(Helper::fpu_store_value, Type::I64, descriptor(), l.c64(in.rip), at);
        } else {
            v = l.call(Helper::fpu_store_value, Type::I64, descriptor(), l.c64(in.rip), ea);
            at = l.linear(memory().seg, ea, bytes(to), true);
        }
        l.ir.store(at, l.ir.trunc(v, jit::int_type(bytes(to))));
        call(Helper::fpu_store_done, {}, ea);
    }
    /// FBSTP and FSTP m80. Intel stores eight bytes and then two; the first stay when the others fault.
    void store_wide(fop::Memory operation) {
        if (l.zen()) return area(operation, 10, true, true);
        op.op = operation;
        op.pops = 1;
        const Operand& m = memory();
        const Val ea = l.effective(m), next = l.ir.add(l.ir.trunc(ea, jit::int_type(in.addr_size)), u64{8});
        const Val v = l.call(Helper::fpu_store_wide, Type::V128, descriptor(), l.c64(in.rip), ea);
        const Val at = l.linear(m.seg, ea, 8, true);
        l.ir.store(at, vector::low64(l, v));
        l.ir.store(l.linear(m.seg, l.ir.zext(next, Type::I64), 2, true), l.ir.trunc(vector::high64(l, v), Type::I16));
        call(Helper::fpu_store_done, {}, ea);
    }
    void arith(FpuOp::Source source, unsigned operation) {
        op.op = static_cast<u8>(operation);
        op.pops = operation == fop::comp;
        with_memory(Helper::fpu_arith, source);
    }
    void arith_st(unsigned operation, bool to_index, unsigned pops) {
        op.op = static_cast<u8>(operation);
        op.source = FpuOp::st;
        op.to_index = to_index;
        op.pops = static_cast<u8>(pops);
        call(Helper::fpu_arith);
    }
    void stack(u8 operation, unsigned pops = 0, Val condition = {}) {
        op.op = operation;
        op.pops = static_cast<u8>(pops);
        call(Helper::fpu_stack, condition);
    }
    void load_st() {
        op.source = FpuOp::st;
        call(Helper::fpu_load);
    }
    void compare_flags(bool quiet, unsigned pops) {
        op.op = quiet ? fop::ucom : fop::com;
        op.pops = static_cast<u8>(pops);
        call(Helper::fpu_compare_flags);
    }
    /// An area or number that only a helper can move. Numbers of 80 bits are aligned to 8 bytes, areas to the operand size (SDM vol. 3A,
    /// "Interrupt 17—Alignment Check Exception").
    void area(fop::Memory operation, unsigned size, bool write, bool data) {
        op.op = operation;
        op.to_index = wide();
        const Val ea = l.effective(memory()), at = l.linear(memory().seg, ea, size, write, size == 10 ? 8 : wide() ? 4 : 2);
        l.call(Helper::fpu_memory, Type::None, descriptor(), ea, at);
        if (data) note(ea);
    }
    void control(fop::Control operation, Val b = {}) {
        op.op = operation;
        l.call(Helper::fpu_control, Type::None, descriptor(), b ? b : l.c64(0), l.c64(0));
    }
    Val word(fop::Word which) {
        op.op = which;
        return l.ir.trunc(l.call(Helper::fpu_word, Type::I64, descriptor()), Type::I16);
    }
    void store_word(fop::Word which) {
        const Val at = l.linear(memory(), 2, true);
        l.ir.store(at, word(which));
    }
    bool wide() const { return in.op_size != 2; }
};

void memory_d9(Fpu& f) {
    switch (f.reg) {
    case 0: return f.with_memory(Helper::fpu_load, FpuOp::m32);
    case 2: return f.store(FpuOp::m32, 0);
    case 3: return f.store(FpuOp::m32, 1);
    case 4: return f.area(fop::ldenv, f.wide() ? 28 : 14, false, false);
    case 5: return f.control(fop::ldcw, f.l.ir.zext(f.l.ir.load(Type::I16, f.l.linear(f.memory(), 2, false)), Type::I64));
    case 6: return f.area(fop::nstenv, f.wide() ? 28 : 14, true, false);
    case 7: return f.store_word(fop::stcw);
    default: return f.l.raise(vec::UD);
    }
}

/// FILD, FISTTP, FIST, FISTP of one size: reg 0..3.
void memory_integer(Fpu& f, FpuOp::Source size) {
    switch (f.reg) {
    case 0: return f.with_memory(Helper::fpu_load, size);
    case 1: return f.store(size, 1, true);
    case 2: return f.store(size, 0);
    default: return f.store(size, 1);
    }
}

void memory_db(Fpu& f) {
    if (f.reg <= 3) return memory_integer(f, FpuOp::i32);
    if (f.reg == 5) return f.with_memory(Helper::fpu_load, FpuOp::m80);
    if (f.reg == 7) return f.store_wide(fop::stp80);
    f.l.raise(vec::UD);
}

void memory_dd(Fpu& f) {
    switch (f.reg) {
    case 0: return f.with_memory(Helper::fpu_load, FpuOp::m64);
    case 1: return f.store(FpuOp::i64, 1, true);
    case 2: return f.store(FpuOp::m64, 0);
    case 3: return f.store(FpuOp::m64, 1);
    case 4: return f.area(fop::rstor, f.wide() ? 108 : 94, false, false);
    case 6: return f.area(fop::nsave, f.wide() ? 108 : 94, true, false);
    case 7: return f.store_word(fop::stsw);
    default: return f.l.raise(vec::UD);
    }
}

void memory_df(Fpu& f) {
    switch (f.reg) {
    case 4: return f.area(fop::bld, 10, false, true);
    case 5: return f.with_memory(Helper::fpu_load, FpuOp::i64);
    case 6: return f.store_wide(fop::bstp);
    case 7: return f.store(FpuOp::i64, 1);
    default: return memory_integer(f, FpuOp::i16);
    }
}

void memory_form(Fpu& f) {
    switch (f.in.opcode & 7) {
    case 0: return f.arith(FpuOp::m32, f.reg);
    case 1: return memory_d9(f);
    case 2: return f.arith(FpuOp::i32, f.reg);
    case 3: return memory_db(f);
    case 4: return f.arith(FpuOp::m64, f.reg);
    case 5: return memory_dd(f);
    case 6: return f.arith(FpuOp::i16, f.reg);
    default: return memory_df(f);
    }
}

void register_d9(Fpu& f) {
    if (f.reg == 0) return f.load_st();
    if (f.reg == 1) return f.stack(fop::xch);
    if (f.reg == 3) return f.stack(fop::move_unchecked, 1);  // FSTP without stack underflow
    if (f.reg == 5) {
        f.op.source = FpuOp::constant;
        if (f.op.index == 7) return f.l.raise(vec::UD);
        return f.call(Helper::fpu_load);
    }
    f.op.op = f.in.modrm;
    f.call(Helper::fpu_function);
}

/// FCMOVcc: DA has B, E, BE, U in reg 0..3, DB their opposites.
void conditional_move(Fpu& f, bool negate) {
    using enum jit::Cond;
    static constexpr jit::Cond conditions[4] = {b, e, be, p};
    const auto c = static_cast<jit::Cond>(static_cast<u8>(conditions[f.reg]) | negate);
    f.stack(fop::cmov, 0, f.l.ir.zext(f.l.ir.cond(c, f.l.flags()), Type::I64));
}

void register_da(Fpu& f) {
    if (f.reg <= 3) return conditional_move(f, false);
    if (f.in.modrm == 0xe9) return f.arith_st(fop::ucom, false, 2);
    f.l.raise(vec::UD);
}

void register_db(Fpu& f) {
    if (f.reg <= 3) return conditional_move(f, true);
    if (f.reg == 5) return f.compare_flags(true, 0);
    if (f.reg == 6) return f.compare_flags(false, 0);
    switch (f.in.modrm) {
    case 0xe0:            // FENI, FDISI, FSETPM of older coprocessors do nothing
    case 0xe1:
    case 0xe4: return;
    case 0xe2: return f.control(fop::nclex);
    case 0xe3: return f.control(fop::ninit);
    default: return f.l.raise(vec::UD);
    }
}

void register_dd(Fpu& f) {
    switch (f.reg) {
    case 0: return f.stack(fop::free);
    case 1: return f.stack(fop::xch);  // aliases
    case 2: return f.stack(fop::move);
    case 3: return f.stack(fop::move, 1);
    case 4: return f.arith_st(fop::ucom, false, 0);
    case 5: return f.arith_st(fop::ucom, false, 1);
    default: return f.l.raise(vec::UD);
    }
}

void register_de(Fpu& f) {
    if (f.reg == 2) return f.arith_st(fop::com, false, 1);  // an alias of FCOMP
    if (f.reg == 3) return f.in.modrm == 0xd9 ? f.arith_st(fop::com, false, 2) : f.l.raise(vec::UD);
    f.arith_st(f.reg, true, 1);
}

void register_df(Fpu& f) {
    switch (f.reg) {
    case 0: return f.stack(fop::free, 1);
    case 1: return f.stack(fop::xch);
    case 2:
    case 3: return f.stack(fop::move, 1);
    case 4:
        if (f.in.modrm != 0xe0) return f.l.raise(vec::UD);
        return f.l.set_gpr(RAX, f.word(fop::stsw));
    case 5: return f.compare_flags(true, 1);
    case 6: return f.compare_flags(false, 1);
    default: return f.l.raise(vec::UD);
    }
}

void register_form(Fpu& f) {
    const bool compare = f.reg == fop::com || f.reg == fop::comp;
    switch (f.in.opcode & 7) {
    case 0: return f.arith_st(f.reg, false, f.reg == fop::comp);
    case 1: return register_d9(f);
    case 2: return register_da(f);
    case 3: return register_db(f);
    case 4: return f.arith_st(f.reg, !compare, f.reg == fop::comp);
    case 5: return register_dd(f);
    case 6: return register_de(f);
    default: return register_df(f);
    }
}
}  // namespace

void lift_x87(Lifter& l, const Insn& in) {
    if (l.has(mode::FpuTrap)) return l.raise(vec::NM);
    Fpu f{l, in};
    in.modrm < 0xc0 ? memory_form(f) : register_form(f);
}

void lift_fwait(Lifter& l, const Insn& in) {
    if (l.has(mode::WaitTrap)) return l.raise(vec::NM);
    Fpu{l, in}.control(fop::wait);
}
}  // namespace calque
