#include "machine/exec/memory.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace calque::exec {
namespace {
constexpr u64 kPage = 4096;
// SDM vol. 3A, "4-Level Paging": present, writable, user, accessed; the leaves also dirty and large. Accessed and dirty bits that are set
// already keep the tables from changing.
constexpr u64 kTable = 0x27, kLeaf = 0xe7;
}  // namespace

Memory::Memory() { map(kRam); }
Memory::~Memory() { unmap(); }

void Memory::unmap() {
    if (ram_) ::munmap(ram_, mapped_);
    ram_ = nullptr;
}

void Memory::map(u64 bytes) {
    unmap();
    void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc{};
    ram_ = static_cast<u8*>(p), mapped_ = size_ = bytes;
    is_touched_.assign(bytes / kPage, false);
    for (u64 t = kTables; t < kTablesEnd; t += kPage) initial(static_cast<u32>(t), ram_ + t);
}

void Memory::initial(u32 page, u8* out) const {
    const u8* const from = source_ ? source_(page) : nullptr;
    if (from) return void(std::memcpy(out, from, kPage));
    std::memset(out, 0, kPage);
    if (page < kTables || page >= kTablesEnd) return;
    const auto put = [&](u64 index, u64 entry) { std::memcpy(out + 8 * index, &entry, 8); };
    if (page != kTables + 2 * kPage) return put(0, (page + kPage) | kTable);
    for (u64 i = 0; i < kRam >> 21; ++i) put(i, i << 21 | kLeaf);
}

void Memory::touch(u64 paddr) {
    if (paddr >= size_ || is_touched_[paddr / kPage]) return;
    is_touched_[paddr / kPage] = true;
    touched_.push_back(static_cast<u32>(paddr));
    if (source_) initial(static_cast<u32>(paddr), ram_ + paddr);
}

PhysPage Memory::page(u64 paddr) {
    if (paddr >= size_) return {};
    touch(paddr);
    if (source_) touch(paddr + kPage);   // a faulty executor may store past the page's end
    return {ram_ + paddr, true};
}

u64 Memory::read(u64 paddr, unsigned size) {
    u64 v = 0;
    if (paddr < size_) std::memcpy(&v, page(paddr & ~(kPage - 1)).host + paddr % kPage, size);
    else std::memset(&v, 0xff, size);   // nobody answers
    return v;
}

void Memory::write(u64 paddr, u64 value, unsigned size) {
    if (paddr < size_) std::memcpy(page(paddr & ~(kPage - 1)).host + paddr % kPage, &value, size);
}

void Memory::reset(u64 ram) {
    source_ = {};
    for (const u32 page : touched_) {
        initial(page, ram_ + page);
        is_touched_[page / kPage] = false;
    }
    touched_.clear();
    if (ram > mapped_) map(ram);
    size_ = ram;
}
}  // namespace calque::exec
