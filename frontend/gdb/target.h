// What the GDB stub debugs: processors that move and stop, with registers and memory. GdbMachine (frontend/gdb/machine.h) is a whole PC.
//
// Motion: resume() starts one and returns at once; when it has ended by itself the owner calls GdbStub::stopped(). halt() ends it at once.
// Everything else is only called while nothing moves.
//
// Reverse execution fits in here: can_reverse() says that a history is there, and resume() gets a motion with `backwards` set, which ends
// at the previous instruction (step), the last breakpoint or watchpoint met on the way (go), or with Why::history_begins.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/result.h"
#include "support/types.h"

namespace calque {

struct GdbRegister {
    std::string name;
    unsigned bits = 64;
    unsigned bytes() const { return (bits + 7) / 8; }
};

/// A breakpoint or watchpoint, as the Z packets have it.
struct GdbPoint {
    enum class Kind : u8 { software, hardware, write, read, access } kind = Kind::software;
    u64 address = 0, length = 1;
    bool watch() const { return kind >= Kind::write; }
    auto operator<=>(const GdbPoint&) const = default;
};

struct GdbMotion {
    enum class Kind : u8 { go, step, range } kind = Kind::go;
    u64 first = 0, end = 0;    // range: steps while the program counter is in [first, end)
    bool backwards = false;
};

struct GdbStop {
    enum class Why : u8 {
        halted,            // asked for
        breakpoint, watch, step,
        event,             // an exception, a port access ...: `signal` and `message` tell
        history_begins, history_ends,
        exited,            // the machine is off: `code`
    } why = Why::halted;
    unsigned cpu = 0;
    u8 signal = 5;         // GDB's number: 5 is SIGTRAP
    GdbPoint::Kind kind = GdbPoint::Kind::software;   // breakpoint, watch
    u64 address = 0;       // watch: what was touched
    u8 code = 0;
    std::string message;   // for the user
};

class GdbTarget {
public:
    virtual ~GdbTarget() = default;

    // ---- processors, each a thread to GDB
    virtual unsigned cpus() const = 0;
    virtual std::string cpu_state(unsigned cpu) = 0;   // a word or two

    // ---- registers, numbered in the order of this table, which description() repeats
    virtual std::span<const GdbRegister> registers() const = 0;
    virtual std::string description() const = 0;       // target.xml, right for the processor as it is now
    virtual void read_register(unsigned cpu, unsigned n, std::span<u8> out) = 0;
    virtual Result<void> write_register(unsigned cpu, unsigned n, std::span<const u8> in) = 0;
    virtual u64 pc(unsigned cpu) = 0;
    /// Registers that every stop tells, so that GDB need not ask.
    virtual std::span<const unsigned> expedited() const = 0;

    // ---- memory
    /// How many bytes from the start could be read.
    virtual size_t read_memory(unsigned cpu, u64 address, std::span<u8> out) = 0;
    virtual bool write_memory(unsigned cpu, u64 address, std::span<const u8> in) = 0;
    virtual std::string memory_map() = 0;              // XML

    // ---- motion
    virtual void set_points(const std::vector<GdbPoint>&) = 0;   // instead of all earlier ones
    virtual Result<void> resume(const GdbMotion&) = 0;
    /// False: it cannot at once; stopped() will tell.
    virtual bool halt() = 0;
    virtual bool can_reverse() const = 0;
    virtual void kill() = 0;                           // the client wants the end of it all
    /// The client is gone: nothing of its wishes stays.
    virtual void release() = 0;

    /// A command for people; what it answers.
    virtual std::string monitor(std::string_view line) = 0;
};
}  // namespace calque
