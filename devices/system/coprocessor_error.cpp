#include "devices/system/coprocessor_error.h"

#include "support/state_io.h"

namespace calque {

void CoprocessorError::write(u16, u8) {
    if (!pending_) return;
    pending_ = false;
    irq13_.lower();
    ignne_.trigger();
}

void CoprocessorError::reset() {
    pending_ = false;
    irq13_.lower();
}

void CoprocessorError::state(StateIO& s) {
    s.version(1);
    s(pending_);
    if (s.loading()) irq13_.set(pending_);
}
}  // namespace calque
