// Records of a trace as text, and as JSON.
#pragma once
#include <string>

#include "cpu/isa.h"
#include "machine/trace/record.h"

namespace calque::trace {

class Printer {
public:
    explicit Printer(const IsaSet& features) : features_{features} {}
    /// Lines; where ring, CR3 or code segment have changed, one that says so comes before.
    std::string text(const TraceRecord&);
    /// An object and a line feed.
    std::string json(const TraceRecord&) const;

private:
    std::string disassembly(const TraceRecord&) const;
    const IsaSet features_;
    TracePlace context_{.cs = 0xffff, .cr3 = ~u64{0}};
};
}  // namespace calque::trace
