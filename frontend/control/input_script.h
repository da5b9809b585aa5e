// Turns clients' keys and motion into input at moments of machine time, one after the other.
#pragma once
#include <span>

#include "frontend/control/target.h"

namespace calque {

class InputScript {
public:
    explicit InputScript(ControlTarget& target) : target_{target} {}
    /// Presses the keys in order, holds them, releases them in reverse. False: too much input waits already.
    bool chord(std::span<const u8> usages, Time hold);
    bool event(const InputEvent&);
    /// Moves the pointer to a place on the screen, each coordinate 0..32767, or kKeep to leave it.
    static constexpr int kKeep = -1;
    bool move_to(int x, int y);
    /// The guest's pointer is somewhere unknown (after a reset, or relative motion by someone else).
    void forget_pointer() { x_ = y_ = -1; }

private:
    bool put(const InputEvent&);
    bool glide(int dx, int dy);
    Time start() const;
    ControlTarget& target_;
    Time free_ = 0;         // when what was scheduled so far ends
    int x_ = -1, y_ = -1;   // where relative motion has put the pointer, in pixels; -1: unknown
};
}  // namespace calque
