// ASSERT: we are wrong. On in release builds; keep it out of hot loops.
#pragma once

namespace calque {
/// Prints the broken condition and what the running machine last did (see set_assert_context), then aborts.
[[noreturn]] void assert_failed(const char* condition, const char* file, int line);
/// Registers a function that prints RIP, block and last exits to standard error; nullptr removes it.
void set_assert_context(void (*print)(void* arg), void* arg);
}  // namespace calque

#define ASSERT(cond) (static_cast<bool>(cond) ? void(0) : ::calque::assert_failed(#cond, __FILE__, __LINE__))
