#include "cpu/debug.h"

#include <algorithm>
#include <utility>

#include "cpu/cpu.h"
#include "cpu/mmu.h"

namespace calque {
namespace {
constexpr u64 kPageMask = ~u64{4095};
}  // namespace

Debug::Debug(Cpu& cpu) : cpu_{cpu}, s_{cpu.state()} { s_.debug = this; }

Debug::~Debug() {
    set_breakpoints({});
    set_watches({});
    s_.tracing.stepping = false;
    s_.debug = nullptr;
}

void Debug::set_breakpoints(std::vector<u64> linear) {
    std::sort(linear.begin(), linear.end());
    linear.erase(std::unique(linear.begin(), linear.end()), linear.end());
    std::vector<u64> changed;
    std::set_symmetric_difference(linear.begin(), linear.end(), breakpoints_.begin(), breakpoints_.end(), std::back_inserter(changed));
    breakpoints_ = std::move(linear);
    pages_.clear();
    for (const u64 at : breakpoints_) {
        auto& page = pages_[at & kPageMask];
        if (!page) page = std::make_unique<jit::PageCuts>();
        page->set(at & 4095);
    }
    for (const u64 at : changed) cpu_.engine().stop_changed(at);
}

void Debug::set_watches(std::vector<Watch> watches) {
    if (watches == watches_) return;
    watches_ = std::move(watches);
    s_.mmu->hide_watched(s_);
}

void Debug::resume(bool one_instruction) {
    hit_ = {};
    stepping_ = s_.tracing.stepping = one_instruction;
    interrupted_ = false;
    step_goal_ = cpu_.instructions() + 1;
}

std::vector<Debug::Delivery> Debug::deliveries() const {
    std::vector<Delivery> out;
    for (size_t n = logged_ > log_.size() ? logged_ - log_.size() : 0; n < logged_; ++n) out.push_back(log_[n % log_.size()]);
    return out;
}

// ---- for the processor

const jit::PageCuts* Debug::stops(u64 linear) const {
    if (pages_.empty()) return nullptr;
    const auto i = pages_.find(linear & kPageMask);
    return i == pages_.end() ? nullptr : i->second.get();
}

bool Debug::watched(u64 address, unsigned size, bool read, bool write) const {
    return std::any_of(watches_.begin(), watches_.end(), [&](const Watch& w) {
        return address <= w.last && w.first <= address + (size - 1) && ((read && w.read) || (write && w.write));
    });
}

// Of several accesses of one instruction the last that is watched is told; a read and a write of the same place are one.
void Debug::note_access(u64 address, unsigned size, bool read, bool write) {
    for (const Watch& w : watches_) {
        if (address > w.last || w.first > address + (size - 1) || !((read && w.read) || (write && w.write))) continue;
        const u64 at = std::max(address, w.first);
        const bool same = hit_.event == Event::watch && hit_.at == at;
        hit_ = {Event::watch, at, 0, size, read || (same && hit_.read), write || (same && hit_.write)};
    }
    cpu_.end_slice();
}

bool Debug::wanted(const Hit& h) const {
    return std::any_of(catches_.begin(), catches_.end(), [&](const Catch& c) {
        return c.event == h.event && c.first <= h.at && h.at <= c.last && ((h.read && c.read) || (h.write && c.write));
    });
}

bool Debug::report(const Hit& hit) {
    const u64 now = s_.x.icount();
    if (reported_at_ != now) reported_ = 0, reported_at_ = now;
    const u32 bit = 1u << static_cast<unsigned>(hit.event);
    if (reported_ & bit) return false;
    reported_ |= bit;
    hit_ = hit;
    return true;
}

bool Debug::refuses(const Hit& hit) {
    if (catches_.empty() || !wanted(hit) || !report(hit)) return false;
    refused_ = true;
    s_.x.fault = jit::Fault::raise;
    return true;
}

bool Debug::holds(const Exception& e) {
    const Hit hit{Event::exception, e.vector, e.has_error ? e.error : 0, 0, true, true};
    return !catches_.empty() && wanted(hit) && report(hit);
}

void Debug::log(const Delivery& d) { log_[logged_++ % log_.size()] = d; }

void Debug::delivers(u8 vector, Delivery::Kind kind, u64 rip) {
    if (kind == Delivery::Kind::external) moved();
    log({s_.x.icount(), rip, s_.seg[CS].selector, vector, kind});
}

void Debug::delivers(const Exception& e, u64 rip) {
    moved();
    log({s_.x.icount(), rip, s_.seg[CS].selector, e.vector, Delivery::Kind::exception, e.has_error, e.error});
}

void Debug::interrupts(u8 vector, u64 rip) {
    delivers(vector, Delivery::Kind::external, rip);
    const Hit hit{Event::interrupt, vector, 0, 0, true, true};
    if (!catches_.empty() && wanted(hit)) report(hit);
}

// ---- for the run loop

bool Debug::ends_run() {
    if (hit_.event == Event::none && stepping_ && (interrupted_ || cpu_.instructions() >= step_goal_)) hit_ = {Event::step};
    if (hit_.event == Event::none) return false;
    stepping_ = s_.tracing.stepping = false;
    return true;
}

bool Debug::at_breakpoint() const {
    const u64 pc = s_.linear_of(s_.x.rip);
    const jit::PageCuts* const stops_here = stops(pc);
    return stops_here && stops_here->test(pc & 4095);
}

// A repeated string instruction has one breakpoint, not one an iteration.
bool Debug::breaks() { return !s_.tracing.repeating && report({Event::breakpoint, s_.linear_of(s_.x.rip)}); }
}  // namespace calque
