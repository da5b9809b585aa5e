// The two Intel 8237A DMA controllers (datasheet 231466) and page registers of an ISA PC, as the PIIX contains them.
#pragma once
#include <array>

#include "support/bus.h"
#include "support/dma_channel.h"

namespace calque {

/// One controller. `word` is the second one, whose channels move 16 bits and count in words.
class I8237 final : public BytePortDevice {
public:
    I8237(DmaSpace& memory, bool word) : memory_{memory}, word_{word} {}

    u8 read(u16 reg) override;  // 0..15
    void write(u16 reg, u8 value) override;
    void reset() override;
    void state(StateIO&) override;

    void set_page(unsigned channel, u8 page) { channels_[channel & 3].page = page; }
    u8 page(unsigned channel) const { return channels_[channel & 3].page; }
    /// Is the controller on, and `channel` unmasked and in cascade mode?
    bool cascades(unsigned channel) const;
    enum class Direction : u8 { verify, to_memory, from_memory };
    /// Serves DREQ of `channel` for up to `size` bytes at `data`; returns how many were moved.
    unsigned transfer(unsigned channel, Direction wanted, u8* data, unsigned size, bool& tc);

private:
    struct Channel {
        u16 base_address = 0, base_count = 0, address = 0, count = 0;
        u8 mode = 0, page = 0;
        void state(StateIO&);
    };
    u8 flip(u16 value);
    void flip_write(u16& base, u16& current, u8 value);
    u64 memory_address(const Channel&) const;
    unsigned run(Channel&, unsigned units) const;
    void master_clear();

    DmaSpace& memory_;
    const bool word_;
    std::array<Channel, 4> channels_;
    u8 command_ = 0, status_ = 0, request_ = 0, mask_ = 0x0f, temporary_ = 0;
    bool high_byte_ = false;  // the byte pointer flip-flop
};

class IsaDma final : public Device {
public:
    explicit IsaDma(DmaSpace& memory);
    /// Ports 00h-0Fh, C0h-DFh and 80h-8Fh.
    PortDevice& first() { return first_; }
    PortDevice& second() { return second_ports_; }
    PortDevice& pages() { return pages_; }
    /// What a device on DRQ `n` (0..3, 5..7) is given.
    DmaChannel& channel(unsigned n) { return channels_[n & 7]; }
    void reset() override;
    void state(StateIO&) override;

private:
    class SecondPorts final : public BytePortDevice {  // registers are two ports apart
    public:
        explicit SecondPorts(I8237& chip) : chip_{chip} {}
        u8 read(u16 reg) override { return reg & 1 ? 0xff : chip_.read(reg >> 1); }
        void write(u16 reg, u8 value) override {
            if (!(reg & 1)) chip_.write(reg >> 1, value);
        }
        void reset() override {}
        void state(StateIO&) override {}

    private:
        I8237& chip_;
    };
    class Pages final : public BytePortDevice {
    public:
        explicit Pages(IsaDma& dma) : dma_{dma} {}
        u8 read(u16 reg) override { return values_[reg & 15]; }
        void write(u16 reg, u8 value) override;
        void reset() override;
        void state(StateIO&) override;

    private:
        IsaDma& dma_;
        std::array<u8, 16> values_{};
    };
    class Channel final : public DmaChannel {
    public:
        Channel() = default;
        Channel(IsaDma& dma, unsigned n) : dma_{&dma}, n_{n} {}
        unsigned to_memory(std::span<const u8> data, bool& tc) override;
        unsigned from_memory(std::span<u8> data, bool& tc) override;

    private:
        unsigned transfer(I8237::Direction, u8* data, size_t size, bool& tc);
        IsaDma* dma_ = nullptr;
        unsigned n_ = 0;
    };
    I8237 first_, second_;
    SecondPorts second_ports_{second_};
    Pages pages_{*this};
    std::array<Channel, 8> channels_;
};
}  // namespace calque
