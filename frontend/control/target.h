// What the control socket can do to a machine. The machine's owner implements it; calls come from ControlServer::poll(),
// between two slices of the run loop, never in the middle of an instruction.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/clock.h"
#include "support/host_ui.h"
#include "support/input_queue.h"
#include "support/result.h"

namespace calque {

class ControlTarget {
public:
    enum class RunState { running, paused, shutdown };

    virtual ~ControlTarget() = default;
    virtual RunState run_state() const = 0;
    virtual std::string name() const = 0;  // empty: none was given

    // The owner answers with the server's events (stopped() and so on) when the state really changes.
    virtual void stop() = 0;
    virtual void cont() = 0;
    virtual void quit() = 0;  // leave after this slice
    virtual void system_reset() = 0;
    virtual void system_powerdown() = 0;  // presses the power button

    virtual void render(Frame&) = 0;
    virtual std::vector<std::string> text_screen() = 0;  // UTF-8 lines; empty in a graphics mode

    virtual Time machine_time() const = 0;
    /// At machine time `t`, or at once if that has passed. False when too many events wait.
    virtual bool input_at(Time t, const InputEvent& event) = 0;
    /// 0..32767 in each direction. False: there is no absolute pointer, and relative motion is made instead.
    virtual bool mouse_abs(int, int) { return false; }

    /// False when nothing answers there. Virtual addresses go through the current page tables, without faults or marks.
    virtual bool read_physical(u64 address, std::span<u8> out) = 0;
    virtual bool read_virtual(u64 address, std::span<u8> out) = 0;
    virtual std::string registers() const = 0;  // text for people, lines ending in \n
    virtual std::optional<u64> register_value(std::string_view) const { return {}; }  // "pc", "eax", "cr3", ...
    /// Lines ending in \n for `count` instructions; empty where no disassembler is at hand.
    virtual std::string disassemble(u64, bool /*physical*/, unsigned /*count*/) { return {}; }

    virtual bool has_drive(const std::string& device) const = 0;
    virtual Result<void> change_medium(const std::string& device, const std::string& file, bool read_only) = 0;
    virtual Result<void> eject(const std::string& device, bool force) = 0;
};
}  // namespace calque
