#include "devices/system/fw_cfg.h"

#include <algorithm>
#include <array>

#include "support/assert.h"
#include "support/log.h"
#include "support/state_io.h"

namespace calque {
namespace {
Log log{"fw_cfg"};

// "Guest-side DMA Interface"
constexpr u32 kDmaError = 1, kDmaRead = 2, kDmaSkip = 4, kDmaSelect = 8, kDmaWrite = 16;
constexpr u32 kIdTraditional = 1, kIdDma = 2;
constexpr std::array<u8, 8> kDmaSignature{'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};
constexpr u16 kWriteChannel = 0x4000;  // obsolete, ignored
constexpr size_t kChunk = 64 * kKiB;

u32 be32(const u8* p) { return u32{p[0]} << 24 | u32{p[1]} << 16 | u32{p[2]} << 8 | p[3]; }
void put_be(std::vector<u8>& out, u64 value, unsigned bytes) {
    while (bytes--) out.push_back(static_cast<u8>(value >> (8 * bytes)));
}
u32 swap32(u32 v) { return v >> 24 | (v >> 8 & 0xff00) | (v << 8 & 0xff0000) | v << 24; }
}  // namespace

FwCfg::FwCfg(DmaSpace& memory) : memory_{memory} {
    add_item(kSignature, {'Q', 'E', 'M', 'U'});
    add_item(kId, {kIdTraditional | kIdDma, 0, 0, 0});
    rebuild_directory();
}

void FwCfg::add_item(u16 key, std::vector<u8> bytes) {
    items_[static_cast<u16>(key & ~kWriteChannel)] = std::move(bytes);
    offset_ = 0;
}

void FwCfg::add_file(std::string_view name, std::vector<u8> bytes) {
    ASSERT(name.size() <= kMaxName);
    const auto next = static_cast<u16>(kFirstFile + files_.size());
    const u16 key = files_.try_emplace(std::string{name}, next).first->second;
    add_item(key, std::move(bytes));
    rebuild_directory();
}

void FwCfg::rebuild_directory() {
    std::vector<u8> dir;
    put_be(dir, files_.size(), 4);
    for (const auto& [name, key] : files_) {
        put_be(dir, items_[key].size(), 4);
        put_be(dir, key, 2);
        put_be(dir, 0, 2);
        dir.insert(dir.end(), name.begin(), name.end());
        dir.resize(dir.size() + kMaxName + 1 - name.size());
    }
    add_item(kFileDirectory, std::move(dir));
}

void FwCfg::select(u16 key) {
    key_ = static_cast<u16>(key & ~kWriteChannel);
    offset_ = 0;
    if (!items_.contains(key_)) log.debug("item %#x is not there", key_);
}

u8 FwCfg::next_byte() {
    const auto item = items_.find(key_);
    if (item == items_.end() || offset_ >= item->second.size()) return 0;
    return item->second[offset_++];
}

u32 FwCfg::io_read(u16 reg, unsigned size) {
    if (reg == 1) return next_byte();
    u32 v = 0;
    if (reg >= 4)
        for (unsigned i = 0; i < size && reg + i < kPorts; ++i) v |= u32{kDmaSignature[reg - 4u + i]} << (8 * i);
    return v;
}

void FwCfg::io_write(u16 reg, u32 value, unsigned size) {
    if (reg == 0 && size == 2) return select(static_cast<u16>(value));
    if (reg == 4 && size == 4) {
        dma_high_ = swap32(value);
    } else if (reg == 8 && size == 4) {
        const u64 descriptor = u64{dma_high_} << 32 | swap32(value);
        dma_high_ = 0;
        run_dma(descriptor);
    } else {
        log.debug("write of %u bytes to register %u ignored", size, reg);
    }
}

void FwCfg::run_dma(u64 descriptor) {
    std::array<u8, 16> d;
    memory_.dma_read(descriptor, d);
    const u32 control = be32(&d[0]), length = be32(&d[4]);
    const u64 address = u64{be32(&d[8])} << 32 | be32(&d[12]);
    u32 status = 0;
    if (control & kDmaSelect) select(static_cast<u16>(control >> 16));
    if (control & kDmaRead) {
        copy_to_guest(address, length);
    } else if (control & kDmaWrite) {
        status = kDmaError;  // no item of ours takes writes
    } else if (control & kDmaSkip) {
        const auto item = items_.find(key_);
        const u64 size = item == items_.end() ? 0 : item->second.size();
        offset_ = static_cast<u32>(std::min<u64>(size, u64{offset_} + length));
    }
    std::vector<u8> answer;
    put_be(answer, status, 4);
    memory_.dma_write(descriptor, answer);
}

// What lies past the item's end, or in an item that is not there, reads as zeros.
void FwCfg::copy_to_guest(u64 address, u32 length) {
    const auto item = items_.find(key_);
    const u64 size = item == items_.end() ? 0 : item->second.size();
    const u64 have = std::min<u64>(length, size - std::min<u64>(size, offset_));
    if (have) memory_.dma_write(address, std::span{item->second}.subspan(offset_, have));
    offset_ += static_cast<u32>(have);
    if (have == length) return;
    const std::vector<u8> zeros(std::min<u64>(kChunk, length - have));
    for (u64 at = have; at < length; at += zeros.size())
        memory_.dma_write(address + at, std::span{zeros}.first(std::min<u64>(zeros.size(), length - at)));
}

void FwCfg::reset() {
    key_ = 0;
    offset_ = 0;
    dma_high_ = 0;
}

void FwCfg::state(StateIO& s) {
    s.version(1);
    s(key_, offset_, dma_high_);
    if (!s.loading()) return;
    const auto item = items_.find(key_);
    offset_ = item == items_.end() ? 0 : static_cast<u32>(std::min<u64>(offset_, item->second.size()));
}
}  // namespace calque
