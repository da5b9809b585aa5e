// What is remembered of page walks, and how it is forgotten.
#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_set>

#include "cpu/cpu.h"
#include "cpu/debug.h"
#include "cpu/inspect.h"
#include "cpu/memory.h"
#include "cpu/mmu.h"
#include "support/planted.h"

namespace calque {
namespace {
constexpr u64 kGlobal = 1, kListed = 2;   // in TlbEntry::spare
constexpr u64 kHidden = 1;                // in a tag, which no comparison in translated code can find then
constexpr unsigned kInlineMask = (1u << jit::kTlbBits) - 1;
u64 page_of(u64 tag) { return tag & ~kHidden; }
/// Every access to the page goes the slow way, but finds its entry there.
bool hides(const CpuState& s, u64 linear) { return s.looked_at && (s.observing || (s.debug && s.debug->watches_page(linear))); }
unsigned large_slot(u64 range) { return static_cast<unsigned>((range ^ range >> 12) & 4095); }
}  // namespace

Mmu::Mmu() : pages_(size_t{1} << kBits) {
    filled_.reserve(size_t{jit::kTlbTables} << jit::kTlbBits);
    global_asid_ = fresh_asid();
    enter(0);
}

u32 Mmu::fresh_asid() {
    if (next_asid_ == 0) {   // all numbers used: begin again with an empty table
        for (auto& e : pages_) e = {};
        asid_of_.fill(0);
        next_asid_ = 1;
        global_asid_ = next_asid_++;
        current_asid_ = asid_of_[pcid_] = next_asid_++;
    }
    return next_asid_++;
}

void Mmu::enter(u16 pcid) {
    pcid_ = pcid & 4095;
    if (!asid_of_[pcid_]) asid_of_[pcid_] = fresh_asid();
    current_asid_ = asid_of_[pcid_];
}

PageEntry* Mmu::find(u64 vpn) {
    if (!remembers_) return nullptr;
    PageEntry* e = &slot(vpn, current_asid_);
    if (e->vpn == vpn && e->asid == current_asid_) return e;
    e = &slot(vpn, global_asid_);
    return e->vpn == vpn && e->asid == global_asid_ ? e : nullptr;
}

std::vector<PageEntry> Mmu::current() const {
    std::vector<PageEntry> out;
    std::copy_if(pages_.begin(), pages_.end(), std::back_inserter(out),
                 [&](const PageEntry& e) { return e.vpn != ~u64{0} && (e.asid == current_asid_ || e.asid == global_asid_); });
    return out;
}

PageEntry& Mmu::insert(const PageEntry& in, unsigned page_shift) {
    forget(in.vpn, current_asid_);
    forget(in.vpn, global_asid_);
    const u32 asid = in.flags & page::Global ? global_asid_ : current_asid_;
    PageEntry& e = slot(in.vpn, asid);
    e = in;
    e.asid = asid;
    if (page_shift > 12) {
        u8& seen = large_[large_slot(in.vpn >> 9)];
        seen = std::max<u8>(seen, page_shift == 30 ? 3 : page_shift == 22 ? 2 : 1);
    }
    return e;
}

void Mmu::forget(u64 vpn, u32 asid) {
    PageEntry& e = slot(vpn, asid);
    if (e.vpn == vpn && e.asid == asid) e.vpn = ~u64{0};
}

void Mmu::drop_context(u16 pcid) {
    pcid &= 4095;
    if (!planted("tlb_context")) asid_of_[pcid] = 0;
    if (pcid == pcid_) enter(pcid);
}

void Mmu::drop_contexts() {
    asid_of_.fill(0);
    enter(pcid_);
}

void Mmu::drop_all() {
    global_asid_ = fresh_asid();
    large_.fill(0);
    drop_contexts();
}

// INVLPG in any part of a large page voids all of it, and our table holds its 4 KiB parts.
bool Mmu::drop_page(CpuState& s, u64 linear, u16 pcid, bool global_too) {
    const u64 vpn = linear >> 12;
    const u32 asid = asid_of_[pcid & 4095];
    const u8 large = large_[large_slot(vpn >> 9)];
    if (large == 3) return drop_all(), clear_inline(s, false), true;
    u64 first = vpn, count = 1;
    if (large) count = large == 2 ? 1024 : 512, first = vpn & ~(count - 1);
    for (u64 v = first; v < first + count; ++v) {
        if (asid && !planted("tlb_invlpg")) forget(v, asid);
        if (global_too && !planted("tlb_invlpg")) forget(v, global_asid_);
        clear_inline_page(s, v << 12);
    }
    return large != 0;
}

// The entry for the access that missed, and one for the other kind of access where that throws out nothing.
void Mmu::fill(CpuState& s, u64 linear, unsigned view, bool write, const PageEntry& e) {
    if (!remembers_) return;
    ++stats_.fills;
    const bool may_write = (e.flags & page::Dirty) && (e.flags & page::HostWritable) &&
                           ((e.flags & page::Write) || (view != mode::ViewUser && !(s.cr0 & cr0::WP)) || planted("tlb_read_only")) && !s.cpu->engine().has_code(e.host);
    const u64 hide = hides(s, linear) ? kHidden : 0;
    const u64 hide_writes = s.writes && !s.writes->seen(e.host) ? kHidden : hide;
    const auto put = [&](bool for_write, bool only_if_free) {
        const unsigned table = jit::tlb_table(view, for_write), i = static_cast<unsigned>(linear >> 12) & kInlineMask;
        jit::TlbEntry& t = s.tlb.data[table][i];
        if (only_if_free && (t.read_tag & t.write_tag) != jit::kNoTag) return;
        if (!(t.spare & kListed)) filled_.push_back(static_cast<u16>(table << jit::kTlbBits | i));
        const u64 tag = linear & ~u64{4095};
        (for_write ? t.write_tag : t.read_tag) = tag | (for_write ? hide_writes : hide);
        t.addend = reinterpret_cast<u64>(e.host) - tag;
        t.spare = kListed | (e.flags & page::Global ? kGlobal : 0);
    };
    if (!write || !may_write) put(false, write);
    if (may_write) put(true, !write), put(false, true);
}

void Mmu::clear_inline(CpuState& s, bool keep_global) {
    size_t kept = 0;
    jit::TlbEntry* all = &s.tlb.data[0][0];
    for (const u16 i : filled_) {
        jit::TlbEntry& t = all[i];
        if (keep_global && (t.spare & kGlobal)) {
            filled_[kept++] = i;
            continue;
        }
        t.read_tag = t.write_tag = jit::kNoTag;
        t.spare = 0;
    }
    filled_.resize(kept);
}

void Mmu::clear_inline_page(CpuState& s, u64 linear) {
    const u64 tag = linear & ~u64{4095};
    for (auto& view : s.tlb.data) {
        jit::TlbEntry& t = view[static_cast<unsigned>(linear >> 12) & kInlineMask];
        if (page_of(t.read_tag) == tag || page_of(t.write_tag) == tag) t.read_tag = t.write_tag = jit::kNoTag;
    }
}

void Mmu::clear_write_tags(CpuState& s, const u8* host_page) {
    jit::TlbEntry* all = &s.tlb.data[0][0];
    for (const u16 i : filled_) {
        jit::TlbEntry& t = all[i];
        if (t.write_tag != jit::kNoTag && page_of(t.write_tag) + t.addend == reinterpret_cast<u64>(host_page)) t.write_tag = jit::kNoTag;
    }
}

void Mmu::hide_watched(CpuState& s) {
    s.looked_at = s.observing || s.writes || (s.debug && s.debug->watching());
    jit::TlbEntry* all = &s.tlb.data[0][0];
    for (const u16 i : filled_)
        for (u64* tag : {&all[i].read_tag, &all[i].write_tag}) {
            if (*tag == jit::kNoTag) continue;
            *tag = page_of(*tag);
            const bool unseen = s.writes && tag == &all[i].write_tag && !s.writes->seen(reinterpret_cast<const u8*>(*tag + all[i].addend));
            if (unseen || hides(s, *tag)) *tag |= kHidden;
        }
}

u8* Mmu::hidden(CpuState& s, u64 linear, unsigned size, unsigned view, bool write) {
    jit::TlbEntry& t = s.tlb.data[jit::tlb_table(view, write)][static_cast<unsigned>(linear >> 12) & kInlineMask];
    u64& tag = write ? t.write_tag : t.read_tag;
    if ((((linear + size - 1) & ~u64{4095}) | kHidden) != (tag | kHidden)) return nullptr;
    u8* const p = reinterpret_cast<u8*>(linear + t.addend);
    if (write && s.writes) s.writes->note(p);
    if (!hides(s, linear)) tag = page_of(tag);
    return p;
}

// Entries of numbers that nobody has any more will never be found again.
void Mmu::save_entries(CpuState& s, const std::function<void(const PageEntry&)>& page,
                       const std::function<void(u64, u64, unsigned, bool)>& line) const {
    const std::unordered_set<u32> live{asid_of_.begin(), asid_of_.end()};
    for (const PageEntry& e : pages_)
        if (e.vpn != ~u64{0} && (live.contains(e.asid) || e.asid == global_asid_)) page(e);
    const jit::TlbEntry* all = &s.tlb.data[0][0];
    for (const u16 i : filled_) {
        const u64 tag = all[i].read_tag & all[i].write_tag;
        if (tag == jit::kNoTag) continue;
        const auto paddr = s.cpu->memory().address_of(reinterpret_cast<const u8*>(page_of(tag) + all[i].addend));
        if (paddr) line(page_of(tag), *paddr, i >> jit::kTlbBits, all[i].spare & kGlobal);
    }
}

void Mmu::load_inline(CpuState& s, u64 linear, u64 paddr, unsigned table, bool global) {
    const u64 tag = linear & ~u64{4095};
    const bool for_write = table >= jit::kTlbViews;
    const PhysPage p = s.cpu->memory().page(paddr & kPhysMask & ~u64{4095});
    if (!remembers_ || !p.host || (for_write && (!p.writable || s.cpu->engine().has_code(p.host)))) return;
    const unsigned i = static_cast<unsigned>(tag >> 12) & kInlineMask;
    jit::TlbEntry& t = s.tlb.data[table][i];
    if (!(t.spare & kListed)) filled_.push_back(static_cast<u16>(table << jit::kTlbBits | i));
    t = {for_write ? jit::kNoTag : tag, for_write ? tag : jit::kNoTag, reinterpret_cast<u64>(p.host) - tag, kListed | (global ? kGlobal : 0)};
}

bool Cpu::touch(u64 linear) {
    bool found = false;
    for (const unsigned view : {s_.x.mode.view(), mode::ViewUser}) {
        u32 error;
        const PageEntry* const e = canonical(linear) ? translate(s_, linear, Access::read, view, error) : nullptr;
        if (!e || !e->host) continue;
        s_.mmu->fill(s_, linear, view, false, *e);
        found = true;
    }
    return found;
}

std::vector<u64> Cpu::inline_pages() const {
    std::vector<u64> out;
    for (unsigned table = 2 * jit::kTlbViews; table-- > 0;)
        for (const jit::TlbEntry& t : s_.tlb.data[table])
            if (const u64 tag = t.read_tag & t.write_tag; tag != jit::kNoTag) out.push_back(page_of(tag));
    return out;
}

namespace {
/// What a walk that read these entries would allow. The PDPTEs of PAE paging allow everything.
u32 allowed_by(const CpuState& s, const std::vector<PageStep>& steps) {
    u32 flags = page::User | page::Write | (steps.empty() || steps.back().entry & 0x40 ? page::Dirty : 0);
    for (const PageStep& step : steps) {
        if (!s.long_active() && std::string_view{step.table} == "PDPT") continue;
        if (!(step.entry & 2)) flags &= ~page::Write;
        if (!(step.entry & 4)) flags &= ~page::User;
        if (step.size == 8 && step.entry >> 63) flags |= page::NoExec;
    }
    return flags;
}
}  // namespace

std::vector<Cpu::OldWalk> Cpu::old_walks() {
    std::vector<OldWalk> out;
    for (const PageEntry& e : s_.mmu->current()) {
        std::vector<PageStep> steps;
        const auto at = translate_quietly(*this, e.vpn << 12, &steps);
        const u32 now = allowed_by(s_, steps), more = e.flags & ~now & (page::User | page::Write | page::Dirty), less = now & ~e.flags & page::NoExec;
        if (at == e.paddr && !more && !less) continue;
        out.push_back({e.vpn << 12, e.paddr, (e.flags & page::Write) != 0, (e.flags & page::User) != 0, (e.flags & page::NoExec) != 0, (e.flags & page::Dirty) != 0});
    }
    return out;
}

void tlb_flush_all(CpuState& s) {
    s.mmu->drop_all();
    s.mmu->clear_inline(s, false);
    s.cpu->engine().forget_fetch_all();
}

void tlb_flush_non_global(CpuState& s) {
    s.mmu->drop_context(s.mmu->pcid());
    s.mmu->clear_inline(s, true);
    s.cpu->engine().forget_fetch_all();
}

void tlb_flush_page(CpuState& s, u64 linear) {
    if (s.mmu->drop_page(s, linear, s.mmu->pcid(), true)) s.cpu->engine().forget_fetch_all();
    else s.cpu->engine().forget_fetch(linear & ~u64{4095});
}
}  // namespace calque
