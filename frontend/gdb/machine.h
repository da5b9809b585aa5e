// A machine as the GDB stub's target: what GDB wants becomes what cpu/debug.h offers.
#pragma once
#include <functional>

#include "cpu/debug.h"
#include "frontend/gdb/monitor.h"
#include "frontend/gdb/registers.h"
#include "frontend/gdb/target.h"
#include "machine/machine.h"
#include "machine/replay/history.h"

namespace calque {

class GdbStub;

class GdbMachine final : public GdbTarget {
public:
    struct Owner {
        std::function<void()> quit;
        /// A command that this one does not know.
        std::function<std::string(std::string_view)> monitor;
        /// What the outside wants while the machine goes back; false: no client is left, or the run is over.
        std::function<bool()> listen{};
        /// The debugger has changed the past, or a replay: another future begins.
        std::function<void()> branched{};
    };
    /// `standing`: nothing runs before a client says so.
    GdbMachine(Machine&, Owner, bool standing);

    /// Machine::run() must not be called.
    bool standing() const { return standing_; }
    /// The machine can go back in it.
    void set_history(History* h) { monitor_.set_history(history_ = h); }
    /// GDB wants it to: instead of the next run, go_back().
    bool wants_back() const { return back_.has_value(); }
    void go_back(GdbStub* stub);
    /// The replay has come to the end of its recording.
    bool handle_end(GdbStub* stub);
    /// Machine::run() has returned Stop::debug. `stub`: the client's, if there is one.
    void handle_stop(GdbStub* stub);
    /// The guest has brought the machine to a state that it cannot leave.
    void handle_hold(GdbStub* stub, const std::string& why);
    void end_hold() { hold_.clear(); }

    // ---- GdbTarget
    unsigned cpus() const override { return 1; }
    std::string cpu_state(unsigned cpu) override;
    std::span<const GdbRegister> registers() const override { return registers_.all(); }
    std::string description() const override { return registers_.description(); }
    void read_register(unsigned, unsigned n, std::span<u8> out) override { registers_.read(n, out); }
    Result<void> write_register(unsigned, unsigned n, std::span<const u8> in) override;
    u64 pc(unsigned) override { return registers_.pc(); }
    std::span<const unsigned> expedited() const override { return registers_.expedited(); }
    size_t read_memory(unsigned cpu, u64 address, std::span<u8> out) override;
    bool write_memory(unsigned cpu, u64 address, std::span<const u8> in) override;
    std::string memory_map() override;
    void set_points(const std::vector<GdbPoint>&) override;
    Result<void> resume(const GdbMotion&) override;
    bool halt() override;
    bool can_reverse() const override { return history_; }
    void kill() override { owner_.quit(); }
    void release() override;
    std::string monitor(std::string_view line) override { return monitor_.run(line); }

private:
    GdbStop stop_of(const Debug::Hit&);
    void arm();
    void change();
    void listen();
    bool run_to(const History::Place&);
    bool last_hit();
    bool step_back();
    Machine& machine_;
    Cpu& cpu_;
    Owner owner_;
    Debug debug_;
    GdbRegisters registers_;
    GdbMonitor monitor_;
    std::vector<GdbPoint> points_;
    std::string hold_;
    bool standing_, resumed_ = false;
    History* history_ = nullptr;
    bool going_back_ = false, interrupted_ = false, alone_ = false;   // alone: the client has gone meanwhile
    std::optional<GdbMotion> back_;
};
}  // namespace calque
