// What `monitor` commands do: the machine's state for people, and wishes that GDB has no words for.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/debug.h"
#include "machine/machine.h"
#include "support/result.h"

namespace calque {

class GdbRegisters;
class History;

class GdbMonitor {
public:
    using Fallback = std::function<std::string(std::string_view)>;
    GdbMonitor(Machine&, Debug&, GdbRegisters&, Fallback);
    /// Lines end in \n.
    std::string run(std::string_view line);
    void set_history(const History* h) { history_ = h; }
    /// Memory addresses are physical ones.
    bool physical() const { return physical_; }
    /// A sentence about an event that has stopped the machine.
    std::string describe(const Debug::Hit&) const;
    /// Before a command changes the machine.
    std::function<void()> on_change;
    /// Nobody wants to stop anywhere any more.
    void release();

private:
    using Words = std::vector<std::string>;   // behind the command
    struct Command {
        const char *name, *arguments, *what;
        std::string (GdbMonitor::*run)(const Words&);
    };
    static const Command kCommands[];
    std::string help(const Words&);
    std::string registers(const Words&);
    std::string page(const Words&);
    std::string tlb(const Words&);
    std::string phys(const Words&);
    std::string stop(const Words&);
    std::string clear(const Words&);
    std::string interrupts(const Words&);
    std::string msr(const Words&);
    std::string memory(const Words&);
    std::string devices(const Words&);
    std::string history(const Words&);
    std::string fallback(std::string_view line) const;
    Result<u64> number(const std::string& word) const;   // or a register's name
    std::string catch_text(const Debug::Catch&) const;

    Machine& machine_;
    Cpu& cpu_;
    Debug& debug_;
    GdbRegisters& registers_;
    Fallback fallback_;
    const History* history_ = nullptr;
    bool physical_ = false;
    std::vector<Debug::Catch> catches_;
};
}  // namespace calque
