// Going back in a replay: to the nearest checkpoint before, and forward from there. The guest's past repeats itself to the bit, so that the
// n-th stop of one run is the n-th of the next.
#include <algorithm>

#include "frontend/gdb/machine.h"
#include "frontend/gdb/stub.h"

namespace calque {
namespace {
constexpr u64 kRunUp = 64;   // instructions that are stepped one by one before the place to step back from
}

// Forward until the count, with stops if there are any: true when one has come before.
bool GdbMachine::run_to(u64 icount) {
    while (machine_.icount() < icount && !player_->failure() && !player_->ended()) {
        const u64 before = machine_.icount();
        const Machine::Stop s = player_->run(std::min(icount - before, history_->most()));
        history_->advance();
        if (s == Machine::Stop::debug) return true;
        if (s != Machine::Stop::slice && machine_.icount() == before) return false;
    }
    return false;
}

/// To the last stop before here. False: there is none, and the machine is where its history begins.
bool GdbMachine::last_hit() {
    u64 end = machine_.icount();
    for (size_t point = history_->before(end ? end - 1 : 0) + 1; point-- > 0;) {
        const auto hits_before = [&](u64 most) {
            history_->restore(point);
            u64 hits = 0;
            while (hits < most) {
                debug_.resume(false);
                if (!run_to(end) || machine_.icount() >= end) break;
                ++hits;
            }
            return hits;
        };
        if (const u64 hits = hits_before(~u64{0})) return hits_before(hits) == hits;
        end = history_->icount_of(point) + 1;   // a watched access may be the last thing before the checkpoint
    }
    history_->restore(0);
    return false;
}

/// To the instruction before, as stepping forward counts them: a repeated string instruction is one, and the delivery of a fault is one.
bool GdbMachine::step_back() {
    const u64 here = machine_.icount(), pc = registers_.pc();
    const auto positions = [&](u64 start, u64 most) {
        history_->restore(history_->before(start));
        debug_.resume(false);
        run_to(start);
        u64 n = 0;
        for (; n < most && machine_.icount() <= here; ++n) {
            if (machine_.icount() == here && registers_.pc() == pc) break;
            debug_.resume(true);
            run_to(here + 1);
        }
        return n;
    };
    debug_.set_breakpoints({});
    debug_.set_watches({});
    bool stepped = false;
    for (u64 run_up = kRunUp; !stepped; run_up *= kRunUp) {
        const u64 begin = history_->begin(), start = here - std::min(here - begin, run_up);
        const u64 n = positions(start, ~u64{0});
        if (n) stepped = positions(start, n - 1) == n - 1;
        if (start == begin) break;
    }
    arm();
    return stepped;
}

void GdbMachine::go_back(GdbStub* stub) {
    const GdbMotion motion = *back_;
    back_.reset();
    resumed_ = false;
    const bool go = motion.kind == GdbMotion::Kind::go;
    const bool found = go ? last_hit() : step_back();
    if (player_->failure()) stub->stopped({.why = GdbStop::Why::event, .message = *player_->failure()});
    else if (!found) stub->stopped({.why = GdbStop::Why::history_begins});
    else stub->stopped(go ? stop_of_hit() : GdbStop{.why = GdbStop::Why::step});
    standing_ = !resumed_;
}
}  // namespace calque
