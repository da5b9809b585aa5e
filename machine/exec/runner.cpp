#include "machine/exec/runner.h"

#include <algorithm>

namespace calque::exec {

Result<Rig*> CaseRunner::rig_for(const std::string& cpu, Engine engine) {
    const auto found = std::find_if(rigs_.begin(), rigs_.end(), [&](const Entry& e) { return e.engine == engine && e.cpu == cpu; });
    if (found != rigs_.end()) {
        rigs_.splice(rigs_.begin(), rigs_, found);
        return found->rig.get();
    }
    auto model = parse_cpu_model(cpu);
    if (!model) return Error{"cpu: " + model.error().message};
    if (rigs_.size() == kMostRigs) rigs_.pop_back();
    rigs_.push_front({cpu, engine, std::make_unique<Rig>(std::move(*model), engine == Engine::jit, disable_)});
    return rigs_.front().rig.get();
}

Result<Outcome> CaseRunner::run_on_host(const Case& c, Rig& rig) {
    if (!host_) {
        auto made = HostProcessor::create();
        if (!made) return made.error();
        host_ = std::move(*made);
    }
    return host_->run(c, rig);
}

Result<Verdict> CaseRunner::run(const Case& c, const std::function<void(const std::string&)>& trace) {
    Verdict v;
    for (const Engine e : engines_) {
        auto rig = rig_for(c.cpu, e);
        if (!rig) return rig.error();
        if (auto r = (*rig)->load(c); !r) return r.error();
        auto outcome = e == Engine::host ? run_on_host(c, **rig) : Result<Outcome>{(*rig)->run(c, trace)};
        if (!outcome) return outcome.error();
        const Outcome& o = *outcome;
        auto differences = compare(c, **rig, o);
        if (!differences) return differences.error();
        if (e == engines_.front()) {
            first_ = *rig;
            v.outcome = o;
        } else if (differences->empty()) {
            *differences = compare_engines(c, *first_, v.outcome, **rig, o);
        }
        for (Difference& d : *differences) v.differences.emplace_back(e, std::move(d));
    }
    return v;
}
}  // namespace calque::exec
