// Paging: the walk through the guest's tables, and what is remembered of it.
//
// Two levels of memory. The inline TLB (jit::Tlb in CpuState) is what translated code probes; it holds one address space. Behind it
// stands a table of 8192 pages tagged by address-space number, so that CR3 loads throw away only what the guest says is void:
// each PCID owns a number, global pages own another, and giving one a new number voids its entries at no cost.
#pragma once
#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "cpu/state.h"

namespace calque {

class StateIO;

enum class Access : u8 { read, write, fetch };

namespace page {
constexpr u32 User = 1, Write = 2, NoExec = 4, Dirty = 8, Global = 16, HostWritable = 32, Apic = 64;
}

struct PageEntry {
    u64 vpn = ~u64{0};   // linear address >> 12
    u32 asid = 0;
    u32 flags = 0;       // page::
    u64 paddr = 0;       // of the 4 KiB page, also inside larger pages
    u8* host = nullptr;  // nullptr: no plain memory
};

class Mmu {
public:
    Mmu();
    /// Every access walks the guest's tables: a reference for what is remembered (--jit-disable tlb).
    void forget_everything() { remembers_ = false; }

    // ---- the second level
    PageEntry* find(u64 vpn);
    PageEntry& insert(const PageEntry& e, unsigned page_shift);   // asid is filled in
    void enter(u16 pcid);                 // translations from now on are this context's
    u16 pcid() const { return pcid_; }
    void drop_context(u16 pcid);          // all but global pages
    void drop_contexts();                 // of every PCID, all but global pages
    void drop_all();
    /// True when more than the one page went.
    bool drop_page(CpuState&, u64 linear, u16 pcid, bool global_too);

    /// Saves and loads all that is remembered, after everything that the memory map depends on.
    void state(CpuState&, StateIO&);
    /// All translations of the current context, global ones too.
    std::vector<PageEntry> current() const;

    struct Stats {
        u64 fills = 0;   // misses of the inline TLB that ended in an entry
        u64 walks = 0;   // misses of both levels
    };
    const Stats& stats() const { return stats_; }
    void count_walk() { ++stats_.walks; }

    // ---- the inline TLB
    void fill(CpuState&, u64 linear, unsigned view, bool write, const PageEntry&);
    void clear_inline(CpuState&, bool keep_global);
    void clear_inline_page(CpuState&, u64 linear);
    void clear_write_tags(CpuState&, const u8* host_page);
    /// Which pages a debugger watches, or which have been written, has changed: entries of pages whose accesses (whose first store) somebody
    /// wants to see stay, but translated code does not find them.
    void hide_watched(CpuState&);
    /// Where an entry allows the access, hidden or not; nullptr: none does. A store that only had to be seen once hides it no more.
    u8* hidden(CpuState&, u64 linear, unsigned size, unsigned view, bool write);

private:
    static constexpr unsigned kBits = 13;
    static unsigned index(u64 vpn, u32 asid) { return static_cast<unsigned>((vpn ^ u64{asid} * 0x9e3779b1u >> 7) & ((1u << kBits) - 1)); }
    PageEntry& slot(u64 vpn, u32 asid) { return pages_[index(vpn, asid)]; }
    void forget(u64 vpn, u32 asid);
    u32 fresh_asid();
    void save_entries(CpuState&, const std::function<void(const PageEntry&)>& page,
                      const std::function<void(u64 linear, u64 paddr, unsigned table, bool global)>& line) const;
    void load_inline(CpuState&, u64 linear, u64 paddr, unsigned table, bool global);

    std::vector<PageEntry> pages_;
    std::array<u32, 4096> asid_of_{};     // 0: none yet
    u32 next_asid_ = 1, global_asid_ = 0, current_asid_ = 0;
    u16 pcid_ = 0;
    bool remembers_ = true;
    // Which 2 MiB ranges have (perhaps) been mapped by larger pages: 0 no, 1 2 MiB, 2 4 MiB, 3 1 GiB. Indexed by a hash of the range.
    std::array<u8, 4096> large_{};
    // Filled entries of the inline TLB, each listed once (TlbEntry::spare says so), so that clearing it is cheap.
    std::vector<u16> filled_;
    Stats stats_;
};

/// Finds the page of `linear` for an access with the rights of `view` (mode::View*), walking and setting accessed and dirty
/// bits as needed. nullptr: page fault with `error`. The entry is valid until the next call.
const PageEntry* translate(CpuState&, u64 linear, Access, unsigned view, u32& error);

/// Fills in what the memory map has at e.paddr.
void find_memory(CpuState&, PageEntry& e);

/// Physical memory for the processor's own use.
u64 phys_read(CpuState&, u64 paddr, unsigned size);
void phys_write(CpuState&, u64 paddr, u64 value, unsigned size);
/// Devices and the local APIC, at the current instruction's time. `e` has no host memory, or is ROM being written.
u64 device_read(CpuState&, const PageEntry& e, unsigned offset, unsigned size);
void device_write(CpuState&, const PageEntry& e, unsigned offset, u64 value, unsigned size);

/// Loads the PAE page-directory-pointer registers from the table that `cr3` points to; false when a reserved bit is set.
bool load_pdptes(CpuState&, u64 cr3);
/// After CR0, CR3, CR4 or EFER were set directly (reset, RSM, loading a snapshot).
void paging_changed(CpuState&);

constexpr unsigned kPhysBits = 40;
constexpr u64 kPhysMask = (u64{1} << kPhysBits) - 1;
constexpr bool canonical(u64 a) { return static_cast<u64>(static_cast<i64>(a << 16) >> 16) == a; }
}  // namespace calque
