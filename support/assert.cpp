#include "support/assert.h"

#include <cstdio>
#include <cstdlib>

namespace calque {
namespace {
thread_local void (*context_print)(void*) = nullptr;
thread_local void* context_arg = nullptr;
}  // namespace

void assert_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "calque: internal error: %s does not hold (%s:%d)\n", condition, file, line);
    if (context_print) context_print(context_arg);
    std::abort();
}

void set_assert_context(void (*print)(void*), void* arg) { context_print = print, context_arg = arg; }
}  // namespace calque
