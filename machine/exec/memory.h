// The memory of a case: RAM from address 0 on and nothing else. It knows the pages that have been touched, so that clearing it is cheap.
#pragma once
#include <functional>
#include <vector>

#include "machine/exec/case.h"
#include "support/phys.h"

namespace calque::exec {

class Memory final : public PhysSpace {
public:
    /// The identity map of all of it, for long mode: three pages of tables that name 2 MiB pages.
    static constexpr u64 kTables = 0xf00000, kTablesEnd = kTables + 0x3000;

    Memory();
    ~Memory() override;
    Memory(const Memory&) = delete;

    // PhysSpace. Whoever asks for a page may change it, so it counts as touched.
    PhysPage page(u64 paddr) override;
    u64 read(u64 paddr, unsigned size) override;
    void write(u64 paddr, u64 value, unsigned size) override;

    const u8* host(u64 paddr) const { return ram_ + paddr; }
    /// Addresses of touched pages, in the order of their first touch.
    const std::vector<u32>& touched() const { return touched_; }
    /// What a page holds when nothing has been written.
    void initial(u32 page, u8* out) const;
    /// `ram` bytes from now on, and none of them touched.
    void reset(u64 ram);
    u64 size() const { return size_; }
    u64 mapped() const { return mapped_; }
    /// Where pages come from when they are touched for the first time, or where this says nullptr, zeros. Until the next reset().
    void set_source(std::function<const u8*(u64 page)> source) { source_ = std::move(source); }

private:
    void touch(u64 paddr);
    void map(u64 bytes);
    void unmap();
    u8* ram_ = nullptr;
    u64 mapped_ = 0, size_ = 0;
    std::function<const u8*(u64)> source_;
    std::vector<u32> touched_;
    std::vector<bool> is_touched_;
};
}  // namespace calque::exec
