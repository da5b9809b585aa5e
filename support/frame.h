// A picture as the monitor shows it: rows from top to bottom, pixels from left to right, 0x00RRGGBB.
#pragma once
#include <vector>

#include "support/types.h"

namespace calque {

struct Frame {
    u32 width = 0, height = 0;
    std::vector<u32> pixels;  // width * height

    void resize(u32 w, u32 h) {
        width = w, height = h;
        pixels.resize(size_t{w} * h);
    }
    u32* row(u32 y) { return pixels.data() + size_t{y} * width; }
    const u32* row(u32 y) const { return pixels.data() + size_t{y} * width; }
    u32 at(u32 x, u32 y) const { return row(y)[x]; }
};
}  // namespace calque
