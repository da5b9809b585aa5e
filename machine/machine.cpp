#include "machine/machine.h"

#include <algorithm>

#include "support/assert.h"
#include "support/log.h"

namespace calque {
namespace {
Log log{"machine"};
constexpr unsigned kHopelessDeadlines = 20'000;  // how many timers may fire before HLT with IF = 0 counts as final
constexpr unsigned kIdleSteps = 4096;            // deadlines that one run() passes without an instruction
constexpr u64 kHostSlice = 200'000;              // instructions between looks at the wall clock
}  // namespace

Machine::Stop Machine::run(u64 instructions) {
    if (stopped_) return *stopped_;
    const u64 start = icount();
    const u64 end = instructions > kNeverCount - start ? kNeverCount : start + instructions;
    for (unsigned idle_steps = 0; idle_steps < kIdleSteps; ++idle_steps) {
        if (icount() >= stop_at_) return stop(Stop::stop_at);
        if (icount() >= end) return Stop::slice;
        const bool held = icount() >= hold_.icount;
        if (held && clock_.now() >= hold_.time && turns_ >= hold_.turns) return Stop::slice;
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
        const Cpu::Stop why = cpu_->run_until(std::max(target, before));
        clock_.advance_to(icount() + skew_);
        if (icount() != before) idle_steps = 0, hopeless_ = 0, turns_ = 0;
        else if (why != Cpu::Stop::debug && !(slept && why == Cpu::Stop::halted)) ++turns_;
        if (auto s = take_requests()) return *s;
        if (auto s = after_run(why)) return *s;
    }
    return Stop::slice;
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

bool Machine::accepts(const GateEvent& e) {
    using Kind = GateEvent::Kind;
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
    }
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
        if (old && i.image.get() == old) i.image.reset();  // closes and unlocks the file
}

static Error only_replayed() { return {"the machine replays a recording; nobody else can change its media"}; }

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
