// The linker/loader script through which firmware places tables ("ACPI tables and the table-loader" in the fw_cfg
// documentation): 128-byte commands naming fw_cfg files.
#pragma once
#include <string_view>

#include "bios/bytes.h"

namespace calque {

class LinkerScript {
public:
    enum class Zone : u8 { high = 1, f_segment = 2 };
    static constexpr u32 kAllocate = 1, kAddPointer = 2, kAddChecksum = 3;
    static constexpr size_t kCommandSize = 128, kNameSize = 56;

    void allocate(std::string_view file, u32 alignment, Zone zone) {
        begin(kAllocate, file);
        put(script_, alignment, 4), put(script_, static_cast<u8>(zone), 1);
        end();
    }
    /// Adds the address where `target` was placed to the `size`-byte number at `offset` of `file`.
    void add_pointer(std::string_view file, u32 offset, unsigned size, std::string_view target) {
        begin(kAddPointer, file);
        put_field(script_, target, kNameSize);
        put(script_, offset, 4), put(script_, size, 1);
        end();
    }
    /// Makes the bytes [start, start+length) of `file` sum up to zero through the byte at `offset`.
    void add_checksum(std::string_view file, u32 offset, u32 start, u32 length) {
        begin(kAddChecksum, file);
        put(script_, offset, 4), put(script_, start, 4), put(script_, length, 4);
        end();
    }
    Bytes take() { return std::move(script_); }

private:
    void begin(u32 command, std::string_view file) {
        start_ = script_.size();
        put(script_, command, 4);
        put_field(script_, file, kNameSize);
    }
    void end() { script_.resize(start_ + kCommandSize); }
    Bytes script_;
    size_t start_ = 0;
};
}  // namespace calque
