// What the files of the system instructions share: descriptors, stacks under construction, events, task switches.
// Functions that return bool raise a fault and return false, having changed nothing that the guest could see.
#pragma once
#include "cpu/cpu.h"
#include "cpu/memory.h"
#include "cpu/mmu.h"

namespace calque {

/// A descriptor as it stands in a table. System descriptors of long mode have an upper half.
struct Descriptor {
    u32 lo = 0, hi = 0;
    u32 upper = 0;      // bits 32-63 of the base or offset in a 16-byte descriptor
    u64 address = 0;    // where it was read
    bool present() const { return hi & 0x8000; }
    bool system() const { return !(hi & 0x1000); }
    unsigned type() const { return hi >> 8 & 15; }
    unsigned dpl() const { return hi >> 13 & 3; }
    bool code() const { return (hi & 0x1800) == 0x1800; }
    bool conforming() const { return (hi & 0x1c00) == 0x1c00; }
    bool writable_data() const { return (hi & 0x1a00) == 0x1200; }
    bool readable() const { return (hi & 0x1800) == 0x1000 || (hi & 0x1a00) == 0x1a00; }
    bool long_mode() const { return hi & 0x200000; }
    bool big() const { return hi & 0x400000; }
    u32 base() const { return lo >> 16 | (hi & 0xff) << 16 | (hi & 0xff000000); }
    u32 limit() const {
        const u32 l = (lo & 0xffff) | (hi & 0xf0000);
        return hi & 0x800000 ? l << 12 | 0xfff : l;
    }
    // gates
    u16 gate_selector() const { return static_cast<u16>(lo >> 16); }
    u32 gate_offset() const { return (lo & 0xffff) | (hi & 0xffff0000); }
    Segment segment(u16 selector) const { return {selector, hi & 0x00f0ff00, limit(), base()}; }
};

/// System descriptor types.
namespace sysdesc {
constexpr unsigned Tss16 = 1, Ldt = 2, Tss16Busy = 3, CallGate16 = 4, TaskGate = 5, IntGate16 = 6, TrapGate16 = 7, Tss32 = 9,
                   Tss32Busy = 11, CallGate32 = 12, IntGate32 = 14, TrapGate32 = 15;
}

inline bool is_null(u16 selector) { return (selector & 0xfffc) == 0; }
/// raise() with a selector as error code; returns false for `return fault(...)`.
bool fault(CpuState&, u8 vector, u32 error = 0);
/// Reads the descriptor that `selector` names. Beyond the table: `vector`(selector).
bool fetch_descriptor(CpuState&, u16 selector, u8 vector, Descriptor&);
/// In long mode, call gates, LDTs and TSSs have 16 bytes: reads the rest. Type bits of the upper half must be 0.
bool fetch_upper(CpuState&, u16 selector, u8 vector, Descriptor&);
/// Sets the accessed bit in the table and in `d`.
bool mark_accessed(CpuState&, Descriptor& d);
/// Sets or clears the busy bit of a TSS descriptor.
bool set_busy(CpuState&, u64 descriptor_address, bool busy);

/// A stack segment for privilege level `cpl`. Faults use `vector` (#GP for loads, #TS for TSS stacks), #SS when not present.
bool check_stack(CpuState&, u16 selector, unsigned cpl, u8 vector, Descriptor&);
void load_segment(CpuState&, Seg, const Segment&);
/// Real-address and virtual-8086 mode: base = selector * 16; the latter also sets limit and rights.
Segment real_segment(const CpuState&, Seg, u16 selector);
Segment vm86_segment(u16 selector);
/// MOV to a data or stack segment register, with all checks.
bool load_data_segment(CpuState&, Seg, u16 selector);
/// LDTR of a task being switched to, or for LLDT; `vector` as in check_stack.
bool load_ldtr(CpuState&, u16 selector, u8 vector);
/// After a return to an outer level: data segments that it must not use become null.
void drop_inner_segments(CpuState&);

/// Is [offset, offset + size) inside the segment, for this kind of access?
bool in_segment(const CpuState&, const Segment&, u64 offset, unsigned size, bool write);
/// RIP of a transfer must be inside the code segment (#GP(0)), or canonical.
bool check_rip(CpuState&, const Segment& cs, u64 rip);

constexpr u64 kSingleStep = 0x4000;   // DR6.BS

/// A stack being pushed to or popped from. The stack pointer register changes only when the caller commits it.
struct Stack {
    CpuState& s;
    Segment ss;
    u64 sp;
    unsigned width;      // of the stack pointer, bytes: 2, 4, 8
    Rights rights;
    u16 error = 0;       // code of a #SS
    static Stack current(CpuState&);
    static Stack of(CpuState&, const Segment& ss, u64 sp, unsigned cpl, bool long_mode);
    bool push(u64 value, unsigned size);
    bool pop(u64& value, unsigned size);
    bool peek(u64 offset, u64& value, unsigned size);
    void skip(u64 bytes) { sp = cut(sp + bytes); }
    u64 cut(u64 v) const { return width == 8 ? v : width == 4 ? v & 0xffffffff : v & 0xffff; }
    void commit() const;   // writes RSP with the stack's width
};
void set_sp(CpuState&, u64 sp, unsigned width);

/// Stack of an inner level from the TSS. 64-bit TSSs give RSP only (`ss` stays 0).
bool tss_stack(CpuState&, unsigned level, u16& ss, u64& sp);

/// Ends an instruction that changed control flow or mode: sets RIP, the mode, and lets the run loop look at what is pending.
void resume_at(CpuState&, u64 rip);
/// A helper's end: x.rip = next.
inline u64 finish(CpuState& s, u64 next) { return resume_at(s, next), 0; }

/// Something to be delivered through the interrupt table.
struct Event {
    u8 vector = 0;
    bool has_error = false;
    u32 error = 0;
    bool software = false;   // INT n, INT3, INTO: the gate's DPL counts
    bool fault = false;      // RF is set in the pushed flags
    u64 rip = 0;             // to return to
};
enum class Outcome : u8 {
    done,
    refused,   // a fault is raised and nothing has changed
    faulted,   // a fault is raised, but already in the context of a new task, whose RIP is in x.rip
};
/// Goes through the IVT or IDT.
Outcome enter_interrupt(CpuState&, const Event&);
/// Delivers `e`, and what faults on the way, up to double fault and shutdown.
void deliver(CpuState&, Event e);
/// Delivers s.exception (x.fault is Fault::raise), which happened at x.rip.
void deliver_exception(CpuState&);

enum class TaskReason : u8 { jump, call, interrupt, iret };
/// `fault`: the old task's saved flags get RF, as flags pushed for a fault do.
Outcome task_switch(CpuState&, u16 selector, Descriptor& tss, TaskReason, u64 next_rip, const u32* error = nullptr, bool fault = false);
/// task_switch for instructions: a fault inside the new task is delivered there.
bool switch_task(CpuState&, u16 selector, Descriptor& tss, TaskReason, u64 next_rip);
/// Checks the TSS selector of a task gate, JMP or CALL.
bool fetch_tss(CpuState&, u16 selector, Descriptor&);

/// Bits that this model has.
u64 cr4_allowed(const CpuState&);
u64 efer_allowed(const CpuState&);
/// CR3 load as MOV CR3 or a task switch does it. False: #GP(0).
bool load_cr3(CpuState&, u64 value);

/// Flags that POPF, IRET and the like may change at this CPL.
u32 changeable_flags(const CpuState&, unsigned operand_size);

/// As RDMSR and WRMSR, but without faults: false is #GP.
bool read_msr(CpuState&, u32 number, u64& value);
bool write_msr(CpuState&, u32 number, u64 value);

void enter_smm(CpuState&);
bool data_breakpoints(const CpuState&);   // DR7 has an enabled one

/// I/O permission: CPL against IOPL and the TSS's bitmap.
bool io_allowed(CpuState&, u16 port, unsigned size);
/// The same, and no debugger wants to look first.
bool port_ready(CpuState&, u16 port, unsigned size, bool write, u32 value = 0);
u32 port_in(CpuState&, u16 port, unsigned size);
void port_out(CpuState&, u16 port, u32 value, unsigned size);
}  // namespace calque
