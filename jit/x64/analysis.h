// What the emitter wants to know of a block before it emits: who dies where, which results can be made in a pinned register,
// which additions fold into addresses, and which flags come for free from an arithmetic op.
#pragma once
#include <vector>

#include "jit/context.h"

namespace calque::jit::x64 {

/// Where a value is at the moment.
enum class At : u8 {
    nowhere,
    reg,       // host register `reg`
    spill,     // only in its stack slot
    state,     // in the guest state, slot `slot`, not changed since
    constant,
    flags,     // packed flags that EFLAGS hold
    cond,      // a bit that EFLAGS answer: condition `cc`
    folded,    // computed by its user
};

struct Value {
    At at = At::nowhere;
    u8 reg = 0;
    u8 cc = 0;
    bool clean = false;   // bits above the type are zero in the register or stack slot
    u8 slot = 0;
    u8 target = 0xff;     // the pinned slot that it is for, when it may be made there
    u16 spill = 0;        // stack slot that holds it too, + 1
    Ref next = 0;         // other values in the same register
    Ref last_use = 0;
    Ref next_dying = 0;   // other values that die at the same place
    u16 uses = 0;
    Ref partner = 0;      // flags ops and icmp: the earlier op that makes them
    Ref next_partner = 0; // other partners of the same op; for the op: the first of them
    bool value_needed = false;  // partner ops: somebody wants the result, not only the flags
    bool born = false;    // already defined by its partner
    u16 group = 0;        // load, store: the group of accesses it belongs to, + 1
    u16 group_at = 0;     // load, store in a group: offset from the group's first byte
    Ref x87 = 0;          // load: the x87 call that does it; store: the call behind it; the call before a store: that is called early;
                          // the call behind a ten-byte store: the store of its first eight bytes
};

/// Accesses at constant distances from one another: the first of them checks the page for all.
struct Group {
    Ref leader = 0;       // the access that checks
    Ref pointer = 0;      // a value of its own: the host address of the group's first byte, or -1 when the check failed
    i32 before = 0;       // the leader's address minus this is the group's first byte
    u16 span = 0;         // bytes
    bool write = false;   // writable pages are asked for
    bool is32 = false;    // addresses wrap at 4 GiB
    u16 linear = 0;       // stack slot with the linear address after a failed check
};

struct AnalysisOptions {
    bool fuse_flags = true, targets = true, fold_addresses = true, share_checks = true, shift_flags = false, x87 = true;
};

struct Analysis {
    std::vector<Inst> code;  // the block's, simplified for this host, and behind it one for each group's pointer
    size_t end = 0;          // of the block's own instructions
    std::vector<Value> values;
    std::vector<Group> groups;
    std::vector<Ref> dying;  // per position: the first value that dies there
    bool has_fp = false;

    void run(const Block&, const Layout&, const AnalysisOptions&);

private:
    void narrow();
    void find_groups(const Layout&);
    void find_x87(const Layout&);
    bool find_x87_load(Ref call, const X87Form&);
    void find_x87_store(const Layout&, Ref made);
    void find_x87_wide(const Layout&, Ref made);
    void outlive(Ref call, Ref until);
    void find_partners(bool any_shift);
    void find_folds();
    void count_uses();
    void find_targets(const Layout&);
    bool member(Ref r) const { return values[r].group && groups[values[r].group - 1u].leader != r; }
};

/// What the host's x87 may do of this call.
X87Form x87_form(const Layout&, const Inst* code, const Inst& call);
/// The call that made the ten bytes of which this is a store of a part; null for other stores.
const Inst* x87_wide_store(const Inst* code, const Inst& store);
/// Bytes of a form's operand in memory.
unsigned x87_bytes(const X87Form&);
/// True when the op leaves EFLAGS alone however it is emitted.
bool keeps_host_flags(const Inst&);
}  // namespace calque::jit::x64
