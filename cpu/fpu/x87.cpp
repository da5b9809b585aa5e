#include "cpu/fpu/x87.h"

#include <cstring>

#include "cpu/fpu/fast.h"
#include "cpu/helpers.h"
#include "cpu/memory.h"

namespace calque {

using namespace fp;

bool x87_waits(const CpuState& s) { return (s.fpu.sw & fsw::ES) && ((s.cr0 & cr0::NE) || !s.fpu.ignored); }

void raise_x87(CpuState& s) {
    raise(s, vec::MF);
    s.exception.ferr = !(s.cr0 & cr0::NE);
}

bool X87::pending() {
    if (!x87_waits(s)) return false;
    raise_x87(s);
    return true;
}

void set_error_summary(FpuState& f) {
    if (!(f.sw & fsw::ES)) f.reported = f.ignored = false;   // FERR#, and with it IGNNE#, went when the last error was cleared
    f.sw |= fsw::ES | fsw::B;
}

void update_error_summary(FpuState& f) {
    const bool error = f.sw & ~f.cw & kAllFlags;
    if (error) set_error_summary(f);
    else f.sw &= static_cast<u16>(~(fsw::ES | fsw::B));
}

void reset_fpu(FpuState& f) {
    f.cw = 0x37f;
    f.sw = 0;
    f.top_tags = 0;
    f.opcode = f.ip_sel = f.dp_sel = 0;
    f.ip = f.dp = 0;
}

u16 status_word(const FpuState& f) { return static_cast<u16>(f.sw | (f.top_tags & 7) << 11); }

void set_status_word(FpuState& f, u16 sw) {
    f.sw = sw & static_cast<u16>(~fsw::Top);
    f.top_tags = (f.top_tags & ~7u) | (sw >> 11 & 7);
}

u16 full_tags(const FpuState& f) {
    u16 tags = 0;
    for (unsigned i = 0; i < 8; ++i) {
        unsigned tag = 3;  // empty
        if (f.top_tags >> (8 + i) & 1) {
            switch (classify({f.reg[i].sig, f.reg[i].se})) {
            case Class::normal: tag = 0; break;
            case Class::zero: tag = 1; break;
            default: tag = 2; break;
            }
        }
        tags = static_cast<u16>(tags | tag << (2 * i));
    }
    return tags;
}

void set_full_tags(FpuState& f, u16 tags) {
    u32 valid = 0;
    for (unsigned i = 0; i < 8; ++i) valid |= u32{(tags >> (2 * i) & 3) != 3} << (8 + i);
    f.top_tags = (f.top_tags & 7) | valid;
}

void X87::note_unmasked() {
    set_error_summary(f);
    if (s.cpu->zen()) return;   // which notes them anyway (helper_fpu_note)
    f.opcode = op.fop;
    f.dp = address_;
}

void X87::prepare_store(u64 rip) {
    f.store_sw = static_cast<u16>(env.flags | (env.rounded_up ? fsw::C1 : 0) | (empty(0) ? fsw::SF : 0));
    f.store_kept = env.flags & ~env.masks & ~PE;
    if (!f.store_kept || s.cpu->zen()) return;
    f.sw = static_cast<u16>((f.sw & ~fsw::C1) | f.store_sw);
    note_unmasked();
    f.ip = rip;
    s.x.fault = jit::Fault::done;
}

bool X87::settle() {
    f.sw = static_cast<u16>((f.sw & ~fsw::C1) | env.flags | (env.rounded_up ? fsw::C1 : 0));
    const u8 unmasked = env.flags & ~env.masks;
    if (!unmasked) return false;
    note_unmasked();
    return unmasked & (IE | DE | ZE);
}

bool X87::stack_fault(bool overflow) {
    env.flags = IE;
    env.rounded_up = overflow;
    f.sw |= fsw::SF;
    return settle();
}

void X87::result(F80 v, unsigned to) {
    if (settle()) return;
    set(to, v);
    pop(op.pops);
}

void X87::underflow(unsigned to) {
    if (stack_fault(false)) return;
    set(to, kDefaultNan80);
    pop(op.pops);
}

// ---- loads

namespace {

F80 loaded(X87& x, u64 descriptor, u64 bits) {
    switch (x.op.source) {
    case FpuOp::m32: return widen(F32{static_cast<u32>(bits)}, x.env);
    case FpuOp::m64: return widen(F64{bits}, x.env);
    case FpuOp::m80: return {bits, static_cast<u16>(descriptor >> FpuOp::se_shift)};
    case FpuOp::i16:
    case FpuOp::i32:
    case FpuOp::i64: return f80_from_int(static_cast<i64>(bits));
    case FpuOp::constant: return constant(x.op.index, x.env.rounding);
    case FpuOp::st: break;
    }
    return x.st(x.op.index);
}

/// An operand of arithmetic: signaling NaNs and denormals are left to the operation.
F80 operand(X87& x, u64 bits) {
    switch (x.op.source) {
    case FpuOp::m32: return widen_operand(F32{static_cast<u32>(bits)}, x.env);
    case FpuOp::m64: return widen_operand(F64{bits}, x.env);
    case FpuOp::st: return x.st(x.op.index);
    default: return f80_from_int(static_cast<i64>(bits));
    }
}

u16 codes_of(Relation r) {
    switch (r) {
    case Relation::less: return fsw::C0;
    case Relation::equal: return fsw::C3;
    case Relation::greater: return 0;
    case Relation::unordered: break;
    }
    return fsw::C0 | fsw::C2 | fsw::C3;
}

void compare_with(X87& x, F80 other, bool missing) {
    const bool quiet = x.op.op == fop::ucom;
    Relation r = Relation::unordered;
    if (!missing) r = compare(x.st(0), other, !quiet, x.env);
    const bool stop = missing ? x.stack_fault(false) : x.settle();
    x.codes(codes_of(r));  // also when the exception is not masked, as AMD's processors do
    if (!stop) x.pop(x.op.pops);
}
}  // namespace

namespace {
bool fast_load(FpuState& f, u64 d, u64 bits) {
    if (!fast::usual(f)) return false;
    fast::Reg v;
    if (FpuOp::source_of(d) == FpuOp::st) {
        if (!fast::valid(f, FpuOp::index_of(d))) return false;
        v = fast::reg(f, FpuOp::index_of(d));
    } else if (!fast::operand(FpuOp::source_of(d), bits, v)) {
        return false;
    }
    if (!fast::make_room(f)) return false;
    fast::set_c1(f, false);
    auto& r = fast::reg(f, 0);
    r.sig = v.sig, r.se = v.se;
    return true;
}

bool fast_arith(FpuState& f, u64 d, u64 bits) {
    if (!fast::usual(f) || !fast::valid(f, 0)) return false;
    fast::Reg from_memory;
    const fast::Reg* right = &from_memory;
    if (FpuOp::source_of(d) == FpuOp::st) {
        if (!fast::valid(f, FpuOp::index_of(d))) return false;
        right = &fast::reg(f, FpuOp::index_of(d));
    } else if (!fast::operand(FpuOp::source_of(d), bits, from_memory)) {
        return false;
    }
    auto& st0 = fast::reg(f, 0);
    const unsigned op = FpuOp::op_of(d);
    if (op == fop::com || op == fop::comp || op == fop::ucom) {
        u16 codes;
        if (!fast::compare(st0, *right, codes)) return false;
        f.sw = static_cast<u16>((f.sw & ~fsw::Codes) | codes);
    } else if (!fast::arith(f, op, st0, *right, fast::reg(f, d >> 16 & 1 ? FpuOp::index_of(d) : 0))) {
        return false;
    }
    fast::pop(f, FpuOp::pops_of(d));
    return true;
}

bool fast_store(FpuState& f, u64 d, u64& out) {
    if (FpuOp::source_of(d) != FpuOp::m64 || !fast::usual(f) || !fast::valid(f, 0)) return false;
    if (!fast::narrow64(fast::reg(f, 0), out, f.store_sw)) return false;
    f.store_kept = false;
    return true;
}
}  // namespace

u64 helper_fpu_load(CpuState& s, u64 a, u64 b, u64 c) {
    if (fast_load(s.fpu, a, b)) return 0;
    X87 x{s, a, c};
    if (x.pending()) return 0;
    const bool missing = x.op.source == FpuOp::st && x.empty(x.op.index);
    if (missing || !x.empty(7)) {
        if (!x.stack_fault(!missing)) x.push(kDefaultNan80);
        return 0;
    }
    const F80 v = loaded(x, a, b);
    x.env.rounded_up = false;  // loads clear C1, constants included
    x.settle();
    if (!(x.env.flags & ~x.env.masks & IE)) x.push(v);
    return 0;
}

u64 helper_fpu_arith(CpuState& s, u64 a, u64 b, u64 c) {
    if (fast_arith(s.fpu, a, b)) return 0;
    X87 x{s, a, c};
    if (x.pending()) return 0;
    const unsigned to = x.op.to_index ? x.op.index : 0;
    const bool missing = x.empty(0) || (x.op.source == FpuOp::st && x.empty(x.op.index));
    const F80 left = x.st(0), right = operand(x, b);
    FpEnv& e = x.env;
    if (x.op.op == fop::com || x.op.op == fop::comp || x.op.op == fop::ucom) return compare_with(x, right, missing), 0;
    if (missing) return x.underflow(to), 0;
    switch (x.op.op) {
    case fop::add: x.result(add(left, right, e), to); break;
    case fop::mul: x.result(mul(left, right, e), to); break;
    case fop::sub: x.result(sub(left, right, e), to); break;
    case fop::subr: x.result(sub(right, left, e), to); break;
    case fop::div: x.result(div(left, right, e), to); break;
    default: x.result(div(right, left, e), to); break;
    }
    return 0;
}

u64 helper_fpu_compare_flags(CpuState& s, u64 a, u64, u64 c) {
    const unsigned i = FpuOp::index_of(a);
    u16 codes;
    if (fast::usual(s.fpu) && fast::valid(s.fpu, 0) && fast::valid(s.fpu, i) &&
        fast::compare(fast::reg(s.fpu, 0), fast::reg(s.fpu, i), codes)) {
        s.flags = static_cast<u16>(jit::fl::One | (codes & fsw::C0 ? jit::fl::CF : 0) | (codes & fsw::C3 ? jit::fl::ZF : 0));
        return fast::pop(s.fpu, FpuOp::pops_of(a)), 0;
    }
    X87 x{s, a, c};
    if (x.pending()) return 0;
    const u16 c1 = s.fpu.sw & fsw::C1;
    const bool missing = x.empty(0) || x.empty(x.op.index);
    Relation r = Relation::unordered;
    if (!missing) r = compare(x.st(0), x.st(x.op.index), x.op.op != fop::ucom, x.env);
    const bool stop = missing ? x.stack_fault(false) : x.settle();
    if (!missing) s.fpu.sw |= c1;  // only a stack fault touches it
    u16 flags = jit::fl::One;
    if (r == Relation::less) flags |= jit::fl::CF;
    if (r == Relation::equal) flags |= jit::fl::ZF;
    if (r == Relation::unordered) flags |= jit::fl::CF | jit::fl::ZF | jit::fl::PF;
    s.flags = flags;  // OF, SF and AF become 0
    if (!stop) x.pop(x.op.pops);
    return 0;
}

// ---- stores to memory: the value first, the rest when the store has not faulted

namespace {
u64 stored(X87& x) {
    const bool truncate = x.op.op == fop::truncate, none = x.empty(0);
    const Round mode = truncate ? Round::zero : x.env.rounding;
    if (none) x.env.flags = IE;
    const F80 v = x.st(0);
    switch (x.op.source) {
    case FpuOp::m32: return none ? kDefaultNan32.bits : f80_to_f32(v, x.env).bits;
    case FpuOp::m64: return none ? kDefaultNan64.bits : f80_to_f64(v, x.env).bits;
    case FpuOp::i16: return static_cast<u16>(none ? i16{-0x8000} : to_int<i16>(v, mode, x.env));
    case FpuOp::i32: return static_cast<u32>(none ? i32{-0x7fffffff - 1} : to_int<i32>(v, mode, x.env));
    default: return none ? u64{1} << 63 : static_cast<u64>(to_int<i64>(v, mode, x.env));
    }
}
unsigned stored_bytes(FpuOp::Source s) {
    return s == FpuOp::i16 ? 2 : s == FpuOp::m32 || s == FpuOp::i32 ? 4 : 8;
}
}  // namespace

u64 helper_fpu_store_value(CpuState& s, u64 a, u64 b, u64 c) {
    u64 v;
    if (fast_store(s.fpu, a, v)) return v;
    X87 x{s, a, c};
    if (x.pending()) return 0;
    v = stored(x);
    x.prepare_store(b);
    auto& f = s.fpu;
    if (f.store_kept && x.s.cpu->zen()) {
        // Nothing may be stored: give back what is there, which must be writable all the same.
        v = 0;
        if (!probe_linear(s, c, stored_bytes(x.op.source), true) || !read_linear(s, c, &v, stored_bytes(x.op.source))) return 0;
    }
    return v;
}

u64 helper_fpu_store_wide(CpuState& s, u64 a, u64 b, u64 c) {
    X87 x{s, a, c};
    if (x.pending()) return 0;
    const F80 v = x.empty(0) ? kDefaultNan80 : x.st(0);
    if (x.op.op == fop::bstp) {
        const Bcd d = f80_to_bcd(v, x.env);
        std::memcpy(&s.x.vec, d.bytes, sizeof d.bytes);   // hosts are little-endian
    } else {
        s.x.vec = {v.sig, v.se};
    }
    if (x.empty(0)) x.env.flags = IE;
    x.prepare_store(b);
    return s.x.vec.lo;
}

u64 helper_fpu_store_done(CpuState& s, u64 a, u64, u64 c) {
    if (s.fpu.cw == 0x37f && !s.fpu.store_kept) {  // nothing can be unmasked
        s.fpu.sw = static_cast<u16>((s.fpu.sw & ~fsw::C1) | s.fpu.store_sw);
        return fast::pop(s.fpu, FpuOp::pops_of(a)), 0;
    }
    X87 x{s, a, c};
    x.f.sw = static_cast<u16>((x.f.sw & ~fsw::C1) | x.f.store_sw);
    if (x.f.store_sw & ~x.f.cw & kAllFlags) x.note_unmasked();
    if (!x.f.store_kept) x.pop(x.op.pops);
    return 0;
}
}  // namespace calque
