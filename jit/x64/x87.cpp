// The x87's common path on the host's own x87, which computes the same bits and flags under the control word that both have then
// (037Fh: the process never changes its own). Registers of the guest lie in memory, and every instruction loads and stores them.
//
// The host's sticky flags may hold more than this instruction's. When they hold one that the guest's do not, the helper decides, with
// the host's flags cleared; so they are never wrong, and the guest's usual flags are set after the first time.
#include <cstddef>

#include "jit/x64/x64.h"

namespace calque::jit::x64 {
namespace {
constexpr u32 kC1 = 0x200, kCodes = 0x4700, kFlags = 0x3f, kErrorSummary = 0x80, kUsual = 0x37f;

/// Emits one common path: rax, rcx and rdx are its own.
class Fast {
public:
    Fast(X64& emitter, const X87Form& form) : e{emitter}, as{e.as}, f{form}, at{*e.layout.x87}, slow{as.newLabel()}, unclean{as.newLabel()}, full{as.newLabel()} {}

    void body(Ref operand);
    /// What leads to the helper, behind a jump over it.
    void ways_out();

private:
    x86::Mem word(u32 offset) const { return e.state(offset, 2); }
    x86::Mem dword(u32 offset) const { return e.state(offset, 4); }
    x86::Mem scratch(unsigned size) const { return e.context(offsetof(ExecContext, scratch) + 8 * kScratchX87, size); }
    /// A register whose physical number plus 8, times 16, is in `r`.
    x86::Mem reg(Reg r) const { return x86::ptr(x86::rbp, r64(r), 0, static_cast<i32>(at.registers) - kBias - 128, 10); }
    x86::Mem reg(Reg r, u32 more, unsigned size) const {
        x86::Mem m = reg(r);
        m.addOffset(more), m.setSize(size);
        return m;
    }
    void check_usual() {
        // Two loads: one of both words would wait for the last store to the status word.
        as.movzx(x86::eax, word(at.control));
        as.cmp(x86::eax, Imm(kUsual));
        as.jne(slow);
        as.test(e.state(at.status, 1), Imm(kErrorSummary));
        as.jne(slow);
    }
    void get_tags() { as.mov(x86::ecx, dword(at.top_tags)); }
    /// r := ST(i)'s number + 8. Clobbers nothing else.
    void number(Reg r, unsigned i) {
        if (i) as.lea(r32(r), x86::ptr(x86::rcx, static_cast<i32>(i)));
        else as.mov(r32(r), x86::ecx);
        as.and_(r32(r), Imm(7));
        as.add(r32(r), Imm(8));
    }
    void times_16(Reg r) { as.shl(r32(r), Imm(4)); }
    /// r := ST(i)'s place, which must not be empty.
    void find(Reg r, unsigned i) {
        number(r, i);
        as.bt(x86::ecx, r32(r));
        as.jnc(slow);
        times_16(r);
    }
    void pop(unsigned n) {
        if (!n) return;
        get_tags();
        for (; n; --n) {
            number(rax, 0);
            as.btr(x86::ecx, x86::eax);
            as.lea(x86::eax, x86::ptr(x86::rcx, 1));
            as.and_(x86::eax, Imm(7));
            as.and_(x86::ecx, Imm(~7));
            as.or_(x86::ecx, x86::eax);
        }
        as.mov(dword(at.top_tags), x86::ecx);
    }
    /// The host's flags against the guest's; rax := the host's status word. Clobbers rcx.
    void check_flags(const Label& otherwise) {
        as.fnstsw(x86::ax);
        as.movzx(x86::ecx, word(at.status));
        as.not_(x86::ecx);
        as.and_(x86::ecx, x86::eax);
        as.test(x86::cl, Imm(kFlags));
        as.jne(otherwise);
    }
    /// Bits of the status word from rax. Clobbers rcx.
    void set_status(u32 bits) {
        as.movzx(x86::ecx, word(at.status));
        as.and_(x86::eax, Imm(bits));
        as.and_(x86::ecx, Imm(0xffff & ~bits));
        as.or_(x86::ecx, x86::eax);
        as.mov(word(at.status), x86::cx);
    }
    /// Clobbers rcx.
    void clear_c1() {
        as.movzx(x86::ecx, word(at.status));
        as.and_(x86::ecx, Imm(0xffff & ~kC1));
        as.mov(word(at.status), x86::cx);
    }

    void load();
    void arith();
    void compare();
    void store();
    void stored();
    void exchange();
    void move();
    void sign(bool clear);
    void square_root();
    void push_constant();
    void operate(const x86::Mem& m, bool integer);

    X64& e;
    x86::Assembler& as;
    const X87Form f;
    const X87Layout& at;
    Label slow, unclean, full;   // unclean: with host flags to clear; full: also a value on the host's stack
};

void Fast::push_constant() {
    switch (f.index) {
    case 0: as.fld1(); break;
    case 1: as.fldl2t(); break;
    case 2: as.fldl2e(); break;
    case 3: as.fldpi(); break;
    case 4: as.fldlg2(); break;
    case 5: as.fldln2(); break;
    default: as.fldz(); break;
    }
}

void Fast::load() {
    if (f.source == X87Form::st) find(rdx, f.index);
    // The register below the top must be empty.
    number(rax, 7);
    as.bt(x86::ecx, x86::eax);
    as.jc(slow);
    switch (f.source) {
    case X87Form::st: as.fld(reg(rdx)); break;
    case X87Form::m32: as.fld(scratch(4)); break;
    case X87Form::m64: as.fld(scratch(8)); break;
    case X87Form::constant: push_constant(); break;
    default: as.fild(scratch(8)); break;
    }
    if (f.source == X87Form::m32 || f.source == X87Form::m64) {
        check_flags(full);
        get_tags();
        number(rax, 7);
    }
    as.and_(x86::ecx, Imm(~7));
    as.bts(x86::ecx, x86::eax);
    as.lea(x86::edx, x86::ptr(x86::rcx, x86::rax, 0, -8));
    times_16(rax);
    as.fstp(reg(rax));
    as.mov(dword(at.top_tags), x86::edx);
    clear_c1();
}

void Fast::operate(const x86::Mem& m, bool integer) {
    switch (f.op) {
    case X87Form::add: integer ? as.fiadd(m) : as.fadd(m); break;
    case X87Form::mul: integer ? as.fimul(m) : as.fmul(m); break;
    case X87Form::sub: integer ? as.fisub(m) : as.fsub(m); break;
    case X87Form::subr: integer ? as.fisubr(m) : as.fsubr(m); break;
    case X87Form::div: integer ? as.fidiv(m) : as.fdiv(m); break;
    case X87Form::divr: integer ? as.fidivr(m) : as.fdivr(m); break;
    }
}

void Fast::arith() {
    // rdx: where the result goes.
    find(f.to_index ? rax : rdx, 0);
    if (f.source == X87Form::st) {
        find(f.to_index ? rdx : rax, f.index);
        as.fld(reg(f.to_index ? rax : rdx));
        as.fld(reg(f.to_index ? rdx : rax));
        switch (f.op) {  // ST(1) := ST(1) op ST(0)
        case X87Form::add: as.faddp(); break;
        case X87Form::mul: as.fmulp(); break;
        case X87Form::sub: as.fsubp(); break;
        case X87Form::subr: as.fsubrp(); break;
        case X87Form::div: as.fdivp(); break;
        case X87Form::divr: as.fdivrp(); break;
        }
    } else {
        as.fld(reg(rdx));
        operate(scratch(f.source == X87Form::m64 ? 8 : 4), f.source == X87Form::i16 || f.source == X87Form::i32);
    }
    check_flags(full);
    as.fstp(reg(rdx));
    set_status(kC1);
    pop(f.pops);
}

void Fast::compare() {
    find(rdx, 0);
    if (f.source == X87Form::st) {
        find(rax, f.index);
        as.fld(reg(rax));
        as.fld(reg(rdx));
        f.quiet ? as.fucompp() : as.fcompp();
    } else {
        as.fld(reg(rdx));
        const bool integer = f.source == X87Form::i16 || f.source == X87Form::i32;
        const x86::Mem m = scratch(f.source == X87Form::m64 ? 8 : 4);
        integer ? as.ficomp(m) : as.fcomp(m);
    }
    check_flags(unclean);
    if (f.kind == X87Form::compare_flags) {
        // C3, C2 and C0 lie where ZF, PF and CF do in the flag layout.
        static_assert(fl::ZF == 0x4000 && fl::PF == 0x400 && fl::CF == 0x100);
        as.and_(x86::eax, Imm(fl::ZF | fl::PF | fl::CF));
        as.or_(x86::eax, Imm(fl::One));
        as.mov(word(at.flags), x86::ax);
    } else {
        set_status(kCodes);
    }
    pop(f.pops);
}

void Fast::store() {
    find(rdx, 0);
    as.fld(reg(rdx));
    switch (f.source) {
    case X87Form::m32: as.fstp(scratch(4)); break;
    case X87Form::m64: as.fstp(scratch(8)); break;
    case X87Form::i16: as.fistp(scratch(2)); break;
    case X87Form::i32: as.fistp(scratch(4)); break;
    default: as.fistp(scratch(8)); break;
    }
    check_flags(unclean);
    as.and_(x86::eax, Imm(kC1 | kFlags));
    as.mov(word(at.store_status), x86::ax);
    as.mov(e.state(at.store_kept, 1), Imm(0));
    switch (f.source) {
    case X87Form::i16: as.movzx(x86::eax, scratch(2)); break;
    case X87Form::m32:
    case X87Form::i32: as.mov(x86::eax, scratch(4)); break;
    default: as.mov(x86::rax, scratch(8)); break;
    }
}

void Fast::stored() {
    as.cmp(e.state(at.store_kept, 1), Imm(0));
    as.jne(slow);
    as.movzx(x86::eax, word(at.store_status));
    as.movzx(x86::ecx, word(at.status));
    as.and_(x86::ecx, Imm(0xffff & ~kC1));
    as.or_(x86::ecx, x86::eax);
    as.mov(word(at.status), x86::cx);
    pop(f.pops);
}

void Fast::exchange() {
    find(rdx, 0);
    find(rax, f.index);
    as.fld(reg(rdx));
    as.fld(reg(rax));
    as.fstp(reg(rdx));
    as.fstp(reg(rax));
    clear_c1();
}

void Fast::move() {
    find(rdx, 0);
    if (f.index) {
        number(rax, f.index);
        as.bts(x86::ecx, x86::eax);
        as.mov(dword(at.top_tags), x86::ecx);
        times_16(rax);
        as.fld(reg(rdx));
        as.fstp(reg(rax));
    }
    clear_c1();
    pop(f.pops);
}

void Fast::sign(bool clear) {
    find(rdx, 0);
    if (clear) as.and_(reg(rdx, 8, 2), Imm(0x7fff));
    else as.xor_(reg(rdx, 8, 2), Imm(static_cast<i16>(-0x8000)));
    clear_c1();
}

void Fast::square_root() {
    find(rdx, 0);
    as.fld(reg(rdx));
    as.fsqrt();
    check_flags(full);
    as.fstp(reg(rdx));
    set_status(kC1);
}

void Fast::body(Ref operand) {
    const bool memory = f.kind == X87Form::load || f.kind == X87Form::arith || f.kind == X87Form::compare;
    if (memory && f.source != X87Form::st && f.source != X87Form::constant) as.mov(scratch(8), r64(e.use_clean(operand)));
    check_usual();
    get_tags();
    switch (f.kind) {
    case X87Form::load: load(); break;
    case X87Form::arith: arith(); break;
    case X87Form::compare:
    case X87Form::compare_flags: compare(); break;
    case X87Form::store: store(); break;
    case X87Form::stored: stored(); break;
    case X87Form::exchange: exchange(); break;
    case X87Form::move: move(); break;
    case X87Form::change_sign: sign(false); break;
    case X87Form::absolute: sign(true); break;
    case X87Form::sqrt: square_root(); break;
    case X87Form::none: break;
    }
}

void Fast::ways_out() {
    as.bind(full);
    as.fstp(x86::st(0));
    as.bind(unclean);
    as.fnclex();
    as.bind(slow);
}
}  // namespace

bool emit_x87(X64& e, const Inst& i) {
    if (!e.layout.x87 || !e.sw.x87 || !e.is_const(i.a)) return false;
    const X87Form form = e.layout.x87->form(static_cast<u16>(i.imm), e.inst(i.a).imm);
    if (form.kind == X87Form::none) return false;
    const HelperInfo& h = e.layout.helpers[i.imm];
    e.clobber();
    e.before_helper_writes(h);
    for (Reg r : {rax, rcx, rdx}) {
        e.take(r);
        e.lock(r);
    }
    Fast fast{e, form};
    if (i.b) e.use(i.b);
    const Ref args[3] = {i.a, i.b, i.c};
    X64::Cold& c = e.cold_helper(h, args);
    fast.body(i.b);
    e.as.jmp(c.back);
    fast.ways_out();
    e.jump_cold(c);
    e.as.bind(c.back);
    e.helper_done();
    if (i.type != Type::None) e.define(i, rax, true);
    return true;
}
}  // namespace calque::jit::x64
