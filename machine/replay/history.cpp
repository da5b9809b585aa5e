#include "machine/replay/history.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "machine/state_hash.h"
#include "support/assert.h"

namespace calque {
namespace {
constexpr u64 kPage = PhysMap::kPage;
constexpr u64 kPerOctave = 8;        // checkpoints that stay where the distance doubles
constexpr size_t kFewPoints = 16;
constexpr unsigned kPatience = 3;    // runs that get nowhere
}  // namespace

History::History(Machine& m, Player* p, Limits limits)
    : machine_{m}, player_{p}, limits_{limits}, watch_{m.memory().ram(), [this](u64 at) { keep_page(at); }}, writer_{m.moment()} {
    machine_.keep_media();
    machine_.gate().listen(this, [this](const GateEvent& e) { hear(e); });
    add();
}

History::~History() {
    watch(false);
    machine_.gate().forget(this);
}

// ---- writing it down

void History::hear(const GateEvent& e) {
    if (e.kind == GateEvent::Kind::insert_medium) {
        media_.push_back(e.x);
        if (e.x >= 0)
            if (JournalImage* const image = machine_.images()[static_cast<size_t>(e.x)]) image->journal(&points_.back().disks[image]);
    }
    writer_.add({.at = machine_.moment(), .event = e});
}

void History::keep_page(u64 at) {
    const auto page = machine_.memory().ram().subspan(at, kPage);
    const auto [entry, fresh] = points_.back().ram.try_emplace(at);
    if (!fresh || is_zero(page)) return;
    entry->second.assign(page.begin(), page.end());
    points_.back().bytes += kPage, bytes_ += kPage;
}

/// From the newest checkpoint on, what is written is kept in it.
void History::watch(bool on) {
    if (on) {
        watch_.clear();
        for (const auto& [at, page] : points_.back().ram) watch_.skip(at);
    }
    machine_.cpu().watch_writes(on ? &watch_ : nullptr);
    for (JournalImage* image : machine_.images())
        if (image) image->journal(on ? &points_.back().disks[image] : nullptr);
}

u64 History::disk_bytes(const Point& p) const {
    u64 bytes = 0;
    for (const auto& [image, pieces] : p.disks) bytes += pieces.size() * JournalImage::kPiece;
    return bytes;
}

void History::add() {
    const auto start = std::chrono::steady_clock::now();
    if (!points_.empty()) {
        Point& last = points_.back();
        const std::vector<u8> events = writer_.take();
        last.events.insert(last.events.end(), events.begin(), events.end());
        const u64 more = disk_bytes(last) + events.size();
        last.bytes += more, bytes_ += more;
    }
    Point p;
    p.place = place(), p.counted_from = writer_.last(), p.media = media_.size();
    p.parts = machine_.save_parts();
    for (size_t n = 0; n < p.parts.states.size(); ++n) {
        p.states.emplace_back(p.parts.states[n], points_.empty() ? SharedBytes{} : points_.back().states[n]);
        p.bytes += p.states.back().own();
    }
    p.parts.states.clear();
    bytes_ += p.bytes;
    points_.push_back(std::move(p));
    thin_out();
    keep_within_limits();
    watch(true);
    made_ = std::chrono::steady_clock::now();
    cost_ = std::chrono::duration<double>(made_ - start).count();
    due_at_ = machine_.icount() + limits_.interval;
}

// Not while it sleeps: then time goes on at the same count, and devices with it. And not more often than may be.
void History::checkpoint() {
    if (!due() || machine_.cpu().state().halted || (player_ && (player_->ended() || player_->failure()))) return;
    const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - made_).count();
    if (passed * limits_.share < cost_) return void(due_at_ = machine_.icount() + limits_.interval / 4 + 1);
    add();
}

/// What checkpoint `n` has of pages and pieces, and its neighbour before does not have, goes there.
void History::merge(size_t n) {
    Point &to = points_[n - 1], &from = points_[n];
    bytes_ -= to.bytes + from.bytes;
    to.ram.merge(from.ram);
    for (auto& [image, pieces] : from.disks) to.disks[image].merge(pieces);
    to.events.insert(to.events.end(), from.events.begin(), from.events.end());
    to.bytes = to.events.size() + disk_bytes(to);
    for (const auto& [at, page] : to.ram) to.bytes += page.size();
    for (const SharedBytes& s : to.states) to.bytes += s.own();
    bytes_ += to.bytes;
    points_.erase(points_.begin() + static_cast<i64>(n));
}

// The newest stays: journals are open in it.
void History::thin_out() {
    const u64 now = points_.back().place.at.icount;
    for (size_t n = points_.size() - 1; n-- > 1;) {
        const u64 gap = points_[n + 1].place.at.icount - points_[n - 1].place.at.icount;
        if (gap <= (now - points_[n].place.at.icount) / kPerOctave) merge(n);
    }
}

// Fewer places to start from make going far back slower; only when there are few is the beginning given up.
void History::keep_within_limits() {
    while (bytes_ > limits_.memory && points_.size() > 2) {
        if (points_.size() > kFewPoints) {
            merge(points_.size() / 2);
            continue;
        }
        bytes_ -= points_.front().bytes;
        points_.erase(points_.begin());
    }
}

// ---- going back

size_t History::before(const Place& p) const {
    size_t n = points_.size();
    while (n > 1 && points_[n - 1].place > p) --n;
    return n - 1;
}

// Of the checkpoints from that one to the one before this place, the oldest that has a page has it as it was there; what the later ones
// have has been put back already. With pieces of disks likewise.
void History::restore(size_t checkpoint) {
    const size_t here = before(place());
    ASSERT(checkpoint <= here);
    if (!std::exchange(repeating_, true)) {
        frontier_ = place();
        std::vector<u8> events = writer_.take();
        points_.back().events.insert(points_.back().events.end(), events.begin(), events.end());
        machine_.set_repeating(true);
    }
    watch(false);
    const std::span<u8> ram = machine_.memory().ram();
    const auto put = [&](u64 at, const std::vector<u8>& page) {
        static constexpr u8 kZeros[kPage]{};
        const u8* const from = page.empty() ? kZeros : page.data();
        u8* const to = ram.data() + at;
        if (std::memcmp(to, from, kPage) == 0) return;
        machine_.cpu().memory_changed(to, kPage);
        std::memcpy(to, from, kPage);
    };
    std::unordered_map<u64, const std::vector<u8>*> pages;
    for (size_t n = checkpoint; n <= here; ++n)
        for (const auto& [at, page] : points_[n].ram) pages.emplace(at, &page);
    for (const auto& [at, page] : pages) put(at, *page);
    for (size_t n = here + 1; n-- > checkpoint;)
        for (const auto& [image, pieces] : points_[n].disks) const_cast<JournalImage*>(image)->undo(pieces);
    const Point& p = points_[checkpoint];
    Machine::Parts parts = p.parts;
    for (const SharedBytes& s : p.states) parts.states.push_back(s.all());
    machine_.load_parts(parts);
    read_from(checkpoint);
    if (checkpoint + 1 == points_.size()) watch(true);
}

void History::read_from(size_t checkpoint) {
    const Point& p = points_[checkpoint];
    media_read_ = p.media, reading_ = checkpoint;
    reader_.emplace(p.counted_from);
    reader_->feed(p.events);
    fetch();
}

void History::fetch() {
    next_ = reader_->next();
    while (!next_ && reader_->ok() && reading_ + 1 < points_.size()) {
        reader_->feed(points_[++reading_].events);
        next_ = reader_->next();
    }
    if (next_ && next_->event.kind == GateEvent::Kind::insert_medium) next_->event.x = media_[media_read_++];
}

void History::play() {
    const GateEvent e = std::move(next_->event);
    fetch();
    machine_.gate().repeat(e);
}

Machine::Stop History::repeat(const Place& goal, u64 end) {
    using Stop = Machine::Stop;
    for (unsigned stuck = 0;;) {
        while (place().events < goal.events && next_ && next_->at == machine_.moment()) play(), stuck = 0;
        if (place() == goal || machine_.icount() >= end) return Stop::slice;
        const Moment before = machine_.moment(), until = place().events < goal.events && next_ ? next_->at : goal.at;
        if (before > until || stuck >= kPatience) {
            failure_ = "the past has not repeated itself at instruction " + std::to_string(before.icount);
            return Stop::slice;
        }
        machine_.hold_at(until);
        const Stop s = machine_.run(end - before.icount);
        stuck = machine_.moment() == before ? stuck + 1 : 0;
        if (s == Stop::slice || s == Stop::idle) continue;
        if (s == Stop::debug || s == Stop::stop_at || !(next_ && next_->at == machine_.moment())) return s;
    }
}

Machine::Stop History::run_to(const Place& goal, u64 instructions) {
    const u64 now = machine_.icount(), end = now + std::min(instructions, ~u64{0} - now);
    const Place& newest = points_.back().place;
    for (;;) {
        // What is written is kept from the newest checkpoint on, so the run must not go across it.
        const bool old = place() < newest;
        const Place first = old ? std::min(goal, newest) : goal;
        const Machine::Stop s = repeat(first, end);
        if (old && place() == newest) watch(true);
        if (s != Machine::Stop::slice || failure_ || place() == goal || machine_.icount() >= end) return s;
    }
}

void History::arrive() {
    repeating_ = false;
    next_.reset(), reader_.reset();
    machine_.set_repeating(false);
}

Machine::Stop History::run(u64 instructions) {
    if (repeating_) {
        if (failure_) return Machine::Stop::slice;
        const Machine::Stop s = run_to(frontier_, instructions);
        if (!failure_ && place() == frontier_) arrive();
        return s;
    }
    const u64 now = machine_.icount(), most = std::min(instructions, due() ? u64{1} : due_at_ - now);
    const Machine::Stop s = player_ ? player_->run(most) : machine_.run(most);
    checkpoint();
    return s;
}

// ---- another future

bool History::branch() {
    if (repeating_ && place() == frontier_) arrive();
    const bool left = repeating_ || player_;
    if (repeating_) {
        const size_t here = before(place());
        for (size_t n = here + 1; n < points_.size(); ++n) bytes_ -= points_[n].bytes;
        points_.erase(points_.begin() + static_cast<i64>(here) + 1, points_.end());
        Point& p = points_.back();
        EventReader events{p.counted_from};
        events.feed(p.events);
        writer_ = EventWriter{p.counted_from};
        size_t media = p.media;
        for (u64 n = p.place.events; n < place().events; ++n) {
            auto e = events.next();
            ASSERT(e);
            if (e->event.kind == GateEvent::Kind::insert_medium) ++media;
            writer_.add(*e);
        }
        media_.resize(media);
        bytes_ -= p.bytes;
        p.bytes -= std::min<u64>(p.bytes, p.events.size());
        bytes_ += p.bytes;
        p.events.clear();
        watch(true);
        due_at_ = machine_.icount() + limits_.interval;
        arrive();
    }
    if (player_) machine_.end_replay(player_->clock());
    player_ = nullptr;
    return left;
}
}  // namespace calque
