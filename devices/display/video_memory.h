// Display memory: zeroed, page-aligned host memory that a board may also map as plain RAM (the linear framebuffer).
// VGA's four planes are interleaved: byte 4 * offset + plane, so that one fetch of the CRTC is one 32-bit load.
#pragma once
#include <memory>
#include <span>

#include "support/state_io.h"

namespace calque {

class VideoMemory {
public:
    explicit VideoMemory(size_t size);  // a power of two, at least 256 KiB
    std::span<u8> bytes() { return {data_, size_}; }
    std::span<const u8> bytes() const { return {data_, size_}; }
    size_t size() const { return size_; }

    /// The four planes' bytes at `offset`, plane 0 in the low byte; the offset wraps at the end of memory.
    u32 planes(u32 offset) const {
        const u8* p = data_ + (size_t{offset} * 4 & (size_ - 1));
        return p[0] | u32{p[1]} << 8 | u32{p[2]} << 16 | u32{p[3]} << 24;
    }
    void set_planes(u32 offset, u32 value) {
        u8* p = data_ + (size_t{offset} * 4 & (size_ - 1));
        p[0] = static_cast<u8>(value), p[1] = static_cast<u8>(value >> 8);
        p[2] = static_cast<u8>(value >> 16), p[3] = static_cast<u8>(value >> 24);
    }
    void clear();
    /// Saves only the pages that hold something.
    void state(StateIO&);

private:
    struct Free {
        void operator()(void* p) const;
    };
    size_t size_;
    std::unique_ptr<void, Free> block_;
    u8* data_;
};
}  // namespace calque
