// Where CPU and devices meet. A device sees addresses relative to wherever the board maps it, and guest memory only
// as a bus master sees it. Values are little-endian numbers; sizes are 1, 2, 4 (ports) or up to 8 (memory) bytes.
#pragma once
#include <span>

#include "support/types.h"

namespace calque {

class StateIO;

/// What every chip can do.
class Device {
public:
    virtual ~Device() = default;
    virtual void reset() = 0;          // the RESET pin: state after it is what the datasheet says
    virtual void state(StateIO&) = 0;  // saves or loads everything the guest could ever observe
};

/// A chip with I/O ports. `reg` counts from the first mapped port.
class PortDevice : public Device {
public:
    virtual u32 io_read(u16 reg, unsigned size) = 0;
    virtual void io_write(u16 reg, u32 value, unsigned size) = 0;
};

/// An eight-bit chip: the bus splits wider accesses into consecutive bytes, as the ISA bus does.
class BytePortDevice : public PortDevice {
public:
    virtual u8 read(u16 reg) = 0;
    virtual void write(u16 reg, u8 value) = 0;
    u32 io_read(u16 reg, unsigned size) final {
        u32 v = 0;
        for (unsigned i = 0; i < size; ++i) v |= u32{read(static_cast<u16>(reg + i))} << (8 * i);
        return v;
    }
    void io_write(u16 reg, u32 value, unsigned size) final {
        for (unsigned i = 0; i < size; ++i) write(static_cast<u16>(reg + i), static_cast<u8>(value >> (8 * i)));
    }
};

/// A region of memory-mapped registers. `offset` counts from the first mapped byte; accesses never cross the region's
/// end, are naturally aligned or split by the caller into bytes, and have size 1, 2, 4 or 8.
class MmioDevice {
public:
    virtual ~MmioDevice() = default;
    virtual u64 mmio_read(u64 offset, unsigned size) = 0;
    virtual void mmio_write(u64 offset, u64 value, unsigned size) = 0;
};

/// Guest memory as a bus master (DMA) sees it. Reads from nowhere give ones, writes to nowhere vanish.
/// Writes invalidate translated code.
class DmaSpace {
public:
    virtual ~DmaSpace() = default;
    virtual void dma_read(u64 paddr, std::span<u8> out) = 0;
    virtual void dma_write(u64 paddr, std::span<const u8> in) = 0;
};
}  // namespace calque
