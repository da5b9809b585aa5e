#include "frontend/control/input_script.h"

#include <algorithm>
#include <cstdlib>

namespace calque {

constexpr Time kMillisecond = kSecond / 1000;
constexpr Time kGap = 20 * kMillisecond;  // between one chord and the next, so that guests see two

Time InputScript::start() const { return std::max(free_, target_.machine_time()); }

bool InputScript::put(const InputEvent& e) {
    free_ = start();
    return target_.input_at(free_, e);
}

bool InputScript::chord(std::span<const u8> usages, Time hold) {
    bool all = true;
    for (u8 usage : usages) all &= put(InputEvent::key(usage, true));
    free_ += hold;
    for (size_t i = usages.size(); i-- > 0;) all &= put(InputEvent::key(usages[i], false));
    free_ += kGap;
    return all;
}

bool InputScript::event(const InputEvent& e) {
    if (e.kind == InputEvent::Kind::motion && (e.dx || e.dy)) forget_pointer();
    return put(e);
}

// Slow enough that pointer acceleration, which every guest has, stays off.
bool InputScript::glide(int dx, int dy) {
    constexpr int kStep = 3;
    constexpr Time kPace = 10 * kMillisecond;
    while (dx || dy) {
        const int sx = std::clamp(dx, -kStep, kStep), sy = std::clamp(dy, -kStep, kStep);
        if (!put(InputEvent::motion(sx, sy, 0))) return false;
        dx -= sx, dy -= sy;
        free_ += kPace;
    }
    return true;
}

/// A PS/2 mouse knows no places: the pointer is pushed into the upper left corner, where it is at 0,0, and moved from there.
bool InputScript::move_to(int x, int y) {
    if (target_.mouse_abs(x, y)) return true;
    Frame f;
    target_.render(f);
    const int px = x == kKeep ? std::max(x_, 0) : static_cast<int>(i64{x} * f.width / 32768);
    const int py = y == kKeep ? std::max(y_, 0) : static_cast<int>(i64{y} * f.height / 32768);
    if (x_ < 0) {
        constexpr int kPush = 200, kPushes = 40;  // 8000 pixels, in packets that a PS/2 mouse can send
        for (int i = 0; i < kPushes; ++i) {
            if (!put(InputEvent::motion(-kPush, -kPush, 0))) return false;
            free_ += 10 * kMillisecond;
        }
        x_ = y_ = 0;
        free_ += 50 * kMillisecond;
    }
    const bool moved = glide(px - x_, py - y_);
    x_ = px, y_ = py;
    if (!moved) forget_pointer();
    return moved;
}
}  // namespace calque
