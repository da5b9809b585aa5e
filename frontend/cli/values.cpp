// The small languages inside of option values: sizes, images, serial ports.
#include <algorithm>
#include <charconv>

#include "frontend/cli/options.h"

namespace calque {
namespace {
// Splits at single commas; a doubled one stands for itself.
std::vector<std::string> fields(const std::string& text) {
    std::vector<std::string> out(1);
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != ',') out.back() += text[i];
        else if (i + 1 < text.size() && text[i + 1] == ',') out.back() += ',', ++i;
        else out.emplace_back();
    }
    return out;
}

std::optional<bool> on_off(const std::string& value) {
    if (value == "on" || value == "yes" || value == "true") return true;
    if (value == "off" || value == "no" || value == "false") return false;
    return {};
}
}  // namespace

Result<u64> parse_size(const std::string& text) {
    u64 number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    const std::string unit{rest, end};
    const u64 scale = unit.empty() || unit == "M" || unit == "m" || unit == "MiB" ? kMiB
                      : unit == "G" || unit == "g" || unit == "GiB"               ? kGiB
                      : unit == "K" || unit == "k" || unit == "KiB"               ? kKiB
                                                                                  : 0;
    if (error != std::errc{} || scale == 0) return Error{"'" + text + "' is no size; write it like 512M or 2G"};
    if (number > ~u64{0} / scale) return Error{"'" + text + "' is too large"};
    return number * scale;
}

Result<ImageConfig> parse_image(const std::string& text, const std::string& option) {
    const std::vector<std::string> parts = fields(text);
    ImageConfig image;
    image.path = parts[0];
    if (image.path.empty()) return Error{option + " needs the name of a file"};
    for (size_t i = 1; i < parts.size(); ++i) {
        const std::string key = parts[i].substr(0, parts[i].find('='));
        const auto value = on_off(parts[i] == key ? "on" : parts[i].substr(key.size() + 1));
        if (value && (key == "readonly" || key == "read-only")) image.read_only = *value;
        else if (value && key == "snapshot") image.snapshot = *value;
        else if (key == "format" && parts[i] == "format=raw") continue;
        else return Error{option + " does not know '" + parts[i] + "'; after the file it takes readonly=on, snapshot=on and format=raw "
                          "(a comma in the file's name is written twice)"};
    }
    return image;
}

Result<TraceOption> parse_trace(const std::string& text) {
    if (text.empty()) return TraceOption{};
    const std::vector<std::string> parts = fields(text);
    TraceOption trace{.path = parts[0]};
    if (trace.path.empty()) return Error{"--trace needs the name of a file"};
    for (size_t i = 1; i < parts.size(); ++i) trace.filter_text += (i > 1 ? "," : "") + parts[i];
    auto filter = parse_trace_filter(trace.filter_text);
    if (!filter) return Error{"--trace: " + filter.error().message};
    trace.filter = *filter;
    return trace;
}

// A path of a guest's program may have colons in it; the last one comes before the range.
static Result<CoverageModule> parse_module(const std::string& text) {
    const size_t colon = text.rfind(':');
    const auto range = parse_range(colon == std::string::npos ? "" : text.substr(colon + 1));
    if (!range || !colon) return Error{"--coverage: a module is NAME:FIRST-LAST, not '" + text + "'"};
    if (range->last - range->first > 0xffffffff) return Error{"--coverage: a module has at most 4 GiB, and '" + text + "' has more"};
    std::string name = text.substr(0, colon);
    for (const char c : name)
        if (static_cast<unsigned char>(c) < 0x20) return Error{"--coverage: a module's name is one line of text"};
    return CoverageModule{std::move(name), range->first, range->last};
}

Result<CoverageOption> parse_coverage(const std::string& text) {
    if (text.empty()) return CoverageOption{};
    const std::vector<std::string> parts = fields(text);
    CoverageOption coverage{.path = parts[0]};
    if (coverage.path.empty()) return Error{"--coverage needs the name of a file"};
    for (size_t i = 1; i < parts.size(); ++i) {
        if (!parts[i].starts_with("module=")) return Error{"--coverage does not know '" + parts[i] + "'; after the file it takes module=NAME:FIRST-LAST"};
        auto module = parse_module(parts[i].substr(7));
        if (!module) return module.error();
        coverage.modules.push_back(*module);
    }
    return coverage;
}

Result<ProfileOption> parse_profile(const std::string& text) {
    if (text.empty()) return ProfileOption{};
    const std::vector<std::string> parts = fields(text);
    ProfileOption profile{.path = parts[0]};
    if (profile.path.empty()) return Error{"--profile needs the name of a file, or - for standard output"};
    for (size_t i = 1; i < parts.size(); ++i) {
        const std::string key = parts[i].substr(0, parts[i].find('=')), value = parts[i].substr(std::min(key.size() + 1, parts[i].size()));
        const auto number = parse_range(value);
        const bool one = number && number->first == number->last && number->first;
        if (key == "every" && one) profile.every = number->first;
        else if (key == "lines" && one) profile.lines = number->first;
        else if (key == "symbols" && !value.empty()) {
            const size_t colon = value.rfind(':');
            const auto offset = parse_range(colon == std::string::npos ? "" : value.substr(colon + 1));
            profile.symbols.emplace_back(offset ? value.substr(0, colon) : value, offset ? offset->first : 0);
        } else return Error{"--profile does not know '" + parts[i] + "'; after the file it takes symbols=FILE[:OFFSET], every=N and lines=N"};
    }
    return profile;
}

Result<SerialOption> parse_serial(const std::string& text) {
    SerialOption serial;
    using Kind = SerialOption::Kind;
    if (text == "none") return serial;
    if (text == "stdio") return serial.kind = Kind::stdio, serial;
    if (text == "pty") return serial.kind = Kind::pty, serial;
    if (text.starts_with("file:") && text.size() > 5) {
        serial.kind = Kind::file, serial.path = text.substr(5);
        return serial;
    }
    if (text.starts_with("tcp:")) {
        const std::vector<std::string> parts = fields(text.substr(4));
        const size_t colon = parts[0].rfind(':');
        const bool known = parts.size() == 1 || (parts.size() == 2 && (parts[1] == "connect" || parts[1] == "listen"));
        if (colon != std::string::npos && colon + 1 < parts[0].size() && known) {
            serial.kind = Kind::tcp;
            serial.host = parts[0].substr(0, colon), serial.port = parts[0].substr(colon + 1);
            serial.connect = parts.size() == 2 && parts[1] == "connect";
            return serial;
        }
    }
    return Error{"'" + text + "' is no place for a serial port; it can be stdio, none, pty, file:FILE, tcp:HOST:PORT (listens) or "
                 "tcp:HOST:PORT,connect"};
}
}  // namespace calque
