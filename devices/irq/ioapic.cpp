// Choices where the datasheet leaves room:
// * Lines carry "asserted", so the polarity bit is kept but changes nothing.
// * Messages are delivered at once, so the delivery status bit always reads idle.
// * Switching an entry to edge clears its remote IRR; operating systems rely on that to unwedge an entry.
#include "devices/irq/ioapic.h"

#include "support/log.h"
#include "support/state_io.h"

namespace calque {
namespace {
Log log{"ioapic"};
constexpr u32 kVersion = 0x11 | (IoApic::kPins - 1) << 16;
constexpr u64 kRemoteIrr = 1u << 14, kLevel = 1u << 15, kMasked = 1u << 16;
constexpr u64 kEntryBits = 0xff000000'0001afffull;  // what software may write
}  // namespace

IoApic::IoApic(ApicBus& bus) : bus_{bus} {
    for (unsigned i = 0; i < kPins; ++i) pins_[i] = {*this, i};
    entries_.fill(kMasked);
}

bool IoApic::level_triggered(unsigned n) const {
    // "Delivery Mode": SMI, NMI, INIT and ExtINT are always treated as edges.
    return (entries_[n] & kLevel) && ((entries_[n] >> 8) & 7) <= 1;
}

void IoApic::set_input(unsigned n, bool asserted) {
    const u32 b = 1u << n;
    const bool rising = asserted && !(inputs_ & b);
    inputs_ = asserted ? inputs_ | b : inputs_ & ~b;
    if (level_triggered(n)) serve_level(n);
    else if (rising && !(entries_[n] & kMasked)) deliver(n);  // an edge on a masked pin is lost
}

void IoApic::serve_level(unsigned n) {
    if (!(inputs_ >> n & 1) || (entries_[n] & (kMasked | kRemoteIrr))) return;
    entries_[n] |= kRemoteIrr;  // set first: the delivery may come back with an EOI
    deliver(n);
}

void IoApic::deliver(unsigned n) {
    const u64 e = entries_[n];
    bus_.deliver(static_cast<u8>(e >> 56), e & 0x800, static_cast<ApicDelivery>((e >> 8) & 7), static_cast<u8>(e),
                 level_triggered(n));
}

void IoApic::eoi(u8 vector) {
    for (unsigned n = 0; n < kPins; ++n) {
        if (!(entries_[n] & kRemoteIrr) || static_cast<u8>(entries_[n]) != vector) continue;
        entries_[n] &= ~kRemoteIrr;
        serve_level(n);
    }
}

u32 IoApic::read_register(u8 index) const {
    if (index == 0 || index == 2) return u32{id_} << 24;  // the arbitration ID is loaded from the ID
    if (index == 1) return kVersion;
    if (index >= 0x10 && index < 0x10 + 2 * kPins)
        return static_cast<u32>(entries_[(index - 0x10) / 2] >> (index & 1 ? 32 : 0));
    log.debug("read of register %#x, which does not exist", index);
    return 0;
}

void IoApic::write_register(u8 index, u32 value) {
    if (index == 0) id_ = (value >> 24) & 0x0f;
    else if (index >= 0x10 && index < 0x10 + 2 * kPins) write_entry((index - 0x10) / 2, index & 1, value);
    else log.debug("write of %#x to register %#x, which is read-only or does not exist", value, index);
}

void IoApic::write_entry(unsigned n, bool high, u32 value) {
    u64& e = entries_[n];
    const u64 wide = high ? u64{value} << 32 | (e & 0xffffffff) : (e & ~u64{0xffffffff}) | value;
    e = (wide & kEntryBits) | (e & kRemoteIrr);
    if (!level_triggered(n)) e &= ~kRemoteIrr;
    else serve_level(n);
}

u64 IoApic::mmio_read(u64 offset, unsigned) {
    switch (offset & 0xff) {
    case 0x00: return select_;
    case 0x10: return read_register(select_);
    default: return 0;
    }
}

void IoApic::mmio_write(u64 offset, u64 value, unsigned) {
    switch (offset & 0xff) {
    case 0x00: select_ = static_cast<u8>(value); break;
    case 0x10: write_register(select_, static_cast<u32>(value)); break;
    default: log.debug("write to offset %#llx ignored", static_cast<unsigned long long>(offset));
    }
}

void IoApic::reset() {
    entries_.fill(kMasked);
    select_ = id_ = 0;
}

void IoApic::state(StateIO& s) {
    s.version(1);
    s(entries_, inputs_, select_, id_);
    if (!s.loading()) return;
    for (u64& e : entries_) e &= kEntryBits | kRemoteIrr;
    inputs_ &= (1u << kPins) - 1;
    id_ &= 0x0f;
}
}  // namespace calque
