// Finds, keeps, links and discards blocks. It runs nothing; jit/engine.cpp does.
//
// Discarded blocks may still be running: they are unlinked at once, but their memory is given back by collect(), which the run
// loop calls where no block runs.
#pragma once
#include <deque>

#include "jit/cache/code_page.h"
#include "jit/engine.h"

namespace calque::jit {

class CodeCache {
public:
    CodeCache(Backend* backend, GuestCode& guest, EngineStats& stats);
    ~CodeCache();
    CodeCache(const CodeCache&) = delete;

    /// The page, made when it is new; nullptr when there is no room for more before a clear().
    CodePage* page(const u8* host, u64 linear, Mode mode, u16 mode_id);
    static CodePage* page_of(u32* entries) { return *reinterpret_cast<CodePage**>(entries - kTableHead); }

    BlockRecord* find(CodePage& page, u16 key) {
        const u32 number = page.blocks.find(key);
        return number ? &records_[number] : nullptr;
    }
    BlockRecord& record(u32 number) { return records_[number]; }
    /// From now on a block knows the bytes it was lifted from (BlockRecord::outdated()).
    void keep_bytes() { keep_bytes_ = true; }
    /// Keeps a lifted block. Protects its page when it is the first there.
    BlockRecord& add(CodePage&, const Block&, BlockRecord::Kind, unsigned offset, const Layout&);
    BlockRecord& add_crossing(CodePage&, const Block&, unsigned offset, const CodePage& second, const Layout&);
    /// Enters a translation and links it with its neighbours.
    void translated(BlockRecord&, const Translation&);
    void discard(BlockRecord&);
    /// Fills in a record without a page (block number 0), for an instruction that is not kept.
    void set_temporary(const Block&, const Layout&);

    bool has_code(const u8* page) const;
    /// Discards all that touches [p, p + size), which may span pages.
    void discard_range(const u8* p, size_t size);
    /// Discards what contains the byte at this linear address, wherever it is mapped.
    void discard_at(u64 linear);
    template <class F>
    void each_block(F f) const {
        for (const CodePage& p : pages_) p.blocks.each([&](u32 number) { f(records_[number]); });
    }
    /// A store of the bytes at `now` comes. `running`: the block that does it (or null), at instruction `insn`. False when what
    /// is left of that block would change.
    bool store(const u8* p, const void* now, size_t size, const BlockRecord* running, unsigned insn);

    // ---- at safe points
    void collect();
    bool has_garbage() const { return !graveyard_.empty(); }
    size_t cold_bytes() const { return cold_bytes_; }
    /// Discards all that is not translated.
    void discard_cold();
    /// Discards everything. The arena is empty afterwards (the back end must begin anew).
    void discard_all();
    void clear();

private:
    // Entry tables stand in one reserved piece of memory, each behind a line that leads back to its page; untouched parts cost nothing.
    static constexpr u32 kMaxPages = 4096, kTableHead = 16, kTableWords = kTableHead + 4096;
    BlockRecord& fresh(CodePage&, const Block&, BlockRecord::Kind, unsigned offset, const Layout&);
    void fill(BlockRecord&, const Block&, const Layout&);
    void note_bytes(BlockRecord&);
    void occupy(HostPage&, unsigned begin, unsigned end);
    static void vacate(HostPage&, unsigned begin, unsigned end);
    void discard_in(HostPage&, unsigned begin, unsigned end);
    void unlink(BlockRecord&);

    Backend* backend_;
    GuestCode& guest_;
    EngineStats& stats_;
    u32* tables_ = nullptr;
    HostPageMap host_pages_;
    std::deque<CodePage> pages_;
    std::deque<BlockRecord> records_;
    std::vector<u32> free_, graveyard_, hit_;  // hit_: scratch of discard_in()
    size_t cold_bytes_ = 0;
    bool keep_bytes_ = false;
};
}  // namespace calque::jit
