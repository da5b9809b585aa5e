// The processor as a whole: construction, the run loop, pins.
#include "cpu/cpu.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "cpu/apic.h"
#include "cpu/debug.h"
#include "cpu/fpu/x87.h"
#include "cpu/decode.h"
#include "cpu/lift/lift_block.h"
#include "cpu/model.h"
#include "cpu/observer.h"
#include "cpu/system.h"
#include "support/log.h"
#include "support/state_io.h"

namespace calque {

static Log log{"cpu"};

struct Cpu::Impl final : jit::GuestCode, ApicBus {
    explicit Impl() : intr_pin{*this}, nmi_pin{*this}, smi_pin{*this}, ignne_pin{*this} { s.mmu = &mmu; }

    CpuState s;
    Mmu mmu;
    Cpu* cpu = nullptr;

    // ---- pins. INTR is a level, the others are edges that stay pending until taken.
    bool intr = false, smi_level = false;
    bool nmi_pending = false, smi_pending = false, init_pending = false;
    std::atomic<bool> stop_requested{false};
    u64 target = 0;        // where run_until() returns; shorten() lowers it
    Time clock_base = 0;   // machine time when no instruction had retired, as seen from the current slice

    void set_intr(bool level) {
        intr = level;
        cpu->apic_->lint(0, level);
    }
    void set_nmi(bool level) { cpu->apic_->lint(1, level); }
    void set_smi(bool level) {
        if (level && !smi_level) cpu->raise_smi();
        smi_level = level;
    }
    void ignore_x87() { s.fpu.ignored = s.fpu.sw & fsw::ES; }
    Pin<&Impl::set_intr> intr_pin;
    Pin<&Impl::set_nmi> nmi_pin;
    Pin<&Impl::set_smi> smi_pin;
    EdgePin<&Impl::ignore_x87> ignne_pin;

    void deliver(u8 dest, bool logical, ApicDelivery mode, u8 vector, bool level) override {
        cpu->apic().message(dest, logical, mode, vector, level);
    }

    // ---- what the engine asks
    const u8* fetch_page(u64 linear) override;
    void lift(const jit::LiftRequest& r, jit::Block& out) override {
        lift_block(r, cpu->features_, out);
        if (s.observer && out.insn_count) s.observer->lifted(s.linear_of(s.x.rip), out.byte_count);
    }
    bool lift_alone(jit::Block& out) override;
    void protect(const u8* page) override { mmu.clear_write_tags(s, page); }
    void translated(u64 linear, const u8* host, size_t size) override {
        if (s.observer) s.observer->translated(linear, host, size);
    }
    const jit::PageCuts* stops(u64 linear) override { return s.debug ? s.debug->stops(linear) : nullptr; }

    // ---- the run loop
    bool interrupt_ready() const;
    u8 acknowledge();
    bool take_event();
    bool code_breakpoint();
    bool must_step() const;
    void step();
    void slice(u64 end);
    void handle_fault();
    bool held();
    void await_irq13();
    void deliver_fault();
    void refine_fault();
    bool fetch_bytes(u8* bytes, unsigned& count, unsigned want);
    bool observe_closely(bool);
};

// ---- fetching

const u8* Cpu::Impl::fetch_page(u64 linear) {
    if (s.code64() && !canonical(linear)) return nullptr;
    u32 error;
    const PageEntry* e = translate(s, linear, Access::fetch, s.cpl == 3 ? mode::ViewUser : mode::ViewSupervisor, error);
    return e ? e->host : nullptr;
}

/// Fetches code bytes at RIP until there are `want`, or a fault is raised for the first that cannot be had.
bool Cpu::Impl::fetch_bytes(u8* bytes, unsigned& count, unsigned want) {
    const unsigned view = s.cpl == 3 ? mode::ViewUser : mode::ViewSupervisor;
    while (count < want) {
        const u64 rip = s.x.rip + count;
        if (!s.code64() && rip > s.seg[CS].limit) return fault(s, vec::GP, 0);
        if (s.code64() && !canonical(rip)) return fault(s, vec::GP, 0);
        const u64 linear = s.linear_of(rip);
        u32 error;
        const PageEntry* e = translate(s, linear, Access::fetch, view, error);
        if (!e) return raise_page_fault(s, linear, error), false;
        const unsigned offset = linear & 0xfff;
        bytes[count++] = e->host ? e->host[offset] : static_cast<u8>(device_read(s, *e, offset, 1));
    }
    return true;
}

bool Cpu::Impl::lift_alone(jit::Block& out) {
    u8 bytes[15];
    unsigned count = 0;
    // Byte by byte past the first page, so that a fault is raised only for a byte that the instruction has.
    const u64 linear = s.linear_of(s.x.rip);
    const unsigned room = 4096 - static_cast<unsigned>(linear & 0xfff);
    unsigned want = room < 15 ? room : 15;
    if (!s.code64() && s.x.rip + want > s.code_end) want = 1;
    for (;; ++want) {
        if (!fetch_bytes(bytes, count, want)) return false;
        if (lift_one(bytes, count, s.x.rip, s.x.mode, cpu->features_, out)) {
            if (s.observer) s.observer->lifted(linear, out.byte_count);
            return true;
        }
        if (want >= 15) return fault(s, vec::GP, 0);
    }
}

// ---- events

bool Cpu::Impl::interrupt_ready() const { return cpu->apic_->has_vector() || cpu->apic_->has_ext_int() || (intr && cpu->apic_->passes_intr()); }

u8 Cpu::Impl::acknowledge() {
    u8 vector;
    if (!cpu->apic_->has_ext_int() && cpu->apic_->take_vector(vector)) return vector;
    cpu->apic_->take_ext_int();
    return cpu->wiring_.int_ack.acknowledge();
}

/// Takes the most urgent pending event (SDM vol. 3A, "Prioritization of Concurrent Events"). False: none may be taken now.
bool Cpu::Impl::take_event() {
    if (init_pending && !s.smm) return init_pending = false, cpu->init(), true;
    if (smi_pending && !s.smm) {
        smi_pending = false;
        s.shut_down = false;
        enter_smm(s);
        return true;
    }
    if (s.shut_down) return false;
    if (s.pending_debug && !shadowed(s, ShadowMovSs)) {
        const u64 bits = s.pending_debug;
        s.pending_debug = 0;
        raise(s, vec::DB);
        s.exception.address = bits;
        s.exception.trap = true;
        if (held()) s.pending_debug = bits;
        else deliver_exception(s);
        return true;
    }
    if (nmi_pending && !s.nmi_blocked && !shadowed(s, ShadowMovSs | ShadowSti)) {
        nmi_pending = false;
        s.nmi_blocked = true;
        if (s.debug) s.debug->interrupts(vec::NMI, s.x.rip);
        tell_delivery(s, {.rip = s.x.rip, .vector = vec::NMI, .kind = Debug::Delivery::Kind::external});
        calque::deliver(s, {vec::NMI, false, 0, false, false, s.x.rip});
        return true;
    }
    if ((s.eflags_system & eflags::IF) && interrupt_ready() && !shadowed(s, ShadowSti | ShadowMovSs)) {
        cpu->sync_clock();
        const u8 vector = acknowledge();
        if (s.debug) s.debug->interrupts(vector, s.x.rip);
        tell_delivery(s, {.rip = s.x.rip, .vector = vector, .kind = Debug::Delivery::Kind::external});
        calque::deliver(s, {vector, false, 0, false, false, s.x.rip});
        return true;
    }
    if (s.halted && s.wake_masked && interrupt_ready()) return s.halted = false, true;
    return false;
}

bool Cpu::Impl::code_breakpoint() {
    if (!(s.dr7 & 0xff) || shadowed(s, ShadowMovSs)) return false;   // behind a load of SS "as if EFLAGS.RF were 1"
    if ((s.eflags_system & eflags::RF) && s.rf_at == s.x.icount()) return false;
    const u64 linear = s.linear_of(s.x.rip);
    u64 hit = 0;
    for (unsigned n = 0; n < 4; ++n)
        if ((s.dr7 >> (2 * n) & 3) && !(s.dr7 >> (16 + 4 * n) & 3) && s.dr[n] == linear) hit |= u64{1} << n;
    if (!hit) return false;
    raise(s, vec::DB);
    s.exception.address = hit;
    if (!held()) deliver_fault();
    return true;
}

static bool code_breakpoints(const CpuState& s) {
    for (unsigned n = 0; n < 4; ++n)
        if ((s.dr7 >> (2 * n) & 3) && !(s.dr7 >> (16 + 4 * n) & 3)) return true;
    return false;
}

bool Cpu::Impl::must_step() const {
    if (s.eflags_system & eflags::TF) return true;
    if (code_breakpoints(s)) return true;
    return shadowed(s, ShadowSti | ShadowMovSs) && (interrupt_ready() || nmi_pending || s.pending_debug);
}

void Cpu::Impl::handle_fault() {
    if (s.debug && s.debug->take_refusal()) return void(s.x.fault = jit::Fault::none);   // no exception
    refine_fault();
    if (s.exception.ferr) return await_irq13();
    if (held()) return;
    s.pending_debug = 0;   // the access will be made again
    deliver_fault();
}

/// The instruction waits, and is made again after the interrupt (SDM vol. 1, "Guidelines for Writing x87 FPU Exception Handlers").
void Cpu::Impl::await_irq13() {
    s.x.fault = jit::Fault::none;
    s.exception.ferr = false;
    s.halted = true;
    s.wake_masked = false;
    if (!std::exchange(s.fpu.reported, true) && cpu->wiring_.ferr) cpu->wiring_.ferr->trigger();
}

/// A debugger wants to look before the exception is delivered: the instruction will raise it again.
bool Cpu::Impl::held() {
    if (!s.debug || !s.debug->holds(s.exception)) return false;
    s.x.fault = jit::Fault::none;
    return true;
}

void Cpu::Impl::deliver_fault() {
    deliver_exception(s);
    Tracing& t = s.tracing;
    ++t.faults;
    if (t.fault_at != s.x.icount()) t.fault_at = s.x.icount(), t.faults_there = 0;
    ++t.faults_there;
    if (t.stepping) cpu->shorten(0);
}

static bool uses_stack(Mn mn) {
    switch (mn) {
    case Mn::PUSH: case Mn::POP: case Mn::PUSHA: case Mn::PUSHAD: case Mn::POPA: case Mn::POPAD: case Mn::PUSHF: case Mn::PUSHFD: case Mn::PUSHFQ:
    case Mn::POPF: case Mn::POPFD: case Mn::POPFQ: case Mn::CALL: case Mn::RET: case Mn::ENTER: case Mn::LEAVE: case Mn::IRET: case Mn::IRETD:
    case Mn::IRETQ: return true;
    default: return false;
    }
}

static u64 stack_top(const CpuState& s) {
    if (s.code64()) return s.gpr[RSP];
    return s.seg[SS].base + (s.gpr[RSP] & (s.seg[SS].big() ? 0xffffffff : 0xffff));
}

/// What only the instruction's bytes tell. A non-canonical address gives #SS instead of #GP when it was the stack segment's; a pending
/// x87 exception is reported before whatever the operand in memory gives.
void Cpu::Impl::refine_fault() {
    const u8 v = s.exception.vector;
    const bool pending = x87_waits(s) && (v == vec::SS || v == vec::GP || v == vec::PF || v == vec::AC);
    if (!s.exception.noncanonical && !pending) return;
    const Exception x = s.exception;
    s.x.fault = jit::Fault::none;
    u8 bytes[15];
    unsigned count = 0;
    while (count < 15 && fetch_bytes(bytes, count, count + 1)) {}
    Insn in;
    const bool known = decode(bytes, count, s.x.rip, s.x.mode, cpu->features_, in) == Decode::ok;
    s.exception = x;
    s.x.fault = jit::Fault::raise;
    if (!known) return;
    if (pending && waits_for_fpu(in)) return raise_x87(s);
    if (!x.noncanonical) return;
    const Operand* memory = nullptr;
    for (const Operand& o : in.op)
        if (o.is_mem()) memory = &o;
    const bool explicit_stack = memory ? memory->seg == SS : in.seg == SS, also_memory = memory && !explicit_stack;
    // Which of the two it was: what PUSH, POP and CALL with an operand in memory do on the stack is next to its top.
    const u64 from_top = x.address - stack_top(s) + 8;
    const bool implicit_stack = uses_stack(in.mn) && (!also_memory || (s.code64() ? from_top : from_top & 0xffffffff) <= 16);
    if (explicit_stack || implicit_stack) s.exception.vector = vec::SS;
}

void Cpu::Impl::step() {
    const bool trap = s.eflags_system & eflags::TF;
    const u64 held_off = s.pending_debug;   // a data breakpoint of the load of SS before; its trap comes behind this instruction or its fault
    s.step_trap_off = false;
    s.x.deadline = s.x.icount() + 1;
    s.x.budget = 1;
    const auto stop = cpu->engine_->step();
    if (stop == jit::Engine::Stop::fault) {
        handle_fault();
        s.pending_debug |= held_off;
        return;
    }
    // SDM vol. 3A, "Masking Exceptions and Interrupts When Switching Stacks": behind a load of SS the trap is not late but suppressed.
    if (trap && !s.step_trap_off && !shadowed(s, ShadowMovSs)) s.pending_debug |= kSingleStep;
}

bool Cpu::Impl::observe_closely(bool on) {
    if (std::exchange(s.observing, on) != on) mmu.hide_watched(s);
    return on;
}

void Cpu::Impl::slice(u64 end) {
    const bool marked = s.debug && s.debug->at_breakpoint();
    if ((marked && s.debug->breaks()) || code_breakpoint()) return;
    const u64 now = s.x.icount();
    if (s.observer) {
        const u64 free = s.observer->attend(now);
        if (observe_closely(free <= now)) return step();
        end = std::min(end, free);
    }
    if (marked || must_step()) return step();
    if (s.debug && s.debug->stepping() && !s.tracing.repeating) end = now + 1;
    s.x.deadline = end;
    s.x.budget = static_cast<i64>(end - now);
    if (cpu->engine_->run() == jit::Engine::Stop::fault) handle_fault();
}

// ---- Cpu

Cpu::Cpu(const CpuModel& model, const CpuWiring& wiring, const jit::EngineOptions& options)
    : impl_{std::make_unique<Impl>()}, s_{impl_->s}, model_{model}, wiring_{wiring}, features_{model.features} {
    impl_->cpu = this;
    s_.cpu = this;
    for (auto& view : s_.tlb.data)
        for (auto& e : view) e = {jit::kNoTag, jit::kNoTag, 0, 0};
    for (auto& e : s_.tlb.fetch) e = {jit::kNoTag, nullptr};
    engine_ = std::make_unique<jit::Engine>(&s_, cpu_layout(), *impl_, options);
    if (std::ranges::find(options.disable, "tlb") != options.disable.end()) impl_->mmu.forget_everything();
    apic_ = std::make_unique<LocalApic>(*this);
    reset();
}

Cpu::~Cpu() = default;

Cpu::Stop Cpu::run_until(u64 target) {
    Impl& i = *impl_;
    i.clock_base = wiring_.clock.now() - s_.x.icount();
    i.target = target;
    Stop stop;
    for (;;) {
        if (s_.debug && s_.debug->ends_run()) { stop = Stop::debug; break; }
        if (!s_.tracing.stopped && i.take_event()) {
            ++s_.tracing.events;
            continue;
        }
        if (std::exchange(s_.tracing.stopped, false)) { stop = Stop::exception; break; }
        if (i.stop_requested.exchange(false, std::memory_order_relaxed)) { stop = Stop::attention; break; }
        if (s_.shut_down) { stop = Stop::shut_down; break; }
        if (s_.halted) { stop = Stop::halted; break; }
        if (s_.x.icount() >= i.target) { stop = Stop::deadline; break; }
        i.slice(i.target);
    }
    sync_clock();
    return stop;
}

void Cpu::set_observer(Observer* o) {
    s_.observer = o;
    if (!o) impl_->observe_closely(false);
}

Cpu::Stop Cpu::run_instructions(u64 n, u64 most) {
    constexpr u64 kIterations = 1u << 16;   // of a repeated instruction at a time
    Tracing& t = s_.tracing;
    const u64 goal = instructions() + n;
    Stop stop = Stop::deadline;
    t.stepping = true;
    while (stop == Stop::deadline && instructions() < goal && icount() < most) {
        const u64 left = t.repeating ? kIterations : goal - instructions();
        stop = run_until(icount() + std::min(left, most - icount()));
    }
    t.stepping = false;
    return stop;
}

void Cpu::sync_clock() {
    const Time t = impl_->clock_base + s_.x.icount();
    if (t > wiring_.clock.now()) wiring_.clock.set_now(t);
}

void Cpu::shorten(u64 icount) {
    const u64 least = s_.x.icount() + s_.x.unretired;
    if (icount < least) icount = least;
    impl_->target = std::min(impl_->target, icount);
    if (icount >= s_.x.deadline) return;
    s_.x.budget -= static_cast<i64>(s_.x.deadline - icount);
    s_.x.deadline = icount;
    if (s_.x.budget < 0) end_slice();
}

void Cpu::refine_fault() { impl_->refine_fault(); }

void Cpu::request_stop() {
    impl_->stop_requested.store(true, std::memory_order_relaxed);
    end_slice();
}

void Cpu::check_events() {
    const Impl& i = *impl_;
    if (i.nmi_pending || i.smi_pending || i.init_pending || s_.pending_debug || (s_.eflags_system & eflags::TF) || (s_.dr7 & 0xff) ||
        ((s_.eflags_system & eflags::IF) && i.interrupt_ready()))
        end_slice();
}

void Cpu::raise_nmi() { impl_->nmi_pending = true, check_events(); }
void Cpu::raise_smi() { impl_->smi_pending = true, check_events(); }
void Cpu::raise_init() { impl_->init_pending = true, check_events(); }

void Cpu::forget_pins() {
    Impl& i = *impl_;
    i.nmi_pending = i.smi_pending = i.init_pending = false;
}

void Cpu::pins_state(StateIO& io) {
    Impl& i = *impl_;
    io(i.intr, i.smi_level, i.nmi_pending, i.smi_pending, i.init_pending);
}

Line& Cpu::intr() { return impl_->intr_pin; }
Line& Cpu::nmi() { return impl_->nmi_pin; }
Line& Cpu::smi() { return impl_->smi_pin; }
EdgeLine& Cpu::ignne() { return impl_->ignne_pin; }
ApicBus& Cpu::apic_bus() { return *impl_; }

void Cpu::memory_changed(const u8* host, size_t size) {
    if (s_.writes) s_.writes->note(host, size);
    engine_->memory_changed(host, size);
}
void Cpu::watch_writes(WriteWatch* watch) {
    s_.writes = watch;
    s_.mmu->hide_watched(s_);
}
void Cpu::map_changed() { tlb_flush_all(s_); }

u64 Cpu::local_apic_base() const {
    constexpr u64 Enabled = 0x800, X2 = 0x400;
    return (s_.apic_base & (Enabled | X2)) == Enabled ? s_.apic_base & kPhysMask & ~u64{0xfff} : ~u64{0};
}
}  // namespace calque
