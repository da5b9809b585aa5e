// The commands of human-monitor-command.
#pragma once
#include <string>
#include <string_view>

#include "frontend/control/target.h"

namespace calque {

class HumanMonitor {
public:
    explicit HumanMonitor(ControlTarget& target) : target_{target} {}
    /// Text for people; lines end in \r\n as QEMU's do.
    std::string run(std::string_view line);

private:
    std::string info(std::string_view what);
    std::string examine(std::string_view name, std::string_view rest, bool physical);
    std::string dump(u64 address, unsigned count, bool physical);
    ControlTarget& target_;
    char format_ = 'x';   // both stay as the last command left them
    unsigned size_ = 4;
};
}  // namespace calque
