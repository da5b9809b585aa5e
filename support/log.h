// Logging by module. A module is one file-level object, named after the file:
//     static Log log{"i8254"};
//     log.debug("counter %u loaded", n);       // printf format
// Silence costs one predictable branch. `--log=i8254:debug` sets the level.
#pragma once
#include <string_view>

namespace calque {

enum class LogLevel { error, warn, info, debug, trace };

class Log {
public:
    explicit Log(const char* module);   // module has static lifetime
    bool on(LogLevel level) const { return level <= level_; }
    [[gnu::format(printf, 2, 3)]] void error(const char* fmt, ...);
    [[gnu::format(printf, 2, 3)]] void warn(const char* fmt, ...);
    [[gnu::format(printf, 2, 3)]] void info(const char* fmt, ...);
    [[gnu::format(printf, 2, 3)]] void debug(const char* fmt, ...);
    [[gnu::format(printf, 2, 3)]] void trace(const char* fmt, ...);

    /// Sets the level of one module, or of all ("all"). False if no module has that name.
    static bool set_level(std::string_view module, LogLevel level);
    /// Parses "error", "warn", "info", "debug" or "trace". False if it is none of them.
    static bool parse_level(std::string_view text, LogLevel& level);

private:
    void write(LogLevel level, const char* fmt, __builtin_va_list args);
    const char* module_;
    LogLevel level_ = LogLevel::warn;
    Log* next_;
    static Log* first_;
};
}  // namespace calque
