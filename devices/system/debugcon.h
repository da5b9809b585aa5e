// The debug console at port E9h: firmware and kernels write messages there. Reading gives E9h, which tells them that
// it exists.
#pragma once
#include "support/bus.h"
#include "support/host.h"

namespace calque {

class DebugCon final : public BytePortDevice {
public:
    explicit DebugCon(CharSink& sink) : sink_{sink} {}
    u8 read(u16) override { return 0xe9; }
    void write(u16, u8 value) override { sink_.put(value); }
    void reset() override {}
    void state(StateIO&) override {}

private:
    CharSink& sink_;
};
}  // namespace calque
