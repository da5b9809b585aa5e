// The x86-64 emitter: one function for each IR op, over a local register allocator with three verbs: use, scratch, define.
//
// Registers: rbp is the state pointer plus kBias (so that the context and the guest's registers are reached with 8-bit
// displacements); ten registers hold the first pinned slots across blocks; rax, rcx, rdx, rsi and all of xmm serve one block.
// Guest state is exact at every op that may fault: `set` acts when it is reached, in a register or in memory.
#pragma once
#define ASMJIT_NO_STDCXX_EXT
#include <asmjit/x86.h>

#include <cstddef>
#include <deque>
#include <initializer_list>
#include <string>
#include <vector>

#include "jit/backend.h"
#include "jit/x64/analysis.h"

namespace calque::jit::x64 {
namespace x86 = asmjit::x86;
using asmjit::Imm;
using asmjit::Label;
using asmjit::Operand;
namespace Inst_ = x86::Inst;
using InstId = asmjit::InstId;
using CC = x86::CondCode;

using Reg = u8;  // 0-15 general, 16-31 xmm
constexpr Reg rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rbp = 5, rsi = 6, rdi = 7, kNoReg = 0xff;
constexpr Reg xmm0 = 16;
constexpr i32 kBias = 136;

constexpr unsigned kPinned = 10;
constexpr Reg kPinnedRegs[kPinned] = {rbx, 12, 13, 14, 15, rdi, 8, 9, 10, 11};
constexpr u32 kCallerSaved = 1u << rax | 1u << rcx | 1u << rdx | 1u << rsi | 1u << rdi | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 11;
constexpr u32 kTempMask = 1u << rax | 1u << rcx | 1u << rdx | 1u << rsi;
constexpr u32 kXmmMask = 0xffff0000;

// The frame: spill slots, vector spill slots, and where thunks keep what they must not lose.
constexpr unsigned kSpills = 120, kVecSpills = 48;
constexpr i32 kSaveAt = 0, kSpillAt = 160, kVecSpillAt = kSpillAt + 8 * kSpills, kXmmSaveAt = kVecSpillAt + 16 * kVecSpills;
constexpr i32 kFrame = kXmmSaveAt + 256 + 8;  // + 8: six pushes and the return address leave rsp at 8 modulo 16
static_assert(kVecSpillAt % 16 == 0 && kXmmSaveAt % 16 == 0);

// The word that slow paths get on the stack: the block's number and, above it, what is unretired.
constexpr unsigned kBlockBits = 21;

// Uses of ExecContext::scratch.
constexpr unsigned kScratchAddress = 0, kScratchValue = 1, kScratchArena = 2, kScratchFp = 3, kScratchMxcsr = 4, kScratchWhat = 5, kScratchLinear = 6, kScratchX87 = 7;
// Bits of scratch[kScratchFp]: what of the guest is in the host's registers; and that an x87 store's value has been made early.
constexpr u8 kLiveMxcsr = 1, kLiveX87 = 2, kEarlyX87 = 4;

inline x86::Gp gp(Reg r, unsigned bytes) {
    return bytes == 1 ? x86::Gp(x86::gpb_lo(r)) : bytes == 2 ? x86::Gp(x86::gpw(r)) : bytes == 4 ? x86::Gp(x86::gpd(r)) : x86::Gp(x86::gpq(r));
}
inline x86::Gp r32(Reg r) { return gp(r, 4); }
inline x86::Gp r64(Reg r) { return gp(r, 8); }
inline x86::Xmm xmm(Reg r) { return x86::xmm(r - 16u); }

struct Switches {
    bool pinning = true, fuse_flags = true, link = true, inline_lookup = true, inline_tlb = true, fold_addresses = true, targets = true, share_checks = true,
         avx = true, bmi = true, x87 = true, crypto = true;
};
struct HostCpu {
    bool avx = false, avx2 = false, aes = false, pclmul = false, sha = false, gfni = false, bmi2 = false, lzcnt = false, tzcnt = false, popcnt = false, sse42 = false, fma = false, f16c = false,
          logic_clears_af = false;
    bool shift_flags = false;   // flags of shifts, also by more than one, are as the IR defines them
    static HostCpu detect();
};

/// Code common to all blocks: positions in the arena.
struct Thunks {
    u32 enter = 0;
    u32 exit_lookup = 0;     // rdx: RIP
    u32 exit_budget = 0;     // rdx: RIP
    u32 exit_fault = 0;      // pinned registers hold the state
    u32 exit_fault_clean = 0;// the state is in memory already
    u32 exit_leave = 0, exit_leave_clean = 0;
    u32 slow_read[64]{};     // by `what`: scratch[kScratchAddress] to scratch[kScratchValue]; all registers kept but xmm
    u32 slow_write[64]{};
    u32 regroup[8]{};        // by view and, bit 2, write: see cold_group
    u32 raise = 0;           // rsi: fault code
    u32 fp_enter = 0;        // loads the guest's MXCSR
    u32 fp_leave = 0;        // back to the host's MXCSR and x87; keeps all registers
    u32 x87_enter = 0;       // loads the guest's x87 if it may; ZF clear when it is loaded; keeps all registers
    u32 x87_leave = 0;       // stores it; keeps all registers
};

/// What EFLAGS hold beyond the host's own meaning.
enum class FlagKind : u8 { none, exact, af_wrong };  // AF must become 0

struct Address {
    Reg base = kNoReg, index = kNoReg;
    u8 shift = 0;
    i32 disp = 0;
    bool is32 = false;   // the sum is cut to 32 bits
};

class X64 {
public:
    X64(const Layout&, const HostCpu&, const Switches&, const Thunks&, Arena&);

    /// Emits a whole block at `as`'s position. False when it cannot be done (out of spill slots, a type without registers).
    bool emit_block(const TranslateRequest&, Translation&);

    // ---- what emit functions use
    x86::Assembler as;
    const Layout& layout;
    const HostCpu& cpu;
    const Switches& sw;
    const Thunks& thunks;

    Ref index_of(const Inst& i) const { return static_cast<Ref>(&i - code_); }
    const Inst& inst(Ref r) const { return code_[r]; }
    Value& value(Ref r) { return an_.values[r]; }
    Type type_of(Ref r) const { return result_type(code_[r]); }
    unsigned size_of(Ref r) const { return bytes(type_of(r)); }
    const Block& block() const { return *block_; }
    Ref now() const { return now_; }
    bool is_const(Ref r) const { return code_[r].op == Op::constant; }
    /// A constant that an instruction of this many bytes can take as an immediate.
    bool imm_fits(Ref r, unsigned size, i64* out) const;

    // -- use: the register that holds a value; bits above its type may be anything unless `clean`
    Reg use(Ref r);
    Reg use_clean(Ref r);
    /// Sign-extended to `size` bytes, in a register that may be overwritten.
    Reg use_sext_scratch(Ref r, unsigned size);
    /// A register, a memory operand (only when the value is `size` wide and lies in memory) or an immediate.
    Operand use_rmi(Ref r, unsigned size);
    Operand use_rm(Ref r, unsigned size);
    // -- scratch: a free register, or a copy of a value that may be overwritten
    Reg scratch() { return alloc(kTempMask); }
    Reg scratch_xmm() { return alloc(kXmmMask); }
    Reg use_scratch(Ref r);
    Reg use_scratch_clean(Ref r);
    void take(Reg r);               // makes exactly this temporary free, and locks it
    void lock(Reg r) { locked_ |= 1u << r; }
    void unlock(Reg r) { locked_ &= ~(1u << r); }
    // -- define
    /// The pinned register in which the result should be made, or kNoReg.
    Reg target_of(Ref r);
    /// A register holding a, to be overwritten with the result of the current op: the target, a's own, or a copy.
    Reg dest_from(Ref result, Ref a, Reg target);
    /// A register for the result that overwrites no operand's (except a dying one in the target).
    Reg dest(Ref result);
    void define(const Inst& i, Reg r, bool clean) { define(index_of(i), r, clean); }
    void define(Ref r, Reg reg, bool clean);
    void define_alias(Ref r, Ref of, bool clean);    // same bits, other type
    bool in_reg(Ref r, Reg reg) { return value(r).at == At::reg && value(r).reg == reg; }
    /// The value is in a temporary, alone, and dies here.
    bool dies_in_temp(Ref r);
    void load_to(Reg d, Ref r);     // any value into exactly this register, clean unless it was dirty (integers)

    // -- host flags
    /// Called before anything that changes EFLAGS: saves what is still wanted of them.
    void clobber();
    void holds_flags(Ref r, FlagKind);
    void holds_cond(Ref r, CC);
    FlagKind flag_kind() const { return flag_kind_; }
    /// Makes EFLAGS answer whether r is not zero; the condition that says so.
    CC test(Ref r);
    void materialise(Ref r);
    /// After op `k` has set EFLAGS: defines the flags and comparisons that come with it.
    void bear_partners(Ref k, FlagKind);
    bool shift_flags() const { return cpu.shift_flags && sw.fuse_flags; }
    FlagKind shift_kind() const { return shift_flags() ? FlagKind::exact : FlagKind::af_wrong; }
    FlagKind logic_kind() const { return cpu.logic_clears_af ? FlagKind::exact : FlagKind::af_wrong; }
    void pack_flags();
    bool has_partners(Ref k) { return value(k).next_partner != 0; }

    // -- state and memory
    x86::Mem state(u32 offset, unsigned size) const { return x86::ptr(x86::rbp, static_cast<i32>(offset) - kBias, size); }
    x86::Mem slot_mem(u8 slot, unsigned size) const { return state(layout.slots[slot].offset, size); }
    x86::Mem context(size_t offset, unsigned size) const { return state(static_cast<u32>(offset), size); }
    Reg pinned_reg(u8 slot) const { return slot < pinned_ ? kPinnedRegs[slot] : kNoReg; }
    unsigned pinned() const { return pinned_; }
    void before_set(u8 slot, Ref except);
    void own_pinned(u8 slot, Ref r);
    Address address(Ref r);
    x86::Mem mem(const Address& a, i32 more = 0, unsigned size = 0) const;
    void get_state(Ref r, u8 slot);
    void alias_pinned(Ref r, Reg p);
    void before_set_state(u8 slot, Ref except);

    // -- calls and exits
    u32 unretired() const { return unretired_; }
    void count_insn() { --unretired_; }
    void set_progress();            // unretired and block, for slow paths
    void jump_thunk(u32 position) { as.jmp(rx(position)); }
    void call_thunk(u32 position) { as.call(rx(position)); }
    u64 rx(u32 position) const { return reinterpret_cast<u64>(arena_.rx) + position; }
    u32 position() const { return static_cast<u32>(as.offset()) + start_; }
    void call_helper(const HelperInfo&, const Ref* args, unsigned count, Ref result);
    void call_helper_if(const HelperInfo&, Ref cond, const Ref* args);
    // -- a helper out of line, in three steps: what it may write, what it is called with, and what is left
    void before_helper_writes(const HelperInfo&);
    struct HelperCall;
    HelperCall helper_call(const HelperInfo&, const Ref* args);
    void helper_done();
    void call_host(const void* fn);
    /// A vector op that the host lacks.
    void compute_by_call(const Inst&);
    void leave();
    void clear_progress();
    SlotSet caller_saved_slots() const;
    void evict_live();              // before a call: temporaries that live on go to memory
    void spill_pinned(SlotSet slots);
    void load_pinned(SlotSet slots);
    void fp_begin();                // before a floating-point op: host MXCSR is the guest's
    void fp_end();                  // before C++, and the control slot itself: host MXCSR is the host's, and so is its x87
    // -- vectors
    bool avx() const { return cpu.avx && sw.avx; }
    bool avx2() const { return cpu.avx2 && sw.avx; }
    void vmov(const x86::Mem& to, Reg r) { avx() ? as.vmovaps(to, xmm(r)) : as.movaps(to, xmm(r)); }
    void vmovu(const x86::Mem& to, Reg r) { avx() ? as.vmovups(to, xmm(r)) : as.movups(to, xmm(r)); }
    void vmovu(Reg r, const x86::Mem& from) { avx() ? as.vmovups(xmm(r), from) : as.movups(xmm(r), from); }
    void lookup_const(u64 rip);
    void compare_fetch_tag(u64 linear);
    void check_second_page();
    void lookup_reg(Ref rip);
    void go(u64 rip);               // jump to RIP: link, own start, or lookup
    void go_if(CC, u64 rip);
    u64 linear_of(u64 rip) const;
    bool same_page(u64 rip) const;

    u32 live_xmm() const;

    /// A helper called out of line, and where its arguments are when the code branches there.
    struct HelperCall {
        struct Arg {
            At at = At::nowhere;
            Reg reg = 0;
            u8 slot = 0;
            u16 spill = 0;
            Type type = Type::None;
            u64 imm = 0;
            bool loaded = false, is_signed = false;  // scratch[kScratchValue], to be widened
        } args[3];
        const HelperInfo* helper = nullptr;
        u32 unretired = 0, xmms = 0, temps = 0;      // registers to be kept
        bool keep_result = false;                    // goes to scratch[kScratchValue]
    };
    /// Out-of-line pieces, emitted after the terminal.
    struct Cold {
        enum Kind : u8 { read, write, guard, call_if, go, budget, refused, fp_in, fp_out, x87_plain, x87_load, x87_store, x87_early, x87_wide, x87_out } kind;
        Label back;                           // where the way back leads, in the hot code
        u64 back_at = 0;                      // its address
        Label again;                          // x87: where the instruction is done with the host's x87
        u64 again_at = 0;
        u32 from = 0;                         // the jump that leads here: its displacement
        u8 what = 0;
        Type type = Type::None;
        Reg addr = kNoReg, value = kNoReg;   // value: destination of reads, source of writes
        bool has_imm = false;
        i64 imm = 0;
        u64 rip = 0;                          // go; guard: fault code
        u32 unretired = 0;
        u32 xmms = 0;
        u16 group = 0;                        // read, write: + 1
        bool leads = false;
        bool fixed = false;                   // the address is rip
        Reg index = kNoReg;                   // the group's pointer
        u16 at = 0;                           // offset in the group
        u16 x87 = 0;                          // read, write and x87_*: X87Access + 1
        x86::Mem mem;                         // x87_load, x87_store: where the operand is
        HelperCall call;                      // call_if, x87_plain, x87_early
    };
    Cold& cold(Cold::Kind);

    // -- the guest's x87 in the host's (x87.cpp)
    X87Form x87_form(const Inst& call) const;
    void x87_check(Cold&);
    void x87_end();
    void x87_load(const Inst&, u8 what);
    void x87_store(const Inst&, u8 what);
    void x87_store_wide(const Inst&);
    void x87_early(const Inst&);
    void x87_load_control(Reg value, const HelperInfo&, const Ref* args, const Label& back);
    x86::Mem x87_value(unsigned size) const;
    /// A jump out of line. The displacement is filled in when the cold code is placed.
    void jump_cold(CC, Cold&);
    void jump_cold(Cold&);

    struct Probe {
        Reg addr = kNoReg, host = kNoReg;  // host: the register with the addend, or the group's pointer; kNoReg without inline TLB
        Reg spare = kNoReg;                // free again behind the compare
        Label back;
        x86::Mem at;
    };
    void probe_fixed(u64 address, unsigned access, unsigned size, bool write, Probe&, Cold&);
    /// An access whose page the leader of its group has checked.
    Probe probe_member(const Inst&, unsigned size, Cold&);
    bool leads(Ref r) { return value(r).group && an_.groups[value(r).group - 1u].leader == r; }
    bool follows(Ref r) { return value(r).group && !leads(r); }
    Group& group_of(Ref r) { return an_.groups[value(r).group - 1u]; }
    /// `keep`: registers that must not be overwritten by the address.
    Probe probe(const Inst&, unsigned size, bool write, u32 keep, Cold&);

    void mov_imm(Reg r, u64 v) {
        if (v <= 0xffffffff) as.mov(r32(r), Imm(static_cast<i64>(v)));
        else as.mov(r64(r), Imm(static_cast<i64>(v)));
    }

    void fail(const char* where) {
        if (!failed) error = std::string(where) + " at %" + std::to_string(now_);
        failed = true;
    }
    bool failed = false;      // the block cannot be emitted this way
    bool full = false;        // the arena is full
    std::string error;        // why it failed

private:
    Reg alloc(u32 mask);
    void evict(Reg r);
    void move_owners(Reg from, Reg to);
    void add_owner(Reg r, Ref v);
    void remove_owner(Reg r, Ref v);
    void release(Ref v);
    void spill_value(Ref v, Reg r, u16 slot);
    u16 new_spill(bool vec);
    void drop_spill(Ref v);
    void end_op();
    void emit_prologue();
    void emit_cold();
    void emit_cold_one(Cold&);
    void cold_access(Cold&);
    void cold_group(Cold&);
    void cold_call_slow(Cold&);
    void push_progress(u32 unretired);
    void save_xmm(u32 mask);
    void restore_xmm(u32 mask);
    void check_page(Reg address, Reg page, Reg index, unsigned size, bool write, Cold&);
    bool open_window(u32& at, u32& end, u32 size);
    void begin_code(u32 at, u32 end);
    void emit_hot();
    x86::Mem tlb_field(Reg index, bool write, size_t offset) const;
    void cold_call(const HelperCall&);
    /// An x87 instruction with its operand in memory: its helper, or what makes a store's value and what follows it.
    struct X87Access {
        X87Form form;
        HelperCall first, second;
        bool early = false;   // x87_early comes before
    };
    X87Access& x87_access(const Inst& call);
    void cold_x87(Cold&);
    void x87_try(Cold&);
    void x87_loaded(const X87Access&);
    void x87_make(const X87Access&);
    void x87_wide(Cold&);
    void jump_entry();
    Reg load_value(Ref r, u32 mask);
    void load_state(Reg d, u8 slot, Type t);
    bool collect_address(Ref r, Address& a);
    x86::Mem spill_mem(u16 slot, unsigned size) const;

    Arena& arena_;
    u32 start_ = 0;
    unsigned pinned_ = 0;
    const Block* block_ = nullptr;
    const Inst* code_ = nullptr;
    const TranslateRequest* request_ = nullptr;
    Translation* out_ = nullptr;
    Analysis an_;
    Ref now_ = 0;
    u32 locked_ = 0;
    Ref owners_[32]{};
    std::vector<u8> spill_refs_, vec_spill_refs_;
    std::vector<Ref> in_flags_;       // values that EFLAGS hold
    std::vector<Ref> in_state_;       // values that lie in state slots that are memory
    bool progress_dirty_ = false;     // ExecContext::unretired is not 0
    bool in_memory_ = false;          // every pinned slot is in memory (between a last call and `leave`)
    FlagKind flag_kind_ = FlagKind::none;
    u32 unretired_ = 0;
    bool fp_ready_ = false;
    bool x87_out_ = false;            // the guest's x87 is in memory
    std::deque<Cold> cold_;
    std::deque<X87Access> x87_;
    Label loop_;
    u64 loop_at_ = 0;
    asmjit::CodeHolder code_holder_;
    // Hot and cold code lie apart, so that what runs is dense. Each has a window of the arena to fill.
    u32 hot_at_ = 0, hot_end_ = 0, cold_at_ = 0, cold_end_ = 0;
    bool in_cold_ = false;
    u32 end_position_ = 0;
    struct PendingLink { u32 at; u64 rip; };
    std::vector<PendingLink> links_;
    friend class X64Backend;
};

#define OP(name, result, args, effects) void emit_##name(X64&, const Inst&);
#include "jit/ir/ops.inc"
#undef OP

/// An x87 helper's call as an instruction of the host's; false when it must be called.
bool emit_x87(X64&, const Inst&);
void emit_x87_host(x86::Assembler&, const X87Form&, x86::Mem operand);
void emit_x87_enter(x86::Assembler&, const X87Layout&);
void emit_x87_leave(x86::Assembler&, const X87Layout&);
void emit_thunks(x86::Assembler&, const Arena&, const Layout&, void* state, const Switches&, Thunks&);
}  // namespace calque::jit::x64
