#include "frontend/cli/onlookers.h"

#include <cstdio>

#include "cpu/cpu.h"

namespace calque {

Result<std::unique_ptr<Onlookers>> Onlookers::start(Cpu& cpu, const Options& o) {
    std::unique_ptr<Onlookers> looking{new Onlookers{cpu}};
    if (auto r = looking->begin(o); !r) return r.error();
    if (looking->all_.empty()) return std::unique_ptr<Onlookers>{};
    cpu.set_observer(&looking->all_);
    return looking;
}

Onlookers::~Onlookers() { cpu_.set_observer(nullptr); }

Result<void> Onlookers::begin(const Options& o) {
    if (!o.coverage.path.empty()) {
        auto coverage = Coverage::start(o.coverage.path, o.coverage.modules);
        if (!coverage) return coverage.error();
        coverage_ = std::move(*coverage);
        all_.add(coverage_.get());
    }
    if (!o.profile.path.empty())
        if (auto r = begin_profile(o.profile, o.machine.jit && jit::Engine::has_jit()); !r) return r;
    if (o.trace.path.empty()) return {};
    auto tracer = Tracer::start(cpu_, o.trace.path, o.trace.filter, o.trace.filter_text);
    if (!tracer) return tracer.error();
    tracer_ = std::move(*tracer);
    all_.add(tracer_.get());
    return {};
}

Result<void> Onlookers::begin_profile(const ProfileOption& o, bool translates) {
    for (const auto& [file, offset] : o.symbols)
        if (auto r = symbols_.load(file, offset); !r) return r;
    symbols_.sort();
    profile_lines_ = o.lines;
    if (o.path != "-") {
        auto file = NewFile::create(o.path);
        if (!file) return file.error();
        profile_ = std::move(*file);
    }
    profiler_ = std::make_unique<Profiler>(cpu_, o.every, symbols_);
    all_.add(profiler_.get());
    if (!translates) return {};
    auto perf = PerfMap::start(PerfMap::usual_path(), symbols_);
    if (!perf) return perf.error();
    perf_ = std::move(*perf);
    all_.add(perf_.get());
    return {};
}

Result<void> Onlookers::flush() {
    if (perf_)
        if (auto r = perf_->flush(); !r) return r;
    return tracer_ ? tracer_->flush() : Result<void>{};
}

Result<void> Onlookers::finish_profile() {
    const std::string report = profiler_->report(profile_lines_);
    if (!profile_) {
        std::fwrite(report.data(), 1, report.size(), stdout);
        return {};
    }
    if (auto r = profile_->write(report); !r) return r;
    return profile_->commit();
}

Result<void> Onlookers::finish() {
    Result<void> all;
    const auto keep = [&](Result<void> r) {
        if (all) all = std::move(r);
    };
    if (tracer_) keep(tracer_->finish());
    if (coverage_) keep(coverage_->finish());
    if (profiler_) keep(finish_profile());
    if (perf_) keep(perf_->flush());
    return all;
}
}  // namespace calque
