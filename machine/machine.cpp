#include "machine/machine.h"

#include <algorithm>

#include "cpu/debug.h"
#include "cpu/inspect.h"
#include "cpu/registers.h"
#include "cpu/system.h"
#include "machine/block/journal_image.h"
#include "support/assert.h"
#include "support/log.h"

namespace calque {
namespace {
Log log{"machine"};
constexpr unsigned kHopelessDeadlines = 20'000;  // how many timers may fire before HLT with IF = 0 counts as final
constexpr unsigned kIdleSteps = 4096;            // deadlines that one run() passes without an instruction
constexpr u64 kHostSlice = 200'000;              // instructions between looks at the wall clock

Error only_replayed() { return {"the machine replays what has been; nobody else can change it"}; }
}  // namespace

Machine::Stop Machine::run(u64 instructions) {
    if (stopped_) return *stopped_;
    const u64 start = icount();
    const u64 end = instructions > kNeverCount - start ? kNeverCount : start + instructions;
    for (unsigned idle_steps = 0; idle_steps < kIdleSteps; ++idle_steps) {
        if (icount() >= stop_at_) return stop(Stop::stop_at);
        if (icount() >= end) return Stop::slice;
        const bool held = icount() >= hold_.icount;
        if (held && clock_.now() >= hold_.time && turns_ >= hold_.turns) {
            if (moment() >= hold_) return Stop::slice;
            if (auto s = run_into_fault()) return *s;
            continue;
        }
        if (auto s = take_requests()) return *s;
        u64 target = std::min({end, stop_at_, hold_.icount, icount_at(clock_.next_deadline())});
        if (config_.clock == ClockMode::host) {
            if (const Time by = pacer_.step(clock_.now(), clock_.next_deadline())) {
                gate_.submit({.kind = GateEvent::Kind::time_skew, .a = by});
                continue;
            }
            target = std::min(target, icount() + kHostSlice);
            if (clock_.now() > pacer_.present() + Pacer::kTolerance) return Stop::idle;
        }
        const u64 before = icount();
        const bool slept = cpu_->state().halted;
        const u64 events = cpu_->state().tracing.events;
        const Cpu::Stop why = cpu_->run_until(std::max(target, before));
        clock_.advance_to(icount() + skew_);
        if (icount() != before) idle_steps = 0, hopeless_ = 0, turns_ = 0;
        else if (why == Cpu::Stop::debug ? cpu_->state().tracing.events != events : !(slept && why == Cpu::Stop::halted)) ++turns_;
        if (auto s = take_requests()) return *s;
        if (auto s = after_run(why)) return *s;
    }
    return Stop::slice;
}

/// A debugger had stopped the recorded machine behind the delivery of a fault that the next instruction raises.
std::optional<Machine::Stop> Machine::run_into_fault() {
    bool& stepping = cpu_->state().tracing.stepping;
    const bool before = std::exchange(stepping, true);
    const Cpu::Stop why = cpu_->run_until(icount() + 1);
    stepping = before;
    clock_.advance_to(icount() + skew_);
    return why == Cpu::Stop::debug || why == Cpu::Stop::shut_down ? after_run(why) : std::nullopt;
}

Moment Machine::moment() const {
    const Tracing& t = cpu_->state().tracing;
    return {icount(), clock_.now(), turns_, t.fault_at == icount() ? t.faults_there : 0};
}

void Machine::begin_moments() {
    turns_ = cpu_->state().tracing.faults_there = 0;
    gate_.begin_count();
}

std::optional<Machine::Stop> Machine::after_run(Cpu::Stop why) {
    if (why == Cpu::Stop::halted) return idle();
    if (why == Cpu::Stop::debug) return Stop::debug;
    if (why != Cpu::Stop::shut_down) return {};
    ++triple_faults_;
    triple_fault_rip_ = cpu_->state().x.rip;
    log.info("triple fault at RIP %llx", static_cast<unsigned long long>(triple_fault_rip_));
    if (!config_.reboot) return stop(Stop::triple_fault);
    hard_reset();
    return {};
}

// The processor waits. Time moves on to what is due next; with the wall clock, somebody has to wait for that first.
std::optional<Machine::Stop> Machine::idle() {
    if (config_.clock == ClockMode::replay) return Stop::idle;
    const Time next = clock_.next_deadline();
    const bool deaf = !(cpu_->state().eflags_system & eflags::IF);
    if (deaf && (next == kNever || ++hopeless_ > kHopelessDeadlines)) return stop(Stop::halted);
    if (config_.clock == ClockMode::host) {
        if (next == kNever || pacer_.wait_for(next) > 0) return Stop::idle;
        gate_.submit({.kind = GateEvent::Kind::time_skew, .a = next - std::min(next, clock_.now())});
        return {};
    }
    if (next == kNever) return Stop::idle;
    move_time(next - std::min(next, clock_.now()));
    return {};
}

Time Machine::sleep_time() const {
    if (config_.clock != ClockMode::host) return kNever;
    if (!cpu_->state().halted) return pacer_.wait_for(clock_.now());
    const Time next = clock_.next_deadline();
    return next == kNever ? kNever : pacer_.wait_for(next);
}

void Machine::move_time(Time by) {
    if (by) turns_ = 0;
    skew_ += by;
    clock_.advance_to(clock_.now() + by);
}

void Machine::on_earlier_deadline(Time t) { cpu_->shorten(icount_at(std::max(t, clock_.now()))); }

// What the guest asked for in the middle of an instruction happens after it.
std::optional<Machine::Stop> Machine::take_requests() {
    if (!requests_.any()) return {};
    const Requests r = std::exchange(requests_, {});
    if (r.debug_exit) return stop(Stop::debug_exit);
    if (r.power_off) return stop(Stop::powered_off);
    if (r.hard_reset && !config_.reboot) return stop(Stop::reset);
    if (r.hard_reset) hard_reset();
    else if (r.soft_reset) cpu_->init();
    return {};
}

void Machine::hard_reset() {
    ++resets_;
    log.info("reset at instruction %llu", static_cast<unsigned long long>(icount()));
    board_->reset();
    cpu_->reset();
}

void Machine::set_smm(bool active) { memory_->set_smm(active); }

// Where an event takes effect must not depend on how often the run loop looked in between: timers that are due, and a reset that has been
// asked for, come before it.
void Machine::settle() {
    clock_.advance_to(clock_.now());
    if (requests_.any() && !requests_.power_off && !requests_.debug_exit && (config_.reboot || !requests_.hard_reset)) take_requests();
}

void Machine::begin_replay(bool host_clock, bool reboot) {
    gate_.close();
    config_.clock = host_clock ? ClockMode::replay : ClockMode::fixed;
    config_.reboot = reboot;
}

void Machine::set_repeating(bool on) {
    if (on == std::exchange(repeating_, on)) return;
    if (on) {
        gate_was_closed_ = gate_.closed(), clock_before_ = config_.clock;
        gate_.close();
        if (config_.clock == ClockMode::host) config_.clock = ClockMode::replay;
        return;
    }
    gate_.close(gate_was_closed_);
    config_.clock = clock_before_;
    hold_nowhere();
    resume_clock();
}

void Machine::end_replay(ClockMode clock) {
    gate_.close(false);
    config_.clock = clock;
    hold_nowhere();
    resume_clock();
}

bool Machine::accepts(const GateEvent& e) {
    using Kind = GateEvent::Kind;
    if (e.kind == Kind::set_register) return find_register(e.name) && e.bytes.size() == sizeof(RegisterValue);
    if (e.kind == Kind::serial || e.kind == Kind::serial_break) return board_->serial(static_cast<unsigned>(e.a));
    if (e.kind != Kind::insert_medium) return true;
    if (!e.y) return board_->cdrom(static_cast<unsigned>(e.a));
    return board_->floppy() && e.a < 2 && board_->floppy()->drive(static_cast<unsigned>(e.a)).type() != FloppyType::none;
}

Result<i32> Machine::open_medium(const ImageConfig& image) {
    auto opened = open_image(image, "medium");
    if (!opened) return opened.error();
    return static_cast<i32>(images_.size()) - 1;
}

void Machine::apply(const GateEvent& e) {
    using Kind = GateEvent::Kind;
    switch (e.kind) {
    case Kind::input:
        input_taken_ = true;
        if (e.a == 0) e.input.deliver(input_devices_);
        else input_taken_ = input_queue_.at(e.a, e.input);
        break;
    case Kind::serial:
        if (Uart16550* port = board_->serial(static_cast<unsigned>(e.a))) port->receive(static_cast<u8>(e.x));
        break;
    case Kind::serial_break:
        if (Uart16550* port = board_->serial(static_cast<unsigned>(e.a))) port->receive_break();
        break;
    case Kind::time_skew: move_time(e.a); break;
    case Kind::power_button: button_heard_ = board_->pm().press_power_button(); break;
    case Kind::reset:
        if (stopped_ == Stop::halted || stopped_ == Stop::triple_fault) stopped_.reset(), hopeless_ = 0;
        requests_.hard_reset = true;
        break;
    case Kind::insert_medium: exchange_medium(e); break;
    case Kind::set_memory:
    case Kind::set_register:
    case Kind::set_msr: set_error_ = set_by_debugger(e); break;
    }
}

std::optional<Error> Machine::set_by_debugger(const GateEvent& e) {
    using Kind = GateEvent::Kind;
    if (e.kind == Kind::set_memory) {
        const bool ok = e.y ? write_physical(*cpu_, e.a, e.bytes) : write_linear_quietly(*cpu_, e.a, e.bytes);
        return ok ? std::nullopt : std::optional{Error{"there is no memory"}};
    }
    RegisterValue v;
    for (size_t i = 0; i < e.bytes.size(); ++i) v.word[i / 8] |= u64{e.bytes[i]} << (8 * (i % 8));
    if (e.kind == Kind::set_msr) {
        CpuState& s = cpu_->state();
        if (!write_msr(s, static_cast<u32>(e.a), v.word[0])) return Error{"WRMSR of this value would be #GP"};
        compute_mode(s);
        return {};
    }
    const auto changed = change_register(*cpu_, *find_register(e.name), v, e.y);
    return changed ? std::nullopt : std::optional{changed.error()};
}

bool Machine::set_memory(u64 address, std::span<const u8> in, bool physical) {
    GateEvent e;
    e.kind = GateEvent::Kind::set_memory, e.a = address, e.y = physical;
    e.bytes.assign(in.begin(), in.end());
    set_error_ = only_replayed();
    gate_.submit(e);
    return !set_error_;
}

Result<void> Machine::set_register(const std::string& name, const std::array<u64, 4>& value, bool settles) {
    GateEvent e;
    e.kind = GateEvent::Kind::set_register, e.y = settles, e.name = name;
    for (const u64 word : value)
        for (unsigned i = 0; i < 8; ++i) e.bytes.push_back(static_cast<u8>(word >> (8 * i)));
    set_error_ = only_replayed();
    gate_.submit(e);
    return set_error_ ? Result<void>{*set_error_} : Result<void>{};
}

bool Machine::set_msr(u32 number, u64 value) {
    GateEvent e;
    e.kind = GateEvent::Kind::set_msr, e.a = number;
    for (unsigned i = 0; i < 8; ++i) e.bytes.push_back(static_cast<u8>(value >> (8 * i)));
    set_error_ = only_replayed();
    gate_.submit(e);
    return !set_error_;
}

// x: index of the image, or -1; y: 1 for a floppy disk; z: whether to insist.
void Machine::exchange_medium(const GateEvent& e) {
    BlockImage* image = e.x >= 0 ? images_[static_cast<size_t>(e.x)].image.get() : nullptr;
    BlockImage* old = nullptr;
    if (e.y) {
        FloppyDrive& drive = board_->floppy()->drive(static_cast<unsigned>(e.a));
        old = drive.medium();
        drive.insert(image);
    } else {
        AtapiCdrom& drive = *board_->cdrom(static_cast<unsigned>(e.a));
        BlockImage* const was = drive.medium();
        if (!drive.eject(e.z != 0)) return;
        old = was;
        if (image) drive.insert(image);
    }
    for (auto& i : images_)
        if (old && !keep_media_ && i.image.get() == old) i.image.reset();  // closes and unlocks the file
}

std::vector<BlockImage*> Machine::media() const {
    std::vector<BlockImage*> out;
    for (unsigned n = 0; n < config_.cdroms.size(); ++n) out.push_back(board_->cdrom(n)->medium());
    for (unsigned n = 0; board_->floppy() && n < 2; ++n) out.push_back(board_->floppy()->drive(n).medium());
    return out;
}

/// Into drives whose state is loaded afterwards.
void Machine::put_media(const std::vector<BlockImage*>& media) {
    size_t n = 0;
    for (unsigned d = 0; d < config_.cdroms.size(); ++d, ++n) {
        AtapiCdrom& drive = *board_->cdrom(d);
        if (drive.medium() == media[n]) continue;
        drive.eject(true);
        if (media[n]) drive.insert(media[n]);
    }
    for (unsigned d = 0; board_->floppy() && d < 2; ++d, ++n)
        if (FloppyDrive& drive = board_->floppy()->drive(d); drive.medium() != media[n]) drive.insert(media[n]);
}

Result<void> Machine::change_cdrom(unsigned n, const std::string& path, bool force) {
    if (gate_.closed()) return only_replayed();
    const AtapiCdrom* drive = board_->cdrom(n);
    if (!drive) return Error{"there is no CD-ROM drive " + std::to_string(n)};
    if (drive->locked() && !force) {
        gate_.submit({.kind = GateEvent::Kind::insert_medium, .a = n, .x = -1});  // the guest sees an eject request
        return Error{"the guest has locked CD-ROM drive " + std::to_string(n) + "; it has been asked to release the medium"};
    }
    const ImageConfig medium{path, true, false};
    auto image = open_image(medium, "CD-ROM");
    if (!image) return image.error();
    gate_.submit({.kind = GateEvent::Kind::insert_medium, .a = n, .x = *image ? static_cast<i32>(images_.size()) - 1 : -1, .z = force, .medium = medium});
    return {};
}

Result<void> Machine::change_floppy(unsigned n, const std::string& path, bool read_only) {
    if (gate_.closed()) return only_replayed();
    if (!board_->floppy() || n > 1 || board_->floppy()->drive(n).type() == FloppyType::none)
        return Error{"there is no floppy drive " + std::to_string(n)};
    const ImageConfig medium{path, read_only, false};
    auto image = open_image(medium, "floppy disk");
    if (!image) return image.error();
    gate_.submit({.kind = GateEvent::Kind::insert_medium, .a = n, .x = *image ? static_cast<i32>(images_.size()) - 1 : -1, .y = 1, .medium = medium});
    return {};
}

bool Machine::power_button() {
    gate_.submit({.kind = GateEvent::Kind::power_button});
    return button_heard_;
}

Result<void> Machine::flush() {
    for (auto& i : images_)
        if (i.image && !i.image->flush()) return Error{"an image file could not be written completely; its disk may be full"};
    return {};
}

void Machine::key(u8 usage, bool down) { gate_.submit({.kind = GateEvent::Kind::input, .input = InputEvent::key(usage, down)}); }
void Machine::mouse_rel(int dx, int dy, int dz) {
    gate_.submit({.kind = GateEvent::Kind::input, .input = InputEvent::motion(dx, dy, dz)});
}
void Machine::mouse_button(unsigned n, bool down) {
    gate_.submit({.kind = GateEvent::Kind::input, .input = InputEvent::button(n, down)});
}
bool Machine::input_at(Time t, const InputEvent& event) {
    gate_.submit({.kind = GateEvent::Kind::input, .a = std::max<Time>(t, 1), .input = event});
    return input_taken_;
}
unsigned Machine::serial_room(unsigned n) {
    const Uart16550* port = board_->serial(n);
    return port ? port->receive_space() : 0;
}
void Machine::serial_input(unsigned n, u8 c) { gate_.submit({.kind = GateEvent::Kind::serial, .a = n, .x = c}); }
void Machine::serial_break(unsigned n) { gate_.submit({.kind = GateEvent::Kind::serial_break, .a = n}); }
void Machine::reset() { gate_.submit({.kind = GateEvent::Kind::reset}); }
void Machine::resume_clock() { pacer_.start(clock_.now()); }
}  // namespace calque
