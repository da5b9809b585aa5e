// Where a guest spends its instructions: RIP is looked at whenever so many have retired, so that a profile is the same in each run.
#pragma once
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "cpu/observer.h"
#include "machine/trace/symbols.h"

namespace calque {

class Profiler final : public Observer {
public:
    static constexpr u64 kEvery = 100'003;        // a prime, so that no loop keeps step with it
    static constexpr size_t kMost = 1u << 20;     // places that are told apart
    Profiler(Cpu&, u64 every, const Symbols&);
    /// The hottest functions, or, where no symbol is known, pieces of 64 bytes of code.
    std::string report(size_t lines) const;
    u64 samples() const { return samples_; }

    u64 attend(u64 icount) override;

private:
    struct Place {
        u64 code = 0, cr3 = 0;   // of code in ring 0 the address space does not matter
        u8 ring = 0;
        auto operator<=>(const Place&) const = default;
    };
    void sample();
    const CpuState& s_;
    const Symbols& symbols_;
    const u64 every_, first_;
    u64 next_, samples_ = 0, elsewhere_ = 0;
    std::map<Place, u64> places_;
};

/// Tells Linux's perf which host code is which guest code: "/tmp/perf-PID.map".
class PerfMap final : public Observer {
public:
    static Result<std::unique_ptr<PerfMap>> start(const std::string& path, const Symbols&);
    static std::string usual_path();
    ~PerfMap() override;
    PerfMap(const PerfMap&) = delete;
    Result<void> flush();

    u64 attend(u64) override { return ~u64{0}; }
    void translated(u64 code, const u8* host, size_t size) override;

private:
    PerfMap(std::FILE* file, std::string path, const Symbols& symbols) : file_{file}, path_{std::move(path)}, symbols_{symbols} {}
    std::FILE* file_;
    std::string path_;
    const Symbols& symbols_;
};
}  // namespace calque
