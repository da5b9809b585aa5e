// The 65536 I/O ports and who answers at them.
#pragma once
#include <array>
#include <functional>
#include <vector>

#include "support/bus.h"
#include "support/phys.h"

namespace calque {

class IoPorts final : public IoSpace {
public:
    IoPorts() { entries_.push_back({}); }

    /// For good: `count` ports from `first` are the device's registers from `reg` on. Later maps win over earlier ones.
    void map(u16 first, unsigned count, PortDevice&, u16 reg = 0);
    /// A window that comes, goes and moves (a BAR). It loses against map(). `owner` and `number` name it.
    void map_window(const void* owner, unsigned number, u16 first, unsigned count, PortDevice&);
    void unmap_window(const void* owner, unsigned number);

    u32 in(u16 port, unsigned size) override;
    void out(u16 port, u32 value, unsigned size) override;

private:
    struct Entry {
        PortDevice* device = nullptr;
        u16 first = 0, reg = 0;
        unsigned count = 0;
        const void* owner = nullptr;  // nullptr: for good
        unsigned number = 0;
    };
    void rebuild();
    bool whole(u16 port, unsigned size) const;
    std::vector<Entry> entries_;             // entry 0: nobody
    std::array<u8, 65536> who_{};
};
}  // namespace calque
