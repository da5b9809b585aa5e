// One x86-64 processor: state, engine, local APIC, and the pins that the board wires.
#pragma once
#include <memory>
#include <string>

#include "cpu/isa.h"
#include "cpu/state.h"
#include "jit/engine.h"
#include "support/apic_bus.h"
#include "support/clock.h"
#include "support/line.h"
#include "support/phys.h"
#include "support/result.h"

namespace calque {

struct CpuModel;   // cpu/model.h
class LocalApic;   // cpu/apic.h
class StateIO;

struct CpuWiring {
    PhysSpace& memory;
    IoSpace& io;
    IntAck& int_ack;       // the 8259A pair
    Clock& clock;          // for the local APIC's timer; 1 ns of it is one instruction plus whatever time idling skipped
    ApicEoi* eoi = nullptr;       // I/O APICs listening to end-of-interrupt broadcasts
    Line* smm_active = nullptr;   // SMIACT#: the board opens SMRAM
    EdgeLine* ferr = nullptr;     // FERR#: with CR0.NE = 0 an x87 error waits for the interrupt that comes of this
};

class Cpu {
public:
    Cpu(const CpuModel&, const CpuWiring&, const jit::EngineOptions&);
    ~Cpu();
    Cpu(const Cpu&) = delete;

    // ---- running
    enum class Stop { deadline, halted, shut_down, attention, exception, debug };
    /// Runs until `icount` instructions have retired in all, or the processor halts (waiting for an interrupt) or shuts down, or
    /// somebody asked by request_stop(). Delivers interrupts at their exact instruction. On return the clock shows the time of the
    /// last retired instruction; timers due by then have not been fired (Clock::advance_to does).
    Stop run_until(u64 icount);
    u64 icount() const { return s_.x.icount(); }
    /// Runs `n` instructions as a person counts them: a repeated string instruction is one, and an instruction that faults is one,
    /// with the delivery. Gives up (Stop::deadline) when `most` have retired as icount() has it.
    Stop run_instructions(u64 n, u64 most);
    u64 instructions() const { return icount() - s_.tracing.repeats + s_.tracing.faults; }
    /// Stop::exception instead of delivering this vector: of an exception that an instruction raises, of a software interrupt, or of the
    /// double fault that comes of one; state().exception has it. -1: none.
    void stop_at_vector(int vector) { s_.tracing.stop_vector = vector; }
    /// Somebody armed an earlier event, raised an interrupt, changed the memory map: end the current slice after this instruction.
    void shorten(u64 icount);
    void request_stop();
    /// After the engine alone has run and raised an exception: settles which one (run_until does so itself).
    void refine_fault();

    // ---- pins
    Line& intr();
    Line& nmi();
    Line& smi();
    EdgeLine& ignne();       // IGNNE#: the x87 goes on in spite of its pending error, until that is cleared
    ApicBus& apic_bus();     // interrupt messages to this processor
    void reset();            // RESET: also cold start
    void init();             // INIT#: like reset, but keeps caches, x87, APIC base, SMBASE

    // ---- for the board
    /// RAM is about to be changed by a bus master; the memory map has changed.
    void memory_changed(const u8* host, size_t size);
    /// Pages are noted there before their first store, whoever makes it; again after marks in it have been set or cleared. nullptr: no more.
    void watch_writes(WriteWatch*);
    void map_changed();
    u64 local_apic_base() const;   // for the board: the page answers here, not on the bus

    // ---- looking at it (debuggers, monitor, tests)
    /// Null: nobody. Not while the processor runs.
    void set_observer(Observer*);
    CpuState& state() { return s_; }
    const CpuState& state() const { return s_; }
    jit::Engine& engine() { return *engine_; }
    LocalApic& apic() { return *apic_; }
    const CpuModel& model() const { return model_; }
    PhysSpace& memory() { return wiring_.memory; }
    IoSpace& io() { return wiring_.io; }
    Clock& clock() { return wiring_.clock; }
    const CpuWiring& wiring() const { return wiring_; }
    bool has_feature(Isa f) const { return features_.has(f); }
    const IsaSet& features() const { return features_; }
    /// What the manuals leave open goes by AMD's Zen, not by Intel's processors.
    bool zen() const { return has_feature(Isa::zen); }

    // ---- for the processor's own parts
    /// RIP of the running instruction, while a helper of it runs. ExecContext::rip is exact between instructions only.
    u64 running_rip() const { return engine_->running_rip(); }
    /// Moves the clock to the current instruction, before a device or the time stamp counter looks at it.
    void sync_clock();
    /// Lets the run loop look at what is pending after the current instruction.
    void end_slice() { s_.x.deadline -= static_cast<u64>(s_.x.budget), s_.x.budget = 0; }
    /// end_slice() if something is pending that the run loop would act on.
    void check_events();
    /// The local APIC has, or no longer has, a vector to deliver.
    void apic_changed() { check_events(); }
    void raise_nmi();
    void raise_smi();
    void raise_init();
    /// Fills the TLBs as an instruction does that reads there, at the current level and in user mode. False: neither may, or it is no memory.
    bool touch(u64 linear);
    /// Pages that the inline TLB holds, by linear address; those that it holds for stores first. touch() of each in this order brings them back.
    std::vector<u64> inline_pages() const;
    /// Walks that are remembered of the current address space though the page tables lead elsewhere now, or allow less: a guest may not have
    /// voided them yet.
    struct OldWalk {
        u64 linear, paddr;
        bool writable, user, no_exec, dirty;
    };
    std::vector<OldWalk> old_walks();
    /// Saves and loads the architectural state, APIC and counters (not translations).
    void save_state(StateIO&);
    /// Saves and loads what the TLBs hold; loading comes after save_state() and after the memory map. No state_hash() sees it.
    void translations_state(StateIO&);

private:
    void forget_pins();
    void pins_state(StateIO&);
    struct Impl;
    std::unique_ptr<Impl> impl_;
    CpuState& s_;
    const CpuModel& model_;
    CpuWiring wiring_;
    IsaSet features_;
    std::unique_ptr<jit::Engine> engine_;
    std::unique_ptr<LocalApic> apic_;
};
}  // namespace calque
