// One run of one machine: gives it time, carries characters, keys and pictures back and forth, and ends the process as
// the user or the guest wants.
#pragma once
#include <chrono>
#include <memory>

#include "frontend/cli/firmware_watch.h"
#include "frontend/cli/onlookers.h"
#include "frontend/cli/options.h"
#include "frontend/cli/serial_host.h"
#include "frontend/control/server.h"
#include "frontend/gdb/machine.h"
#include "frontend/gdb/server.h"
#include "frontend/sdl/sdl_window.h"
#include "machine/machine.h"
#include "machine/replay/player.h"
#include "machine/replay/recorder.h"

namespace calque {

class Session final : private ControlTarget {
public:
    static Result<std::unique_ptr<Session>> create(Options);
    ~Session() override;
    /// Runs to the end and returns the exit status.
    int run();

private:
    explicit Session(Options o) : options_{std::move(o)} {}
    Result<void> open();
    Result<void> make_machine();
    Result<void> save();
    Result<void> prepare_saving();
    u64 next_multiple() const;
    u64 next_stop() const;
    void wire_ports();
    Result<void> open_ports();
    Result<void> open_window();
    Result<void> open_sockets();
    void open_history();
    bool wants_window() const;
    ClockMode clock_mode() const;

    // ---- the loop
    void run_slice();
    void handle(Machine::Stop);
    void at_stop();
    void after_replay();
    bool listen();
    void branched();
    bool in_the_past() const { return history_ && history_->repeating(); }
    void keep_recording();
    void keep_looking_on();
    bool from_file() const { return !options_.load.empty() || !options_.replay.empty(); }
    void finish(int status, const std::string& sentence = {});
    void hold(const std::string& sentence, int status);
    void wait();
    void poll_outside();
    void flush_ports();
    void pump_serial();
    void on_key(char);
    void on_close();
    void update_status();
    void report_restarts();
    std::vector<SerialSocket*> sockets();
    bool standing() const { return paused_ || held_ || (gdb_machine_ && gdb_machine_->standing()); }
    bool somebody_can_act() const;
    void say(const std::string& sentence);
    int end_of_run();
    void print_hash(u64 hash) const;
    void print_stats() const;

    // ---- ControlTarget
    RunState run_state() const override;
    std::string name() const override { return options_.name; }
    void stop() override;
    void cont() override;
    void quit() override;
    void system_reset() override;
    void system_powerdown() override;
    void render(Frame& frame) override { machine_->render(frame); }
    std::vector<std::string> text_screen() override { return machine_->text_screen(); }
    Time machine_time() const override { return machine_->time(); }
    bool input_at(Time t, const InputEvent& event) override { return machine_->input_at(t, event); }
    bool read_physical(u64 address, std::span<u8> out) override;
    bool read_virtual(u64 address, std::span<u8> out) override;
    std::string registers() const override;
    std::optional<u64> register_value(std::string_view) const override;
    bool has_drive(const std::string& device) const override;
    Result<void> change_medium(const std::string& device, const std::string& file, bool read_only) override;
    Result<void> eject(const std::string& device, bool force) override;

    using WallClock = std::chrono::steady_clock;
    Options options_;
    std::array<SerialSocket, 4> serial_;
    std::array<SerialSocket, 3> parallel_;
    SerialSocket debugcon_, firmware_log_;
    FirmwareWatch firmware_{&firmware_log_};
    std::unique_ptr<Machine> machine_;
    std::unique_ptr<Recorder> recorder_;
    std::unique_ptr<Onlookers> onlookers_;
    std::unique_ptr<Player> player_;
    std::unique_ptr<History> history_;   // under a debugger
    std::unique_ptr<SdlWindow> window_;
    std::unique_ptr<ControlServer> control_;
    std::unique_ptr<GdbMachine> gdb_machine_;
    std::unique_ptr<GdbServer> gdb_;
    bool paused_ = false, held_ = false, idle_ = false;
    std::optional<int> status_;          // set: the run is over
    std::string last_words_;             // why, for the user
    ControlServer::Cause cause_ = ControlServer::Cause::guest;
    u64 slice_ = 1'000'000;              // instructions; follows the host's speed
    std::optional<u64> save_due_;        // when the next snapshot is wanted; else none, or one at the end
    u64 resets_seen_ = 0, triple_faults_seen_ = 0;
    WallClock::time_point started_ = WallClock::now(), status_time_{}, recorded_{}, flushed_{};
    u64 status_icount_ = 0;
    double running_seconds_ = 0;
};
}  // namespace calque
