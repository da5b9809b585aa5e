// A case in the form of a reproducer file (docs/reproducers.md).
#pragma once
#include <memory>
#include <string>

#include "machine/exec/host/host.h"
#include "tests/silicon/case.h"

namespace calque::silicon {
/// With all of data memory, and nothing that it must come to. `mode`: what the host's code mode counts as.
exec::Case to_reproducer(const Case&, const BaseImage&, exec::Mode mode);
/// Of the host's maker.
CpuModel reproducer_model();

/// Asks the host's processor about reproducers, as `calque exec --engine host` does.
class Oracle {
public:
    static Result<std::unique_ptr<Oracle>> create();
    /// Runs the case natively, and makes the outcome what it expects: registers that change, RIP and flags, memory. Nothing: not possible. Real and
    /// virtual-8086 mode, which cannot be had in user mode, run as 16-bit protected code with the same segments.
    std::optional<exec::Outcome> expect(exec::Case&);
    exec::HostProcessor& host() { return *host_; }

private:
    explicit Oracle(std::unique_ptr<exec::HostProcessor> h) : host_{std::move(h)}, rig_{reproducer_model(), false} {}
    std::unique_ptr<exec::HostProcessor> host_;
    exec::Rig rig_;
};

/// Writes a file for a case in which ours differ, as small as it gets. The result says where, or why not.
std::string write_reproducer(const Case&, const BaseImage&, bool jit);
}  // namespace calque::silicon
