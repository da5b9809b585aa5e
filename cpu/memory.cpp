// Linear memory: the slow paths of translated code, and what helpers use.
#include "cpu/memory.h"

#include <bit>
#include <cstring>

#include "cpu/cpu.h"
#include "cpu/debug.h"
#include "cpu/mmu.h"
#include "cpu/observer.h"
#include "support/little_endian.h"

namespace calque {

// Translated code does not check flat segments. The manual leaves it open whether an access past 4 GiB faults (SDM vol. 3A, "Limit
// Checking"): it does on Zen; on Intel it goes on at address 0.
bool passes_flat_limit(const CpuState& s, u64 address, unsigned size) {
    constexpr u32 Flat = mode::FlatDs | mode::FlatEs | mode::FlatSs;
    return s.cpu->zen() && !s.code64() && (s.x.mode.bits & Flat) == Flat && address + size - 1 > 0xffffffff;
}

namespace {

/// One page's part of an access.
struct Piece {
    PageEntry page;
    u64 linear;
    unsigned size;
    unsigned offset() const { return linear & 0xfff; }
    u8* host() const { return page.host + offset(); }
};
struct Pieces {
    Piece piece[2];
    unsigned count = 0;
    const Piece* begin() const { return piece; }
    const Piece* end() const { return piece + count; }
};

u64 wrap(const CpuState& s, u64 linear) { return s.long_active() ? linear : linear & 0xffffffff; }

bool find_pieces(CpuState& s, u64 address, unsigned size, Access access, unsigned view, Pieces& out) {
    // Compatibility code itself reaches no more than 4 GiB; what lies above belongs to the system: its tables and stacks.
    const bool system = !s.code64() && s.long_active() && address >> 32;
    const bool strange = (s.code64() || system) && !(canonical(address) && canonical(address + size - 1));
    if (strange || (!system && passes_flat_limit(s, address, size))) {
        raise(s, vec::GP, 0);
        s.exception.noncanonical = true;
        s.exception.address = address;
        return false;
    }
    while (size) {
        Piece& p = out.piece[out.count++];
        u32 error;
        const PageEntry* e = translate(s, address, access, view, error);
        if (!e) return raise_page_fault(s, address, error), false;
        const unsigned room = 4096 - static_cast<unsigned>(address & 0xfff);
        p = {*e, address, size < room ? size : room};
        size -= p.size;
        address = wrap(s, address + p.size);
    }
    return true;
}

void read_device(CpuState& s, const Piece& p, u8* out) {
    const bool whole = std::has_single_bit(p.size) && p.size <= 8;
    const unsigned step = whole ? p.size : p.size % 8 == 0 ? 8 : 1;
    for (unsigned i = 0; i < p.size; i += step) {
        const u64 v = device_read(s, p.page, p.offset() + i, step);
        for (unsigned k = 0; k < step; ++k) out[i + k] = static_cast<u8>(v >> (8 * k));
    }
}

void write_device(CpuState& s, const Piece& p, const u8* in) {
    const bool whole = std::has_single_bit(p.size) && p.size <= 8;
    const unsigned step = whole ? p.size : p.size % 8 == 0 ? 8 : 1;
    for (unsigned i = 0; i < p.size; i += step) {
        u64 v = 0;
        for (unsigned k = 0; k < step; ++k) v |= u64{in[i + k]} << (8 * k);
        device_write(s, p.page, p.offset() + i, v, step);
    }
}

bool plain(const Piece& p, bool write) { return p.page.host && (!write || (p.page.flags & page::HostWritable)); }

void copy_in(CpuState& s, const Pieces& from, u8* out) {
    for (const Piece& p : from) {
        if (p.page.host) std::memcpy(out, p.host(), p.size);
        else read_device(s, p, out);
        out += p.size;
    }
}

/// False, with nothing changed, when the running code must give way first.
bool copy_out(CpuState& s, const Pieces& to, const u8* in) {
    jit::Engine& engine = s.cpu->engine();
    const u8* at = in;
    for (const Piece& p : to) {
        if (plain(p, true) && engine.has_code(p.page.host) && !engine.about_to_store(p.host(), at, p.size)) return false;
        at += p.size;
    }
    for (const Piece& p : to) {
        if (plain(p, true)) std::memcpy(p.host(), in, p.size);
        else write_device(s, p, in);
        in += p.size;
    }
    return true;
}

// ---- data breakpoints (SDM vol. 3B, "Debug Registers")

bool breakpoint_in(const CpuState& s, unsigned n, u64 address, unsigned size) {
    const unsigned len = s.dr7 >> (18 + 4 * n) & 3;
    const u64 span = len == 0 ? 1 : len == 1 ? 2 : len == 2 ? 8 : 4;
    const u64 start = s.dr[n] & ~(span - 1);
    return address < start + span && start < address + size;
}

u64 breakpoints_hit(const CpuState& s, u64 address, unsigned size, bool write) {
    u64 hit = 0;
    for (unsigned n = 0; n < 4; ++n) {
        const unsigned kind = s.dr7 >> (16 + 4 * n) & 3;   // 1: writes, 3: reads and writes
        if (!(s.dr7 >> (2 * n) & 3) || !(kind == 3 || (kind == 1 && write))) continue;
        if (breakpoint_in(s, n, address, size)) hit |= u64{1} << n;
    }
    return hit;
}

/// A device or a watched address can only be touched by the last instruction of a block, or between instructions.
bool must_be_alone(CpuState& s) {
    if (s.x.unretired <= 1) return false;
    s.x.fault = jit::Fault::alone_mmio;
    return true;
}

bool watched(CpuState& s, u64 address, unsigned size, bool write) {
    const u64 hit = breakpoints_hit(s, address, size, write);
    if (!hit) return false;
    if (must_be_alone(s)) return true;
    s.pending_debug |= hit;
    s.cpu->end_slice();
    return false;
}

/// What helpers access. False: the instruction must run alone first.
bool note_linear(CpuState& s, u64 address, unsigned size, Rights r, bool write) {
    const u64 hit = s.watching && r == Rights::current ? breakpoints_hit(s, address, size, write) : 0;
    const bool seen = s.debug && s.debug->watched(address, size, !write, write);
    if (!hit && !seen) return true;
    if (must_be_alone(s)) return false;
    s.pending_debug |= hit;
    if (seen) s.debug->note_access(address, size, !write, write);
    else s.cpu->end_slice();
    return true;
}

bool any_device(const Pieces& ps, bool write) {
    for (const Piece& p : ps)
        if (!plain(p, write)) return true;
    return false;
}

void remember(CpuState& s, const Pieces& ps, unsigned view, bool write) {
    for (const Piece& p : ps) {
        if (!p.page.host) continue;
        if (s.watching && breakpoints_hit(s, p.linear & ~u64{0xfff}, 4096, true)) continue;
        s.mmu->fill(s, p.linear, view, write, p.page);
    }
}

unsigned view_for(const CpuState& s, Rights r) {
    return r == Rights::current ? s.x.mode.view() : r == Rights::user ? mode::ViewUser : mode::ViewSupervisor;
}

/// Widths as constants, so that each becomes one host access.
u64 load_value(CpuState& s, const u8* p, unsigned size) {
    switch (size) {
    case 1: return load_little(p, 1);
    case 2: return load_little(p, 2);
    case 4: return load_little(p, 4);
    case 16: s.x.vec = {load_little(p, 8), load_little(p + 8, 8)}; return s.x.vec.lo;
    default: return load_little(p, 8);
    }
}

void store_value(const CpuState& s, u8* p, u64 value, unsigned size) {
    const u64 v[2] = {size == 16 ? s.x.vec.lo : value, s.x.vec.hi};
    for (unsigned i = 0; i < size; ++i) p[i] = static_cast<u8>(v[i / 8] >> (8 * (i & 7)));
}

[[gnu::noinline]] void show(const CpuState& s, u64 address, u64 value, unsigned size, bool write) {
    u8 b[16];
    store_value(s, b, value, size);
    s.observer->accessed(address, b, size, write, false);
}

/// What most accesses are: one page, no breakpoints, an address that can be.
bool simple(const CpuState& s, u64 address, unsigned size) {
    return (address & 0xfff) + size <= 4096 && !s.watching && (!s.code64() || canonical(address));
}

u64 read_slowly(CpuState& s, u64 address, unsigned size, bool for_write, unsigned view) {
    Pieces ps;
    if (!find_pieces(s, address, size, for_write ? Access::write : Access::read, view, ps)) return 0;
    if (any_device(ps, for_write) && must_be_alone(s)) return 0;
    if (s.watching && watched(s, address, size, for_write)) return 0;
    remember(s, ps, view, for_write);
    u8 b[16]{};
    copy_in(s, ps, b);
    return load_value(s, b, size);
}

void write_slowly(CpuState& s, u64 address, u64 value, unsigned size, unsigned view) {
    Pieces ps;
    if (!find_pieces(s, address, size, Access::write, view, ps)) return;
    if (any_device(ps, true) && must_be_alone(s)) return;
    if (s.watching && watched(s, address, size, true)) return;
    u8 b[16];
    store_value(s, b, value, size);
    if (copy_out(s, ps, b)) remember(s, ps, view, true);
}
}  // namespace

static u64 read(CpuState& s, u64 address, u32 what) {
    const unsigned size = 1u << (what & 7), view = what >> 4 & 3;
    const bool for_write = what & 8;
    if (simple(s, address, size)) [[likely]] {
        u32 error;
        const PageEntry* e = translate(s, address, for_write ? Access::write : Access::read, view, error);
        if (!e) return raise_page_fault(s, address, error), 0;
        if (e->host && (!for_write || (e->flags & page::HostWritable))) [[likely]] {
            s.mmu->fill(s, address, view, for_write, *e);
            return load_value(s, e->host + (address & 0xfff), size);
        }
    }
    return read_slowly(s, address, size, for_write, view);
}

static void write(CpuState& s, u64 address, u64 value, u32 what) {
    const unsigned size = 1u << (what & 7), view = what >> 4 & 3;
    if (!simple(s, address, size)) [[unlikely]] return write_slowly(s, address, value, size, view);
    u32 error;
    const PageEntry* e = translate(s, address, Access::write, view, error);
    if (!e) return raise_page_fault(s, address, error);
    if (!e->host || !(e->flags & page::HostWritable)) [[unlikely]] return write_slowly(s, address, value, size, view);
    u8* to = e->host + (address & 0xfff);
    // A page with code comes here for every store: data beside code must not be slow.
    if (s.cpu->engine().has_code(e->host)) {
        u8 b[16];
        store_value(s, b, value, size);
        if (s.cpu->engine().about_to_store(to, b, size)) std::memcpy(to, b, size);
        return;
    }
    store_value(s, to, value, size);
    s.mmu->fill(s, address, view, true, *e);
}

u64 slow_read(void* state, u64 address, u32 what) {
    CpuState& s = *static_cast<CpuState*>(state);
    if (!s.looked_at) [[likely]] return read(s, address, what);
    const unsigned size = 1u << (what & 7);
    const bool for_write = what & 8, seen = s.debug && s.debug->watched(address, size, true, for_write);
    if (seen && must_be_alone(s)) return 0;
    const u8* const p = s.mmu->hidden(s, address, size, what >> 4 & 3, for_write);
    const u64 value = p ? load_value(s, p, size) : read(s, address, what);
    if (s.x.fault != jit::Fault::none) return value;
    if (seen) s.debug->note_access(address, size, true, for_write);
    if (s.observing) show(s, address, value, size, false);
    return value;
}

void slow_write(void* state, u64 address, u64 value, u32 what) {
    CpuState& s = *static_cast<CpuState*>(state);
    if (!s.looked_at) [[likely]] return write(s, address, value, what);
    const unsigned size = 1u << (what & 7);
    const bool seen = s.debug && s.debug->watched(address, size, false, true);
    if (seen && must_be_alone(s)) return;
    if (u8* p = s.mmu->hidden(s, address, size, what >> 4 & 3, true)) store_value(s, p, value, size);
    else write(s, address, value, what);
    if (s.x.fault != jit::Fault::none) return;
    if (seen) s.debug->note_access(address, size, false, true);
    if (s.observing) show(s, address, value, size, true);
}

bool read_linear(CpuState& s, u64 address, void* out, unsigned size, Rights r) {
    Pieces ps;
    if (!find_pieces(s, address, size, Access::read, view_for(s, r), ps)) return false;
    if (any_device(ps, false) && must_be_alone(s)) return false;
    if (!note_linear(s, address, size, r, false)) return false;
    copy_in(s, ps, static_cast<u8*>(out));
    if (s.observing) [[unlikely]] s.observer->accessed(address, static_cast<const u8*>(out), size, false, r != Rights::current);
    return true;
}

bool write_linear(CpuState& s, u64 address, const void* in, unsigned size, Rights r) {
    Pieces ps;
    if (!find_pieces(s, address, size, Access::write, view_for(s, r), ps)) return false;
    if (any_device(ps, true) && must_be_alone(s)) return false;
    if (!note_linear(s, address, size, r, true)) return false;
    if (!copy_out(s, ps, static_cast<const u8*>(in))) return false;
    if (s.observing) [[unlikely]] s.observer->accessed(address, static_cast<const u8*>(in), size, true, r != Rights::current);
    return true;
}

bool probe_linear(CpuState& s, u64 address, unsigned size, bool write, Rights r) {
    Pieces ps;
    return find_pieces(s, address, size, write ? Access::write : Access::read, view_for(s, r), ps);
}

u8* direct(CpuState& s, u64 address, bool write, bool* code) {
    if (s.code64() && !canonical(address)) return nullptr;
    if (s.watching && breakpoints_hit(s, address & ~u64{0xfff}, 4096, true)) return nullptr;
    if (s.looked_at && (s.observing || (s.debug && s.debug->watches_page(address)))) return nullptr;
    u32 error;
    const PageEntry* e = translate(s, address, write ? Access::write : Access::read, s.x.mode.view(), error);
    if (!e || !e->host) return nullptr;
    if (write && !(e->flags & page::HostWritable)) return nullptr;
    const bool has_code = write && s.cpu->engine().has_code(e->host);
    if (code) *code = has_code;
    else if (has_code) return nullptr;
    return e->host + (address & 0xfff);
}
}  // namespace calque
