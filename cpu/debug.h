// What a debugger wants of a processor: to stop before instructions, after accesses to memory and at events. The guest sees none of it:
// instruction counts, registers and memory are what they would be without.
#pragma once
#include <array>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "jit/guest.h"

namespace calque {

class Cpu;
struct CpuState;
struct Exception;

class Debug {
public:
    enum class Event : u8 {
        none,
        breakpoint,   // before the instruction
        step,         // the one instruction asked for is over, or a delivery has come before it
        watch,        // after the instruction that touched the memory
        exception,    // before its delivery
        software,     // INT n: before the instruction
        interrupt,    // from outside: after the delivery, at the handler's first instruction
        port, msr, control,   // before the instruction; control: a write to CR0 to CR8
    };
    /// Linear addresses, both ends included.
    struct Watch {
        u64 first = 0, last = 0;
        bool read = false, write = false;
        bool operator==(const Watch&) const = default;
    };
    /// Events whose number (vector, port, register) lies between, both ends included.
    struct Catch {
        Event event = Event::none;
        u64 first = 0, last = 0;
        bool read = true, write = true;
    };
    struct Hit {
        Event event = Event::none;
        u64 at = 0;           // address, vector, port, register
        u64 value = 0;        // written; of an exception: the error code
        unsigned size = 0;
        bool read = false, write = false;
    };
    /// A delivery through the interrupt table.
    struct Delivery {
        u64 icount = 0, rip = 0;   // where it came
        u16 cs = 0;
        u8 vector = 0;
        enum class Kind : u8 { exception, software, external } kind = Kind::exception;
        bool has_error = false;
        u32 error = 0;
    };

    explicit Debug(Cpu&);
    ~Debug();
    Debug(const Debug&) = delete;

    // ---- where to stop. Not while the processor runs.
    void set_breakpoints(std::vector<u64> linear);
    void set_watches(std::vector<Watch>);
    void set_catches(std::vector<Catch> c) { catches_ = std::move(c); }

    // ---- running
    /// Before the next Cpu::run_until(): go on from here, for one instruction or until something stops it. What has been reported at this
    /// instruction does not stop it again. A repeated string instruction is one, an instruction that faults is one with the delivery.
    void resume(bool one_instruction);
    /// After Cpu::Stop::debug.
    const Hit& hit() const { return hit_; }
    /// The last deliveries, oldest first.
    std::vector<Delivery> deliveries() const;

    // ---- for the processor
    const jit::PageCuts* stops(u64 linear) const;
    bool watching() const { return !watches_.empty(); }
    bool watches_page(u64 linear) const { return watching() && watched(linear & ~u64{4095}, 4096, true, true); }
    bool watched(u64 address, unsigned size, bool read, bool write) const;
    /// A watched access happens in the running instruction, which is its block's last.
    void note_access(u64 address, unsigned size, bool read, bool write);
    /// Before an instruction has changed anything. True: it must give way as if it had faulted; the run loop asks take_refusal().
    bool refuses(const Hit&);
    bool take_refusal() { return std::exchange(refused_, false); }
    /// True: the exception must not be delivered now.
    bool holds(const Exception&);
    /// RIP changes otherwise than by running an instruction.
    void moved() { reported_ = 0, interrupted_ = true; }
    void delivers(u8 vector, Delivery::Kind, u64 rip);
    void delivers(const Exception&, u64 rip);
    /// An interrupt from outside is being delivered: the run stops behind that.
    void interrupts(u8 vector, u64 rip);

    // ---- for the run loop
    bool ends_run();
    /// There is a breakpoint at RIP.
    bool at_breakpoint() const;
    /// It stops the run here; false when it has done so.
    bool breaks();
    bool stepping() const { return stepping_; }

private:
    bool wanted(const Hit&) const;
    void log(const Delivery&);   // for deliveries()
    bool report(const Hit&);   // false: it has been, at this instruction

    Cpu& cpu_;
    CpuState& s_;
    std::unordered_map<u64, std::unique_ptr<jit::PageCuts>> pages_;   // breakpoints
    std::vector<u64> breakpoints_;
    std::vector<Watch> watches_;
    std::vector<Catch> catches_;
    Hit hit_;
    u32 reported_ = 0;         // which Events have been reported when so many instructions had retired; one bit each
    u64 reported_at_ = 0;
    bool stepping_ = false, refused_ = false, interrupted_ = false;
    u64 step_goal_ = 0;
    std::array<Delivery, 256> log_;
    size_t logged_ = 0;
};
}  // namespace calque
