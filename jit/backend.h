// What a back end provides, and the protocol between its code and the engine.
//
// Host code lives in one arena; positions in it are 32-bit offsets. Offset 0 holds the "not translated" code, so a zeroed entry
// table leads there. The rules that emitted code keeps:
//  * A block charges itself at its entry: budget -= insn_count. If that would make it negative, the budget is left as it was, RIP is
//    set to the block's and the code exits with Exit::budget. Nothing else has been changed then.
//  * Before each slow path, and before each helper that may fault or sees time, ExecContext::unretired holds the block's instructions
//    from the current one on (1 in the last one) and ExecContext::block the number the engine gave. State slots hold what the IR has
//    set so far. After one, a non-zero ExecContext::fault exits with Exit::fault. A failing guard calls Layout::raise, likewise.
//  * unretired is 0 whenever code exits otherwise, and whenever another block is entered. (Code that has set it in a block clears it
//    before the block ends.)
//  * A direct jump whose target lies in the block's own linear page is a LinkSite: a jump that first leads to a stub (sets RIP, exits
//    with Exit::lookup) and that the engine later points at the target's link_entry with patch(), or back at the stub.
//  * A direct jump to another page, and jump_to, look into Tlb::fetch inline:
//        linear = base ? u32(rip + base) : rip
//        entry  = fetch[(linear >> 12) & (2^kFetchBits - 1)];  entry.tag == (linear & ~4095 | mode id)
//        hit: go to arena + entry.entries[linear & 4095]       miss: set RIP, exit with Exit::lookup
//    The code at offset 0 must find the target's RIP (in a register the back end chooses, or already stored), store it and exit with
//    Exit::lookup. An entry code must therefore not expect anything but the state pointer and pinned registers.
//  * `leave` exits with Exit::leave; RIP and mode have been set by the helper.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jit/context.h"

namespace calque::jit {

/// Memory for host code, mapped twice: written through rw, run through rx. Whoever emits moves `used`.
struct Arena {
    u8* rw = nullptr;
    const u8* rx = nullptr;
    u32 size = 0, used = 0;
};

enum class Exit : u8 {
    lookup,  // RIP is set: find it, interpret or translate it
    budget,  // RIP is set: the block there does not fit into the budget, or cannot be entered as it is
    fault,   // ExecContext::fault, unretired and block tell
    leave,   // RIP and perhaps the mode are set; attention may be set
};

struct LinkSite {
    u32 at;      // what patch() wants
    u32 stub;    // arena offset to jump to while unlinked
    u16 target;  // offset of the target in the block's linear page
};

struct TranslateRequest {
    const Block& block;  // after the passes
    u64 linear;          // of the first instruction
    u32 number;          // goes to ExecContext::block
    u16 mode_id;         // for tags
    /// For an instruction that crosses into the following page: what that page's fetch TLB entry must have as `entries`. Otherwise the
    /// block is not entered: it exits with Exit::budget as if it did not fit.
    const u32* second_entries = nullptr;
};

struct Translation {
    u32 entry = 0;       // arena offset, for tables
    u32 link_entry = 0;  // arena offset, for linked jumps (may be the same)
    u32 end = 0;         // arena offset behind its last byte
    std::vector<LinkSite> links;
};

class Backend {
public:
    virtual ~Backend() = default;
    /// Emits the code at offset 0 and whatever is common to all blocks into the empty arena, and keeps a reference to it.
    /// Called once at the start and again after every flush (with used = 0).
    virtual void begin(Arena&) = 0;
    /// Appends a block's code to the arena. False when the arena is full (nothing has been changed then). True with entry 0 when this
    /// block must stay with the interpreter.
    virtual bool translate(const TranslateRequest&, Translation& out) = 0;
    /// Points the link site `at` to `target`, an arena offset.
    virtual void patch(u32 at, u32 target) = 0;
    /// Runs translated code from its entry on until it exits.
    virtual Exit enter(u32 entry) = 0;
    /// Leaves out what backend_switches() calls so.
    virtual void disable(const std::string&) {}
};

/// The back end of this host. A back end that is built says so: its meson.build adds -DCALQUE_HAS_BACKEND to jit_args.
std::unique_ptr<Backend> make_backend(void* state, const Layout&);
/// Names of what it can leave out, for --jit-disable, with what each does.
std::vector<std::pair<std::string, std::string>> backend_switches();
}  // namespace calque::jit
