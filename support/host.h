// Host endpoints that a device may be given. Implementations live in machine/ and frontend/; tests use fakes.
#pragma once
#include <span>

#include "support/types.h"

namespace calque {

/// A disk, CD or floppy image of whole 512-byte units.
class BlockImage {
public:
    virtual ~BlockImage() = default;
    virtual u64 size() const = 0;  // bytes
    virtual bool read_only() const = 0;
    /// False when the host fails or the range is outside the image; then the guest sees a media error.
    virtual bool read(u64 offset, std::span<u8> out) = 0;
    virtual bool write(u64 offset, std::span<const u8> in) = 0;
    virtual bool flush() = 0;
};

/// Where a serial or parallel port sends its characters. Input arrives by the device's own receive() function.
class CharSink {
public:
    virtual ~CharSink() = default;
    virtual void put(u8 c) = 0;
};
}  // namespace calque
