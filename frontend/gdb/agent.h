// GDB's agent expressions (GDB manual, appendix "The GDB Agent Expression Mechanism"): the conditions of breakpoints, as bytecode for a
// stack machine. The code comes from outside: whatever it is, it ends soon and looks only at what it is given.
#pragma once
#include <optional>
#include <span>

#include "support/types.h"

namespace calque {

class AgentWorld {
public:
    virtual ~AgentWorld() = default;
    virtual std::optional<u64> agent_register(unsigned number) = 0;
    virtual bool agent_read(u64 address, std::span<u8> out) = 0;
};

/// The value on top of the stack at the end; nothing when the code is wrong, cannot read, or takes too long.
std::optional<u64> run_agent(std::span<const u8> code, AgentWorld&);
}  // namespace calque
