// Reads what a Tracer has written.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "machine/snapshot/sections.h"
#include "machine/trace/filter.h"
#include "machine/trace/record.h"

namespace calque {

class TraceReader {
public:
    static Result<std::unique_ptr<TraceReader>> open(const std::string& path);
    /// All that passes, in order, until `take` returns false.
    Result<void> read(const TraceFilter&, const std::function<bool(const TraceRecord&)>& take);
    /// The processor model's name, as the file has it.
    const std::string& cpu() const { return cpu_; }
    /// After read(): whoever wrote it was interrupted.
    bool cut() const { return cut_; }

private:
    explicit TraceReader(std::unique_ptr<SectionReader> in) : in_{std::move(in)} {}
    Result<void> header();
    std::unique_ptr<SectionReader> in_;
    std::string cpu_;
    bool cut_ = false;
};

bool passes(const TraceFilter&, const TraceRecord&);
}  // namespace calque
