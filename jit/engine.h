// The run loop over both tiers: looks blocks up, interprets cold ones, translates warm ones, keeps the code cache right.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jit/context.h"
#include "jit/guest.h"
#include "support/result.h"

namespace calque::jit {

struct EngineOptions {
    bool jit = true;                    // false: everything is interpreted
    u32 warm = 12;                      // executions before a block is translated; 0 translates at once
    u64 arena_bytes = 128u << 20;       // host code
    std::vector<std::string> disable;   // names from Engine::switches()
    bool note_bytes = false;            // blocks know what they were lifted from
    bool fit_blocks = false;            // end blocks where the budget does, so that no instruction is left to exact steps: for short runs
};

struct EngineStats {
    u64 blocks_lifted = 0, blocks_translated = 0, host_bytes = 0, guest_bytes = 0;
    u64 interpreted_insns = 0, lookups = 0, invalidations = 0, flushes = 0, steps = 0;
};

class Engine {
public:
    enum class Stop {
        budget,     // budget is 0: an event is due at this instruction
        fault,      // ExecContext::fault is raise; RIP is the faulting instruction's and it has not been counted
        attention,  // a helper asked; the flag is cleared
        breakpoint, // GuestCode::stops() names the instruction at RIP
    };
    /// `state` begins with its ExecContext. References are kept.
    Engine(void* state, const Layout&, GuestCode&, const EngineOptions&);
    ~Engine();

    /// Runs from ExecContext::rip in ExecContext::mode. Never runs past the budget.
    Stop run();
    /// Runs exactly one instruction (budget must be > 0), whatever GuestCode::stops() says. Returns budget when it retired without incident.
    Stop step();

    /// A store is about to change [p, p + size) of a page with code to the bytes at `now`. Discards what it must.
    /// Returns false when the running instruction must run alone first (Fault::alone_code has been set).
    bool about_to_store(const u8* p, const void* now, size_t size);
    /// Memory has been or will be changed by somebody else than running code (DMA, a debugger, the firmware loader).
    void memory_changed(const u8* p, size_t size);
    /// True when translations may exist for the page: it must not get a write tag.
    bool has_code(const u8* page) const;
    /// The mapping of one linear page, or of all of them, may have changed.
    void forget_fetch(u64 linear);
    void forget_fetch_all();
    /// What the fetch TLB holds, for saving it; and putting it back.
    struct Fetch {
        u64 linear;
        Mode mode;
        const u8* host;
    };
    std::vector<Fetch> fetches() const;
    void keep_fetch(const Fetch&);
    /// Lifts the block at this linear address in the current mode, and translates it where there is a back end. False: its page cannot be fetched,
    /// or the instruction there leaves it. Not while running.
    bool prepare(u64 linear);
    /// Blocks whose bytes have changed since they were lifted: none, unless a store has been missed. Known with EngineOptions::note_bytes only.
    struct Outdated {
        u64 linear;
        const u8* host;
        std::vector<u8> bytes;   // those it was lifted from
    };
    std::vector<Outdated> outdated() const;
    /// RIP of the instruction whose helper or slow path is running; elsewhere ExecContext::rip.
    u64 running_rip() const;
    /// GuestCode::stops() says something else of this address now. Not while running.
    void stop_changed(u64 linear);
    /// Drops every translation.
    void flush();

    const EngineStats& stats() const;
    /// Names that --jit-disable knows, and what each switches off.
    static std::vector<std::pair<std::string, std::string>> switches();
    /// An error, with all names, when one is not among them.
    static Result<void> know_switches(const std::vector<std::string>& names);
    /// False on hosts without a back end.
    static bool has_jit();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};
}  // namespace calque::jit
