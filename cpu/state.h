// Architectural state of one processor, and the names by which IR reaches it.
#pragma once
#include <array>

#include "jit/context.h"
#include "support/types.h"
#include "support/write_watch.h"

namespace calque {

class Cpu;
class Debug;   // cpu/debug.h
class Mmu;     // cpu/mmu.h
class Observer;   // cpu/observer.h

enum Seg : u8 { ES, CS, SS, DS, FS, GS, kSegs };
enum Gpr : u8 { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

/// A segment register with its hidden part. `attr` holds bits 8..15 and 20..23 of the descriptor's high dword in place:
/// type, S, DPL, P at 8..15; AVL, L, D/B, G at 20..23.
struct Segment {
    u16 selector = 0;
    u32 attr = 0;
    u32 limit = 0;  // in bytes, expanded by G
    u64 base = 0;
    bool present() const { return attr & 0x8000; }
    unsigned type() const { return attr >> 8 & 15; }
    bool system() const { return !(attr & 0x1000); }
    bool code() const { return (attr & 0x1800) == 0x1800; }
    bool writable() const { return (attr & 0x1a00) == 0x1200; }
    bool readable() const { return (attr & 0x1800) == 0x1000 || (attr & 0x1a00) == 0x1a00; }
    bool expand_down() const { return (attr & 0x1c00) == 0x1400; }
    bool conforming() const { return (attr & 0x1c00) == 0x1c00; }
    unsigned dpl() const { return attr >> 13 & 3; }
    bool big() const { return attr & 0x400000; }   // D/B
    bool long_mode() const { return attr & 0x200000; }
};

namespace eflags {
constexpr u32 CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, TF = 0x100, IF = 0x200, DF = 0x400, OF = 0x800, IOPL = 0x3000,
              NT = 0x4000, RF = 0x10000, VM = 0x20000, AC = 0x40000, VIF = 0x80000, VIP = 0x100000, ID = 0x200000;
constexpr u32 Arithmetic = CF | PF | AF | ZF | SF | OF;
}  // namespace eflags
namespace cr0 {
constexpr u64 PE = 1, MP = 2, EM = 4, TS = 8, ET = 0x10, NE = 0x20, WP = 0x10000, AM = 0x40000, NW = 1u << 29, CD = 1u << 30, PG = 1u << 31;
}
namespace cr4 {
constexpr u64 VME = 1, PVI = 2, TSD = 4, DE = 8, PSE = 0x10, PAE = 0x20, MCE = 0x40, PGE = 0x80, PCE = 0x100, OSFXSR = 0x200,
              OSXMMEXCPT = 0x400, UMIP = 0x800, FSGSBASE = 0x10000, PCIDE = 0x20000, OSXSAVE = 0x40000, SMEP = 0x100000, SMAP = 0x200000;
}
namespace efer {
constexpr u64 SCE = 1, LME = 0x100, LMA = 0x400, NXE = 0x800;
}

/// What a block depends on besides its bytes (jit::Mode::bits). Built by compute_mode() whenever any of it may have changed.
namespace mode {
constexpr u32 ViewSupervisor = 0, ViewUser = 1, ViewSmapOff = 2;   // bits 0-1: which TLB view (ViewSmapOff: CPL < 3, AC = 1)
constexpr u32 Code32 = 1 << 2, Code64 = 1 << 3;                    // neither: 16-bit
constexpr u32 Stack32 = 1 << 4;                                    // SS.B (in 64-bit code the stack is 64 bits wide)
constexpr u32 Protected = 1 << 5, Vm86 = 1 << 6;
constexpr u32 FlatCs = 1 << 7, FlatDs = 1 << 8, FlatEs = 1 << 9, FlatSs = 1 << 10;  // base 0, limit 4 GiB, all accesses allowed
constexpr u32 FpuTrap = 1 << 11;      // CR0.EM or TS: x87 gives #NM
constexpr u32 WaitTrap = 1 << 12;     // CR0.MP and TS: WAIT gives #NM
constexpr u32 SseUd = 1 << 13;        // CR0.EM or no CR4.OSFXSR: SSE gives #UD
constexpr u32 SseNm = 1 << 14;        // CR0.TS
constexpr u32 SseUnmasked = 1 << 15;  // MXCSR leaves an exception unmasked: floating-point vector ops go through helpers
constexpr u32 AlignCheck = 1 << 16;   // CR0.AM, EFLAGS.AC, CPL 3
constexpr u32 MmxEm = 1 << 17;        // CR0.EM: MMX gives #UD
constexpr u32 AvxUd = 1 << 18;        // no CR4.OSXSAVE, or XCR0 without SSE or AVX state: AVX gives #UD
}  // namespace mode

constexpr unsigned kVecArgs = 6;   // the lower and upper halves of three operands

/// State slots, the registers that IR names. The table is in slots.cpp.
namespace slot {
constexpr u8 gpr = 0;           // 16, I64
constexpr u8 flags = 16;        // I16, arithmetic flags in jit::fl layout
constexpr u8 df = 17;           // I8: 0 or 1
constexpr u8 base = 18;         // 6, I64: segment bases in the order of Seg
constexpr u8 read_end = 24;     // 6, I64: offsets below it may be read without a check (0: always check)
constexpr u8 write_end = 30;    // 6, I64
constexpr u8 mxcsr = 36;        // I32
constexpr u8 mmx_touch = 37;    // I32: TOP (bits 0-2) and the abridged tags (bits 8-15, 1 = valid), see FpuState
constexpr u8 mmx = 38;          // 8, I64: the significands of the x87 registers
constexpr u8 xmm = 46;          // 16, V128
constexpr u8 code_end = 62;     // I64: offsets of code bytes are below it (CS limit + 1)
constexpr u8 fpu_ip = 63;       // I64: where the last x87 instruction was (FpuState::ip)
constexpr u8 ymm_high = 64;     // 16, V128: bits 128 to 255 of the YMM registers
constexpr u8 vec_arg = 80;      // kVecArgs, V128: what vector helpers are given and give back
constexpr u8 count = 86;
}  // namespace slot

/// x87 state. Registers are physical (R0..R7); ST(i) is reg[(top + i) & 7].
struct FpuState {
    struct alignas(16) Reg {
        u64 sig = 0;
        u16 se = 0;  // sign and exponent
    };
    Reg reg[8];
    u32 top_tags = 0;   // bits 0-2 TOP; bits 8-15 one bit a physical register, 1 = not empty (as in FXSAVE's FTW)
    u16 cw = 0x37f;
    u16 sw = 0;         // without TOP
    u16 opcode = 0, ip_sel = 0, dp_sel = 0;
    u64 ip = 0, dp = 0;
    u16 store_sw = 0;         // between the two helpers of a store (fpu_store_value, fpu_store_done)
    bool store_kept = false;
    bool reported = false, ignored = false;   // with CR0.NE = 0: FERR# has gone out for the pending error; IGNNE# has come back
};

/// An exception on its way to delivery.
struct Exception {
    u8 vector = 0;
    bool has_error = false;
    u32 error = 0;
    u64 address = 0;     // #PF: the new CR2; #DB: the bits to set in DR6; noncanonical: the address
    bool trap = false;      // #DB: RIP is already behind the instruction
    bool ferr = false;   // not delivered: an x87 error that goes out by FERR#
    bool noncanonical = false;  // #GP for an address that cannot be; it is #SS when the instruction went by the stack segment
};

/// For those who look at single instructions (Cpu::run_instructions(), Cpu::stop_at_vector()). The guest cannot see it.
struct Tracing {
    int stop_vector = -1;     // the delivery of this vector stops the run instead
    bool stopped = false;     // it has; CpuState::exception tells
    bool stepping = false;    // a slice ends after an exception and after a repeated string instruction
    bool repeating = false;   // the repeated string instruction at RIP has begun
    u64 repeats = 0;          // iterations beyond the first of each string instruction
    u64 faults = 0;           // instructions that did not retire: a delivery (or its stop) has ended them
    u64 fault_at = 0, faults_there = 0;   // how many of them when so many instructions, the last such count, had retired
    u64 events = 0;           // that take_event() has taken
    u64 exceptions = 0;       // all that were delivered, and the last of them
    Exception last;
};

struct CpuState {
    jit::ExecContext x;      // first: see jit/context.h
    u64 gpr[16]{};
    u16 flags = jit::fl::One;  // arithmetic flags, jit::fl layout
    u8 df = 0;
    u64 seg_base[kSegs]{};     // copies that IR reads; update_segment() keeps them
    u64 read_end[kSegs]{}, write_end[kSegs]{};
    u64 code_end = 0x10000;    // CS limit + 1; update_segment(CS) keeps it
    u32 mxcsr = 0x1f80;
    FpuState fpu;
    jit::V128 xmm[16]{};
    jit::V128 ymm_high[16]{};
    jit::V128 vec_arg[kVecArgs]{};   // only within an instruction

    // ---- what only helpers touch
    u32 eflags_system = 2;     // EFLAGS without the arithmetic flags and DF; bit 1 set
    Segment seg[kSegs], ldtr, tr;
    struct Table { u64 base = 0; u32 limit = 0xffff; } gdtr, idtr;
    u64 cr0 = 0x60000010, cr2 = 0, cr3 = 0, cr4 = 0;
    u64 dr[4]{}, dr6 = 0xffff0ff0, dr7 = 0x400;
    u64 efer = 0, xcr0 = 1, xss = 0;
    u8 cpl = 0;
    u8 shadow = 0;             // Shadow bits: interrupts held off until one more instruction has retired
    bool halted = false;       // HLT or MWAIT
    bool wake_masked = false;  // an interrupt ends MWAIT even when it is masked
    bool shut_down = false;    // triple fault; only reset helps
    bool smm = false, nmi_blocked = false;
    bool step_trap_off = false;  // the instruction cleared TF as an interrupt does: no single-step trap after it
    bool external_event = false; // delivering something that did not come from the instruction: error codes get EXT
    u64 shadow_at = 0;         // `shadow` holds while this many instructions have retired, and so needs no clearing
    u64 rf_at = 0;             // EFLAGS.RF likewise
    u64 pending_debug = 0;     // DR6 bits of debug traps due after the current instruction
    bool watching = false;     // DR7 has an enabled data breakpoint
    u64 pdpte[4]{};            // PAE paging's page-directory-pointer registers
    u64 monitor_line = 0;      // physical address armed by MONITOR, with bit 0 set; 0: none
    u64 random = 0x9e3779b97f4a7c15;   // RDRAND's state: part of the machine, so that runs repeat
    Exception exception;       // valid when x.fault is Fault::raise
    Tracing tracing;
    Debug* debug = nullptr;    // somebody looks on
    Observer* observer = nullptr;
    bool observing = false;    // the running instruction goes by itself, for the observer
    bool looked_at = false;    // `observing`, or the debugger watches memory, or somebody does `writes`
    WriteWatch* writes = nullptr;   // somebody wants to know which pages are written
    Cpu* cpu = nullptr;
    Mmu* mmu = nullptr;

    // ---- model-specific registers
    u64 star = 0, lstar = 0, cstar = 0, sfmask = 0, kernel_gs_base = 0, tsc_aux = 0, tsc_offset = 0, tsc_adjust = 0, tsc_deadline = 0;
    u64 sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0;
    u64 pat = 0x0007040600070406, mtrr_def = 0, mtrr_phys[16]{}, mtrr_fixed[11]{};
    u64 apic_base = 0xfee00900, misc_enable = 1, smbase = 0x30000;

    alignas(4096) jit::Tlb tlb;

    bool protected_mode() const { return cr0 & cr0::PE; }
    bool vm86() const { return eflags_system & eflags::VM; }
    bool long_active() const { return efer & efer::LMA; }
    bool code64() const { return x.mode.bits & mode::Code64; }
    /// Where code at this offset is.
    u64 linear_of(u64 rip) const { return code64() ? rip : (rip + x.mode.base) & 0xffffffff; }
};

/// EFLAGS.RF and the interrupt shadow end by themselves when an instruction retires.
inline bool shadowed(const CpuState& s, u8 bits) { return (s.shadow & bits) && s.shadow_at == s.x.icount(); }

enum Shadow : u8 { ShadowSti = 1, ShadowMovSs = 2 };  // ShadowMovSs holds off debug traps and NMI too

/// EFLAGS as the guest sees them, and back (all defined bits are taken as they are; the caller has merged).
u32 read_eflags(const CpuState&);
void write_eflags(CpuState&, u32 value);
constexpr u16 pack_flags(u32 e) {
    return static_cast<u16>((e & 0xd5) << 8 | jit::fl::One | (e >> 11 & 1));
}
constexpr u32 unpack_flags(u16 f) { return (f >> 8 & 0xd5u) | u32{f & 1u} << 11; }

/// Recomputes x.mode from segments, control registers and flags. Call after any of them changed.
void compute_mode(CpuState&);
/// After CR0.PE, EFLAGS.VM or a segment's hidden part changed behind everybody's back: all segments and the mode.
void refresh_mode(CpuState&);
/// Recomputes the IR's copies (base, read_end, write_end) for one segment register.
void update_segment(CpuState&, Seg);

/// The slot and helper tables for jit/.
const jit::Layout& cpu_layout();
}  // namespace calque
