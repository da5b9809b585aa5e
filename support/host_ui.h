// A person at the machine, as the front ends know it: a picture to look at and something that takes keys and motion.
// The machine implements both, windows and remote displays use them; neither side knows the other.
#pragma once
#include "support/frame.h"

namespace calque {

class DisplaySource {
public:
    virtual ~DisplaySource() = default;
    virtual void render(Frame&) = 0;  // what the monitor shows now
};

class InputSink {
public:
    virtual ~InputSink() = default;
    /// `usage` is the key's code on USB HID usage page 7 (4 is A, E0h is left control). No typematic repeats.
    virtual void key(u8 usage, bool down) = 0;
    /// To the right, downwards, and detents of the wheel away from the user; each may be negative.
    virtual void mouse_rel(int dx, int dy, int dz) = 0;
    /// 0 left, 1 right, 2 middle, 3 and 4 the side buttons.
    virtual void mouse_button(unsigned n, bool down) = 0;
};
}  // namespace calque
