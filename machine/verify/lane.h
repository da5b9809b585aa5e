// One of two machines that should behave alike: how it is made, run to an instruction, and taken back.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "machine/block/journal_image.h"
#include "machine/machine.h"
#include "machine/replay/player.h"

namespace calque::verify {

/// What runs a machine: "jit" or "interp", then what is switched off: "jit,pinning,linking".
struct Executor {
    bool jit = true;
    std::vector<std::string> disable;
    static Result<Executor> parse(const std::string&);
    std::string text() const;
};

/// Where a machine comes from. Its clock is fixed, or the recording's, and no image is written.
struct Start {
    MachineConfig config;
    std::string load, recording;   // a file, instead of what `config` describes
    Executor executor;
    /// Changes the machine when so many instructions have retired: a difference to look for, in tests.
    struct Disturbance {
        u64 at = 0;
        std::function<void(Machine&)> change;
    } disturb = {};
};

class Lane {
public:
    static Result<std::unique_ptr<Lane>> create(const Start&);
    ~Lane();
    Lane(const Lane&) = delete;
    Machine& machine() { return *machine_; }
    const Start& start() const { return start_; }
    const Player* player() const { return player_.get(); }

    /// Until `icount` instructions have retired, or the run ends.
    void run_to(u64 icount);
    /// Why it will not go on; empty: it will.
    const std::string& ended() const { return ended_; }

    // ---- going back. RAM is the caller's.
    void keep();
    void go_back();
    /// From the very beginning, by the same steps as until keep(): what has been translated on the way is there again, which go_back() forgets.
    Result<void> go_back_all_the_way();
    /// A machine as at the beginning.
    Result<void> begin_again();

    /// What it has but for RAM and what the guest cannot see, by name.
    std::vector<std::pair<std::string, std::vector<u8>>> parts();

private:
    explicit Lane(Start s) : start_{std::move(s)} {}
    void journal(bool on);
    void go_on(u64 icount);
    Start start_;
    std::unique_ptr<Machine> machine_;
    std::unique_ptr<Player> player_;
    std::string ended_;
    std::vector<u64> steps_;       // of run_to() since the beginning
    struct Point {
        Machine::Parts parts;
        std::optional<Player::Mark> mark;
        std::vector<JournalImage::Undo> disks;   // of all images that have been opened
        std::string ended;
        size_t steps = 0;
    } point_;
};
}  // namespace calque::verify
