// One request/acknowledge pair of an 8237, as the device on it sees it. The controller owns address, count and mode;
// the device owns the data and is told about terminal count.
#pragma once
#include <span>

#include "support/types.h"

namespace calque {

class DmaChannel {
public:
    virtual ~DmaChannel() = default;
    /// Moves bytes from the device to memory ("write transfer"). Returns how many were taken: all of `data`, or fewer
    /// because the channel is masked, is programmed in the other direction, or reached terminal count.
    /// `tc` becomes true when the transfer hit terminal count during this call, else false.
    /// A verify transfer takes the bytes and stores nothing.
    virtual unsigned to_memory(std::span<const u8> data, bool& tc) = 0;
    /// Moves bytes from memory to the device ("read transfer"); the same rules.
    virtual unsigned from_memory(std::span<u8> data, bool& tc) = 0;
};

/// Nothing is wired to DREQ: no byte ever moves.
class NoDmaChannel final : public DmaChannel {
public:
    unsigned to_memory(std::span<const u8>, bool& tc) override { return tc = false, 0; }
    unsigned from_memory(std::span<u8>, bool& tc) override { return tc = false, 0; }
};
}  // namespace calque
