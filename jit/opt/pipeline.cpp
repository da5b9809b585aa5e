#include "jit/opt/opt.h"
#include "support/assert.h"
#include "support/log.h"

namespace calque::jit {
namespace {
Log logger{"opt"};

void check(const Block& b, const char* after) {
    const std::string wrong = verify(b);
    if (wrong.empty()) return;
    logger.error("after %s: %s\n%s", after, wrong.c_str(), print(b).c_str());
    ASSERT(!"the IR is well-formed");
}
}  // namespace

void optimise(Block& b, const Layout& layout, const OptSwitches& switches) {
    if (logger.on(LogLevel::trace)) logger.trace("before: %s", print(b).c_str());
    if (switches.check) check(b, "lifting");
    for (unsigned n = 0; n < kPassCount; ++n) {
        if (switches.disabled >> n & 1) continue;
        kPasses[n].run(b, layout);
        if (switches.check) check(b, kPasses[n].name);
        if (logger.on(LogLevel::trace)) logger.trace("after %s: %s", kPasses[n].name, print(b).c_str());
    }
}
}  // namespace calque::jit
