#include "machine/verify/lane.h"

#include <algorithm>

#include "support/comma_list.h"

namespace calque::verify {
namespace {
struct Sink final : CharSink {
    void put(u8) override {}
} nowhere;

const char* name(Machine::Stop s) {
    using Stop = Machine::Stop;
    switch (s) {
    case Stop::powered_off: return "it is powered off";
    case Stop::debug_exit: return "the guest has ended the run";
    case Stop::reset: return "the guest has asked for a reset";
    case Stop::triple_fault: return "the guest has caused a triple fault";
    case Stop::halted: return "the guest has halted the processor for good";
    case Stop::idle: return "the guest waits for an interrupt that will not come";
    default: return "";
    }
}
}  // namespace

Result<Executor> Executor::parse(const std::string& text) {
    Executor e;
    const std::string kind = text.substr(0, text.find(','));
    if (kind != "jit" && kind != "interp") return Error{"an executor is jit or interp, with what to switch off behind it (jit,dead_flags), not '" + text + "'"};
    e.jit = kind == "jit";
    e.disable = comma_list(text.substr(kind.size()));
    return e;
}

std::string Executor::text() const {
    std::string t = jit ? "jit" : "interp";
    for (const std::string& d : disable) t += "," + d;
    return t;
}

Result<std::unique_ptr<Lane>> Lane::create(const Start& s) {
    std::unique_ptr<Lane> lane{new Lane{s}};
    MachineConfig& c = lane->start_.config;
    c.jit = s.executor.jit;
    c.jit_disable.insert(c.jit_disable.end(), s.executor.disable.begin(), s.executor.disable.end());
    c.clock = ClockMode::fixed;
    c.keep_images = true;
    c.note_code = true;
    // A file says how many ports its machine has.
    const bool file = !s.load.empty() || !s.recording.empty();
    c.serial.assign(file ? 4 : c.serial.size(), &nowhere);
    c.parallel.assign(file ? 3 : c.parallel.size(), &nowhere);
    c.debugcon = file || c.debugcon ? &nowhere : nullptr;
    c.firmware_log = nullptr;
    if (auto r = lane->begin_again(); !r) return r.error();
    lane->steps_.clear();
    return lane;
}

Lane::~Lane() {
    if (machine_) journal(false);
}

Result<void> Lane::begin_again() {
    player_.reset(), machine_.reset();   // only one at a time: memory
    ended_.clear();
    if (!start_.recording.empty()) {
        auto player = Player::open(start_.recording, start_.config);
        if (!player) return player.error();
        player_ = std::move(*player), machine_ = player_->take_machine();
        machine_->keep_media();
        return {};
    }
    auto machine = start_.load.empty() ? Machine::create(start_.config) : Machine::load(start_.load, start_.config);
    if (!machine) return machine.error();
    machine_ = std::move(*machine);
    machine_->keep_media();
    return {};
}

void Lane::run_to(u64 icount) {
    steps_.push_back(icount);
    if (const auto& d = start_.disturb; d.change && machine_->icount() < d.at && d.at <= icount) {
        go_on(d.at);
        d.change(*machine_);
    }
    go_on(icount);
}

void Lane::go_on(u64 icount) {
    using Stop = Machine::Stop;
    machine_->set_stop_at(icount);
    while (ended_.empty() && machine_->icount() < icount) {
        const Stop s = player_ ? player_->run(icount - machine_->icount()) : machine_->run(icount - machine_->icount());
        if (player_ && player_->failure()) ended_ = *player_->failure();
        else if (player_ && player_->ended()) ended_ = "the recording is at its end";
        else if (s != Stop::slice && s != Stop::stop_at) ended_ = name(s);
    }
}

void Lane::journal(bool on) {
    const auto images = machine_->images();
    point_.disks.resize(images.size());
    for (size_t n = 0; n < images.size(); ++n)
        if (images[n]) images[n]->journal(on ? &point_.disks[n] : nullptr);
}

void Lane::keep() {
    journal(false);
    point_ = {machine_->save_parts(), player_ ? std::optional{player_->mark()} : std::nullopt, {}, ended_, steps_.size()};
    journal(true);
}

void Lane::go_back() {
    journal(false);
    const auto images = machine_->images();
    for (size_t n = 0; n < std::min(images.size(), point_.disks.size()); ++n)   // later ones are of media that will be opened again
        if (images[n]) images[n]->undo(point_.disks[n]);
    machine_->cpu().engine().flush();   // RAM has been put back
    machine_->load_parts(point_.parts);
    if (player_) player_->go_to(*point_.mark);
    ended_ = point_.ended;
    steps_.resize(point_.steps);
    journal(true);
}

Result<void> Lane::go_back_all_the_way() {
    std::vector<u64> steps{steps_.begin(), steps_.begin() + static_cast<i64>(point_.steps)};
    steps_.clear();
    if (auto r = begin_again(); !r) return r;
    for (const u64 s : steps) {
        machine_->save_parts();   // as keep() did; looking drops interrupt shadows that are over
        run_to(s);
    }
    journal(true);
    return {};
}

std::vector<std::pair<std::string, std::vector<u8>>> Lane::parts() {
    Machine::Parts p = machine_->save_parts();
    p.states.pop_back();   // what the TLBs hold: an executor may remember more or less
    std::vector<std::string> names{"run loop", "time", "input"};
    for (const PcI440fx::Named& d : machine_->board().devices()) names.emplace_back(d.name);
    names.emplace_back("processor");
    std::vector<std::pair<std::string, std::vector<u8>>> out;
    for (size_t n = 0; n < names.size(); ++n) out.emplace_back(std::move(names[n]), std::move(p.states[n]));
    return out;
}
}  // namespace calque::verify
