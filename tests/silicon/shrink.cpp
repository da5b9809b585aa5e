#include "tests/silicon/shrink.h"

#include <algorithm>

namespace calque::silicon {
namespace {
using exec::MemoryItem;

/// Where a run has led.
struct End {
    exec::Outcome outcome;
    std::vector<RegisterValue> before, after;
    std::vector<MemoryItem> changed;
};

class Shrinker {
public:
    Shrinker(exec::Case& c, exec::Rig& rig) : case_{c}, rig_{rig} { run(wanted_); }
    void registers();
    void memory(MemoryItem&);

private:
    bool run(End&);
    bool same();

    exec::Case& case_;
    exec::Rig& rig_;
    End wanted_, now_;
};

bool Shrinker::run(End& e) {
    if (!rig_.load(case_)) return false;
    const auto state = [&](std::vector<RegisterValue>& to) {
        to.clear();
        for (const Register* r : rig_.registers()) to.push_back(rig_.value(*r));
    };
    state(e.before);
    e.outcome = rig_.run(case_);
    state(e.after);
    e.changed = rig_.changed_memory();
    return true;
}

/// A register that keeps its value may have another now; all else must be as it was.
bool Shrinker::same() {
    if (!run(now_)) return false;
    const exec::Outcome &a = wanted_.outcome, &b = now_.outcome;
    if (a.end != b.end || a.instructions != b.instructions || a.exceptions != b.exceptions) return false;
    if (a.exceptions && (a.last.vector != b.last.vector || a.last.error != b.last.error || a.last.address != b.last.address)) return false;
    for (size_t i = 0; i < now_.after.size(); ++i) {
        const bool kept = wanted_.after[i] == wanted_.before[i];
        if (kept ? !(now_.after[i] == now_.before[i]) : !(now_.after[i] == wanted_.after[i])) return false;
    }
    return std::equal(now_.changed.begin(), now_.changed.end(), wanted_.changed.begin(), wanted_.changed.end(),
                      [](const MemoryItem& x, const MemoryItem& y) { return x.address == y.address && x.bytes == y.bytes; });
}

void Shrinker::registers() {
    for (size_t i = case_.regs.size(); i-- > 0;) {
        const exec::RegisterItem gone = case_.regs[i];
        case_.regs.erase(case_.regs.begin() + static_cast<std::ptrdiff_t>(i));
        if (!same()) case_.regs.insert(case_.regs.begin() + static_cast<std::ptrdiff_t>(i), gone);
    }
}

/// Zeroes what does not matter, by halves.
void Shrinker::memory(MemoryItem& m) {
    const auto clear = [&](auto& self, size_t begin, size_t size) -> void {
        const auto from = m.bytes.begin() + static_cast<std::ptrdiff_t>(begin), to = from + static_cast<std::ptrdiff_t>(size);
        if (std::all_of(from, to, [](u8 b) { return b == 0; })) return;
        const std::vector<u8> old(from, to);
        std::fill(from, to, u8{0});
        if (same()) return;
        std::copy(old.begin(), old.end(), from);
        if (size == 1) return;
        self(self, begin, size / 2);
        self(self, begin + size / 2, size - size / 2);
    };
    clear(clear, 0, m.bytes.size());
}

/// Pieces without zeros in between, but for a few.
std::vector<MemoryItem> pieces(const MemoryItem& m) {
    constexpr size_t kGap = 12;   // about what a piece of its own costs
    std::vector<MemoryItem> out;
    size_t end = 0;
    for (size_t i = 0; i < m.bytes.size(); ++i) {
        if (!m.bytes[i]) continue;
        if (out.empty() || i - end > kGap) out.push_back({m.address + i, {}});
        MemoryItem& piece = out.back();
        piece.bytes.resize(m.address + i - piece.address);
        piece.bytes.push_back(m.bytes[i]);
        end = i + 1;
    }
    return out;
}
}  // namespace

void shrink(exec::Case& c, exec::Rig& interp) {
    Shrinker s{c, interp};
    for (size_t i = 1; i < c.mem.size(); ++i) s.memory(c.mem[i]);   // the first is the code
    s.registers();
    for (size_t i = 1; i < c.mem.size(); ++i) s.memory(c.mem[i]);
    std::vector<MemoryItem> mem{c.mem[0]};
    for (size_t i = 1; i < c.mem.size(); ++i)
        for (MemoryItem& p : pieces(c.mem[i])) mem.push_back(std::move(p));
    c.mem = std::move(mem);
}
}  // namespace calque::silicon
