// A loop whose turns the host's processors take side by side.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace calque {

/// turn(0) to turn(count - 1), in any order and on several threads; all of them are over when it returns. They must not throw.
template <class Turn>
void parallel_for(size_t count, const Turn& turn) {
    constexpr size_t kMost = 8;   // memory is the limit then
    std::atomic<size_t> next{0};
    const auto work = [&] {
        for (size_t n; (n = next++) < count;) turn(n);
    };
    std::vector<std::jthread> others;
    for (size_t k = 1; k < std::min({count, kMost, size_t{std::thread::hardware_concurrency()}}); ++k) others.emplace_back(work);
    work();
}
}  // namespace calque
