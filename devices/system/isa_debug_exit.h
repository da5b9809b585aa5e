// isa-debug-exit: a port that ends the machine; test programs use it to report a result.
#pragma once
#include <functional>

#include "support/bus.h"

namespace calque {

class IsaDebugExit final : public PortDevice {
public:
    /// `exit` is told the value that was written.
    explicit IsaDebugExit(std::function<void(u32)> exit) : exit_{std::move(exit)} {}
    u32 io_read(u16, unsigned) override { return 0; }
    void io_write(u16 reg, u32 value, unsigned size) override {
        if (reg == 0) exit_(size == 4 ? value : value & ((1u << 8 * size) - 1));
    }
    void reset() override {}
    void state(StateIO&) override {}

private:
    std::function<void(u32)> exit_;
};
}  // namespace calque
