// The walk through the guest's page tables (SDM vol. 3A, chapter "Paging").
#include "cpu/mmu.h"

#include <cstring>

#include "cpu/apic.h"
#include "cpu/cpu.h"
#include "cpu/decode.h"
#include "cpu/memory.h"

namespace calque {
namespace {

// Bits of paging-structure entries.
constexpr u64 P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100, XD = u64{1} << 63;
// Page-fault error code.
constexpr u32 ErrP = 1, ErrW = 2, ErrU = 4, ErrRsvd = 8, ErrI = 16;

struct Walk {
    u64 paddr = 0;          // of the 4 KiB page
    u32 flags = 0;          // page::
    unsigned shift = 12;    // log2 of the page's size
    u64 entry_at = 0, entry = 0;  // the leaf
    unsigned entry_size = 8;
};

void set_bits(CpuState& s, u64 at, u64 entry, u64 bits, unsigned size) {
    if ((entry & bits) == bits) return;
    phys_write(s, at, entry | bits, size);
}

bool permitted(const CpuState& s, u32 flags, Access access, unsigned view) {
    if (view == mode::ViewUser) {
        if (!(flags & page::User)) return false;
        if (access == Access::write) return flags & page::Write;
        return access == Access::read || !(flags & page::NoExec);
    }
    if (flags & page::User) {
        if (access == Access::fetch && (s.cr4 & cr4::SMEP)) return false;
        if (access != Access::fetch && (s.cr4 & cr4::SMAP) && view != mode::ViewSmapOff) return false;
    }
    if (access == Access::write) return (flags & page::Write) || !(s.cr0 & cr0::WP);
    return access == Access::read || !(flags & page::NoExec);
}

u32 error_bits(const CpuState& s, Access access, unsigned view) {
    u32 e = view == mode::ViewUser ? ErrU : 0;
    if (access == Access::write) e |= ErrW;
    const bool nx = (s.cr4 & cr4::PAE) && (s.efer & efer::NXE);
    if (access == Access::fetch && (nx || (s.cr4 & cr4::SMEP))) e |= ErrI;
    return e;
}

/// "32-Bit Paging", with PSE-36.
u32 walk_32(CpuState& s, u64 linear, Walk& w) {
    const u64 pde_at = (s.cr3 & 0xfffff000) + (linear >> 22 & 0x3ff) * 4;
    const u64 pde = phys_read(s, pde_at, 4);
    if (!(pde & P)) return 0;
    w.flags = (pde & US ? page::User : 0) | (pde & RW ? page::Write : 0);
    w.entry_size = 4;
    if ((pde & PS) && (s.cr4 & cr4::PSE)) {
        if (pde & 1u << 21) return ErrP | ErrRsvd;
        w.shift = 22, w.entry_at = pde_at, w.entry = pde;
        w.paddr = ((pde & 0xffc00000) | (pde >> 13 & 0xff) << 32) + (linear & 0x3ff000);
        return ~0u;
    }
    set_bits(s, pde_at, pde, A, 4);
    w.entry_at = (pde & 0xfffff000) + (linear >> 12 & 0x3ff) * 4;
    w.entry = phys_read(s, w.entry_at, 4);
    if (!(w.entry & P)) return 0;
    w.flags &= (w.entry & US ? page::User : 0) | (w.entry & RW ? page::Write : 0);
    w.paddr = w.entry & 0xfffff000;
    return ~0u;
}

u64 reserved_bits(const CpuState& s, unsigned level, u64 entry) {
    const bool long_mode = s.long_active();
    u64 r = ~kPhysMask & (long_mode ? (u64{1} << 52) - 1 : (u64{1} << 63) - 1);
    if (!(s.efer & efer::NXE)) r |= XD;
    if (level == 4) r |= PS;
    if (level == 3 && (entry & PS)) r |= s.cpu->has_feature(Isa::page1g) ? u64{0x3fffe000} : PS;
    if (level == 2 && (entry & PS)) r |= 0x1fe000;
    return r;
}

/// "PAE Paging" from the page directory on, and "4-Level Paging".
u32 walk_64(CpuState& s, u64 linear, Walk& w) {
    unsigned level = 4;
    u64 table = s.cr3 & kPhysMask & ~u64{0xfff};
    w.flags = page::User | page::Write;
    if (!s.long_active()) {
        const u64 pdpte = s.pdpte[linear >> 30 & 3];
        if (!(pdpte & P)) return 0;
        table = pdpte & kPhysMask & ~u64{0xfff};
        level = 2;
    }
    for (;; --level) {
        const unsigned shift = 3 + 9 * level;
        const u64 at = table + (linear >> shift & 0x1ff) * 8;
        const u64 e = phys_read(s, at, 8);
        if (!(e & P)) return 0;
        if (e & reserved_bits(s, level, e)) return ErrP | ErrRsvd;
        w.flags &= ~(page::User | page::Write) | (e & US ? page::User : 0) | (e & RW ? page::Write : 0);
        if (e & XD) w.flags |= page::NoExec;
        if (level == 1 || (level <= 3 && (e & PS))) {
            const u64 offset = (u64{1} << shift) - 1;
            w.shift = shift, w.entry_at = at, w.entry = e;
            w.paddr = (e & kPhysMask & ~offset & ~u64{0xfff}) | (linear & offset & ~u64{0xfff});
            return ~0u;
        }
        set_bits(s, at, e, A, 8);
        table = e & kPhysMask & ~u64{0xfff};
    }
}

/// ~0: found, permitted, and marked accessed (and dirty); else the P and RSVD bits of the error code.
u32 walk(CpuState& s, u64 linear, Access access, unsigned view, Walk& w) {
    if (!(s.cr0 & cr0::PG)) {
        w.paddr = linear & 0xfffff000;
        w.flags = page::User | page::Write | page::Dirty;
        return ~0u;
    }
    const u32 r = s.cr4 & cr4::PAE ? walk_64(s, linear, w) : walk_32(s, linear, w);
    if (r != ~0u) return r;
    if (!permitted(s, w.flags, access, view)) return ErrP;
    const u64 mark = A | (access == Access::write ? D : 0);
    set_bits(s, w.entry_at, w.entry, mark, w.entry_size);
    if ((w.entry | mark) & D) w.flags |= page::Dirty;
    if ((w.entry & G) && (s.cr4 & cr4::PGE)) w.flags |= page::Global;
    return ~0u;
}
}  // namespace

const PageEntry* translate(CpuState& s, u64 linear, Access access, unsigned view, u32& error) {
    const u64 vpn = linear >> 12;
    const auto found = [&](const PageEntry& e) {
        if (s.writes && access == Access::write && (e.flags & page::HostWritable)) [[unlikely]] s.writes->note(e.host);
        return &e;
    };
    if (const PageEntry* e = s.mmu->find(vpn); e && permitted(s, e->flags, access, view) && (access != Access::write || (e->flags & page::Dirty)))
        return found(*e);
    Walk w;
    s.mmu->count_walk();
    const u32 r = walk(s, linear, access, view, w);
    if (r != ~0u) {
        // A remembered translation that did not allow the access has just been checked against the tables: no fault is spurious.
        error = r | error_bits(s, access, view);
        return nullptr;
    }
    PageEntry e{vpn, 0, w.flags, w.paddr, nullptr};
    find_memory(s, e);
    return found(s.mmu->insert(e, w.shift));
}

void find_memory(CpuState& s, PageEntry& e) {
    if (e.paddr == s.cpu->local_apic_base()) return void(e.flags |= page::Apic);
    const PhysPage p = s.cpu->memory().page(e.paddr);
    e.host = p.host;
    if (p.host && p.writable) e.flags |= page::HostWritable;
}

u64 phys_read(CpuState& s, u64 paddr, unsigned size) {
    const PhysPage p = s.cpu->memory().page(paddr & ~u64{0xfff});
    if (!p.host) return s.cpu->memory().read(paddr, size);
    u64 v = 0;
    for (unsigned i = 0; i < size; ++i) v |= u64{p.host[(paddr & 0xfff) + i]} << (8 * i);
    return v;
}

void phys_write(CpuState& s, u64 paddr, u64 value, unsigned size) {
    const PhysPage p = s.cpu->memory().page(paddr & ~u64{0xfff});
    if (!p.host || !p.writable) return s.cpu->memory().write(paddr, value, size);
    u8* at = p.host + (paddr & 0xfff);
    if (s.writes) [[unlikely]] s.writes->note(at);
    for (unsigned i = 0; i < size; ++i) at[i] = static_cast<u8>(value >> (8 * i));
    if (s.cpu->engine().has_code(p.host)) s.cpu->engine().memory_changed(at, size);
}

u64 device_read(CpuState& s, const PageEntry& e, unsigned offset, unsigned size) {
    s.cpu->sync_clock();
    if (e.flags & page::Apic) return s.cpu->apic().mmio_read(offset, size);
    return s.cpu->memory().read(e.paddr + offset, size);
}

void device_write(CpuState& s, const PageEntry& e, unsigned offset, u64 value, unsigned size) {
    s.cpu->sync_clock();
    if (e.flags & page::Apic) return s.cpu->apic().mmio_write(offset, value, size);
    s.cpu->memory().write(e.paddr + offset, value, size);
}

bool load_pdptes(CpuState& s, u64 cr3) {
    u64 e[4];
    for (unsigned i = 0; i < 4; ++i) {
        e[i] = phys_read(s, (cr3 & 0xffffffe0) + 8 * i, 8);
        if ((e[i] & P) && (e[i] & (~kPhysMask | 0x1e6))) return false;
    }
    std::memcpy(s.pdpte, e, sizeof e);
    return true;
}

void paging_changed(CpuState& s) {
    s.mmu->enter(s.cr4 & cr4::PCIDE ? s.cr3 & 0xfff : 0);
    tlb_flush_all(s);
}
}  // namespace calque
