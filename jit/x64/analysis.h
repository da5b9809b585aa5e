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
    u8 weird = 0;
    u16 spill = 0;        // stack slot that holds it too, + 1
    Ref next = 0;         // other values in the same register
    Ref last_use = 0;
    Ref next_dying = 0;   // other values that die at the same place
    u16 uses = 0;
    Ref partner = 0;      // flags ops and icmp: the earlier op that makes them
    Ref next_partner = 0; // other partners of the same op; for the op: the first of them
    bool value_needed = false;  // partner ops: somebody wants the result, not only the flags
    bool born = false;    // already defined by its partner
};

struct AnalysisOptions {
    bool fuse_flags = true, targets = true, fold_addresses = true;
};

struct Analysis {
    std::vector<Value> values;
    std::vector<Ref> dying;  // per position: the first value that dies there
    bool has_fp = false;

    void run(const Block&, const Layout&, const AnalysisOptions&);

private:
    void find_partners(const Block&);
    void find_folds(const Block&);
    void count_uses(const Block&);
    void find_targets(const Block&, const Layout&);
};

/// True when the op leaves EFLAGS alone however it is emitted.
bool keeps_host_flags(const Inst&);
}  // namespace calque::jit::x64
