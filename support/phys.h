// The outside of a processor: physical memory, ports, and the interrupt controller's acknowledge cycle.
#pragma once
#include <optional>

#include "support/types.h"

namespace calque {

/// One 4 KiB page as the CPU sees it.
struct PhysPage {
    u8* host = nullptr;     // nullptr: no plain memory, use read() and write()
    bool writable = false;  // false with host set: ROM, writes go to write()
};

class PhysSpace {
public:
    virtual ~PhysSpace() = default;
    /// The page at `paddr` (page-aligned; A20 already applied by the implementation).
    virtual PhysPage page(u64 paddr) = 0;
    /// Accesses that do not cross a page: devices, holes (ones), ROM writes. Also correct for plain memory.
    virtual u64 read(u64 paddr, unsigned size) = 0;
    virtual void write(u64 paddr, u64 value, unsigned size) = 0;
    /// A physical address whose page() is the one that begins at `host`, if there is one.
    virtual std::optional<u64> address_of(const u8* /*host*/) { return {}; }
};

class IoSpace {
public:
    virtual ~IoSpace() = default;
    virtual u32 in(u16 port, unsigned size) = 0;
    virtual void out(u16 port, u32 value, unsigned size) = 0;
};

/// The 8259A pair behind INTR: one acknowledge cycle gives the vector.
class IntAck {
public:
    virtual ~IntAck() = default;
    virtual u8 acknowledge() = 0;
};
}  // namespace calque
