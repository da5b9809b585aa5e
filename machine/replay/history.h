// The past of a machine, in memory, and going back in it: checkpoints, and what has come through the gate since the first. Each checkpoint is
// what the devices and the processor would save, plus the pages of RAM and the pieces of disks that have been written until the next one,
// as they were. The nearest checkpoint before and a run forward from it lead to any place up to the frontier, the furthest that the machine
// has come to; there it goes on as the machine or the recording that it is. Checkpoints are dense near the frontier and thin out with
// the distance.
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "machine/block/journal_image.h"
#include "machine/replay/player.h"
#include "machine/replay/shared_bytes.h"
#include "support/write_watch.h"

namespace calque {

class History {
public:
    struct Limits {
        u64 interval = 10'000'000;   // instructions between checkpoints, at least
        u64 memory = kGiB;           // of the host
        double share = 0.05;         // of the time that checkpoints may take
    };
    /// Where a machine stands: events have passed the gate since the beginning.
    struct Place {
        Moment at;
        u64 events = 0;
        auto operator<=>(const Place&) const = default;
    };
    /// The first checkpoint is made at once: nothing before it can be had. `player`: the machine replays a recording.
    History(Machine&, Player* player, Limits);
    History(Machine& m, Player* player) : History{m, player, Limits{}} {}
    ~History();
    History(const History&) = delete;

    /// As Machine::run(), or Player::run(): what has been happens again, and from the frontier on what is new.
    Machine::Stop run(u64 instructions);
    /// What has been, up to a place before the frontier, or the frontier.
    Machine::Stop run_to(const Place&, u64 instructions);
    /// Of what is before the frontier, what the guest sends has been seen.
    bool repeating() const { return repeating_; }
    Place place() const { return {machine_.moment(), machine_.gate().count()}; }
    const Place& begin() const { return points_.front().place; }
    size_t checkpoints() const { return points_.size(); }
    /// The newest checkpoint at or before the place; the first where there is none.
    size_t before(const Place&) const;
    const Place& place_of(size_t checkpoint) const { return points_[checkpoint].place; }
    /// Only backwards.
    void restore(size_t checkpoint);
    /// What lies behind this place never happens; a recording is left for good. False: there was neither.
    bool branch();
    /// The past has not repeated itself: an error of ours.
    const std::optional<std::string>& failure() const { return failure_; }
    /// Of host memory, about.
    u64 bytes() const { return bytes_; }
    /// How long the last checkpoint took.
    double last_cost() const { return cost_; }

private:
    struct Point {
        Place place;
        Moment counted_from;   // what `events` is counted from
        u64 media = 0;         // how many media had been inserted
        std::vector<u8> events;                                  // until the next checkpoint
        Machine::Parts parts;                                    // but for `states`
        std::vector<SharedBytes> states;
        std::unordered_map<u64, std::vector<u8>> ram;            // empty: zeros
        std::unordered_map<const JournalImage*, JournalImage::Undo> disks;
        u64 bytes = 0;         // that only this one needs
    };
    void hear(const GateEvent&);
    void checkpoint();
    void add();
    bool due() const { return machine_.icount() >= due_at_; }
    void keep_within_limits();
    void thin_out();
    void merge(size_t n);
    void watch(bool on);
    void keep_page(u64 at);
    u64 disk_bytes(const Point&) const;
    void read_from(size_t checkpoint);
    void fetch();
    void play();
    Machine::Stop repeat(const Place& goal, u64 end);
    void arrive();

    Machine& machine_;
    Player* player_;
    Limits limits_;
    WriteWatch watch_;
    std::vector<Point> points_;
    EventWriter writer_;
    std::vector<i32> media_;             // that have been inserted, by their numbers
    // ---- while it repeats
    bool repeating_ = false;
    Place frontier_;
    std::optional<EventReader> reader_;
    size_t reading_ = 0;                 // checkpoint whose events are read
    u64 media_read_ = 0;
    std::optional<RecordedEvent> next_;
    std::optional<std::string> failure_;
    // ---- when the next checkpoint is due
    u64 due_at_ = 0, bytes_ = 0;
    double cost_ = 0;
    std::chrono::steady_clock::time_point made_{};
};
}  // namespace calque
