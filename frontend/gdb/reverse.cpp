// Going back: to the nearest checkpoint before, and forward from there. The guest's past repeats itself to the bit, so that the n-th stop of
// one run is the n-th of the next.
#include <algorithm>

#include "frontend/gdb/machine.h"
#include "frontend/gdb/stub.h"

namespace calque {
namespace {
constexpr u64 kRunUp = 64;            // instructions that are stepped one by one before the place to step back from
constexpr u64 kBetweenLooks = 2'000'000;   // instructions between looks at what the client wants
constexpr u8 kSigInt = 2;
}  // namespace

void GdbMachine::listen() {
    if (!owner_.listen || owner_.listen()) return;
    interrupted_ = alone_ = true;
}

// Forward until the place, with stops if there are any: true when one has come first.
bool GdbMachine::run_to(const History::Place& goal) {
    while (history_->place() < goal && !history_->failure()) {
        const Moment before = machine_.moment();
        const Machine::Stop s = history_->run_to(goal, kBetweenLooks);
        if (s == Machine::Stop::debug) return true;
        if (s != Machine::Stop::slice && machine_.moment() == before) return false;
        listen();
        if (interrupted_) return false;
    }
    return false;
}

/// To the last stop before here; the access that a watchpoint wants may be the last thing before. False: there is none, and the machine is where
/// its history begins; or it was interrupted, and is behind what has not been searched yet.
bool GdbMachine::last_hit() {
    const History::Place origin = history_->place();
    History::Place end = origin;
    size_t point = history_->before(origin);
    if (point && history_->place_of(point) == origin) --point;
    for (;; --point) {
        const auto hits_before = [&](u64 most) {
            history_->restore(point);
            u64 hits = 0;
            while (hits < most) {
                debug_.resume(false);
                if (!run_to(end)) break;
                if (history_->place() >= origin && debug_.hit().event != Debug::Event::watch) break;
                ++hits;
            }
            return hits;
        };
        const u64 hits = hits_before(~u64{0});
        if (!interrupted_ && hits && hits_before(hits) == hits) return true;
        if (interrupted_) {
            debug_.set_breakpoints({});
            debug_.set_watches({});
            debug_.resume(false);
            while (history_->place() < end && !history_->failure()) history_->run_to(end, kBetweenLooks);
            arm();
            return false;
        }
        if (point == 0) break;
        end = history_->place_of(point);
    }
    history_->restore(0);
    return false;
}

/// To the instruction before, as stepping forward counts them: a repeated string instruction is one, and the delivery of a fault is one.
bool GdbMachine::step_back() {
    const History::Place origin = history_->place();
    const u64 here = origin.at.icount;
    // Steps from `start` to here, at most so many.
    const auto steps = [&](u64 start, u64 most) {
        history_->restore(history_->before({{start, 0, 0, 0}, 0}));
        debug_.resume(false);
        while (machine_.icount() < start && history_->place() < origin && !history_->failure()) history_->run_to(origin, start - machine_.icount());
        u64 n = 0;
        for (; n < most && history_->place() < origin && !history_->failure(); ++n) {
            debug_.resume(true);
            run_to(origin);
        }
        return n;
    };
    debug_.set_breakpoints({});
    debug_.set_watches({});
    bool stepped = false;
    for (u64 run_up = kRunUp; !stepped && !interrupted_; run_up *= kRunUp) {
        const u64 begin = history_->begin().at.icount, start = here - std::min(here - begin, run_up);
        const u64 n = steps(start, ~u64{0});
        if (n && !interrupted_) stepped = steps(start, n - 1) == n - 1;
        if (start == begin) break;
    }
    arm();
    return stepped;
}

void GdbMachine::go_back(GdbStub* stub) {
    const GdbMotion motion = *back_;
    back_.reset();
    resumed_ = interrupted_ = alone_ = false;
    going_back_ = true;
    const bool go = motion.kind == GdbMotion::Kind::go;
    bool found = go ? last_hit() : step_back();
    const Debug::Hit hit = debug_.hit();
    // Backwards an access has happened when memory is as it was before: GDB compares.
    if (go && found && hit.event == Debug::Event::watch) found = step_back();
    going_back_ = false;
    using Why = GdbStop::Why;
    if (alone_) return void(standing_ = true);
    if (history_->failure()) stub->stopped({.why = Why::event, .message = *history_->failure()});
    else if (interrupted_) stub->stopped({.why = Why::halted, .signal = kSigInt});
    else if (!found) stub->stopped({.why = Why::history_begins});
    else stub->stopped(go ? stop_of(hit) : GdbStop{.why = Why::step});
    standing_ = !resumed_;
}
}  // namespace calque
