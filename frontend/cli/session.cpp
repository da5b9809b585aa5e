#include "frontend/cli/session.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "cpu/mmu.h"
#include "frontend/control/monitor.h"
#include "frontend/png.h"
#include "machine/snapshot/stream.h"
#include "support/log.h"

namespace calque {
namespace {
volatile sig_atomic_t signal_seen = 0;
void on_signal(int number) { signal_seen = number; }

constexpr double kSliceSeconds = 0.004;       // how long the user's keys wait at most
constexpr u64 kLeastSlice = 20'000, kMostSlice = 200'000'000;
constexpr Time kLongestWait = 100'000'000;    // signals are looked at this often
constexpr std::chrono::seconds kRecordEvery{1};
constexpr Time kWindowWait = 8'000'000;

double seconds(std::chrono::steady_clock::duration d) { return std::chrono::duration<double>(d).count(); }
}  // namespace

Result<std::unique_ptr<Session>> Session::create(Options options) {
    std::unique_ptr<Session> session{new Session{std::move(options)}};
    if (auto r = session->open(); !r) return r.error();
    return session;
}

Session::~Session() = default;

bool Session::wants_window() const {
    if (options_.display != Options::Display::automatic) return options_.display == Options::Display::sdl;
    const auto set = [](const char* name) { const char* v = std::getenv(name); return v && *v; };
    return set("DISPLAY") || set("WAYLAND_DISPLAY");
}

// Somebody watches through a window, a terminal, or the far end of a pseudo-terminal or socket.
ClockMode Session::clock_mode() const {
    if (options_.clock) return *options_.clock;
    using Kind = SerialOption::Kind;
    const bool watched = std::any_of(options_.serial.begin(), options_.serial.end(), [](const SerialOption& s) {
        return s.kind == Kind::pty || s.kind == Kind::tcp || (s.kind == Kind::stdio && ::isatty(STDIN_FILENO));
    });
    return watched || wants_window() ? ClockMode::host : ClockMode::fixed;
}

// First everything that can be found wrong without a trace, then what creates files, sockets and windows.
Result<void> Session::open() {
    for (const std::string& log : options_.log) {
        LogLevel level{};
        Log::parse_level(log.substr(log.rfind(':') + 1), level);
        if (!Log::set_level(log.substr(0, log.rfind(':')), level))
            return Error{"there is no module '" + log.substr(0, log.rfind(':')) + "' that writes messages; --log all:LEVEL sets all of them"};
    }
    MachineConfig& m = options_.machine;
    if (options_.serial.empty()) options_.serial.push_back({wants_window() ? SerialOption::Kind::none : SerialOption::Kind::stdio, {}, {}, {}, false});
    wire_ports();
    m.clock = clock_mode();
    if (options_.rtc_epoch) m.rtc_epoch = *options_.rtc_epoch;
    else if (m.clock == ClockMode::host) m.rtc_epoch = ::time(nullptr);
    if (auto r = make_machine(); !r) return r;
    if (auto r = prepare_saving(); !r) return r;
    machine_->set_stop_at(next_stop());
    if (auto r = open_window(); !r) return r;
    if (auto r = open_sockets(); !r) return r;
    if (auto r = open_ports(); !r) return r;
    auto onlookers = Onlookers::start(machine_->cpu(), options_);
    if (!onlookers) return onlookers.error();
    onlookers_ = std::move(*onlookers);
    if (!options_.record.empty()) {
        auto recorder = Recorder::start(*machine_, options_.record);
        if (!recorder) return recorder.error();
        recorder_ = std::move(*recorder);
    }
    open_history();   // a recording begins to count moments; the past is counted in them
    return {};
}

// A snapshot knows how many ports the machine has; those that nobody mentioned lead nowhere.
Result<void> Session::make_machine() {
    options_.machine.keep_images = !options_.record.empty();
    if (options_.replay.empty()) {
        auto machine = options_.load.empty() ? Machine::create(options_.machine) : Machine::load(options_.load, options_.machine);
        if (!machine) return machine.error();
        machine_ = std::move(*machine);
    } else {
        auto player = Player::open(options_.replay, options_.machine, options_.load);
        if (!player) return player.error();
        player_ = std::move(*player), machine_ = player_->take_machine();
    }
    resets_seen_ = machine_->resets(), triple_faults_seen_ = machine_->triple_faults(), status_icount_ = machine_->icount();
    if (!from_file()) return {};
    const size_t serial = machine_->config().serial.size(), parallel = machine_->config().parallel.size();
    if (options_.serial.size() > std::max<size_t>(serial, 1) || options_.parallel.size() > parallel)
        return Error{"the machine in the file has " + std::to_string(serial) + " serial and " + std::to_string(parallel) + " parallel ports"};
    options_.serial.resize(serial), options_.parallel.resize(parallel);
    return {};
}

u64 Session::next_stop() const {
    u64 next = options_.stop_at.value_or(~u64{0});
    if (save_due_) next = std::min(next, *save_due_);
    if (!options_.hash_at.empty()) next = std::min(next, options_.hash_at.front());
    return next;
}

Result<void> Session::save() {
    save_due_.reset();
    if (!options_.save_every) return machine_->save(options_.save);
    save_due_ = next_multiple();
    return machine_->save(options_.save + "/" + stream_name(machine_->icount()));
}

u64 Session::next_multiple() const {
    const u64 every = *options_.save_every, times = machine_->icount() / every + 1;
    return times > ~u64{0} / every ? ~u64{0} : times * every;
}

Result<void> Session::prepare_saving() {
    save_due_ = options_.save_every ? next_multiple() : options_.save_at;
    if (!options_.save_every || ::mkdir(options_.save.c_str(), 0777) == 0) return {};
    struct stat folder{};
    if (::stat(options_.save.c_str(), &folder) == 0 && S_ISDIR(folder.st_mode)) return {};
    return Error{"'" + options_.save + "' is not a folder and cannot become one; --save-every puts its snapshots into it"};
}

Result<void> Session::open_sockets() {
    if (!options_.control.empty()) {
        auto control = ControlServer::create(options_.control, *this);
        if (!control) return control.error();
        control_ = std::move(*control);
    }
    if (options_.gdb.empty()) return {};
    const auto monitor = [this](std::string_view line) { return HumanMonitor{*this}.run(line); };
    gdb_machine_ = std::make_unique<GdbMachine>(*machine_, GdbMachine::Owner{[this] { quit(); }, monitor, [this] { return listen(); }, [this] { branched(); }}, options_.gdb_wait);
    auto gdb = GdbServer::create(options_.gdb, *gdb_machine_);
    if (!gdb) return gdb.error();
    gdb_ = std::move(*gdb);
    return {};
}

void Session::open_history() {
    if (!gdb_machine_ || !options_.history) return;
    History::Limits limits;
    limits.memory = options_.history;
    history_ = std::make_unique<History>(*machine_, player_.get(), limits);
    gdb_machine_->set_history(history_.get());
    // What has been said once is not said again.
    for (SerialSocket* socket : sockets()) socket->muted = [this] { return history_->repeating(); };
}

void Session::wire_ports() {
    MachineConfig& m = options_.machine;
    const bool all = from_file();   // which takes of them what it has
    for (size_t n = 0; n < (all ? serial_.size() : options_.serial.size()); ++n) m.serial.push_back(&serial_[n]);
    for (size_t n = 0; n < (all ? parallel_.size() : options_.parallel.size()); ++n) m.parallel.push_back(&parallel_[n]);
    if (all || !options_.debugcon.empty()) m.debugcon = &debugcon_;
    m.firmware_log = &firmware_;
}

Result<void> Session::open_ports() {
    const auto plug = [this](SerialSocket& socket, const SerialOption& option, const std::string& label) -> Result<void> {
        auto host = SerialHost::create(option, label, [this](char c) { on_key(c); });
        if (!host) return host.error();
        socket.host = std::move(*host);
        return {};
    };
    const auto file = [](const std::string& path) {
        return SerialOption{path.empty() ? SerialOption::Kind::none : SerialOption::Kind::file, path, {}, {}, false};
    };
    if (auto r = plug(debugcon_, file(options_.debugcon), "the debug console"); !r) return r;
    if (auto r = plug(firmware_log_, file(options_.firmware_log), "the firmware's messages"); !r) return r;
    for (size_t n = 0; n < options_.parallel.size(); ++n)
        if (auto r = plug(parallel_[n], options_.parallel[n], "parallel port " + std::to_string(n + 1)); !r) return r;
    for (size_t n = 0; n < options_.serial.size(); ++n)
        if (auto r = plug(serial_[n], options_.serial[n], "serial port " + std::to_string(n + 1)); !r) return r;
    return {};
}

Result<void> Session::open_window() {
    if (!wants_window()) return {};
    auto window = SdlWindow::create(*machine_, *machine_, {options_.name, [this] { on_close(); }});
    if (window) {
        window_ = std::move(*window);
        return {};
    }
    if (options_.display == Options::Display::sdl) return window.error();
    say(window.error().message);
    return {};
}

int Session::run() {
    struct sigaction action{};
    action.sa_handler = on_signal;
    for (const int s : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(s, &action, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    machine_->resume_clock();
    started_ = status_time_ = WallClock::now();
    while (!status_) {
        run_slice();
        poll_outside();
        keep_recording();
        keep_looking_on();
        if (!status_ && idle_) wait();
    }
    return end_of_run();
}

void Session::run_slice() {
    idle_ = true;
    if (gdb_machine_ && gdb_machine_->wants_back()) held_ = false;
    if (standing()) return;
    const auto before = WallClock::now();
    const u64 icount = machine_->icount();
    if (gdb_machine_ && gdb_machine_->wants_back()) {
        // A recording ends at the furthest place, should another future begin.
        if (recorder_ && !in_the_past())
            if (auto r = recorder_->check(); !r) return finish(1, r.error().message);
        gdb_machine_->go_back(gdb_->stub());
        return void(idle_ = standing());
    }
    const bool past = in_the_past();
    const Machine::Stop why = history_ ? history_->run(slice_) : player_ ? player_->run(slice_) : machine_->run(slice_);
    const double took = seconds(WallClock::now() - before);
    running_seconds_ += took;
    if (machine_->icount() - icount >= slice_ / 2) {
        const double factor = std::clamp(kSliceSeconds / std::max(took, 1e-6), 0.5, 2.0);
        slice_ = std::clamp(static_cast<u64>(static_cast<double>(slice_) * factor), kLeastSlice, kMostSlice);
    }
    idle_ = why == Machine::Stop::idle;
    handle(why);
    if (history_ && history_->failure()) finish(1, *history_->failure());
    if (past) idle_ = standing();   // what has been needs no waiting
    else if (player_) after_replay();
    report_restarts();
}

void Session::handle(Machine::Stop why) {
    using Stop = Machine::Stop;
    char text[160];
    switch (why) {
    case Stop::slice: break;
    case Stop::idle:
        if (machine_->sleep_time() == kNever && !somebody_can_act())
            hold("the guest waits for an interrupt, and nothing is left that could send one", 1);
        break;
    case Stop::debug: gdb_machine_->handle_stop(gdb_->stub()); break;
    case Stop::stop_at: at_stop(); break;
    case Stop::powered_off: finish(0); break;
    case Stop::debug_exit: finish(static_cast<int>((machine_->exit_value() << 1 | 1) & 0xff)); break;
    case Stop::reset: finish(0, "the guest has restarted the machine; with --no-reboot this ends the run"); break;
    case Stop::triple_fault:
        std::snprintf(text, sizeof text, "the guest has caused a triple fault at RIP %#" PRIx64 " after %" PRIu64 " instructions",
                      machine_->triple_fault_rip(), machine_->icount());
        hold(text, 1);
        break;
    case Stop::halted:
        std::snprintf(text, sizeof text, "the guest has halted the processor for good at RIP %#" PRIx64, machine_->cpu().state().x.rip);
        hold(text, 1);
        break;
    }
    if (firmware_.boot_failed() && !(gdb_ && gdb_->stub())) {
        firmware_.clear();
        hold("the firmware has found nothing to boot from; give it --disk, --cdrom, --floppy or --kernel", 1);
    }
}

void Session::after_replay() {
    char text[120] = "";
    if (player_->failure()) return finish(1, *player_->failure());
    if (!player_->ended() || (gdb_machine_ && gdb_ && gdb_machine_->handle_end(gdb_->stub()))) return;
    if (player_->cut())
        std::snprintf(text, sizeof text, "the recording breaks off; its last complete second ends at instruction %" PRIu64, machine_->icount());
    finish(0, text);
}

/// While the machine goes back. False: nobody is there to be told.
bool Session::listen() {
    if (window_) window_->poll();
    if (control_) control_->poll();
    gdb_->poll();
    if (signal_seen) cause_ = ControlServer::Cause::signal, finish(128 + signal_seen);
    return !status_ && gdb_->stub();
}

/// A debugger has changed what was, or a replay: from here on the run is a new one.
void Session::branched() {
    const std::string where = "at instruction " + std::to_string(machine_->icount());
    if (player_) say("the debugger has changed the machine " + where + ": it leaves the recording");
    else say("the debugger has changed the past " + where + ": what came later is forgotten");
    player_.reset();
    held_ = false;
    if (!recorder_) return;
    if (auto r = recorder_->stop_here(); !r) say(r.error().message);
    else say("the recording '" + options_.record + "' ends where the machine was before it went back");
    recorder_.reset();
}

void Session::keep_recording() {
    const auto now = WallClock::now();
    if (!recorder_ || status_ || in_the_past() || now - recorded_ < kRecordEvery) return;
    recorded_ = now;
    if (auto r = recorder_->check(); !r) finish(1, r.error().message);
}

void Session::keep_looking_on() {
    if (!onlookers_ || status_) return;
    if (auto r = onlookers_->check(); !r) return finish(1, r.error().message);
    const auto now = WallClock::now();
    if (now - flushed_ < kRecordEvery) return;
    flushed_ = now;
    if (auto r = onlookers_->flush(); !r) finish(1, r.error().message);
}

void Session::at_stop() {
    if (save_due_ && machine_->icount() >= *save_due_)
        if (auto r = save(); !r) return finish(1, r.error().message);
    while (!options_.hash_at.empty() && machine_->icount() >= options_.hash_at.front()) {
        flush_ports();
        print_hash(machine_->state_hash());
        options_.hash_at.erase(options_.hash_at.begin());
    }
    if (next_stop() <= machine_->icount()) return finish(0);
    machine_->set_stop_at(next_stop());
    machine_->resume_clock();
}

// The sentence is said when everything the guest has sent before is out.
void Session::finish(int status, const std::string& sentence) {
    if (status_) return;
    status_ = status, last_words_ = sentence;
    if (GdbStub* const stub = gdb_ ? gdb_->stub() : nullptr) stub->stopped({.why = GdbStop::Why::exited, .code = static_cast<u8>(status), .message = sentence});
}

// The machine will do nothing more by itself. With nobody there the process ends; else its screen stays to be looked at.
void Session::hold(const std::string& sentence, int status) {
    if (!window_ && !control_ && !gdb_) return finish(status, sentence);
    say(sentence);
    held_ = true;
    if (gdb_) gdb_machine_->handle_hold(gdb_->stub(), sentence);
}

bool Session::somebody_can_act() const {
    return window_ || control_ || gdb_ || std::any_of(serial_.begin(), serial_.end(), [](const auto& s) { return s.host && s.host->open(); });
}

void Session::report_restarts() {
    if (machine_->triple_faults() != triple_faults_seen_ && !held_ && !status_) {
        char text[120];
        std::snprintf(text, sizeof text, "the guest has caused a triple fault at RIP %#" PRIx64 "; the machine starts again",
                      machine_->triple_fault_rip());
        say(text);
    }
    triple_faults_seen_ = machine_->triple_faults();
    if (machine_->resets() == resets_seen_) return;
    resets_seen_ = machine_->resets();
    if (control_) control_->reset(std::exchange(cause_, ControlServer::Cause::guest));
}

// ---- the outside

void Session::poll_outside() {
    const bool stood = standing();
    if (!player_ && !in_the_past()) pump_serial();
    else flush_ports();
    if (window_) {
        window_->poll();
        update_status();
        if (window_->quit_requested()) cause_ = ControlServer::Cause::window, finish(0);
    }
    if (control_) control_->poll();
    if (gdb_) gdb_->poll();
    if (stood && !standing()) idle_ = false;   // somebody has just let it go on
    if (signal_seen) cause_ = ControlServer::Cause::signal, finish(128 + signal_seen);
}

std::vector<SerialSocket*> Session::sockets() {
    std::vector<SerialSocket*> all{&debugcon_, &firmware_log_};
    for (SerialSocket& s : serial_) all.push_back(&s);
    for (SerialSocket& s : parallel_) all.push_back(&s);
    return all;
}

void Session::flush_ports() {
    for (SerialSocket* port : sockets())
        if (port->host) port->host->flush();
}

void Session::pump_serial() {
    flush_ports();
    std::array<u8, 64> bytes;
    for (unsigned n = 0; n < options_.serial.size(); ++n) {
        SerialHost& host = *serial_[n].host;
        const unsigned room = std::min<unsigned>(machine_->serial_room(n), bytes.size());
        const size_t count = host.read(std::span{bytes}.first(room));
        for (size_t i = 0; i < count; ++i) machine_->serial_input(n, bytes[i]);
        if (count) idle_ = false;
    }
}

// Until the machine has something to do, or somebody does something.
void Session::wait() {
    std::vector<pollfd> fds;
    for (unsigned n = 0; n < options_.serial.size(); ++n)
        if (const int fd = serial_[n].host->fd(); fd >= 0 && machine_->serial_room(n) > 0) fds.push_back({fd, POLLIN, 0});
    if (control_) fds.push_back({control_->fd(), POLLIN, 0});
    if (gdb_) fds.push_back({gdb_->fd(), POLLIN, 0});
    const Time machine = standing() ? kNever : machine_->sleep_time();
    const Time time = std::min({machine, window_ ? kWindowWait : kLongestWait});
    const timespec timeout{static_cast<time_t>(time / kSecond), static_cast<long>(time % kSecond)};
    ::ppoll(fds.data(), fds.size(), &timeout, nullptr);
}

// After Ctrl-A, on a terminal.
void Session::on_key(char c) {
    switch (c) {
    case 'x': finish(0); break;
    case 'p': if (!machine_->power_button()) say("the guest does not listen to the power button"); break;
    case 'r': machine_->reset(); break;
    case 'b': machine_->serial_break(0); break;
    case 's': print_stats(); break;
    default:
        std::fprintf(stderr, "\r\nCtrl-A x  quit\r\nCtrl-A p  press the power button\r\nCtrl-A r  reset\r\nCtrl-A b  send a break\r\n"
                             "Ctrl-A s  show counters\r\nCtrl-A a  send Ctrl-A\r\n");
    }
}

void Session::on_close() {
    cause_ = ControlServer::Cause::window;
    if (held_ || paused_ || !machine_->power_button())
        say("the guest does not listen to the power button; close the window again to leave");
}

void Session::update_status() {
    const auto now = WallClock::now();
    const double passed = seconds(now - status_time_);
    if (passed < 1) return;
    char text[64];
    const double mips = static_cast<double>(machine_->icount() - status_icount_) / passed / 1e6;
    std::snprintf(text, sizeof text, "%.0f MIPS", mips);
    window_->set_status(held_ ? "halted" : standing() ? "paused" : text);
    status_time_ = now, status_icount_ = machine_->icount();
}

// What the guest has sent before comes before.
void Session::say(const std::string& sentence) {
    flush_ports();
    std::fprintf(stderr, "calque: %s\n", sentence.c_str());
}

// ---- the end

int Session::end_of_run() {
    const u64 hash = options_.state_hash ? machine_->state_hash() : 0;
    const Result<void> recording = !recorder_ ? Result<void>{} : in_the_past() ? recorder_->stop_here() : recorder_->finish();
    const Result<void> looking_on = onlookers_ ? onlookers_->finish() : Result<void>{};
    const bool save_now = !options_.save.empty() && !options_.save_at && !options_.save_every;
    const Result<void> saving = save_now ? save() : Result<void>{};   // before drain() moves time
    machine_->drain();
    flush_ports();
    if (!last_words_.empty()) say(last_words_);
    if (control_) control_->shutdown(cause_);
    int status = *status_;
    const auto failed = [&](const Error& e) { say(e.message), status = 1; };
    if (!saving) failed(saving.error());
    if (!recording && !status) failed(recording.error());
    if (!looking_on && !status) failed(looking_on.error());
    if (options_.save_at && save_due_) failed({"the run has ended before the instruction at which --save-at wanted a snapshot; there is none"});
    if (!options_.hash_at.empty()) failed({"the run has ended before instruction " + std::to_string(options_.hash_at.front()) + ", where --state-hash-at wanted a hash"});
    if (auto r = machine_->flush(); !r) failed(r.error());
    if (!options_.screenshot.empty()) {
        Frame frame;
        machine_->render(frame);
        if (auto r = write_png(options_.screenshot, frame); !r) failed(r.error());
    }
    if (options_.state_hash) print_hash(hash);
    if (options_.stats) print_stats();
    return status;
}

void Session::print_hash(u64 hash) const {
    std::printf("instructions %" PRIu64 " hash %016" PRIx64 "\n", machine_->icount(), hash);
    std::fflush(stdout);
}

void Session::print_stats() const {
    const jit::EngineStats& s = machine_->cpu().engine().stats();
    const u64 icount = machine_->icount();
    const auto line = [](const char* what, u64 value) { std::fprintf(stderr, "%-28s %" PRIu64 "\n", what, value); };
    line("instructions", icount);
    line("instructions interpreted", s.interpreted_insns);
    line("instructions run alone", s.steps);
    line("blocks lifted", s.blocks_lifted);
    line("blocks translated", s.blocks_translated);
    line("guest bytes translated", s.guest_bytes);
    line("host bytes generated", s.host_bytes);
    line("block lookups", s.lookups);
    line("blocks invalidated", s.invalidations);
    line("code cache flushes", s.flushes);
    const Mmu::Stats& tlb = machine_->cpu().state().mmu->stats();
    line("TLB misses", tlb.fills);
    line("page walks", tlb.walks);
    line("resets", machine_->resets());
    line("events from outside", machine_->gate().count());
    if (player_) line("checks of the recording", player_->checks());
    std::fprintf(stderr, "%-28s %.3f s\n", "machine time", static_cast<double>(machine_->time()) / 1e9);
    std::fprintf(stderr, "%-28s %.3f s\n", "time spent running", running_seconds_);
    std::fprintf(stderr, "%-28s %.1f\n", "MIPS", running_seconds_ > 0 ? static_cast<double>(icount) / running_seconds_ / 1e6 : 0.0);
}
}  // namespace calque
