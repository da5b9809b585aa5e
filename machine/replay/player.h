// Runs a recorded machine again: every event at its moment, and a comparison at every check.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "machine/machine.h"
#include "machine/replay/events.h"
#include "machine/snapshot/sections.h"

namespace calque {

class Player {
public:
    /// Looks the whole file through first. `host` as for Machine::load(); its clock does not count. The replay begins where the snapshot
    /// was saved, if one is named, which must have been while the recording was made or replayed.
    static Result<std::unique_ptr<Player>> open(const std::string& path, MachineConfig host, const std::string& snapshot = {});
    /// The caller keeps it, and longer than the player.
    std::unique_ptr<Machine> take_machine() { return std::move(owned_); }

    /// As Machine::run(), but never idle. At the end of the recording, or after a failure, nothing moves any more.
    Machine::Stop run(u64 instructions);
    bool ended() const { return ended_; }
    /// The recording has no end of its own: whoever made it was interrupted.
    bool cut() const { return cut_; }
    /// The machine has left the recorded way, or a medium is not to be had.
    const std::optional<std::string>& failure() const { return failure_; }
    u64 checks() const { return checks_; }
    /// How the recorded machine's time moved.
    ClockMode clock() const { return clock_; }

    /// Where the recording is read, for a machine that goes back without a history.
    struct Mark {
        std::optional<EventReader> events;
        std::optional<RecordedEvent> next;
        u64 sections_left = 0, media = 0, checks = 0, good_until = 0;
        u64 position = 0;
    };
    Mark mark() const { return {events_, next_, sections_left_, media_read_, checks_, good_until_, in_->position()}; }
    void go_to(const Mark&);

private:
    explicit Player(std::unique_ptr<SectionReader> in) : in_{std::move(in)} {}
    Result<std::unique_ptr<Machine>> load_later(const std::string& snapshot, MachineConfig host);
    Result<void> begin(bool at_the_start);
    Result<void> look_through();
    Result<void> catch_up(const std::string& snapshot);
    Result<bool> take_image(std::shared_ptr<EmbeddedImage>& current);
    void fetch();
    void play();
    bool due() const { return next_ && next_->at == machine_->moment(); }
    void fail(const std::string& why) { failure_ = why; }
    Result<i32> medium();

    std::unique_ptr<SectionReader> in_;
    std::unique_ptr<Machine> owned_;
    Machine* machine_ = nullptr;
    std::optional<EventReader> events_;
    std::optional<RecordedEvent> next_;
    ClockMode clock_{};
    u64 sections_left_ = 0, checks_ = 0, good_until_ = 0;
    std::map<u64, std::shared_ptr<const EmbeddedImage>> media_;   // that are embedded, by the number of their insertion
    u64 media_read_ = 0;                                          // insertions so far
    bool ended_ = false, cut_ = false;
    std::optional<std::string> failure_;
};
}  // namespace calque
