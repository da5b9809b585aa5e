// Runs cases on one or several executors and judges them.
#pragma once
#include <list>

#include "machine/exec/compare.h"
#include "machine/exec/host/host.h"

namespace calque::exec {

enum class Engine : u8 { interp, jit, host };
constexpr const char* kEngineNames[] = {"interp", "jit", "host"};

struct Verdict {
    std::vector<std::pair<Engine, Difference>> differences;
    Outcome outcome;   // of the first engine
    bool pass() const { return differences.empty(); }
};

class CaseRunner {
public:
    /// In this order; the first one's final state is kept, and the others must agree with it in everything. The host's processor, which has
    /// a kernel's say in much of the state, goes alone.
    /// `disable`: names from jit::Engine::switches().
    explicit CaseRunner(std::vector<Engine> engines, std::vector<std::string> disable = {}) : engines_{std::move(engines)}, disable_{std::move(disable)} {}

    /// An error: the case cannot be used, and why, with the field.
    Result<Verdict> run(const Case&, const std::function<void(const std::string&)>& trace = {});
    /// The first engine's, after run().
    Rig& rig() { return *first_; }

private:
    Result<Rig*> rig_for(const std::string& cpu, Engine);
    Result<Outcome> run_on_host(const Case&, Rig&);
    struct Entry {
        std::string cpu;
        Engine engine;
        std::unique_ptr<Rig> rig;
    };
    static constexpr size_t kMostRigs = 16;
    const std::vector<Engine> engines_;
    const std::vector<std::string> disable_;
    std::unique_ptr<HostProcessor> host_;
    std::list<Entry> rigs_;   // the last used first
    Rig* first_ = nullptr;
};
}  // namespace calque::exec
