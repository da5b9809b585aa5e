// No card here pulls IOCHK# or SERR#, so the two NMI status bits read zero.
#include "devices/system/port61.h"

#include "support/state_io.h"

namespace calque {
namespace {
constexpr u8 kWritable = 0x0f, kRefreshToggle = 0x10, kOut2 = 0x20;
constexpr Time kRefreshPeriod = 15'085;  // 18 cycles of 1.193182 MHz
}  // namespace

u8 Port61::read(u16) {
    const bool toggle = (clock_.now() / kRefreshPeriod) & 1;
    return static_cast<u8>(value_ | (toggle ? kRefreshToggle : 0) | (out2_() ? kOut2 : 0));
}

void Port61::write(u16, u8 value) {
    value_ = value & kWritable;
    gate2_.set(value_ & 1);
}

void Port61::reset() { write(0, 0); }

void Port61::state(StateIO& s) {
    s.version(1);
    s(value_);
    // The timer saves its own gate; driving it here would look like an edge.
    value_ &= kWritable;
}
}  // namespace calque
