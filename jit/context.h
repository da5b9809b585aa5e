// What translated code and the guest layer share at run time. An ExecContext is the first member of the guest's state, so one
// pointer (the "state pointer") reaches the counters, the guest registers (through the slot table) and the TLB.
#pragma once
#include "jit/ir/ir.h"
#include "jit/x87_form.h"

namespace calque::jit {

/// One entry of the data TLB. Reads and writes (read-modify-writes too) look into tables of their own, so that copying between two
/// pages of the same index does not thrash: entries for reads have no write_tag and the other way round. A tag is the linear page address when the access is allowed inline, else kNoTag. Entries exist
/// only for plain RAM; a write tag also says that the page is dirty in the guest's tables and holds no translated code.
struct TlbEntry {
    u64 read_tag, write_tag;
    u64 addend;  // host address = linear address + addend
    u64 spare;   // for the guest layer
};
constexpr u64 kNoTag = ~u64{0};
constexpr unsigned kTlbBits = 10, kTlbViews = 4, kTlbTables = 2 * kTlbViews;
constexpr unsigned tlb_table(unsigned view, bool write) { return view + (write ? kTlbViews : 0); }

/// One entry of the fetch TLB: where the translations of a linear page are, for one mode.
/// entries[linear & 4095] is the offset of host code in the arena, or of the arena's "not translated" stub.
struct FetchEntry {
    u64 tag;  // linear page | mode id (1..4094), or kNoTag
    u32* entries;
};
constexpr unsigned kFetchBits = 9;

struct Tlb {
    TlbEntry data[kTlbTables][1u << kTlbBits];
    FetchEntry fetch[1u << kFetchBits];
};

/// Why an instruction does not go on. But for `done`, it has changed nothing that running it again would not.
enum class Fault : u8 {
    none,
    raise,        // an exception; the guest layer holds the details
    alone_mmio,   // touches a device and is not its block's last: run it by itself, and cut blocks after it from now on
    done,         // none: a helper has done all of the instruction, and what follows the call must not be done
    alone_code,   // would overwrite the block it stands in: run it by itself
};

struct alignas(16) V128 {
    u64 lo, hi;
};

struct ExecContext {
    i64 budget = 0;      // instructions left before `deadline`; blocks charge themselves at entry
    u64 rip = 0;         // exact whenever no translated code runs
    u64 deadline = 0;    // the instruction count at which budget is 0
    u32 unretired = 0;   // of those charged, the ones not yet retired: set before every slow path and helper that may look
    u32 block = 0;       // the running block's number, set together with unretired
    Fault fault = Fault::none;
    u8 attention = 0;    // a helper asks run() to return after `leave`; whoever wants it after another terminal makes budget 0
    Mode mode;           // of the code at rip, kept by the guest layer
    V128 vec{};          // 128-bit value on its way to or from a memory slow path
    u64 scratch[8]{};    // for the executor
    /// Retired instructions, also correct in the middle of a block (in slow paths and helpers).
    u64 icount() const { return deadline - static_cast<u64>(budget) - unretired; }
};

/// One guest register that the IR can name.
struct SlotInfo {
    const char* name;
    u32 offset;  // from the state pointer
    Type type;
};

using HelperFn = u64 (*)(void* state, u64 a, u64 b, u64 c);
enum HelperFlags : u8 {
    HelperMayFault = 1,  // look at ExecContext::fault afterwards
    HelperSeesTime = 2,  // needs unretired and block
};
/// State slots, one bit each.
using SlotSet = u128;
constexpr SlotSet kAllSlots = ~SlotSet{0};
constexpr SlotSet slot_bit(u8 slot) { return SlotSet{1} << slot; }
/// `count` slots from `first` on.
constexpr SlotSet slot_range(u8 first, unsigned count) { return ((SlotSet{1} << count) - 1) << first; }
constexpr unsigned kMaxSlots = 128;

struct HelperInfo {
    const char* name;
    HelperFn fn;
    SlotSet reads, writes;
    u8 flags;
    // A helper that may fault sees and leaves the state exactly as the IR has it at that point (all earlier sets done),
    // but it must not change, when it faults, a slot that it does not list.
};

/// Everything the executors know of the guest.
struct Layout {
    const SlotInfo* slots;    // at most kMaxSlots. The first `pinned` are I64 and the best candidates for host registers, hottest first
    u8 slot_count, pinned;
    u8 fp_control;            // slot (I32) with the control word of floating-point vector ops, in MXCSR's layout
    u32 tlb_offset;           // of the Tlb, from the state pointer
    const HelperInfo* helpers;
    u16 helper_count;
    /// Slow paths. `what`: log2 of the size (0..4), bit 3 for_write (reads), bits 4-5 the view. 128-bit values travel in
    /// ExecContext::vec. They fill the TLB, walk tables, split page-crossing accesses, reach devices, or set ExecContext::fault.
    u64 (*read)(void* state, u64 address, u32 what);
    void (*write)(void* state, u64 address, u64 value, u32 what);
    /// A guard failed: sets ExecContext::fault to raise and keeps what fault_code() says.
    void (*raise)(void* state, u64 fault_code);
    const X87Layout* x87 = nullptr;   // null: a guest without one
};
}  // namespace calque::jit
