#include "jit/cache/code_page.h"

#include <cstring>

namespace calque::jit {

bool BlockRecord::outdated() const {
    if (!bytes) return false;
    const unsigned first = byte_count - second_bytes;
    return std::memcmp(bytes.get(), page->host + offset, first) != 0 || (second_bytes && std::memcmp(bytes.get() + first, second, second_bytes) != 0);
}

bool BlockRecord::touches(const u8* host, unsigned begin, unsigned end, unsigned first) const {
    if (first >= insn_count) return false;
    const unsigned from = offset + starts[first], in_first = byte_count - second_bytes, to = offset + in_first;
    if (host == page->host && begin < to && from < end) return true;
    return second_bytes && host == second && begin < second_bytes;
}

void BlockIndex::insert(u16 key, u32 number, u16 bytes) {
    if (2 * ++size_ > mask_) {
        const auto old = std::move(slots_);
        const u32 count = mask_ + 1;
        mask_ = 2 * count - 1;
        slots_ = std::make_unique<Slot[]>(2 * count);
        for (u32 k = 0; k < count; ++k) {
            if (!old[k].number) continue;
            u32 n = hash(old[k].key);
            while (slots_[n & mask_].number) ++n;
            slots_[n & mask_] = old[k];
        }
    }
    u32 n = hash(key);
    while (slots_[n & mask_].number) ++n;
    slots_[n & mask_] = {number, key, bytes};
}

void BlockIndex::erase(u16 key) {
    u32 n = hash(key);
    while (slots_[n & mask_].key != key || !slots_[n & mask_].number) {
        if (!slots_[n & mask_].number) return;
        ++n;
    }
    --size_;
    // Close the gap: what follows moves up unless it stands where it belongs.
    u32 gap = n & mask_;
    for (u32 k = (gap + 1) & mask_; slots_[k].number; k = (k + 1) & mask_) {
        const u32 home = hash(slots_[k].key) & mask_;
        if (((k - home) & mask_) >= ((k - gap) & mask_)) slots_[gap] = slots_[k], gap = k;
    }
    slots_[gap] = {};
}

HostPage& HostPageMap::get(const u8* host) {
    if (HostPage* p = find(host)) return *p;
    if (2 * ++size_ > mask_) {
        auto old = std::move(slots_);
        slots_ = std::vector<std::unique_ptr<HostPage>>(old.size() * 2);
        mask_ = slots_.size() - 1;
        for (auto& p : old) {
            if (!p) continue;
            u64 n = hash(p->host);
            while (slots_[n & mask_]) ++n;
            slots_[n & mask_] = std::move(p);
        }
    }
    u64 n = hash(host);
    while (slots_[n & mask_]) ++n;
    slots_[n & mask_] = std::make_unique<HostPage>();
    slots_[n & mask_]->host = host;
    return *slots_[n & mask_];
}

void HostPageMap::clear() {
    for (auto& p : slots_) p.reset();
    size_ = 0;
}
}  // namespace calque::jit
