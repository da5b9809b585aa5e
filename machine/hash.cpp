// What "the same state" means: architectural state of the processor, RAM, devices and machine time.
#include <unistd.h>

#include <cerrno>

#include "machine/machine.h"
#include "machine/state_hash.h"
#include "support/state_io.h"

namespace calque {
namespace {
// Pages that nobody has touched, or that hold zeros, add nothing: it makes no difference whether the host has them.
void add_ram(StateHash& hash, PhysMap& memory) {
    const std::span<u8> ram = memory.ram();
    const auto add_page = [&](u64 at) {
        const std::span<const u8> page = ram.subspan(at, PhysMap::kPage);
        const auto* words = reinterpret_cast<const u64*>(page.data());
        u64 any = 0;
        for (size_t i = 0; i < page.size() / 8; ++i) any |= words[i];
        if (any) hash.add(at), hash.add(page);
    };
    for (off_t at = 0; static_cast<u64>(at) < ram.size();) {
        const off_t start = ::lseek(memory.ram_fd(), at, SEEK_DATA);
        if (start < 0 && errno == ENXIO) return;
        const off_t end = start < 0 ? -1 : ::lseek(memory.ram_fd(), start, SEEK_HOLE);
        const u64 from = start < 0 ? static_cast<u64>(at) : static_cast<u64>(start) & ~(PhysMap::kPage - 1);
        const u64 to = end < 0 ? ram.size() : std::min<u64>(ram.size(), static_cast<u64>(end));
        for (u64 page = from; page < to; page += PhysMap::kPage) add_page(page);
        at = static_cast<off_t>((to + PhysMap::kPage - 1) & ~(PhysMap::kPage - 1));
    }
}
}  // namespace

u64 Machine::quick_hash() {
    StateHash hash;
    StateIO s = StateIO::saver();
    clock_.state(s);
    input_queue_.state(s);
    cpu_->save_state(s);
    for (const PcI440fx::Named& d : board_->devices())
        if (std::string_view{d.name} != "vga") d.device->state(s);
    hash.add(std::span<const u8>{s.bytes()});
    return hash.value();
}

u64 Machine::state_hash() {
    StateHash hash;
    StateIO s = StateIO::saver();
    clock_.state(s);
    input_queue_.state(s);
    cpu_->save_state(s);
    for (const PcI440fx::Named& d : board_->devices()) d.device->state(s);
    hash.add(std::span<const u8>{s.bytes()});
    add_ram(hash, *memory_);
    return hash.value();
}
}  // namespace calque
