#include "support/log.h"

#include <cstdarg>
#include <cstdio>

namespace calque {

Log* Log::first_ = nullptr;

namespace {
constexpr const char* kNames[] = {"error", "warn", "info", "debug", "trace"};
}

Log::Log(const char* module) : module_{module}, next_{first_} { first_ = this; }

void Log::write(LogLevel level, const char* fmt, va_list args) {
    char text[1024];
    std::vsnprintf(text, sizeof text, fmt, args);
    std::fprintf(stderr, "[%s %s] %s\n", module_, kNames[static_cast<int>(level)], text);
}

#define CALQUE_LOG_LEVEL(name)                       \
    void Log::name(const char* fmt, ...) {           \
        if (!on(LogLevel::name)) return;             \
        va_list args;                                \
        va_start(args, fmt);                         \
        write(LogLevel::name, fmt, args);            \
        va_end(args);                                \
    }
CALQUE_LOG_LEVEL(error)
CALQUE_LOG_LEVEL(warn)
CALQUE_LOG_LEVEL(info)
CALQUE_LOG_LEVEL(debug)
CALQUE_LOG_LEVEL(trace)
#undef CALQUE_LOG_LEVEL

bool Log::set_level(std::string_view module, LogLevel level) {
    bool found = module == "all";
    for (Log* l = first_; l; l = l->next_)
        if (module == "all" || module == l->module_) l->level_ = level, found = true;
    return found;
}

bool Log::parse_level(std::string_view text, LogLevel& level) {
    for (int i = 0; i < 5; ++i)
        if (text == kNames[i]) return level = static_cast<LogLevel>(i), true;
    return false;
}
}  // namespace calque
