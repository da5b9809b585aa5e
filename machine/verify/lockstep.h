// Two machines side by side: runs both, and finds the first instruction after which they are not the same.
#pragma once
#include <functional>

#include "machine/exec/compare.h"
#include "machine/verify/lane.h"

namespace calque::verify {

class Lockstep {
public:
    static constexpr u64 kStep = 10'000'000;   // instructions between comparisons, and at most to go back
    Lockstep(std::unique_ptr<Lane> a, std::unique_ptr<Lane> b);
    ~Lockstep();
    Lockstep(const Lockstep&) = delete;
    Lane& a() { return *a_; }
    Lane& b() { return *b_; }

    /// Runs both until they differ (false) or `until` is reached or both have ended alike. kept() is where they agreed last.
    bool run(u64 until, u64 step = kStep);
    u64 kept() const { return kept_; }
    /// After run() has found them different: the count at which they first are. Both stand there. An error: they do not differ when run
    /// again from kept(), not even when the first is run again from its beginning.
    Result<u64> narrow();

    bool same();
    /// Both to `icount` from kept().
    Result<void> both_to(u64 icount);
    /// The second one alone; to before kept() from its beginning.
    Result<void> b_to(u64 icount);
    /// How they differ now. RAM as "mem ADDRESS", devices only by their names.
    std::vector<exec::Difference> differences();
    /// Told of every comparison.
    std::function<void(u64 icount, bool same)> on_step;

private:
    bool same_ram();
    void keep();
    void restore_ram(Machine&);
    std::unique_ptr<Lane> a_, b_;
    std::span<u8> shadow_;        // RAM of both at kept()
    u64 kept_ = 0, wanted_ = 0;   // where run() has stopped because they differed; one of them may have gone further
    bool b_again_ = false;
    bool all_the_way_ = false;    // the first shows its difference only with what it has translated since the beginning
};
}  // namespace calque::verify
