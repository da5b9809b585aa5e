// Writes down all that reaches a machine through its gate, so that the run can be had again (docs/record-replay.md).
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "machine/machine.h"
#include "machine/replay/events.h"
#include "machine/snapshot/new_file.h"
#include "machine/snapshot/sections.h"

namespace calque {

constexpr std::string_view kRecordingMagic = "CALQRECD";
constexpr u16 kEventsVersion = 2;   // 1 had neither what debuggers write nor moments behind faults

class Recorder {
public:
    /// From now on. The machine's images must be kept (MachineConfig::keep_images). Whatever had the name stays until the recording can be
    /// replayed.
    static Result<std::unique_ptr<Recorder>> start(Machine&, const std::string& path);
    ~Recorder();
    Recorder(const Recorder&) = delete;
    /// A hash to compare with, and everything so far is in the file. Not while the machine runs.
    Result<void> check();
    Result<void> finish();
    /// The recording ends with the last check: the machine has gone another way since.
    Result<void> stop_here();

private:
    Recorder(Machine&, std::unique_ptr<NewFile>, const std::string& path);
    void hear(const GateEvent&);
    Machine& machine_;
    std::unique_ptr<NewFile> file_;
    SectionWriter out_;
    EventWriter events_;
    Moment checked_;
    std::optional<std::string> error_;
    u64 sections_ = 0, media_ = 0;   // media: that have been inserted
};
}  // namespace calque
