#include "jit/cache/code_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "support/assert.h"
#include "support/planted.h"

namespace calque::jit {
namespace {
// After so many stores to a page without code it may have write tags again.
constexpr u32 kIdleStores = 32;

u64 granules(unsigned begin, unsigned end) {  // of [begin, end), not empty
    const unsigned first = begin >> 6, last = (end - 1) >> 6;
    return (~u64{0} >> (63 - (last - first))) << first;
}
const u8* page_start(const u8* p) { return reinterpret_cast<const u8*>(reinterpret_cast<u64>(p) & ~u64{4095}); }
unsigned page_offset(const u8* p) { return reinterpret_cast<u64>(p) & 4095; }
}  // namespace

CodeCache::CodeCache(Backend* backend, GuestCode& guest, EngineStats& stats) : backend_{backend}, guest_{guest}, stats_{stats} {
    void* p = mmap(nullptr, size_t{kMaxPages} * kTableWords * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(p != MAP_FAILED);
    tables_ = static_cast<u32*>(p);
    records_.emplace_back();  // number 0: what set_temporary() fills in
}

CodeCache::~CodeCache() { munmap(tables_, size_t{kMaxPages} * kTableWords * 4); }

CodePage* CodeCache::page(const u8* host, u64 linear, Mode mode, u16 mode_id) {
    HostPage& h = host_pages_.get(host);
    for (CodePage** at = &h.pages; *at; at = &(*at)->next) {
        CodePage* p = *at;
        if (p->linear != linear || p->mode_id != mode_id) continue;
        *at = p->next, p->next = h.pages, h.pages = p;  // to the front
        return p;
    }
    if (pages_.size() == kMaxPages) return nullptr;
    CodePage& p = pages_.emplace_back();
    u32* table = tables_ + (pages_.size() - 1) * kTableWords;
    p.entries = table + kTableHead;
    CodePage* self = &p;
    std::memcpy(table, &self, sizeof self);
    p.host = host, p.linear = linear, p.mode = mode, p.mode_id = mode_id;
    p.host_page = &h, p.next = h.pages, h.pages = &p;
    return &p;
}

void CodeCache::fill(BlockRecord& r, const Block& b, const Layout& layout) {
    r.rip = b.rip, r.end_rip = b.end_rip;
    r.byte_count = b.byte_count, r.insn_count = b.insn_count;
    r.code = compile_for_interp(b, layout);
    r.starts = std::make_unique_for_overwrite<u16[]>(b.insn_count);
    unsigned n = 0;
    for (const Inst& i : b.code)
        if (i.op == Op::insn && n < b.insn_count) r.starts[n++] = static_cast<u16>(i.imm - b.rip);
    ASSERT(n == b.insn_count && n > 0);
}

void CodeCache::set_temporary(const Block& b, const Layout& layout) {
    BlockRecord& r = records_[0];
    r.kind = BlockRecord::single;
    fill(r, b, layout);
    r.second_bytes = r.byte_count;  // in no page at all
    r.second = nullptr;
}

BlockRecord& CodeCache::fresh(CodePage& page, const Block& b, BlockRecord::Kind kind, unsigned offset, const Layout& layout) {
    u32 number;
    if (free_.empty()) {
        number = static_cast<u32>(records_.size());
        records_.emplace_back();
    } else {
        number = free_.back();
        free_.pop_back();
    }
    BlockRecord& r = records_[number];
    r.page = &page, r.number = number, r.kind = kind, r.offset = static_cast<u16>(offset);
    fill(r, b, layout);
    cold_bytes_ += r.code.bytes();
    page.blocks.insert(r.key(), number, static_cast<u16>(std::min<unsigned>(b.byte_count, 4096 - offset)));
    ++stats_.blocks_lifted;
    stats_.guest_bytes += b.byte_count;
    return r;
}

void CodeCache::note_bytes(BlockRecord& r) {
    if (!keep_bytes_) return;
    const unsigned first = r.byte_count - r.second_bytes;
    r.bytes = std::make_unique_for_overwrite<u8[]>(r.byte_count);
    std::memcpy(r.bytes.get(), r.page->host + r.offset, first);
    if (r.second_bytes) std::memcpy(r.bytes.get() + first, r.second, r.second_bytes);
}

void CodeCache::occupy(HostPage& h, unsigned begin, unsigned end) {
    h.granules |= granules(begin, planted("code_granule") ? begin + 1 : end);
    for (unsigned g = begin >> 6; g <= (end - 1) >> 6; ++g) ++h.users[g];
    h.idle_stores = 0;
    ++h.blocks;
    if (h.is_protected) return;
    h.is_protected = true;
    guest_.protect(h.host);
}

BlockRecord& CodeCache::add(CodePage& page, const Block& b, BlockRecord::Kind kind, unsigned offset, const Layout& layout) {
    BlockRecord& r = fresh(page, b, kind, offset, layout);
    ASSERT(offset + b.byte_count <= 4096);
    note_bytes(r);
    occupy(*page.host_page, offset, offset + b.byte_count);
    return r;
}

BlockRecord& CodeCache::add_crossing(CodePage& page, const Block& b, unsigned offset, const CodePage& second, const Layout& layout) {
    BlockRecord& r = fresh(page, b, BlockRecord::crossing, offset, layout);
    r.second = second.host;
    r.second_entries = second.entries;
    r.second_bytes = static_cast<u16>(offset + b.byte_count - 4096);
    note_bytes(r);
    occupy(*page.host_page, offset, 4096);
    HostPage& h = host_pages_.get(second.host);
    h.seconds.push_back(r.number);
    occupy(h, 0, r.second_bytes);
    return r;
}

void CodeCache::translated(BlockRecord& r, const Translation& t) {
    CodePage& page = *r.page;
    r.entry = t.entry, r.link_entry = t.link_entry;
    page.entries[r.offset] = t.entry;
    if (r.kind != BlockRecord::crossing) {
        cold_bytes_ -= r.code.bytes();
        r.code = {};
    }
    for (const LinkSite& s : t.links) {
        page.links.push_back({s.at, s.stub, s.target, r.number});
        const BlockRecord* target = find(page, s.target);
        if (target && target->entry && s.target != r.offset) backend_->patch(s.at, target->link_entry);
    }
    for (const Link& l : page.links)
        if (l.target == r.offset) backend_->patch(l.at, t.link_entry);
    ++stats_.blocks_translated;
}

void CodeCache::unlink(BlockRecord& r) {
    CodePage& page = *r.page;
    page.entries[r.offset] = 0;
    // Jumps to it lead to their stubs again, and so do its own: it may be running, and its targets may go next.
    for (const Link& l : page.links)
        if (l.target == r.offset || l.owner == r.number) backend_->patch(l.at, l.stub);
    std::erase_if(page.links, [&](const Link& l) { return l.owner == r.number; });
}

void CodeCache::discard(BlockRecord& r) {
    if (r.dead) return;
    if (r.entry) unlink(r);
    r.dead = true;
    r.page->blocks.erase(r.key());
    cold_bytes_ -= r.code.bytes();
    vacate(*r.page->host_page, r.offset, r.offset + r.byte_count - r.second_bytes);
    if (r.kind == BlockRecord::crossing) {
        HostPage& h = host_pages_.get(r.second);
        std::erase(h.seconds, r.number);
        vacate(h, 0, r.second_bytes);
    }
    graveyard_.push_back(r.number);
}

void CodeCache::vacate(HostPage& h, unsigned begin, unsigned end) {
    for (unsigned g = begin >> 6; g <= (end - 1) >> 6; ++g)
        if (--h.users[g] == 0) h.granules &= ~(u64{1} << g);
    --h.blocks;
}

void CodeCache::discard_in(HostPage& h, unsigned begin, unsigned end) {
    if (!(h.granules & granules(begin, end))) return;
    hit_.clear();
    const auto take = [&](u32 number) {
        if (!planted("code_inside") || records_[number].offset >= begin) hit_.push_back(number);
    };
    for (CodePage* p = h.pages; p; p = p->next) p->blocks.each_in(begin, end, take);
    for (const u32 number : h.seconds)
        if (begin < records_[number].second_bytes) take(number);
    for (const u32 number : hit_) discard(records_[number]);
    stats_.invalidations += hit_.size();
}

bool CodeCache::has_code(const u8* page) const {
    const HostPage* h = host_pages_.find(page_start(page));
    return h && h->is_protected;
}

void CodeCache::discard_range(const u8* p, size_t size) {
    while (size && host_pages_.size()) {
        const unsigned begin = page_offset(p);
        const size_t part = std::min<size_t>(size, 4096 - begin);
        if (HostPage* h = host_pages_.find(page_start(p))) discard_in(*h, begin, static_cast<unsigned>(begin + part));
        p += part, size -= part;
    }
}

bool CodeCache::store(const u8* p, const void* now, size_t size, const BlockRecord* running, unsigned insn) {
    HostPage* h = host_pages_.find(page_start(p));
    if (!h || !h->is_protected || size == 0) return true;
    const unsigned begin = page_offset(p), end = static_cast<unsigned>(std::min<size_t>(begin + size, 4096));
    if (!(h->granules & granules(begin, end))) {
        if (h->blocks == 0 && ++h->idle_stores > kIdleStores) h->is_protected = false;
        return true;
    }
    if (std::memcmp(p, now, end - begin) == 0) return true;
    if (running && running->page && running->touches(h->host, begin, end, insn + 1)) return false;
    if (!planted("code_store")) discard_in(*h, begin, end);
    return true;
}

void CodeCache::collect() {
    for (const u32 number : graveyard_) {
        records_[number] = {};
        free_.push_back(number);
    }
    graveyard_.clear();
}

void CodeCache::discard_cold() {
    std::vector<u32> cold;
    for (CodePage& p : pages_)
        p.blocks.each([&](u32 number) {
            if (!records_[number].entry) cold.push_back(number);
        });
    for (const u32 number : cold) discard(records_[number]);
    collect();
}

void CodeCache::discard_at(u64 linear) {
    const unsigned offset = linear & 4095;
    std::vector<u32> found;
    for (CodePage& p : pages_)
        if (p.linear == (linear & ~u64{4095})) p.blocks.each_in(offset, offset + 1, [&](u32 number) { found.push_back(number); });
    for (const u32 number : found) discard(records_[number]);
}

void CodeCache::discard_all() {
    std::vector<u32> all;
    for (CodePage& p : pages_) p.blocks.each([&](u32 number) { all.push_back(number); });
    for (const u32 number : all) discard(records_[number]);
}

void CodeCache::clear() {
    // Pages may have write tags again only after their HostPage is gone, so nothing is left to protect.
    madvise(tables_, pages_.size() * size_t{kTableWords} * 4, MADV_DONTNEED);
    pages_.clear();
    host_pages_.clear();
    records_.resize(1);
    free_.clear();
    graveyard_.clear();
    cold_bytes_ = 0;
    ++stats_.flushes;
}
}  // namespace calque::jit
