// What of an execution a trace has, as the user says it: "instructions,ring=3,count=1000-2000".
#pragma once
#include <string>
#include <vector>

#include "support/result.h"
#include "support/types.h"

namespace calque {

struct TraceFilter {
    /// Both ends included.
    struct Range {
        u64 first = 0, last = ~u64{0};
        bool has(u64 v) const { return first <= v && v <= last; }
    };
    /// Any of them, and with none everything.
    static bool any(const std::vector<Range>& ranges, u64 v);

    bool instructions = true, memory = true, interrupts = true, ports = true;
    Range count;
    std::vector<Range> addresses;   // linear, of the instruction
    std::vector<Range> data;        // linear, of accesses to memory
    std::vector<Range> rings, cr3s;

    bool passes(u64 linear, unsigned ring, u64 cr3) const { return any(addresses, linear) && any(rings, ring) && any(cr3s, cr3); }
};

/// Words with commas between them: kinds (instructions, memory, interrupts, ports; without one all), count=, address=, data= with a range
/// A-B, A- or A; ring= and cr3= with a number. Empty text passes everything.
Result<TraceFilter> parse_trace_filter(const std::string& text);
/// A-B, A- or A, in decimal or with 0x.
Result<TraceFilter::Range> parse_range(const std::string& text);
}  // namespace calque
