// Modes get small numbers, which fit beside a page address in a tag.
#pragma once
#include <vector>

#include "jit/ir/ir.h"

namespace calque::jit {

class ModeTable {
public:
    static constexpr u16 kFull = 0;
    ModeTable() { clear(); }
    void clear() {
        modes_.assign(1, Mode{});  // 0 is no mode
        slots_.assign(kSlots, 0);
    }
    /// The mode's number, 1..4094 (4095 with the highest page would be kNoTag); kFull when there is none left.
    u16 intern(Mode m) {
        u32 h = (m.bits * 0x9e3779b1u ^ (m.base * 0x85ebca6bu)) >> 8;
        for (;; ++h) {
            u16& s = slots_[h % kSlots];
            if (s == 0) {
                if (modes_.size() == 4095) return kFull;
                s = static_cast<u16>(modes_.size());
                modes_.push_back(m);
                return s;
            }
            if (modes_[s] == m) return s;
        }
    }

private:
    static constexpr u32 kSlots = 8192;
    std::vector<Mode> modes_;
    std::vector<u16> slots_;
};
}  // namespace calque::jit
