// Linear memory for helpers: everything the processor itself reads and writes outside of IR loads and stores.
// All functions may fault (s.exception and s.x.fault are set, result false) and change nothing then.
#pragma once
#include "cpu/state.h"

namespace calque {

/// Whose rights an access has: the current CPL's, or the processor's own (descriptor tables, TSS, stacks being switched to).
enum class Rights : u8 { current, supervisor, user };

bool read_linear(CpuState&, u64 address, void* out, unsigned size, Rights = Rights::current);
bool write_linear(CpuState&, u64 address, const void* in, unsigned size, Rights = Rights::current);
/// Checks that all of the range could be written (or read), without doing it.
bool probe_linear(CpuState&, u64 address, unsigned size, bool write, Rights = Rights::current);

template <class T>
bool read_linear(CpuState& s, u64 address, T& out, Rights r = Rights::current) { return read_linear(s, address, &out, sizeof out, r); }
template <class T>
bool write_linear_value(CpuState& s, u64 address, T v, Rights r = Rights::current) { return write_linear(s, address, &v, sizeof v, r); }

/// Does an access by flat segments go past 4 GiB, where that is a fault?
bool passes_flat_limit(const CpuState&, u64 address, unsigned size);

/// Host memory behind [address, end of its page) when it is plain RAM accessible that way (and, for writing, without code);
/// nullptr else, with no fault raised. For string helpers. With `code`, a page with code is given too, and `code` says so:
/// Engine::about_to_store must be asked before it changes.
u8* direct(CpuState&, u64 address, bool write, bool* code = nullptr);

/// Sets s.exception and x.fault.
void raise(CpuState&, u8 vector);
void raise(CpuState&, u8 vector, u32 error);
void raise_page_fault(CpuState&, u64 address, u32 error);

namespace vec {
constexpr u8 DE = 0, DB = 1, NMI = 2, BP = 3, OF = 4, BR = 5, UD = 6, NM = 7, DF = 8, TS = 10, NP = 11, SS = 12, GP = 13, PF = 14,
             MF = 16, AC = 17, MC = 18, XM = 19;
}

/// Slow paths of IR loads and stores (jit::Layout::read, write).
u64 slow_read(void* state, u64 address, u32 what);
void slow_write(void* state, u64 address, u64 value, u32 what);

/// TLB maintenance. Each also tells the engine's fetch side.
void tlb_flush_all(CpuState&);
void tlb_flush_non_global(CpuState&);
void tlb_flush_page(CpuState&, u64 linear);
}  // namespace calque
