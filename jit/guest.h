// What the engine asks of the guest layer: code bytes and IR.
#pragma once
#include <bitset>

#include "jit/ir/ir.h"

namespace calque::jit {

using PageCuts = std::bitset<4096>;

struct LiftRequest {
    u64 rip;
    Mode mode;
    const u8* page;          // host address of the page's first byte
    u32 offset;              // of the first instruction in it
    unsigned max_insns;      // >= 1
    const PageCuts* cuts;    // the block ends after an instruction that starts at a marked offset; may be null
    const PageCuts* stops;   // the block ends before an instruction that starts at a marked offset, unless it is the first; may be null
};

class GuestCode {
public:
    virtual ~GuestCode() = default;
    /// The page of RAM or ROM that holds code for the current mode at this linear address, accessed bits set; nullptr
    /// when it faults or is no memory (then lift_alone() tells more). The pointer is the page's identity.
    virtual const u8* fetch_page(u64 linear) = 0;
    /// Lifts instructions that lie wholly in the page. insn_count is 0 when the first one does not.
    virtual void lift(const LiftRequest&, Block& out) = 0;
    /// Lifts the one instruction at the current RIP and mode, wherever its bytes are. False when fetching or decoding
    /// raised an exception (ExecContext::fault).
    virtual bool lift_alone(Block& out) = 0;
    /// The first translation has been made from this page: drop every write tag for it, so that stores come by the slow path.
    virtual void protect(const u8* page) = 0;
    /// The block at this linear address has been translated.
    virtual void translated(u64 /*linear*/, const u8* /*host*/, size_t /*size*/) {}
    /// The offsets in the page of this linear address where run() stops (Engine::Stop::breakpoint); nullptr: nowhere.
    virtual const PageCuts* stops(u64 /*linear*/) { return nullptr; }
};
}  // namespace calque::jit
