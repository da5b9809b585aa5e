// What every device must pass: save, load into a fresh instance, save again, compare; and loading damaged state must
// be harmless.
#pragma once
#include <doctest/doctest.h>

#include <vector>

#include "support/state_io.h"

namespace calque {

template <class D>
std::vector<u8> saved_state(D& device) {
    StateIO out = StateIO::saver();
    device.state(out);
    return out.bytes();
}

template <class D>
bool load_state(D& device, std::span<const u8> bytes) {
    StateIO in = StateIO::loader(bytes);
    device.state(in);
    return in.ok();
}

/// `used` has been worked with; `fresh` is a new instance with pins of its own.
template <class D>
void check_save_load(D& used, D& fresh) {
    const std::vector<u8> first = saved_state(used);
    CHECK(load_state(fresh, first));
    CHECK(saved_state(fresh) == first);
}

/// Loads truncated and scribbled copies of the state, calling `exercise` after each: nothing may break.
template <class D, class F>
void check_damaged_state(D& device, F exercise) {
    const std::vector<u8> good = saved_state(device);
    for (size_t n = 0; n < good.size(); n += 1 + n / 8) {
        CHECK_FALSE(load_state(device, std::span{good}.first(n)));
        exercise();
    }
    u32 seed = 12345;
    for (unsigned round = 0; round < 200; ++round) {
        std::vector<u8> bad = good;
        for (size_t i = 4; i < bad.size(); ++i) {  // keep the version
            seed = seed * 1664525 + 1013904223;
            if (round == 0) bad[i] = 0xff;
            else if ((seed >> 24) < 40) bad[i] = static_cast<u8>(seed >> 16);
        }
        load_state(device, bad);
        exercise();
    }
    CHECK(load_state(device, good));
}
}  // namespace calque
