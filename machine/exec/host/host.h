// The host's own processor as an executor of cases that user mode can run: x86-64 Linux hosts only.
#pragma once
#include <memory>

#include "machine/exec/rig.h"

namespace calque::exec {

class HostProcessor {
public:
    static Result<std::unique_ptr<HostProcessor>> create();
    virtual ~HostProcessor() = default;
    /// Runs the case that `rig` has loaded, and leaves the state in it. An error says why the case cannot be run here.
    virtual Result<Outcome> run(const Case&, Rig& rig) = 0;
};
}  // namespace calque::exec
