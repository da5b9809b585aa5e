// Which pages of guest memory are written since a mark: somebody hears of each before its first write. Whoever is about to change memory
// notes it here: the processor at the first store to a page (cpu/tlb.cpp), everybody else through PhysMap::on_memory_write.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "support/types.h"

namespace calque {

class WriteWatch {
public:
    static constexpr u64 kPage = 4096;
    using First = std::function<void(u64 offset)>;   // of the page, which is as it was

    WriteWatch(std::span<const u8> memory, First first) : base_{memory.data()}, seen_((memory.size() + kPage - 1) / kPage), first_{std::move(first)} {}
    /// The mark: nothing has been written.
    void clear() { seen_.assign(seen_.size(), false); }
    /// The page counts as written already.
    void skip(u64 offset) { seen_[offset / kPage] = true; }

    /// Other memory than the watched one does not matter.
    void note(const u8* p) {
        const u64 n = page_of(p);
        if (n < seen_.size() && !seen_[n]) seen_[n] = true, first_(n * kPage);
    }
    void note(const u8* p, size_t size) {
        for (size_t at = 0; at < size; at += kPage) note(p + at);
        if (size) note(p + size - 1);
    }
    bool seen(const u8* p) const {
        const u64 n = page_of(p);
        return n >= seen_.size() || seen_[n];
    }

private:
    u64 page_of(const u8* p) const { return (reinterpret_cast<u64>(p) - reinterpret_cast<u64>(base_)) / kPage; }
    const u8* base_;
    std::vector<bool> seen_;
    First first_;
};
}  // namespace calque
