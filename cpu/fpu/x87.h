// The x87 behind its helpers: stack, tags, exceptions. See SDM vol. 1, "Programming with the x87 FPU".
#pragma once
#include "cpu/cpu.h"
#include "support/softfloat/softfloat.h"

namespace calque {

namespace fsw {
constexpr u16 SF = 0x40, ES = 0x80, C0 = 0x100, C1 = 0x200, C2 = 0x400, C3 = 0x4000, B = 0x8000, Top = 0x3800, Codes = C0 | C1 | C2 | C3;
}

/// What a rule tells a helper about its instruction, packed into one constant.
struct FpuOp {
    enum Source : u8 { st, m32, m64, m80, i16, i32, i64, constant };
    u8 op = 0;             // the helper's own numbering
    u8 index = 0;          // i of ST(i), or which constant
    Source source = st;    // or destination, of stores
    bool to_index = false; // the result goes to ST(i)
    u8 pops = 0;
    u16 fop = 0;           // FOP: low bits of the first opcode byte, ModRM

    // The fields of a packed descriptor, for those who need one or two.
    static constexpr unsigned op_of(u64 v) { return v & 0xff; }
    static constexpr unsigned index_of(u64 v) { return v >> 8 & 7; }
    static constexpr Source source_of(u64 v) { return static_cast<Source>(v >> 12 & 7); }
    static constexpr unsigned pops_of(u64 v) { return v >> 17 & 3; }

    constexpr u64 pack() const {
        return u64{op} | u64{index} << 8 | u64{source} << 12 | u64{to_index} << 16 | u64{pops} << 17 | u64{fop} << 20;
    }
    static constexpr FpuOp unpack(u64 v) {
        return {static_cast<u8>(v), static_cast<u8>(v >> 8 & 7), static_cast<Source>(v >> 12 & 7), (v >> 16 & 1) != 0, static_cast<u8>(v >> 17 & 3),
                static_cast<u16>(v >> 20 & 0x7ff)};
    }
    static constexpr unsigned se_shift = 48;  // sign and exponent of an m80 source travel above
};

// FpuOp::op of the helpers.
namespace fop {
enum Arith : u8 { add, mul, com, comp, sub, subr, div, divr, ucom };   // the first eight as encoded
enum Store : u8 { round, truncate };
enum Stack : u8 { xch, move, move_unchecked, free, cmov };
enum Control : u8 { ldcw, nclex, ninit, wait };
enum Word : u8 { stcw, stsw };
enum Memory : u8 { nstenv, ldenv, nsave, rstor, bld, bstp, stp80 };
}  // namespace fop

/// One x87 instruction at work.
class X87 {
public:
    X87(CpuState& state, u64 descriptor, u64 address) : s{state}, f{state.fpu}, op{FpuOp::unpack(descriptor)}, address_{address} {
        env.rounding = static_cast<fp::Round>(f.cw >> 10 & 3);
        env.precision = fp::precision_of(f.cw >> 8 & 3);
        env.masks = f.cw & fp::kAllFlags;
        env.zen = s.cpu->zen();
    }

    /// True when an exception of an earlier instruction is pending; #MF has been raised then.
    bool pending();

    // ---- the stack
    unsigned physical(unsigned i) const { return (f.top_tags + i) & 7; }
    bool empty(unsigned i) const { return !(f.top_tags >> (8 + physical(i)) & 1); }
    fp::F80 st(unsigned i) const {
        const auto& r = f.reg[physical(i)];
        return {r.sig, r.se};
    }
    void set(unsigned i, fp::F80 v) {
        auto& r = f.reg[physical(i)];
        r.sig = v.sig, r.se = v.se;
        f.top_tags |= 0x100u << physical(i);
    }
    void free(unsigned i) { f.top_tags &= ~(0x100u << physical(i)); }
    void pop(unsigned n = 1) {
        for (; n; --n) {
            free(0);
            move_top(1);
        }
    }
    void move_top(unsigned by) { f.top_tags = (f.top_tags & ~7u) | ((f.top_tags + by) & 7); }
    void push(fp::F80 v) {
        move_top(7);
        set(0, v);
    }

    // ---- exceptions and condition codes
    void codes(u16 c) { f.sw = static_cast<u16>((f.sw & ~fsw::Codes) | c); }
    void c1(bool up) { f.sw = static_cast<u16>(up ? f.sw | fsw::C1 : f.sw & ~fsw::C1); }
    /// Records the operation's exceptions and C1. True when a result must not be written: IE, DE or ZE is not masked.
    bool settle();
    /// Stack overflow or underflow (IE and SF; C1 tells which). True when IE is not masked.
    bool stack_fault(bool overflow);
    /// settle(), then the result to ST(to), then the instruction's pops.
    void result(fp::F80 v, unsigned to);
    /// A stack underflow's masked response: default NaN to ST(to), and pops.
    void underflow(unsigned to);
    void note_unmasked();
    /// Before a store to memory: what it does to FSW, and whether an unmasked exception keeps it from happening. Then the operand must be
    /// writable all the same on Zen; on Intel the instruction ends before it looks at the operand.
    void prepare_store(u64 rip);

    CpuState& s;
    FpuState& f;
    FpuOp op;
    fp::FpEnv env;

private:
    u64 address_;
};

/// A pending error stops the next waiting instruction: as #MF, or with CR0.NE = 0 by FERR# unless IGNNE# lets it go on.
bool x87_waits(const CpuState&);
void raise_x87(CpuState&);
void set_error_summary(FpuState&);        // there is an error that is not masked
void update_error_summary(FpuState&);     // ES and B follow from the flags and masks
void reset_fpu(FpuState&);                // FNINIT
u16 status_word(const FpuState&);         // with TOP
void set_status_word(FpuState&, u16 sw);
u16 full_tags(const FpuState&);           // two bits a register, as in the environment
void set_full_tags(FpuState&, u16 tags);
}  // namespace calque
