#include "machine/replay/history.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "support/assert.h"

namespace calque {
namespace {
constexpr size_t kMostPoints = 64;
constexpr u64 kPage = PhysMap::kPage;
}  // namespace

History::History(Machine& m, Player& p, u64 interval) : machine_{m}, player_{p}, interval_{interval} {
    const size_t size = m.memory().ram().size();
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(memory != MAP_FAILED);
    shadow_ = {static_cast<u8*>(memory), size};
    add();
}

History::~History() {
    for (OverlayImage* image : machine_.overlays())
        if (image) image->journal(nullptr);
    ::munmap(shadow_.data(), shadow_.size());
}

// Writes go into the newest checkpoint's journal, but not those that were made before it.
void History::journal(bool on) {
    const auto images = machine_.overlays();
    points_.back().disks.resize(images.size());
    for (size_t n = 0; n < images.size(); ++n)
        if (images[n]) images[n]->journal(on ? &points_.back().disks[n] : nullptr);
}

void History::add() {
    const std::span<u8> ram = machine_.memory().ram();
    machine_.memory().each_touched_page([&](u64 at) {
        if (std::memcmp(ram.data() + at, shadow_.data() + at, kPage) == 0) return;
        if (!points_.empty()) points_.back().ram.emplace(at, Page{shadow_.data() + at, shadow_.data() + at + kPage});
        std::memcpy(shadow_.data() + at, ram.data() + at, kPage);
    });
    points_.push_back({machine_.icount(), machine_.save_parts(), player_.mark(), {}, {}});
    frontier_ = machine_.icount();
    journal(true);
}

u64 History::most() const {
    const u64 now = machine_.icount(), newest = points_.back().icount;
    return now < newest ? newest - now : due() ? 1 : newest + interval_ - now;
}

void History::advance() {
    const u64 now = machine_.icount();
    journal(now >= points_.back().icount);
    if (now < frontier_) return;
    frontier_ = now;
    // Not while it sleeps: then time goes on at the same count, and devices with it.
    if (!due() || machine_.cpu().state().halted) return;
    add();
    if (points_.size() > kMostPoints) thin_out();
}

// Every second checkpoint goes; what it has of pages and pieces that its neighbour before does not have goes there.
void History::thin_out() {
    std::vector<Point> kept;
    for (size_t n = 0; n < points_.size(); ++n) {
        if (n % 2 == 0 || n + 1 == points_.size()) {
            kept.push_back(std::move(points_[n]));
            continue;
        }
        kept.back().ram.merge(points_[n].ram);
        for (size_t d = 0; d < kept.back().disks.size(); ++d) kept.back().disks[d].merge(points_[n].disks[d]);
    }
    points_ = std::move(kept);
    interval_ *= 2;
    journal(true);   // the journals have moved
}

size_t History::before(u64 icount) const {
    size_t n = points_.size();
    while (n > 1 && points_[n - 1].icount > icount) --n;
    return n - 1;
}

// A page comes from the oldest checkpoint from here on that has it. The other way round with disks: newer journals first, each puts back
// what was there before it; that holds wherever the machine stands now, as a piece that is back already is written once more.
void History::restore(size_t checkpoint) {
    ASSERT(points_[checkpoint].icount <= machine_.icount());
    frontier_ = std::max(frontier_, machine_.icount());
    journal(false);
    const std::span<u8> ram = machine_.memory().ram();
    std::unordered_map<u64, const Page*> old;
    for (size_t n = checkpoint; n < points_.size(); ++n)
        for (const auto& [at, page] : points_[n].ram) old.emplace(at, &page);
    machine_.memory().each_touched_page([&](u64 at) {
        const auto found = old.find(at);
        const u8* const from = found == old.end() ? shadow_.data() + at : found->second->data();
        if (std::memcmp(ram.data() + at, from, kPage) != 0) std::memcpy(ram.data() + at, from, kPage);
    });
    const auto images = machine_.overlays();
    for (size_t n = points_.size(); n-- > checkpoint;)
        for (size_t d = 0; d < points_[n].disks.size(); ++d)
            if (images[d]) images[d]->undo(points_[n].disks[d]);
    machine_.load_parts(points_[checkpoint].parts);
    player_.go_to(points_[checkpoint].mark);
}
}  // namespace calque
