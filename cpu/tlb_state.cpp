// What the TLBs hold, saved and loaded. It is state that a guest can see: one that clears accessed bits without voiding the translation, as
// kernels do when they look for old pages, finds them set again only after the next walk. So a machine that goes on from a saved state
// must not walk where the first one did not.
//
// Host addresses are saved as physical ones and looked up again: nothing that is loaded can lead outside of the guest's memory.
#include <algorithm>
#include <cstring>

#include "cpu/cpu.h"
#include "cpu/debug.h"
#include "cpu/memory.h"
#include "cpu/mmu.h"
#include "support/state_io.h"

namespace calque {
namespace {
constexpr u64 kPageBits = 4095;
constexpr u32 kSavedFlags = page::User | page::Write | page::NoExec | page::Dirty | page::Global;   // the rest follows from the memory map

struct KeptPage {
    u64 vpn = 0, paddr = 0;
    u32 asid = 0, flags = 0;
    void state(StateIO& s) { s(vpn, paddr, asid, flags); }
};
struct KeptInline {
    u64 linear = 0, paddr = 0;
    u8 table = 0;
    bool global = false;
    void state(StateIO& s) { s(linear, paddr, table, global); }
};
struct KeptFetch {
    u64 linear = 0, paddr = 0;
    jit::Mode mode;
    void state(StateIO& s) { s(linear, paddr, mode.bits, mode.base); }
};
}  // namespace

void Mmu::state(CpuState& s, StateIO& io) {
    std::vector<KeptPage> pages;
    std::vector<KeptInline> lines;
    if (io.saving()) save_entries(s, [&](const PageEntry& e) { pages.push_back({e.vpn, e.paddr, e.asid, e.flags & kSavedFlags}); },
                                  [&](u64 linear, u64 paddr, unsigned table, bool global) { lines.push_back({linear, paddr, static_cast<u8>(table), global}); });
    io(asid_of_, next_asid_, global_asid_, current_asid_, pcid_, large_, pages, lines);
    if (io.saving()) return;
    pcid_ &= 4095;
    if (!io.ok() || !global_asid_ || !asid_of_[pcid_] || current_asid_ != asid_of_[pcid_]) {
        io.fail();
        return paging_changed(s);   // as if nothing had been kept
    }
    pages_.assign(pages_.size(), {});   // of a machine that goes back: numbers that it has given away meanwhile are free again
    for (const KeptPage& k : pages) {
        PageEntry e{k.vpn, k.asid, k.flags & kSavedFlags, k.paddr & kPhysMask & ~kPageBits, nullptr};
        find_memory(s, e);
        slot(e.vpn, e.asid) = e;
    }
    for (const KeptInline& k : lines)
        if (k.table < jit::kTlbTables) load_inline(s, k.linear, k.paddr, k.table, k.global);
    hide_watched(s);
}

void Cpu::translations_state(StateIO& io) {
    io.version(1);
    s_.mmu->state(s_, io);
    std::vector<KeptFetch> fetches;
    if (io.saving())
        for (const jit::Engine::Fetch& f : engine_->fetches())
            if (const auto paddr = wiring_.memory.address_of(f.host)) fetches.push_back({f.linear, *paddr, f.mode});
    io(fetches);
    if (io.saving() || !io.ok()) return;
    if (fetches.size() > 1u << jit::kFetchBits) return io.fail();
    for (const KeptFetch& k : fetches)
        if (const PhysPage p = wiring_.memory.page(k.paddr & kPhysMask & ~kPageBits); p.host) engine_->keep_fetch({k.linear, k.mode, p.host});
}
}  // namespace calque
