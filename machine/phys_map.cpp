// Precedence: RAM below the PCI hole and above 4 GiB wins over windows, as in the 440FX, whose DRAM decoder comes
// first; among windows the one mapped last wins.
#include "machine/phys_map.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "machine/state_hash.h"
#include "support/assert.h"
#include "support/little_endian.h"

namespace calque {
namespace {
constexpr u64 kOnes = ~u64{0};
constexpr u64 kA20 = u64{1} << 20;
constexpr u32 kSmramStart = 0xa0000, kSmramEnd = 0xc0000, kPamStart = 0xc0000;

u64 ones(unsigned size) { return size >= 8 ? kOnes : (u64{1} << (8 * size)) - 1; }
}  // namespace

Result<std::unique_ptr<PhysMap>> PhysMap::create(u64 bytes) {
    ASSERT(bytes > 0 && bytes % kMiB == 0);
    std::unique_ptr<PhysMap> map{new PhysMap};
    const auto failed = [&] { return Error{"cannot get " + std::to_string(bytes / kMiB) + " MiB of memory for the guest: " + std::strerror(errno)}; };
    map->fd_ = ::memfd_create("calque-ram", MFD_CLOEXEC);
    if (map->fd_ < 0 || ::ftruncate(map->fd_, static_cast<off_t>(bytes)) != 0) return failed();
    void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, map->fd_, 0);
    if (p == MAP_FAILED) return failed();
    map->ram_ = static_cast<u8*>(p);
    map->ram_size_ = bytes;
    map->low_ram_ = std::min(bytes, kPciHole);
    map->isa_.resize(kLegacyEnd / kPage);
    for (u32 i = 0; i < kSmramStart / kPage; ++i) map->isa_[i].read_ram = map->isa_[i].write_ram = true;
    return map;
}

PhysMap::~PhysMap() {
    if (ram_) ::munmap(ram_, ram_size_);
    if (fd_ >= 0) ::close(fd_);
}

// Through the file: the mapping would cost a fault for each page, and the host would clear it first.
Result<void> PhysMap::fill(u64 at, std::span<const u8> bytes) {
    const auto zero = [&](size_t n) { return is_zero(bytes.subspan(n, kPage)); };
    for (size_t n = 0; n < bytes.size();) {
        if (zero(n)) { n += kPage; continue; }
        size_t end = n + kPage;
        while (end < bytes.size() && !zero(end)) end += kPage;
        for (; n < end;) {
            const ssize_t wrote = ::pwrite(fd_, bytes.data() + n, end - n, static_cast<off_t>(at + n));
            if (wrote <= 0 && errno != EINTR) return Error{std::string{"the host has no memory for the guest's: "} + std::strerror(errno)};
            n += static_cast<size_t>(std::max<ssize_t>(wrote, 0));
        }
    }
    return {};
}

u64 PhysMap::next_data(u64 at) const {
    const off_t found = ::lseek(fd_, static_cast<off_t>(at), SEEK_DATA);
    return found >= 0 ? static_cast<u64>(found) : errno == ENXIO ? ram_size_ : at;
}

void PhysMap::each_touched_page(const std::function<void(u64 at)>& page) const {
    for (u64 at = 0; (at = next_data(at) / kPage * kPage) < ram_size_;) {
        const off_t hole = ::lseek(fd_, static_cast<off_t>(at), SEEK_HOLE);
        const u64 end = hole < 0 ? ram_size_ : std::min(ram_size_, static_cast<u64>(hole));
        do page(at), at += kPage;
        while (at < end);
    }
}

void PhysMap::changed() {
    if (on_change) on_change();
}

void PhysMap::add_window(Window w) {
    std::erase_if(windows_, [&](const Window& old) { return old.id == w.id; });
    windows_.insert(windows_.begin(), w);
    changed();
}

void PhysMap::map_device(WindowId id, u64 base, u64 size, MmioDevice& device) {
    add_window({id, base, size, &device, nullptr, false});
}

void PhysMap::map_memory(WindowId id, u64 base, u64 size, std::span<u8> host, bool writable) {
    ASSERT(size <= host.size());
    add_window({id, base, size, nullptr, host.data(), writable});
}

void PhysMap::unmap(WindowId id) {
    if (std::erase_if(windows_, [&](const Window& w) { return w.id == id; })) changed();
}

void PhysMap::map_isa_device(u32 base, u32 size, MmioDevice& device) {
    for (u32 at = 0; at < size; at += kPage) isa_.at((base + at) / kPage).device = &device, isa_[(base + at) / kPage].offset = at;
    changed();
}

void PhysMap::map_isa_rom(u32 base, std::span<u8> rom) {
    for (u32 at = 0; at < rom.size(); at += kPage) isa_.at((base + at) / kPage).rom = rom.data() + at;
    changed();
}

void PhysMap::set_pam(u32 base, u32 size, bool read_ram, bool write_ram) {
    for (u32 at = base; at < base + size && at < kLegacyEnd; at += kPage)
        if (at >= kPamStart) isa_[at / kPage].read_ram = read_ram, isa_[at / kPage].write_ram = write_ram;
    changed();
}

void PhysMap::set_smram(bool enabled, bool open) {
    if (enabled == smram_enabled_ && open == smram_open_) return;
    smram_enabled_ = enabled, smram_open_ = open;
    changed();
}

void PhysMap::set_smm(bool active) {
    if (active == smm_) return;
    smm_ = active;
    if (smram_enabled_) changed();
}

void PhysMap::set_a20(bool enabled) {
    const u64 mask = enabled ? kOnes : ~kA20;
    if (mask == a20_mask_) return;
    a20_mask_ = mask;
    changed();
}

PhysMap::Target PhysMap::isa_target(u32 paddr) const {
    const IsaPage& p = isa_[paddr / kPage];
    const bool smram = paddr >= kSmramStart && paddr < kSmramEnd && (smram_open_ || (smram_enabled_ && smm_));
    u8* const ram = paddr < ram_size_ ? ram_ + paddr : nullptr;
    Target t;
    if (smram || (p.read_ram && p.write_ram)) {
        t.read = t.write = ram;
        return t;
    }
    t.device = p.device;
    t.offset = p.offset + paddr % kPage;
    t.read = p.read_ram ? ram : p.rom ? p.rom + paddr % kPage : nullptr;
    t.write = p.write_ram ? ram : nullptr;
    return t;
}

PhysMap::Target PhysMap::target(u64 paddr) const {
    if (paddr < kLegacyEnd) return isa_target(static_cast<u32>(paddr));
    Target t;
    if (paddr < low_ram_) {
        t.read = t.write = ram_ + paddr;
        return t;
    }
    if (paddr >= kHighRam && paddr - kHighRam < ram_size_ - low_ram_) {
        t.read = t.write = ram_ + low_ram_ + (paddr - kHighRam);
        return t;
    }
    for (const Window& w : windows_) {
        if (paddr < w.base || paddr - w.base >= w.size) continue;
        t.device = w.device;
        t.offset = paddr - w.base;
        if (w.host) t.read = w.host + t.offset;
        if (w.host && w.writable) t.write = t.read;
        break;
    }
    return t;
}

// A window smaller than its page, or not on a page border, has no plain page: its accesses come one by one.
PhysPage PhysMap::page(u64 paddr) {
    paddr &= a20_mask_;
    const Target first = target(paddr), last = target(paddr + kPage - 1);
    if (!first.read || last.read != first.read + kPage - 1) return {};
    const bool writable = first.write == first.read && last.write == last.read;
    return {first.read, writable};
}

std::optional<u64> PhysMap::address_of(const u8* host) {
    const auto answer = [&](u64 paddr) { return page(paddr).host == host ? std::optional{paddr} : std::nullopt; };
    const auto within = [&](const u8* start, u64 size) { return start && host >= start && host < start + size; };
    if (within(ram_, ram_size_)) {
        const u64 offset = static_cast<u64>(host - ram_);
        return answer(offset < low_ram_ ? offset : kHighRam + (offset - low_ram_));
    }
    for (const Window& w : windows_)
        if (within(w.host, w.size))
            if (const auto paddr = answer(w.base + static_cast<u64>(host - w.host))) return paddr;
    for (u32 i = 0; i < isa_.size(); ++i)
        if (isa_[i].rom == host) return answer(u64{i} * kPage);
    return {};
}

u64 PhysMap::read(u64 paddr, unsigned size) {
    paddr &= a20_mask_;
    const Target t = target(paddr);
    if (t.read) return load_little(t.read, size);
    if (t.device) return read_device(*t.device, t.offset, size);
    return ones(size);
}

void PhysMap::write(u64 paddr, u64 value, unsigned size) {
    paddr &= a20_mask_;
    const Target t = target(paddr);
    if (t.write) {
        if (on_memory_write) on_memory_write(t.write, size);
        store_little(t.write, value, size);
    } else if (t.device && !t.read) {
        write_device(*t.device, t.offset, value, size);
    }
}

// Devices see naturally aligned accesses; anything else goes byte by byte, as the bus would cut it.
u64 PhysMap::read_device(MmioDevice& device, u64 offset, unsigned size) {
    if (offset % size == 0) return device.mmio_read(offset, size) & ones(size);
    u64 v = 0;
    for (unsigned i = 0; i < size; ++i) v |= (device.mmio_read(offset + i, 1) & 0xff) << (8 * i);
    return v;
}

void PhysMap::write_device(MmioDevice& device, u64 offset, u64 value, unsigned size) {
    if (offset % size == 0) return device.mmio_write(offset, value, size);
    for (unsigned i = 0; i < size; ++i) device.mmio_write(offset + i, value >> (8 * i) & 0xff, 1);
}

// Bus masters see the same map without SMM's view and the A20 gate. They reach memory only, never registers.
void PhysMap::dma_read(u64 paddr, std::span<u8> out) {
    while (!out.empty()) {
        const size_t n = std::min<u64>(out.size(), kPage - paddr % kPage);
        const Target t = target(paddr), last = target(paddr + n - 1);
        if (t.read && last.read == t.read + n - 1) std::memcpy(out.data(), t.read, n);
        else std::memset(out.data(), 0xff, n);
        out = out.subspan(n);
        paddr += n;
    }
}

void PhysMap::dma_write(u64 paddr, std::span<const u8> in) {
    while (!in.empty()) {
        const size_t n = std::min<u64>(in.size(), kPage - paddr % kPage);
        const Target t = target(paddr), last = target(paddr + n - 1);
        if (t.write && last.write == t.write + n - 1) {
            if (on_memory_write) on_memory_write(t.write, n);
            std::memcpy(t.write, in.data(), n);
        }
        in = in.subspan(n);
        paddr += n;
    }
}

std::vector<PhysMap::Region> PhysMap::regions() const {
    std::vector<Region> out;
    for (u32 at = 0; at < kLegacyEnd; at += kPage) {
        const Target t = isa_target(at);
        const char* what = t.read && t.read == t.write ? "RAM" : t.read && t.write ? "ROM, RAM for writing" : t.read ? "ROM" : t.device ? "device" : "nothing";
        if (!out.empty() && std::strcmp(out.back().what, what) == 0) out.back().last = at + kPage - 1;
        else out.push_back({at, at + kPage - 1, what});
    }
    if (low_ram_ > kLegacyEnd) out.push_back({kLegacyEnd, low_ram_ - 1, "RAM"});
    if (high_ram()) out.push_back({kHighRam, kHighRam + high_ram() - 1, "RAM"});
    for (const Window& w : windows_) out.push_back({w.base, w.base + w.size - 1, w.device ? "device" : w.writable ? "device memory" : "ROM"});
    return out;
}
}  // namespace calque
