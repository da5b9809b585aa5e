// QEMU's firmware configuration interface ("QEMU Firmware Configuration (fw_cfg) Device" specification): the
// paravirtual device through which SeaBIOS learns what machine it runs on. Selector port, data port, DMA interface.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/bus.h"

namespace calque {

/// Twelve ports: +0 selector (16 bits), +1 data (8 bits), +4..+11 DMA address (big-endian, high half first).
class FwCfg final : public PortDevice {
public:
    static constexpr u16 kPorts = 12;
    static constexpr u16 kSignature = 0x00, kId = 0x01, kFileDirectory = 0x19, kFirstFile = 0x20;
    static constexpr size_t kMaxName = 55;

    explicit FwCfg(DmaSpace& memory);

    /// A numbered item. Replaces an older one of the same number.
    void add_item(u16 key, std::vector<u8> bytes);
    /// A named item, listed in the file directory. Names are at most kMaxName characters; a known name is replaced.
    void add_file(std::string_view name, std::vector<u8> bytes);

    /// What has been added, but for the directory.
    const std::map<u16, std::vector<u8>>& items() const { return items_; }
    const std::map<std::string, u16, std::less<>>& files() const { return files_; }

    u32 io_read(u16 reg, unsigned size) override;
    void io_write(u16 reg, u32 value, unsigned size) override;
    void reset() override;
    void state(StateIO&) override;

private:
    void select(u16 key);
    u8 next_byte();
    void run_dma(u64 descriptor);
    void copy_to_guest(u64 address, u32 length);
    void rebuild_directory();

    DmaSpace& memory_;
    std::map<u16, std::vector<u8>> items_;
    std::map<std::string, u16, std::less<>> files_;  // sorted: the directory never depends on who added first
    u16 key_ = 0;
    u32 offset_ = 0;  // into the selected item; never past its end
    u32 dma_high_ = 0;
};
}  // namespace calque
