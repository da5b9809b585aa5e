// IN and OUT: protection and the way to the bus (SDM vol. 1, chapter "Input/Output").
#include "cpu/debug.h"
#include "cpu/helpers.h"
#include "cpu/observer.h"
#include "cpu/system.h"

namespace calque {
namespace {

/// I/O breakpoints (CR4.DE) are traps after the access.
void watch_port(CpuState& s, u16 port, unsigned size) {
    if (!(s.cr4 & cr4::DE) || !(s.dr7 & 0xff)) return;
    for (unsigned n = 0; n < 4; ++n) {
        if (!(s.dr7 >> (2 * n) & 3) || (s.dr7 >> (16 + 4 * n) & 3) != 2) continue;
        const unsigned len = (s.dr7 >> (18 + 4 * n) & 3) + 1;
        const u64 start = s.dr[n] & ~u64{len - 1};
        if (port < start + len && start < u64{port} + size) s.pending_debug |= u64{1} << n;
    }
    if (s.pending_debug) s.cpu->end_slice();
}

[[gnu::noinline]] u32 told_in(CpuState& s, u16 port, unsigned size) {
    const u32 value = s.cpu->io().in(port, size);
    s.observer->port(s.cpu->running_rip(), port, value, size, false);
    return value;
}
}  // namespace

bool io_allowed(CpuState& s, u16 port, unsigned size) {
    if (!s.protected_mode()) return true;
    if (!s.vm86() && s.cpl <= (s.eflags_system >> 12 & 3)) return true;
    u16 map;
    if (!s.tr.present() || !(s.tr.type() & 8) || s.tr.limit < 0x67) return fault(s, vec::GP, 0);
    if (!read_linear(s, s.tr.base + 0x66, map, Rights::supervisor)) return false;
    // Two bytes are read, so that four ports from any bit on fit; both must be inside the limit.
    const u64 at = u64{map} + port / 8;
    if (at + 1 > s.tr.limit) return fault(s, vec::GP, 0);
    u16 bits;
    if (!read_linear(s, s.tr.base + at, bits, Rights::supervisor)) return false;
    const u32 mask = ((1u << size) - 1) << (port & 7);
    return !(bits & mask) || fault(s, vec::GP, 0);
}

u32 port_in(CpuState& s, u16 port, unsigned size) {
    s.cpu->sync_clock();
    watch_port(s, port, size);
    if (s.observer) [[unlikely]] return told_in(s, port, size);
    return s.cpu->io().in(port, size);
}

void port_out(CpuState& s, u16 port, u32 value, unsigned size) {
    s.cpu->sync_clock();
    watch_port(s, port, size);
    if (s.observer) [[unlikely]] s.observer->port(s.cpu->running_rip(), port, value, size, true);
    s.cpu->io().out(port, value, size);
}

bool port_ready(CpuState& s, u16 port, unsigned size, bool write, u32 value) {
    if (!io_allowed(s, port, size)) return false;
    return !s.debug || !s.debug->refuses({Debug::Event::port, port, value, size, !write, write});
}

static unsigned port_size(u64 size) { return size == 1 ? 1 : size == 2 ? 2 : 4; }

u64 helper_in(CpuState& s, u64 port, u64 size, u64) {
    const unsigned n = port_size(size);
    if (!port_ready(s, static_cast<u16>(port), n, false)) return 0;
    return port_in(s, static_cast<u16>(port), n);
}

u64 helper_out(CpuState& s, u64 port, u64 size, u64 value) {
    const unsigned n = port_size(size);
    if (!port_ready(s, static_cast<u16>(port), n, true, static_cast<u32>(value))) return 0;
    port_out(s, static_cast<u16>(port), static_cast<u32>(value), n);
    return 0;
}
}  // namespace calque
