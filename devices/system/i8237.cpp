// Choices where the datasheet leaves room:
// * A device's transfer is served at once, in every mode alike: demand, single and block differ only in when the bus
//   is given back, which nobody here can see.
// * As in the PIIX there is no memory-to-memory transfer; software requests are kept in the request register until
//   terminal count or master clear and move nothing, because no device answers them.
// * The second controller's first channel cascades the first controller: while it is masked or not in cascade mode,
//   channels 0 to 3 get no service.
#include "devices/system/i8237.h"

#include <algorithm>

#include "support/log.h"
#include "support/state_io.h"

namespace calque {
namespace {
Log log{"i8237"};
constexpr u8 kDisabled = 0x04;  // command register
constexpr u8 kAutoinitialize = 0x10, kDecrement = 0x20, kCascade = 0xc0;
constexpr std::array<u8, 16> channel_of_page = {0xff, 2, 3, 1, 0xff, 0xff, 0xff, 0, 0xff, 6, 7, 5, 0xff, 0xff, 0xff, 4};
}  // namespace

u8 I8237::flip(u16 value) {
    const u8 v = static_cast<u8>(high_byte_ ? value >> 8 : value);
    high_byte_ = !high_byte_;
    return v;
}

void I8237::flip_write(u16& base, u16& current, u8 value) {
    base = static_cast<u16>(high_byte_ ? (base & 0x00ff) | value << 8 : (base & 0xff00) | value);
    current = base;
    high_byte_ = !high_byte_;
}

u8 I8237::read(u16 reg) {
    reg &= 15;
    if (reg < 8) return flip(reg & 1 ? channels_[reg / 2].count : channels_[reg / 2].address);
    switch (reg) {
    case 8: {
        const u8 v = static_cast<u8>(status_ | request_ << 4);
        status_ = 0;  // reading clears the terminal count bits
        return v;
    }
    case 13: return temporary_;
    case 15: return static_cast<u8>(0xf0 | mask_);
    default: return 0xff;
    }
}

void I8237::write(u16 reg, u8 value) {
    reg &= 15;
    Channel& addressed = channels_[value & 3];
    const u8 bit = static_cast<u8>(1u << (value & 3));
    const auto assign = [&](u8& r) { r = static_cast<u8>(value & 4 ? r | bit : r & ~bit); };
    if (reg < 8) {
        Channel& c = channels_[reg / 2];
        return reg & 1 ? flip_write(c.base_count, c.count, value) : flip_write(c.base_address, c.address, value);
    }
    switch (reg) {
    case 8:
        command_ = value;
        if (value & 1) log.debug("memory-to-memory transfers do not exist in a PIIX");
        break;
    case 9: assign(request_); break;
    case 10: assign(mask_); break;
    case 11: addressed.mode = value & 0xfc; break;
    case 12: high_byte_ = false; break;
    case 13: master_clear(); break;
    case 14: mask_ = 0; break;
    default: mask_ = value & 15;
    }
}

void I8237::master_clear() {
    command_ = status_ = request_ = temporary_ = 0;
    mask_ = 0x0f;
    high_byte_ = false;
}

bool I8237::cascades(unsigned n) const {
    return !(command_ & kDisabled) && !(mask_ >> (n & 3) & 1) && (channels_[n & 3].mode & kCascade) == kCascade;
}

/// Words are addressed by A16..A1, so the page's lowest bit does not take part.
u64 I8237::memory_address(const Channel& c) const {
    return word_ ? u64{c.page & 0xfeu} << 16 | u64{c.address} << 1 : u64{c.page} << 16 | c.address;
}

/// How many of `units` can be moved in one piece: the address counts within 64 Ki units.
unsigned I8237::run(Channel& c, unsigned units) const {
    if (c.mode & kDecrement) return 1;
    return std::min({units, c.count + 1u, 0x10000u - c.address});
}

unsigned I8237::transfer(unsigned n, Direction wanted, u8* data, unsigned size, bool& tc) {
    tc = false;
    Channel& c = channels_[n & 3];
    const unsigned unit = word_ ? 2 : 1;
    if ((command_ & kDisabled) || (mask_ >> (n & 3) & 1) || (c.mode & kCascade) == kCascade) return 0;
    const unsigned type = (c.mode >> 2) & 3;
    if (type == 3 || (type != 0 && type != static_cast<unsigned>(wanted))) {
        log.debug("channel %u is programmed for the other direction", n);
        return 0;
    }
    unsigned moved = 0;
    while (!tc && size - moved >= unit) {
        const unsigned units = run(c, (size - moved) / unit), bytes = units * unit;
        if (type == 1) memory_.dma_write(memory_address(c), {data + moved, bytes});
        if (type == 2) memory_.dma_read(memory_address(c), {data + moved, bytes});
        c.address = static_cast<u16>(c.mode & kDecrement ? c.address - 1 : c.address + units);
        tc = units == c.count + 1u;
        c.count = static_cast<u16>(c.count - units);
        moved += bytes;
    }
    if (tc) {
        const u8 bit = static_cast<u8>(1u << (n & 3));
        status_ |= bit;
        request_ &= static_cast<u8>(~bit);
        if (c.mode & kAutoinitialize) c.address = c.base_address, c.count = c.base_count;
        else mask_ |= bit;
    }
    return moved;
}

void I8237::reset() {
    master_clear();
    for (Channel& c : channels_) c = {};
}

void I8237::Channel::state(StateIO& s) { s(base_address, base_count, address, count, mode, page); }

void I8237::state(StateIO& s) {
    s.version(1);
    s(channels_, command_, status_, request_, mask_, temporary_, high_byte_);
    status_ &= 15, request_ &= 15, mask_ &= 15;
}

IsaDma::IsaDma(DmaSpace& memory) : first_{memory, false}, second_{memory, true} {
    for (unsigned i = 0; i < 8; ++i) channels_[i] = {*this, i};
}

unsigned IsaDma::Channel::transfer(I8237::Direction d, u8* data, size_t size, bool& tc) {
    tc = false;
    if (n_ < 4 && !dma_->second_.cascades(0)) return 0;
    I8237& chip = n_ < 4 ? dma_->first_ : dma_->second_;
    return chip.transfer(n_ & 3, d, data, static_cast<unsigned>(std::min<size_t>(size, 1u << 20)), tc);
}

unsigned IsaDma::Channel::to_memory(std::span<const u8> data, bool& tc) {
    return transfer(I8237::Direction::to_memory, const_cast<u8*>(data.data()), data.size(), tc);  // only read from
}

unsigned IsaDma::Channel::from_memory(std::span<u8> data, bool& tc) {
    return transfer(I8237::Direction::from_memory, data.data(), data.size(), tc);
}

void IsaDma::Pages::write(u16 reg, u8 value) {
    values_[reg & 15] = value;
    const u8 n = channel_of_page[reg & 15];
    if (n != 0xff) (n < 4 ? dma_.first_ : dma_.second_).set_page(n & 3, value);
}

void IsaDma::Pages::reset() {
    for (u16 reg = 0; reg < 16; ++reg) write(reg, 0);
}

void IsaDma::Pages::state(StateIO& s) {
    s(values_);
    if (s.loading())
        for (u16 reg = 0; reg < 16; ++reg) write(reg, values_[reg]);
}

void IsaDma::reset() {
    first_.reset(), second_.reset(), pages_.reset();
}

void IsaDma::state(StateIO& s) {
    s.version(1);
    s(first_, second_, pages_);
}
}  // namespace calque
