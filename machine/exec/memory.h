// The memory of a case: 16 MB of RAM and nothing else. It knows the pages that have been touched, so that clearing it is cheap.
#pragma once
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
    void reset();

private:
    u8* ram_;
    std::vector<u32> touched_;
    std::vector<bool> is_touched_ = std::vector<bool>(kRam / 4096);
};
}  // namespace calque::exec
