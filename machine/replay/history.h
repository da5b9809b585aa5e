// Checkpoints of a replay in memory, and going back to them. Each is what the devices and the processor would save, plus the pages of RAM and
// the pieces of disks that have changed since, as they were. The newest has RAM whole. A run to any instruction before the frontier, the
// furthest that the replay has come, is then the nearest checkpoint and a run forward from it.
#pragma once
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "machine/block/overlay_image.h"
#include "machine/replay/player.h"

namespace calque {

class History {
public:
    static constexpr u64 kFirstInterval = 10'000'000;   // instructions between checkpoints, to begin with
    /// The first checkpoint is made at once: nothing before it can be had.
    History(Machine&, Player&, u64 interval = kFirstInterval);
    ~History();
    History(const History&) = delete;

    /// After every slice of the replay: makes a checkpoint when one is due.
    void advance();
    /// How many instructions the next slice may have, so that it does not run across the newest checkpoint, and ends where one can be made.
    u64 most() const;
    u64 begin() const { return points_.front().icount; }
    u64 frontier() const { return frontier_; }
    /// Of instructions that have been run before, what the guest sends has been seen.
    bool repeating() const { return machine_.icount() < frontier_; }
    size_t checkpoints() const { return points_.size(); }
    /// The newest checkpoint at or before this count; none before begin().
    size_t before(u64 icount) const;
    u64 icount_of(size_t checkpoint) const { return points_[checkpoint].icount; }
    /// Only backwards: what disks get later is not kept.
    void restore(size_t checkpoint);

private:
    using Page = std::vector<u8>;
    struct Point {
        u64 icount = 0;
        Machine::Parts parts;
        Player::Mark mark;
        std::unordered_map<u64, Page> ram;             // what changed until the next checkpoint, as it was
        std::vector<OverlayImage::Undo> disks;         // likewise, one a drive
    };
    bool due() const { return machine_.icount() >= points_.back().icount + interval_; }
    void add();
    void thin_out();
    void journal(bool on);

    Machine& machine_;
    Player& player_;
    u64 interval_, frontier_ = 0;
    std::span<u8> shadow_;                             // RAM at the newest checkpoint
    std::vector<Point> points_;
};
}  // namespace calque
