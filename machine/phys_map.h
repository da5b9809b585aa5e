// Physical address space of a PC: RAM, shadow RAM and SMRAM below 1 MiB, ROM, and windows of devices. The CPU sees it
// through page(), read() and write(), bus masters through DmaSpace.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/bus.h"
#include "support/phys.h"
#include "support/result.h"

namespace calque {

class PhysMap final : public PhysSpace, public DmaSpace {
public:
    static constexpr u64 kPage = 4096, kLegacyEnd = kMiB, kHighRam = 4 * kGiB;
    static constexpr u64 kPciHole = 3 * kGiB;  // RAM below 4 GiB never reaches higher

    /// RAM is one shared mapping; `bytes` is a multiple of 1 MiB.
    static Result<std::unique_ptr<PhysMap>> create(u64 bytes);
    ~PhysMap() override;
    PhysMap(const PhysMap&) = delete;

    u64 low_ram() const { return low_ram_; }
    u64 high_ram() const { return ram_size_ - low_ram_; }
    std::span<u8> ram() { return {ram_, ram_size_}; }
    /// Content for RAM that is as it was made: whole pages, from one on. Those of zeros stay untouched. On any thread.
    Result<void> fill(u64 at, std::span<const u8> bytes);
    /// The first byte of RAM from `at` on that has ever been touched, or the end.
    u64 next_data(u64 at) const;
    /// Calls `page` with the address of every page of RAM that may ever have been touched, in order. Looking at others would make the host find
    /// memory for them.
    void each_touched_page(const std::function<void(u64 at)>& page) const;

    // ---- what the board wires. Windows are named by their owner; mapping an owner's window again moves it.
    struct WindowId {
        const void* owner;
        unsigned number;
        bool operator==(const WindowId&) const = default;
    };
    void map_device(WindowId, u64 base, u64 size, MmioDevice&);
    /// Plain memory of a device (a frame buffer), or its ROM.
    void map_memory(WindowId, u64 base, u64 size, std::span<u8> host, bool writable);
    void unmap(WindowId);
    /// What the ISA bus has at [base, base+size) below 1 MiB: a device, or ROM. Both ends on page borders.
    void map_isa_device(u32 base, u32 size, MmioDevice&);
    void map_isa_rom(u32 base, std::span<u8> rom);

    // ---- switches
    /// Programmable attribute map: who answers reads and writes of [base, base+size).
    void set_pam(u32 base, u32 size, bool read_ram, bool write_ram);
    /// SMRAM at A0000h-BFFFFh is RAM for everybody when `open`, for SMM only when `enabled`.
    void set_smram(bool enabled, bool open);
    void set_smm(bool active);
    void set_a20(bool enabled);
    bool a20() const { return a20_mask_ == ~u64{0}; }

    /// What answers where, for people; later regions are hidden by earlier ones.
    struct Region {
        u64 first, last;
        const char* what;
    };
    std::vector<Region> regions() const;

    /// The map has changed: forget what page() said.
    std::function<void()> on_change;
    /// Plain memory is about to be changed by somebody else than the CPU.
    std::function<void(const u8* host, size_t size)> on_memory_write;

    // PhysSpace
    PhysPage page(u64 paddr) override;
    u64 read(u64 paddr, unsigned size) override;
    void write(u64 paddr, u64 value, unsigned size) override;
    std::optional<u64> address_of(const u8* host) override;
    // DmaSpace
    void dma_read(u64 paddr, std::span<u8> out) override;
    void dma_write(u64 paddr, std::span<const u8> in) override;

private:
    struct Target {  // who answers at one address
        u8* read = nullptr;
        u8* write = nullptr;
        MmioDevice* device = nullptr;
        u64 offset = 0;  // into the device
    };
    struct Window {
        WindowId id;
        u64 base, size;
        MmioDevice* device;
        u8* host;
        bool writable;
    };
    struct IsaPage {
        u8* rom = nullptr;
        MmioDevice* device = nullptr;
        u32 offset = 0;
        bool read_ram = false, write_ram = false;
    };
    PhysMap() = default;
    Target target(u64 paddr) const;
    Target isa_target(u32 paddr) const;
    u64 read_device(MmioDevice&, u64 offset, unsigned size);
    void write_device(MmioDevice&, u64 offset, u64 value, unsigned size);
    void add_window(Window);
    void changed();

    int fd_ = -1;
    u8* ram_ = nullptr;
    u64 ram_size_ = 0, low_ram_ = 0;
    u64 a20_mask_ = ~u64{0};
    bool smram_enabled_ = false, smram_open_ = false, smm_ = false;
    std::vector<IsaPage> isa_;
    std::vector<Window> windows_;
};
}  // namespace calque
