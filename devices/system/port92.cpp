#include "devices/system/port92.h"

#include "support/state_io.h"

namespace calque {
namespace {
constexpr u8 kFastInit = 0x01, kA20 = 0x02;
}

void A20Gate::state(StateIO& s) {
    s.version(1);
    s(keyboard_, port92_);
    if (s.loading()) a20_.set(keyboard_ || port92_);
}

void Port92::write(u16, u8 value) {
    const bool reset = (value & kFastInit) && !(value_ & kFastInit);
    value_ = value & (kFastInit | kA20);
    a20_.set(value_ & kA20);
    if (reset) soft_reset_.trigger();
}

void Port92::reset() {
    value_ = 0;
    a20_.lower();
}

void Port92::state(StateIO& s) {
    s.version(1);
    s(value_);
    value_ &= kFastInit | kA20;
    if (s.loading()) a20_.set(value_ & kA20);
}
}  // namespace calque
