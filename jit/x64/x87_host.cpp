// The host's instruction for each x87 form.
#include "jit/x64/x64.h"

namespace calque::jit::x64 {
namespace {
using F = X87Form;
bool integer(const F& f) { return f.source == F::i16 || f.source == F::i32 || f.source == F::i64; }

void constant(x86::Assembler& as, unsigned index) {
    switch (index) {
    case 0: as.fld1(); break;
    case 1: as.fldl2t(); break;
    case 2: as.fldl2e(); break;
    case 3: as.fldpi(); break;
    case 4: as.fldlg2(); break;
    case 5: as.fldln2(); break;
    default: as.fldz(); break;
    }
}

void load(x86::Assembler& as, const F& f, const x86::Mem& m) {
    if (f.source == F::st) as.fld(x86::st(f.index));
    else if (f.source == F::constant) constant(as, f.index);
    else integer(f) ? as.fild(m) : as.fld(m);
}

void arith_memory(x86::Assembler& as, const F& f, const x86::Mem& m) {
    const bool i = integer(f);
    switch (f.op) {
    case F::add: i ? as.fiadd(m) : as.fadd(m); break;
    case F::mul: i ? as.fimul(m) : as.fmul(m); break;
    case F::sub: i ? as.fisub(m) : as.fsub(m); break;
    case F::subr: i ? as.fisubr(m) : as.fsubr(m); break;
    case F::div: i ? as.fidiv(m) : as.fdiv(m); break;
    case F::divr: i ? as.fidivr(m) : as.fdivr(m); break;
    }
}

/// ST(i) := ST(0) op ST(i), where the host's names say which side the destination stands on.
void arith_index(x86::Assembler& as, const F& f) {
    const x86::St i = x86::st(f.index), top = x86::st(0);
    switch (f.op) {
    case F::add: f.pops ? as.faddp(i) : as.fadd(i, top); break;
    case F::mul: f.pops ? as.fmulp(i) : as.fmul(i, top); break;
    case F::sub: f.pops ? as.fsubrp(i) : as.fsubr(i, top); break;
    case F::subr: f.pops ? as.fsubp(i) : as.fsub(i, top); break;
    case F::div: f.pops ? as.fdivrp(i) : as.fdivr(i, top); break;
    case F::divr: f.pops ? as.fdivp(i) : as.fdiv(i, top); break;
    }
}

void arith(x86::Assembler& as, const F& f, const x86::Mem& m) {
    if (f.in_memory()) return arith_memory(as, f, m);
    if (f.to_index) return arith_index(as, f);
    const x86::St i = x86::st(f.index), top = x86::st(0);
    switch (f.op) {
    case F::add: as.fadd(top, i); break;
    case F::mul: as.fmul(top, i); break;
    case F::sub: as.fsub(top, i); break;
    case F::subr: as.fsubr(top, i); break;
    case F::div: as.fdiv(top, i); break;
    case F::divr: as.fdivr(top, i); break;
    }
}

void compare(x86::Assembler& as, const F& f, const x86::Mem& m) {
    const x86::St i = x86::st(f.index);
    if (f.in_memory()) {
        if (integer(f)) f.pops ? as.ficomp(m) : as.ficom(m);
        else f.pops ? as.fcomp(m) : as.fcom(m);
    } else if (f.pops == 2) {
        f.quiet ? as.fucompp() : as.fcompp();
    } else if (f.quiet) {
        f.pops ? as.fucomp(i) : as.fucom(i);
    } else {
        f.pops ? as.fcomp(i) : as.fcom(i);
    }
}

void compare_flags(x86::Assembler& as, const F& f) {
    const x86::St i = x86::st(f.index);
    if (f.quiet) f.pops ? as.fucomip(i) : as.fucomi(i);
    else f.pops ? as.fcomip(i) : as.fcomi(i);
}

void store(x86::Assembler& as, const F& f, const x86::Mem& m) {
    if (f.truncate) as.fisttp(m);
    else if (integer(f)) f.pops ? as.fistp(m) : as.fist(m);
    else f.pops ? as.fstp(m) : as.fst(m);
}
}  // namespace

unsigned x87_bytes(const F& f) {
    switch (f.source) {
    case F::i16: return 2;
    case F::m32:
    case F::i32: return 4;
    case F::m80: return 10;
    default: return 8;
    }
}

void emit_x87_host(x86::Assembler& as, const F& f, x86::Mem m) {
    m.setSize(x87_bytes(f));
    switch (f.kind) {
    case F::load: load(as, f, m); break;
    case F::arith: arith(as, f, m); break;
    case F::compare: compare(as, f, m); break;
    case F::compare_flags: compare_flags(as, f); break;
    case F::store: store(as, f, m); break;
    case F::store_wide: as.fstp(m); break;
    case F::exchange: as.fxch(x86::st(f.index)); break;
    case F::move: f.pops ? as.fstp(x86::st(f.index)) : as.fst(x86::st(f.index)); break;
    case F::free: as.ffree(x86::st(f.index)); break;
    case F::conditional: as.fcmovne(x86::st(f.index)); break;
    case F::change_sign: as.fchs(); break;
    case F::absolute: as.fabs(); break;
    case F::test: as.ftst(); break;
    case F::examine: as.fxam(); break;
    case F::step_down: as.fdecstp(); break;
    case F::step_up: as.fincstp(); break;
    case F::sqrt: as.fsqrt(); break;
    case F::round: as.frndint(); break;
    case F::remainder: as.fprem(); break;
    case F::nearest_remainder: as.fprem1(); break;
    case F::scale: as.fscale(); break;
    case F::extract: as.fxtract(); break;
    case F::clear_flags: as.fnclex(); break;
    case F::status_word: as.fnstsw(x86::ax); break;
    case F::none: case F::stored: case F::load_control: case F::wait: case F::control_word: break;
    }
}
}  // namespace calque::jit::x64
