// Who looks on while the processor runs: traces, profiles, coverage. Nothing that the guest sees depends on it.
#pragma once
#include "cpu/debug.h"
#include "cpu/state.h"

namespace calque {

class Observer {
public:
    virtual ~Observer() = default;
    /// Before the processor goes on: up to which instruction count it may run freely. Not beyond the present one: the instruction at RIP
    /// goes by itself then, and its accesses to memory are told. May be asked again at the same place.
    virtual u64 attend(u64 icount) = 0;
    /// `code`: linear addresses that have just been lifted, because they are about to run.
    virtual void lifted(u64 /*code*/, unsigned /*bytes*/) {}
    /// Code has been translated to `size` bytes at `host`.
    virtual void translated(u64 /*code*/, const u8* /*host*/, size_t /*size*/) {}
    /// Of an instruction that goes by itself. `system`: the processor's own, of tables and stacks it switches to.
    virtual void accessed(u64 /*linear*/, const u8* /*bytes*/, unsigned /*size*/, bool /*write*/, bool /*system*/) {}
    /// Inside the instruction whose offset in the code segment is given.
    virtual void port(u64 /*rip*/, u16 /*port*/, u32 /*value*/, unsigned /*size*/, bool /*write*/) {}
    virtual void delivered(const Debug::Delivery&) {}
};

inline void tell_delivery(const CpuState& s, Debug::Delivery d) {
    if (!s.observer) return;
    d.icount = s.x.icount(), d.cs = s.seg[CS].selector;
    s.observer->delivered(d);
}
}  // namespace calque
