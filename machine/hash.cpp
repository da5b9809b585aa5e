// What "the same state" means: architectural state of the processor, RAM, devices and machine time.
#include "machine/machine.h"
#include "machine/state_hash.h"
#include "support/state_io.h"

namespace calque {
namespace {
// Pages that nobody has touched, or that hold zeros, add nothing: it makes no difference whether the host has them.
void add_ram(StateHash& hash, PhysMap& memory) {
    memory.each_touched_page([&](u64 at) {
        const std::span<const u8> page = memory.ram().subspan(at, PhysMap::kPage);
        if (!is_zero(page)) hash.add(at), hash.add(page);
    });
}
}  // namespace

void Machine::hash_parts(StateHash& hash, bool display) {
    StateIO s = StateIO::saver();
    clock_.state(s);
    input_queue_.state(s);
    cpu_->save_state(s);
    for (const PcI440fx::Named& d : board_->devices())
        if (display || std::string_view{d.name} != "vga") d.device->state(s);
    hash.add(std::span<const u8>{s.bytes()});
}

u64 Machine::quick_hash() {
    StateHash hash;
    hash_parts(hash, false);
    return hash.value();
}

u64 Machine::state_hash() {
    StateHash hash;
    hash_parts(hash, true);
    add_ram(hash, *memory_);
    return hash.value();
}
}  // namespace calque
