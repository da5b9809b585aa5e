#include "machine/trace/filter.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "support/comma_list.h"

namespace calque {
namespace {
std::optional<u64> number(std::string_view text) {
    const bool hex = text.starts_with("0x");
    if (hex) text.remove_prefix(2);
    u64 v = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v, hex ? 16 : 10);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return {};
    return v;
}

/// The first kind that is named takes the others away.
struct Kinds {
    TraceFilter& filter;
    bool named = false;
    bool take(const std::string& word) {
        bool TraceFilter::*const kind = word == "instructions" ? &TraceFilter::instructions : word == "memory" ? &TraceFilter::memory
                                      : word == "interrupts"   ? &TraceFilter::interrupts   : word == "ports"  ? &TraceFilter::ports : nullptr;
        if (!kind) return false;
        if (!named) filter.instructions = filter.memory = filter.interrupts = filter.ports = false;
        return named = filter.*kind = true;
    }
};

Result<void> take_value(TraceFilter& f, const std::string& key, const std::string& value) {
    std::vector<TraceFilter::Range>* const to = key == "address" ? &f.addresses : key == "data" ? &f.data : key == "ring" ? &f.rings : key == "cr3" ? &f.cr3s : nullptr;
    if (!to && key != "count") return Error{"a trace is not filtered by '" + key + "'; it knows count, address, data, ring and cr3"};
    const auto range = parse_range(value);
    if (!range) return Error{key + "=: " + range.error().message};
    if (to) to->push_back(*range);
    else f.count = *range;
    return {};
}
}  // namespace

bool TraceFilter::any(const std::vector<Range>& ranges, u64 v) {
    return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), [&](const Range& r) { return r.has(v); });
}

Result<TraceFilter::Range> parse_range(const std::string& text) {
    const size_t dash = text.find('-');
    const auto first = number(std::string_view{text}.substr(0, dash));
    auto last = first;
    if (dash != std::string::npos) last = dash + 1 == text.size() ? ~u64{0} : number(std::string_view{text}.substr(dash + 1));
    if (!first || !last || *last < *first) return Error{"'" + text + "' is no range; it is A-B, A- or A, in decimal or with 0x"};
    return TraceFilter::Range{*first, *last};
}

Result<TraceFilter> parse_trace_filter(const std::string& text) {
    TraceFilter f;
    Kinds kinds{f};
    for (const std::string& word : comma_list(text)) {
        if (kinds.take(word)) continue;
        const size_t equals = word.find('=');
        if (equals == std::string::npos) return Error{"a trace has instructions, memory, interrupts and ports, but no '" + word + "'"};
        if (auto r = take_value(f, word.substr(0, equals), word.substr(equals + 1)); !r) return r.error();
    }
    return f;
}
}  // namespace calque
