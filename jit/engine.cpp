#include "jit/engine.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "jit/cache/arena.h"
#include "jit/cache/code_cache.h"
#include "jit/cache/modes.h"
#include "jit/opt/opt.h"
#include "support/assert.h"
#include "support/log.h"

namespace calque::jit {
namespace {
Log logger{"engine"};
constexpr unsigned kBlockInsns = 64;             // per block at most, so that little is left to exact steps before an event
constexpr size_t kColdBytes = 24u << 20;         // of interpreter code
constexpr u32 kArenaReserve = 64 * 1024;         // flush when less is left
constexpr u64 kPageMask = ~u64{4095};
}  // namespace

struct Engine::Impl {
    Impl(void* state, const Layout& l, GuestCode& g, const EngineOptions& o);

    // ---- the parts
    ExecContext& x;
    const Layout& layout;
    Tlb& tlb;
    GuestCode& guest;
    EngineStats stats;
    OptSwitches switches;
    u32 warm;
    bool fit_blocks;
    bool remember_pages = true, code_tracking = true;
    std::unique_ptr<ArenaMemory> memory;  // with a back end only
    std::unique_ptr<Backend> backend;
    Interp interp;
    CodeCache cache;
    ModeTable modes;
    Mode mode;
    u16 mode_id = 0;          // of `mode`; 0: not known
    bool running = false;     // run() or step() is active
    bool flush_asked = false;
    u64 exits[4]{};           // from translations, by Exit
    Block scratch;            // what is being lifted or translated
    u64 trail[16]{};          // RIPs of the last entries from run(), for assertions
    unsigned trail_at = 0;

    u64 linear_of(u64 rip) const { return mode.base ? static_cast<u32>(rip + mode.base) : rip; }

    // ---- looking up
    void refresh_mode();
    u32 entry_at(u64 linear) const;
    CodePage* page_at(u64 linear);
    CodePage* page_slowly(u64 linear, FetchEntry&);
    BlockRecord* lift(CodePage&, u64 linear, bool single);
    BlockRecord* lift_crossing(CodePage&, u64 linear, bool single);
    bool second_page_holds(const BlockRecord&, u64 linear);
    BlockRecord* block_at(u64 linear, bool single);
    bool stops_at(u64 linear);
    void set_temporary(u64 linear);
    BlockRecord* keep(BlockRecord& r, u64 linear) { return r.stop = stops_at(linear), &r; }

    // ---- running
    Stop run();
    bool step(Stop&, bool stops = false);
    bool interpret(BlockRecord&, Stop&);
    bool enter(BlockRecord&, Stop&);
    bool settle_fault(Stop&);
    bool is_warm(BlockRecord& r) { return backend && code_tracking && r.page && r.kind != BlockRecord::single && !r.stop && static_cast<i32>(r.counter++) >= static_cast<i32>(warm); }
    bool translate(BlockRecord&);

    // ---- housekeeping
    void safe_point();
    void clear();
    void forget_fetch_all();
    static void describe(void* self);
};

Engine::Impl::Impl(void* state, const Layout& l, GuestCode& g, const EngineOptions& o)
    : x{*static_cast<ExecContext*>(state)}, layout{l}, tlb{*reinterpret_cast<Tlb*>(static_cast<u8*>(state) + l.tlb_offset)}, guest{g},
      warm{o.warm}, fit_blocks{o.fit_blocks},
#ifdef CALQUE_HAS_BACKEND
      memory{o.jit ? std::make_unique<ArenaMemory>(o.arena_bytes) : nullptr},
      backend{memory && memory->arena().size ? make_backend(state, l) : nullptr},
#endif
      interp{state, l}, cache{backend.get(), g, stats} {
    for (const std::string& name : o.disable) {
        for (unsigned n = 0; n < kPassCount; ++n)
            if (name == kPasses[n].name) switches.disabled |= 1u << n;
        if (name == "none") switches.check = true;
        if (name == "tlb") remember_pages = false;
        if (name == "code_tracking") code_tracking = false;
        if (backend) backend->disable(name);
    }
    if (o.note_bytes || !code_tracking) cache.keep_bytes();
    if (o.jit && !backend) logger.info("no back end for this host: everything is interpreted");
    if (backend) backend->begin(memory->arena());
    forget_fetch_all();
}

// ---------------------------------------------------------------- looking up

void Engine::Impl::refresh_mode() {
    if (x.mode == mode && mode_id) [[likely]] return;
    mode = x.mode;
    mode_id = modes.intern(mode);
    if (mode_id != ModeTable::kFull) return;
    clear();
    mode_id = modes.intern(mode);
}

// The translation of the block there, if there is one and the fetch TLB knows its page; else 0.
u32 Engine::Impl::entry_at(u64 linear) const {
    const FetchEntry& e = tlb.fetch[linear >> 12 & ((1u << kFetchBits) - 1)];
    return e.tag == ((linear & kPageMask) | mode_id) ? e.entries[linear & 4095] : 0;
}

CodePage* Engine::Impl::page_at(u64 linear) {
    FetchEntry& e = tlb.fetch[linear >> 12 & ((1u << kFetchBits) - 1)];
    if (e.tag == ((linear & kPageMask) | mode_id)) [[likely]] return CodeCache::page_of(e.entries);
    return page_slowly(linear, e);
}

CodePage* Engine::Impl::page_slowly(u64 linear, FetchEntry& e) {
    ++stats.lookups;
    const u8* host = guest.fetch_page(linear & kPageMask);
    if (!host) return nullptr;
    CodePage* page = cache.page(host, linear & kPageMask, mode, mode_id);
    if (!page) {  // no room for more: this instruction goes alone, then everything is dropped
        flush_asked = true;
        return nullptr;
    }
    if (!remember_pages) return page;
    e.tag = (linear & kPageMask) | mode_id;
    e.entries = page->entries;
    return page;
}

BlockRecord* Engine::Impl::lift(CodePage& page, u64 linear, bool single) {
    const u32 offset = linear & 4095;
    scratch = {};
    const unsigned most = single ? 1 : fit_blocks && x.budget < kBlockInsns ? static_cast<unsigned>(x.budget) : kBlockInsns;
    guest.lift({x.rip, mode, page.host, offset, most, page.cuts.get(), guest.stops(linear & kPageMask)}, scratch);
    if (scratch.insn_count == 0) return lift_crossing(page, linear, single);
    return keep(cache.add(page, scratch, single ? BlockRecord::single : BlockRecord::normal, offset, layout), linear);
}

// The instruction at RIP does not lie wholly in its page. Null when it cannot be fetched, or must not be kept: the temporary record
// has it then, unless a fault has been raised.
BlockRecord* Engine::Impl::lift_crossing(CodePage& page, u64 linear, bool single) {
    const u32 offset = linear & 4095;
    scratch = {};
    if (!guest.lift_alone(scratch)) return nullptr;
    if (offset + scratch.byte_count <= 4096)
        return keep(cache.add(page, scratch, single ? BlockRecord::single : BlockRecord::normal, offset, layout), linear);
    CodePage* second = page_at((linear | 4095) + 1);
    if (second) return keep(cache.add_crossing(page, scratch, offset, *second, layout), linear);
    set_temporary(linear);
    return nullptr;
}

bool Engine::Impl::stops_at(u64 linear) {
    const PageCuts* const stops = guest.stops(linear & kPageMask);
    return stops && stops->test(linear & 4095);
}

void Engine::Impl::set_temporary(u64 linear) {
    cache.set_temporary(scratch, layout);
    keep(cache.record(0), linear);
}

bool Engine::Impl::second_page_holds(const BlockRecord& r, u64 linear) {
    const CodePage* second = page_at((linear | 4095) + 1);
    return second && second->host == r.second;
}

// The block at RIP; null when there is none to keep: the temporary record has the instruction, unless a fault has been raised.
BlockRecord* Engine::Impl::block_at(u64 linear, bool single) {
    CodePage* page = page_at(linear);
    if (!page) {
        scratch = {};
        if (guest.lift_alone(scratch)) set_temporary(linear);
        return nullptr;
    }
    const u32 offset = linear & 4095;
    BlockRecord* r = cache.find(*page, static_cast<u16>(offset | (single ? 4096 : 0)));
    if (!r && single) {
        r = cache.find(*page, static_cast<u16>(offset));  // one that has a single instruction anyway
        if (r && (r->insn_count != 1 || !r->code.size)) r = nullptr;
    }
    if (!r) return lift(*page, linear, single);
    if ((r->kind == BlockRecord::crossing && !second_page_holds(*r, linear)) || (!code_tracking && r->outdated())) {
        cache.discard(*r);
        return lift(*page, linear, single);
    }
    return r;
}

// ---------------------------------------------------------------- running
// These return false when run() is to return with `stop`.

Engine::Stop Engine::Impl::run() {
    Stop stop;
    x.fault = Fault::none;
    for (;;) {
        if (x.attention) [[unlikely]] {
            x.attention = 0;
            return Stop::attention;
        }
        if (x.budget <= 0) return Stop::budget;
        safe_point();
        refresh_mode();
        trail[trail_at++ & 15] = x.rip;
        const u64 linear = linear_of(x.rip);
        if (const u32 entry = entry_at(linear)) [[likely]] {
            const Exit exit = backend->enter(entry);
            ++exits[static_cast<u8>(exit)];
            if (exit == Exit::fault && !settle_fault(stop)) return stop;
            if (exit != Exit::budget || x.budget <= 0) continue;
        }
        BlockRecord* r = block_at(linear_of(x.rip), false);
        if (!r) {
            if (x.fault != Fault::none) return Stop::fault;
            r = &cache.record(0);
        }
        if (r->stop) [[unlikely]] return Stop::breakpoint;
        if (r->insn_count > x.budget) [[unlikely]] {  // the rest, exactly
            do {
                if (!step(stop, true)) return stop;
            } while (x.budget > 0 && !x.attention);
            continue;
        }
        // A crossing instruction that refused to be entered has just been looked up anew and can be interpreted.
        const bool translated = r->entry ? r->kind == BlockRecord::normal : is_warm(*r) && translate(*r);
        if (!(translated ? enter(*r, stop) : interpret(*r, stop))) return stop;
    }
}

bool Engine::Impl::step(Stop& stop, bool stops) {
    safe_point();
    refresh_mode();
    ++stats.steps;
    BlockRecord* r = block_at(linear_of(x.rip), true);
    if (!r) {
        if (x.fault != Fault::none) return stop = Stop::fault, false;
        r = &cache.record(0);
    }
    if (stops && r->stop) [[unlikely]] return stop = Stop::breakpoint, false;
    return interpret(*r, stop);
}

bool Engine::Impl::interpret(BlockRecord& r, Stop& stop) {
    x.block = r.number;
    x.unretired = r.insn_count + 1u;
    x.budget -= r.insn_count;
    stats.interpreted_insns += r.insn_count;
    interp.run(r.code);
    return x.fault == Fault::none || settle_fault(stop);
}

bool Engine::Impl::enter(BlockRecord& r, Stop& stop) {
    return backend->enter(r.entry) != Exit::fault || settle_fault(stop);
}

// Gives back what did not retire and makes RIP exact.
bool Engine::Impl::settle_fault(Stop& stop) {
    BlockRecord& r = cache.record(x.block);
    ASSERT(x.unretired >= 1 && x.unretired <= r.insn_count);
    const unsigned insn = r.insn_count - x.unretired;
    const bool done = x.fault == Fault::done;
    x.rip = done ? r.rip_after(insn) : r.rip_of(insn);
    x.budget += x.unretired - done;
    x.unretired = 0;
    if (done) return x.fault = Fault::none, true;
    if (x.fault == Fault::raise) return stop = Stop::fault, false;
    if (x.fault == Fault::alone_mmio && r.page && !r.dead) {
        if (!r.page->cuts) r.page->cuts = std::make_unique<PageCuts>();
        r.page->cuts->set(r.offset + r.starts[insn]);
        cache.discard(r);
    }
    x.fault = Fault::none;
    return step(stop);
}

bool Engine::Impl::translate(BlockRecord& r) {
    scratch.rip = r.rip, scratch.end_rip = r.end_rip, scratch.mode = r.page->mode;
    scratch.insn_count = r.insn_count, scratch.byte_count = r.byte_count;
    restore_ir(r.code, scratch.code);
    optimise(scratch, layout, switches);
    Translation t;
    if (!backend->translate({scratch, r.page->linear | r.offset, r.number, r.page->mode_id, r.second_entries}, t)) {
        flush_asked = true;
        return false;
    }
    if (!t.entry) {
        r.counter = 0x80000000;  // not again soon
        return false;
    }
    stats.host_bytes += t.end - t.entry;
    cache.translated(r, t);
    guest.translated(r.page->linear | r.offset, memory->arena().rx + t.entry, t.end - t.entry);
    const Arena& a = memory->arena();
    if (a.size - a.used < kArenaReserve) flush_asked = true;
    return true;
}

// ---------------------------------------------------------------- housekeeping

void Engine::Impl::safe_point() {
    if (flush_asked) [[unlikely]] clear();
    if (cache.has_garbage()) [[unlikely]] cache.collect();
    if (cache.cold_bytes() > kColdBytes) [[unlikely]] cache.discard_cold();
}

void Engine::Impl::clear() {
    flush_asked = false;
    cache.clear();
    modes.clear();
    mode_id = 0;
    forget_fetch_all();
    if (!backend) return;
    memory->arena().used = 0;
    backend->begin(memory->arena());
}

void Engine::Impl::forget_fetch_all() {
    for (FetchEntry& e : tlb.fetch) e.tag = kNoTag;
}

void Engine::Impl::describe(void* self) {
    const auto& e = *static_cast<Impl*>(self);
    std::fprintf(stderr, "RIP %016" PRIx64 " mode %x base %x, block %u, unretired %u, instruction %" PRIu64 "\nlast entries:", e.x.rip, e.x.mode.bits,
                 e.x.mode.base, e.x.block, e.x.unretired, e.x.icount());
    for (unsigned n = 0; n < 16; ++n) std::fprintf(stderr, " %" PRIx64, e.trail[(e.trail_at + n) & 15]);
    std::fprintf(stderr, "\n");
}

// ---------------------------------------------------------------- the interface

namespace {
// Marks that translations may be running, for what must not be freed under them.
struct Running {
    explicit Running(bool& flag) : flag_{flag} { flag_ = true; }
    ~Running() { flag_ = false; }
    bool& flag_;
};
}  // namespace

Engine::Engine(void* state, const Layout& l, GuestCode& g, const EngineOptions& o) : impl_{std::make_unique<Impl>(state, l, g, o)} {}
Engine::~Engine() {
    set_assert_context(nullptr, nullptr);
    logger.debug("exits from translations: lookup %" PRIu64 ", budget %" PRIu64 ", fault %" PRIu64 ", leave %" PRIu64, impl_->exits[0], impl_->exits[1],
                 impl_->exits[2], impl_->exits[3]);
}

Engine::Stop Engine::run() {
    set_assert_context(Impl::describe, impl_.get());
    const Running mark{impl_->running};
    return impl_->run();
}

Engine::Stop Engine::step() {
    set_assert_context(Impl::describe, impl_.get());
    const Running mark{impl_->running};
    Stop stop = Stop::budget;
    impl_->x.fault = Fault::none;
    if (!impl_->step(stop)) return stop;
    if (!impl_->x.attention) return Stop::budget;
    impl_->x.attention = 0;
    return Stop::attention;
}

bool Engine::about_to_store(const u8* p, const void* now, size_t size) {
    Impl& e = *impl_;
    const BlockRecord* running = e.x.unretired ? &e.cache.record(e.x.block) : nullptr;
    if (e.cache.store(p, now, size, running, running ? running->insn_count - e.x.unretired : 0)) return true;
    e.x.fault = Fault::alone_code;
    return false;
}
void Engine::memory_changed(const u8* p, size_t size) { impl_->cache.discard_range(p, size); }
bool Engine::has_code(const u8* page) const { return impl_->cache.has_code(page); }

void Engine::forget_fetch(u64 linear) {
    FetchEntry& e = impl_->tlb.fetch[linear >> 12 & ((1u << kFetchBits) - 1)];
    if ((e.tag & kPageMask) == (linear & kPageMask)) e.tag = kNoTag;
}
void Engine::forget_fetch_all() { impl_->forget_fetch_all(); }

std::vector<Engine::Fetch> Engine::fetches() const {
    std::vector<Fetch> out;
    for (const FetchEntry& e : impl_->tlb.fetch) {
        if (e.tag == kNoTag) continue;
        const CodePage& page = *CodeCache::page_of(e.entries);
        out.push_back({page.linear, page.mode, page.host});
    }
    return out;
}

void Engine::keep_fetch(const Fetch& f) {
    ASSERT(!impl_->running);
    if (!impl_->remember_pages) return;
    const u64 linear = f.linear & kPageMask;
    const u16 id = impl_->modes.intern(f.mode);
    CodePage* const page = id == ModeTable::kFull ? nullptr : impl_->cache.page(f.host, linear, f.mode, id);
    if (page) impl_->tlb.fetch[linear >> 12 & ((1u << kFetchBits) - 1)] = {linear | id, page->entries};
}

bool Engine::prepare(u64 linear) {
    ASSERT(!impl_->running);
    Impl& e = *impl_;
    const u64 rip = e.x.rip;
    const i64 budget = e.x.budget;
    e.safe_point();
    e.refresh_mode();
    e.x.rip = e.mode.base ? static_cast<u32>(linear - e.mode.base) : linear;
    e.x.budget = kBlockInsns;
    BlockRecord* const r = e.page_at(linear) ? e.block_at(linear, false) : nullptr;
    const bool kept = r && r->kind == BlockRecord::normal;
    if (kept && !r->entry && e.is_warm(*r)) e.translate(*r);
    e.x.rip = rip, e.x.budget = budget, e.x.fault = Fault::none;
    return kept;
}

std::vector<Engine::Outdated> Engine::outdated() const {
    std::vector<Outdated> out;
    impl_->cache.each_block([&](const BlockRecord& r) {
        if (r.kind != BlockRecord::normal || !r.outdated()) return;
        out.push_back({r.page->linear | r.offset, r.page->host + r.offset, {r.bytes.get(), r.bytes.get() + r.byte_count}});
    });
    return out;
}

u64 Engine::running_rip() const {
    const ExecContext& x = impl_->x;
    if (!x.unretired) return x.rip;
    const BlockRecord& r = impl_->cache.record(x.block);
    return r.rip_of(r.insn_count - x.unretired);
}

void Engine::stop_changed(u64 linear) {
    ASSERT(!impl_->running);
    impl_->cache.discard_at(linear);
}

void Engine::flush() {
    if (!impl_->running) return impl_->clear();
    impl_->cache.discard_all();
    impl_->flush_asked = true;
}

const EngineStats& Engine::stats() const { return impl_->stats; }

std::vector<std::pair<std::string, std::string>> Engine::switches() {
    std::vector<std::pair<std::string, std::string>> out;
    for (const Pass& p : kPasses) out.emplace_back(p.name, p.what);
#ifdef CALQUE_HAS_BACKEND
    for (auto& s : backend_switches()) out.push_back(std::move(s));
#endif
    out.emplace_back("tlb", "page walks remembered");
    out.emplace_back("code_tracking", "blocks kept until a store to them; without it all is interpreted, and a block's bytes are looked at each time");
    out.emplace_back("none", "nothing, but check the IR after each pass");
    return out;
}

Result<void> Engine::know_switches(const std::vector<std::string>& names) {
    const auto known = switches();
    for (const std::string& name : names) {
        if (std::any_of(known.begin(), known.end(), [&](const auto& s) { return s.first == name; })) continue;
        std::string all;
        for (const auto& s : known) all += (all.empty() ? "" : ", ") + s.first;
        return Error{"there is nothing named '" + name + "' to switch off; --jit-disable knows " + all};
    }
    return {};
}

bool Engine::has_jit() {
#ifdef CALQUE_HAS_BACKEND
    return true;
#else
    return false;
#endif
}
}  // namespace calque::jit
