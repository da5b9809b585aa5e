// What looks on while a machine runs and writes down what it sees: --trace, --coverage, --profile.
#pragma once
#include <memory>

#include "frontend/cli/options.h"
#include "machine/snapshot/new_file.h"
#include "machine/trace/coverage.h"
#include "machine/trace/observers.h"
#include "machine/trace/profiler.h"
#include "machine/trace/tracer.h"

namespace calque {

class Onlookers {
public:
    /// Null when the options want none.
    static Result<std::unique_ptr<Onlookers>> start(Cpu&, const Options&);
    ~Onlookers();
    Onlookers(const Onlookers&) = delete;
    /// What goes wrong in a run: a disk is full.
    Result<void> check() const { return tracer_ ? tracer_->result() : Result<void>{}; }
    /// Now and then: what has been seen is in the files that grow.
    Result<void> flush();
    /// At the end.
    Result<void> finish();

private:
    explicit Onlookers(Cpu& cpu) : cpu_{cpu} {}
    Result<void> begin(const Options&);
    Result<void> begin_profile(const ProfileOption&, bool translates);
    Result<void> finish_profile();
    Cpu& cpu_;
    Observers all_;
    std::unique_ptr<Tracer> tracer_;
    std::unique_ptr<Coverage> coverage_;
    Symbols symbols_;
    std::unique_ptr<Profiler> profiler_;
    std::unique_ptr<PerfMap> perf_;
    std::unique_ptr<NewFile> profile_;   // null: standard output
    size_t profile_lines_ = 0;
};
}  // namespace calque
