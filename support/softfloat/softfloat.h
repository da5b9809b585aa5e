// Floating point as an x86 does it, in integers only: the same bits and the same exception flags on every host.
// Formats: binary32 and binary64 with SSE's rules, and the x87's 80-bit format with the x87's rules. An operation
// reads rounding, masks and so on from an FpEnv and adds to its flags. When it raises an exception that is not
// masked (flags & ~masks), the returned value is what the processor would have written, if it writes anything
// (see each group), and the caller decides whether to write it.
#pragma once
#include "support/types.h"

namespace calque::fp {

struct F16 {
    u16 bits;
    friend bool operator==(const F16&, const F16&) = default;
};
struct F32 {
    u32 bits;
    friend bool operator==(const F32&, const F32&) = default;
};
struct F64 {
    u64 bits;
    friend bool operator==(const F64&, const F64&) = default;
};
/// Significand with explicit integer bit, then sign (bit 15) and biased exponent, as in memory.
struct F80 {
    u64 sig;
    u16 se;
    friend bool operator==(const F80&, const F80&) = default;
};

/// Encoded as RC in FCW and MXCSR.
enum class Round : u8 { nearest, down, up, zero };

/// Encoded as the status bits of FSW and MXCSR, and as the masks of FCW (MXCSR's masks shifted right by 7).
enum Flag : u8 { IE = 1, DE = 2, ZE = 4, OE = 8, UE = 16, PE = 32 };
constexpr u8 kAllFlags = 0x3F;

struct FpEnv {
    Round rounding = Round::nearest;
    u8 precision = 64;        // F80 add, sub, mul, div, sqrt: 24, 53 or 64 bits (FCW.PC)
    bool daz = false;         // F32, F64: denormal operands count as zeros
    bool ftz = false;         // F32, F64: masked underflow gives zero
    u8 masks = kAllFlags;     // set bit: exception is masked
    u8 flags = 0;             // out: exceptions raised, accumulated
    bool rounded_up = false;  // out: the last result's magnitude was rounded up (C1)
    // An F80 operand that came from a denormal in memory (widen_operand), which is DE unless a NaN comes first.
    bool memory_denormal = false;
    bool zen = false;         // as AMD's Zen where it differs from Intel's processors

    bool unmasked() const { return flags & ~masks; }
};

/// FCW.PC to significand bits; the reserved encoding 01 behaves as 64.
constexpr u8 precision_of(unsigned pc) { return pc == 0 ? 24 : pc == 2 ? 53 : 64; }

constexpr F16 kDefaultNan16{0xFE00};
constexpr F32 kDefaultNan32{0xFFC00000};
constexpr F64 kDefaultNan64{0xFFF8000000000000};
constexpr F80 kDefaultNan80{0xC000000000000000, 0xFFFF};

// Arithmetic, for F32, F64 and F80. F80 with unmasked overflow or underflow returns the result with its exponent
// moved by 24576, which the x87 stores to a register.
template <class F> F add(F a, F b, FpEnv&);
template <class F> F sub(F a, F b, FpEnv&);
template <class F> F mul(F a, F b, FpEnv&);
template <class F> F div(F a, F b, FpEnv&);
template <class F> F sqrt(F a, FpEnv&);
/// a * b + c, rounded once, for F32 and F64. A NaN among the operands is looked for in this order; signs are not changed in one.
struct FusedSigns {
    bool negate_product = false, negate_addend = false;
};
template <class F> F fused_multiply_add(F a, F b, F c, FusedSigns, FpEnv&);
/// Rounds to an integral value by env.rounding. `exact_flag` false keeps PE clear (ROUNDPS bit 3).
template <class F> F round_to_int(F a, FpEnv&, bool exact_flag = true);

enum class Relation : u8 { less, equal, greater, unordered };
/// `signaling` raises IE for quiet NaNs as well (COMISD, CMPLTPD, FCOM); otherwise only for signaling ones.
template <class F> Relation compare(F a, F b, bool signaling, FpEnv&);

/// MINPS/MAXPS and kin: the second operand when both are zero or one is a NaN (which raises IE).
template <class F> F min(F a, F b, FpEnv&);
template <class F> F max(F a, F b, FpEnv&);

// Between formats. From F32 and F64 as CVTSS2SD and FLD do (DE for denormals), from F80 as FST does (no DE).
F64 f32_to_f64(F32, FpEnv&);
F32 f64_to_f32(F64, FpEnv&);
// Half precision (VCVTPH2PS, VCVTPS2PH): denormals are numbers on its side, and no exception, whatever `daz` and `ftz` say.
F32 f16_to_f32(F16, FpEnv&);
F16 f32_to_f16(F32, FpEnv&);
F80 widen(F32, FpEnv&);
F80 widen(F64, FpEnv&);
F32 f80_to_f32(F80, FpEnv&);
F64 f80_to_f64(F80, FpEnv&);
/// A memory operand of an x87 operation: signaling NaNs stay so and DE is left to the operation.
F80 widen_operand(F32, FpEnv&);
F80 widen_operand(F64, FpEnv&);

// Integers. I is i16, i32 or i64; what does not fit gives the integer indefinite (most negative) and IE.
template <class I, class F> I to_int(F a, Round, FpEnv&);
F32 f32_from_int(i64, FpEnv&);
F64 f64_from_int(i64, FpEnv&);
F80 f80_from_int(i64);

// x87 only from here.
struct Bcd {  // packed decimal as FBLD and FBSTP have it in memory: 18 digits, then the sign byte
    u8 bytes[10];
};
F80 f80_from_bcd(const Bcd&);
Bcd f80_to_bcd(F80, FpEnv&);

/// FPREM (`nearest` false) and FPREM1: the remainder, low quotient bits, and whether reduction is incomplete (C2).
struct Remainder {
    F80 value;
    u8 quotient;  // the three low bits; 0 when partial
    bool partial;
};
Remainder remainder(F80 a, F80 b, bool nearest, FpEnv&);

/// FSCALE: a * 2^trunc(b).
F80 scale(F80 a, F80 b, FpEnv&);

/// FXTRACT.
struct Extract {
    F80 exponent, significand;
};
Extract extract(F80, FpEnv&);

enum class Class : u8 { unsupported, nan, normal, infinity, zero, denormal };  // FXAM
Class classify(F80);

// Transcendentals; results are within one unit in the last place of the exact value, whatever FCW.PC says.
// Arguments of 2^63 and above are out of range for the trigonometric ones (C2) and come back as they are.
bool trig_in_range(F80);
F80 sin(F80, FpEnv&);
F80 cos(F80, FpEnv&);
F80 tan(F80, FpEnv&);
F80 atan2(F80 y, F80 x, FpEnv&);
F80 exp2_minus_1(F80, FpEnv&);               // F2XM1
F80 y_log2_x(F80 y, F80 x, FpEnv&);          // FYL2X
F80 y_log2_x_plus_1(F80 y, F80 x, FpEnv&);   // FYL2XP1

/// FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ in the order of their encodings (D9 E8..EE).
F80 constant(unsigned index, Round);

// RCPSS and RSQRTSS: correctly rounded to 12 bits of significand, well inside the manual's 1.5 * 2^-12. No flags.
F32 reciprocal_estimate(F32);
F32 reciprocal_sqrt_estimate(F32);
}  // namespace calque::fp
