#include "machine/exec/host/host.h"

namespace calque::exec {
Result<std::unique_ptr<HostProcessor>> HostProcessor::create() { return Error{"--engine host needs an x86-64 host with Linux"}; }
}  // namespace calque::exec
