// A whole PC without a face: configuration in, instructions run, state out. The front end gives it time to run and
// passes on what the user does; everything else happens inside.
#pragma once
#include <memory>
#include <optional>

#include "cpu/cpu.h"
#include "machine/boards/pc_i440fx.h"
#include "machine/config.h"
#include "machine/input_gate.h"
#include "machine/pacer.h"
#include "support/host_ui.h"

namespace calque {

struct SavedConfig;    // snapshot/config_state.h
class SectionReader;   // snapshot/sections.h
class SectionWriter;
class StateHash;       // state_hash.h
class JournalImage;    // block/journal_image.h

class Machine final : public InputSink, public DisplaySource {
public:
    static Result<std::unique_ptr<Machine>> create(const MachineConfig&);
    ~Machine() override;
    Machine(const Machine&) = delete;

    // ---- running
    enum class Stop {
        slice,        // the slice is used up
        idle,         // nothing to do before sleep_time() has passed or something is submitted
        stop_at,      // the instruction count asked for is reached
        debug,        // a debugger's wish is met: Debug::hit() of the processor
        powered_off,
        debug_exit,   // see exit_value()
        reset,        // the guest asked for a reset, and the configuration says that this ends the run
        triple_fault, // likewise
        halted,       // HLT, and nothing can ever wake the processor
    };
    /// Runs up to `instructions`, or less. After one of the last five the machine stays where it is.
    Stop run(u64 instructions);
    /// Instruction count at which run() stops exactly.
    void set_stop_at(u64 icount) {
        stop_at_ = icount;
        if (stopped_ == Stop::stop_at) stopped_.reset();
    }
    u64 icount() const { return cpu_->icount(); }
    Moment moment() const;
    Time time() const { return clock_.now(); }
    /// After Stop::idle: wall time until the machine has something to do; kNever if only input can wake it.
    Time sleep_time() const;
    u32 exit_value() const { return exit_value_; }
    u64 resets() const { return resets_; }
    u64 triple_faults() const { return triple_faults_; }
    u64 triple_fault_rip() const { return triple_fault_rip_; }

    // ---- the outside, all through the gate; not while run() is on the stack
    void key(u8 usage, bool down) override;
    void mouse_rel(int dx, int dy, int dz) override;
    void mouse_button(unsigned n, bool down) override;
    /// At machine time `t`, or at once if that has passed. False when too many events wait.
    bool input_at(Time t, const InputEvent&);
    /// How many characters serial port `n` takes now.
    unsigned serial_room(unsigned n);
    void serial_input(unsigned n, u8 c);
    void serial_break(unsigned n);
    bool power_button();     // false: the guest does not listen
    void reset();
    InputGate& gate() { return gate_; }
    /// The wall clock went on while nobody ran the machine (paused): forget that.
    void resume_clock();
    /// Exchanges the medium of CD-ROM drive or floppy drive `n`; an empty path takes it out.
    Result<void> change_cdrom(unsigned n, const std::string& path, bool force);
    Result<void> change_floppy(unsigned n, const std::string& path, bool read_only);

    // ---- looking at it
    void render(Frame& frame) override { board_->vga().render(frame); }
    std::vector<std::string> text_screen() const { return board_->vga().text_screen(); }
    /// A hash of processor, RAM and devices; equal states give equal hashes on every host and executor.
    u64 state_hash();
    /// The same without RAM and the display: fast enough for every second.
    u64 quick_hash();
    Cpu& cpu() { return *cpu_; }
    PcI440fx& board() { return *board_; }
    PhysMap& memory() { return *memory_; }
    IoPorts& io() { return io_; }
    const MachineConfig& config() const { return config_; }
    /// At the end of a run: characters still on their way through serial ports arrive. Machine time moves for that.
    void drain() { clock_.advance(kSecond / 1000); }
    /// Everything buffered for image files reaches them.
    Result<void> flush();

    // ---- what a debugger changes comes through the gate too
    /// False when some of it is no RAM (then a part may have been written).
    bool set_memory(u64 address, std::span<const u8>, bool physical);
    /// `settles`: other state depends on the register. After an error all is as before.
    Result<void> set_register(const std::string& name, const std::array<u64, 4>& value, bool settles);
    bool set_msr(u32 number, u64 value);

    // ---- replay (docs/record-replay.md)
    /// Moments and events are counted from here.
    void begin_moments();
    /// The gate is for the recording only from now on, which has all idle time in it if it was made with the host's clock.
    void begin_replay(bool host_clock, bool reboot);
    /// run() returns Stop::slice there, if it comes by.
    void hold_at(const Moment& m) { hold_ = m; }
    void hold_nowhere() { hold_ = {kNeverCount, kNever, 0}; }
    /// The machine has gone back: the gate is closed and time moves by events, until it is where it was.
    void set_repeating(bool);
    /// The recording that it replays is left: from here on it is a machine as any other.
    void end_replay(ClockMode);
    /// What the event is for exists.
    bool accepts(const GateEvent&);
    /// Opens an image for an insert_medium event; its number.
    Result<i32> open_medium(const ImageConfig&);

    // ---- checkpoints (machine/replay/history.h)
    /// All but RAM and disks.
    struct Parts {
        std::vector<BlockImage*> media;   // of CD-ROM drives, then floppy drives
        std::vector<std::vector<u8>> states;
    };
    Parts save_parts();
    void load_parts(const Parts&);   // of this machine
    /// All images that have been opened; null where one is closed.
    std::vector<JournalImage*> images();
    /// Media stay open when they are taken out.
    void keep_media() { keep_media_ = true; }

    // ---- snapshots (docs/snapshots.md)
    /// The complete machine into a file, which has its name only when it is whole. Not while run() is on the stack.
    Result<void> save(const std::string& path);
    /// A machine that goes on as the saved one would have. `host` has what is no part of the machine: the executor, sinks for all ports
    /// that there can be, the clock; and drives, where their images have other names now.
    static Result<std::unique_ptr<Machine>> load(const std::string& path, MachineConfig host);
    /// The same within a larger file.
    Result<void> save_to(SectionWriter&);
    static Result<std::unique_ptr<Machine>> load_from(SectionReader&, MachineConfig host);

private:
    void hash_parts(StateHash&, bool display);
    explicit Machine(const MachineConfig&);
    Result<void> build();
    Result<void> open_images(BoardConfig&);
    Result<BlockImage*> open_image(ImageConfig, const std::string& what);
    Result<void> fill_firmware(const BoardConfig&);
    Result<void> find_roms(BoardConfig&);
    Result<SavedConfig> describe();
    Result<void> make_cpu();
    void settle();
    std::optional<Stop> run_into_fault();
    void apply(const GateEvent&);
    void exchange_medium(const GateEvent&);
    std::optional<Error> set_by_debugger(const GateEvent&);
    std::vector<BlockImage*> media() const;
    void put_media(const std::vector<BlockImage*>&);
    void on_earlier_deadline(Time);
    void set_smm(bool active);
    void hard_reset();
    std::optional<Stop> take_requests();
    std::optional<Stop> after_run(Cpu::Stop);
    std::optional<Stop> idle();
    Stop stop(Stop s) { return stopped_ = s, s; }
    void move_time(Time by);
    u64 icount_at(Time t) const { return t == kNever ? kNeverCount : t - skew_; }

    static constexpr u64 kNeverCount = ~u64{0};
    /// Straight to keyboard and mouse, behind the gate.
    struct InputDevices final : InputSink {
        explicit InputDevices(Machine& m) : machine{m} {}
        void key(u8 usage, bool down) override { machine.board_->keyboard().key(usage, down); }
        void mouse_rel(int dx, int dy, int dz) override { machine.board_->mouse().move(dx, dy, dz); }
        void mouse_button(unsigned n, bool down) override { machine.board_->mouse().button(n, down); }
        Machine& machine;
    };
    struct Snapshot;  // snapshot/snapshot.cpp
    struct Proxy;  // stands for the board while the processor is made
    MachineConfig config_;
    Clock clock_;
    std::unique_ptr<PhysMap> memory_;
    IoPorts io_;
    std::unique_ptr<Proxy> proxy_;
    struct OpenImage {
        ImageConfig config;
        std::unique_ptr<JournalImage> image;   // null: it has been taken out
    };
    std::vector<OpenImage> images_;
    std::vector<BlockImage*> disk_images_;  // of the hard disks, in the order of the configuration
    std::array<std::vector<u8>, 2> roms_;   // system and VGA BIOS
    std::vector<std::vector<std::string>> boot_paths_;
    Pin<&Machine::set_smm> smm_pin_{*this};
    std::unique_ptr<CpuModel> cpu_model_;
    std::unique_ptr<Cpu> cpu_;
    std::unique_ptr<PcI440fx> board_;
    InputDevices input_devices_{*this};
    InputQueue input_queue_{clock_, input_devices_};
    InputGate gate_;
    Pacer pacer_;
    u64 turns_ = 0;        // see Moment
    Moment hold_{kNeverCount, kNever, 0};
    u64 skew_ = 0;         // machine time minus instruction count
    u64 stop_at_ = kNeverCount;
    std::optional<Stop> stopped_;
    struct Requests {
        bool hard_reset = false, soft_reset = false, power_off = false, debug_exit = false;
        bool any() const { return hard_reset || soft_reset || power_off || debug_exit; }
    } requests_;
    u32 exit_value_ = 0;
    u64 resets_ = 0, triple_faults_ = 0, triple_fault_rip_ = 0;
    bool button_heard_ = false, input_taken_ = false;
    std::optional<Error> set_error_;   // of what a debugger wanted to write
    bool keep_media_ = false, repeating_ = false, gate_was_closed_ = false;
    ClockMode clock_before_{};
    unsigned hopeless_ = 0;  // deadlines passed in a row in HLT with interrupts off
};
}  // namespace calque
