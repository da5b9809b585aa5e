// The command line and the config file, as one struct. What it says about files is checked later, by whoever opens them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "machine/config.h"
#include "machine/trace/coverage_module.h"
#include "machine/trace/filter.h"
#include "support/result.h"

namespace calque {

struct SerialOption {
    enum class Kind { none, stdio, file, pty, tcp } kind = Kind::none;
    std::string path;             // of a file
    std::string host, port;       // of a TCP connection
    bool connect = false;         // TCP: connect instead of listening
};

struct TraceOption {
    std::string path;             // empty: no trace
    std::string filter_text;
    TraceFilter filter;
};

struct CoverageOption {
    std::string path;             // empty: no coverage
    std::vector<CoverageModule> modules;
};

struct ProfileOption {
    std::string path;             // empty: no profile; -: standard output
    u64 every = 100'003;          // instructions between looks
    size_t lines = 30;
    std::vector<std::pair<std::string, u64>> symbols;   // files, and what to add to their addresses
};

struct Options {
    bool help = false, version = false;
    MachineConfig machine;        // without the sinks, which the session opens
    std::vector<SerialOption> serial, parallel;
    enum class Display { automatic, none, sdl } display = Display::automatic;
    std::optional<ClockMode> clock;
    std::optional<i64> rtc_epoch;
    std::optional<u64> stop_at;
    u64 history = kGiB;           // of host memory, for going back under a debugger
    std::optional<u64> save_at;   // when to write `save`; else at the end
    std::optional<u64> save_every;   // whenever the instruction count is a multiple of it, into the folder `save`
    std::vector<u64> hash_at;     // when to print a hash, in order
    bool state_hash = false, stats = false;
    bool gdb_wait = false;        // nothing runs before a debugger says so
    std::string name, screenshot, debugcon, firmware_log, control, gdb, save, load, record, replay;
    std::vector<std::string> log;
    TraceOption trace;
    CoverageOption coverage;
    ProfileOption profile;
};

/// Reads the command line and the config file it names. The error is a sentence about the option at fault.
Result<Options> parse_options(const std::vector<std::string>& arguments);
std::string help_text();

/// "512M", "2G", "640K"; a bare number counts MiB.
Result<u64> parse_size(const std::string& text);
/// "FILE,readonly=on,snapshot=on"; a doubled comma stands for one in the name.
Result<ImageConfig> parse_image(const std::string& text, const std::string& option);
Result<SerialOption> parse_serial(const std::string& text);
/// "FILE,ring=3"; a doubled comma stands for one in the name.
Result<TraceOption> parse_trace(const std::string& text);
/// "FILE,module=NAME:FIRST-LAST".
Result<CoverageOption> parse_coverage(const std::string& text);
/// "FILE,every=N,lines=N,symbols=FILE:OFFSET".
Result<ProfileOption> parse_profile(const std::string& text);
}  // namespace calque
