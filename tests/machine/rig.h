// A machine with a small guest instead of a BIOS (guests/bios.asm).
#pragma once
#include <doctest/doctest.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "cpu/inspect.h"
#include "machine/machine.h"
#include "tests/machine/vga_rom.h"

using namespace calque;

namespace {
struct Sink final : CharSink {
    std::string text;
    void put(u8 c) override { text += static_cast<char>(c); }
};
struct Rig {
    Sink console, serial;
    MachineConfig config;
    std::unique_ptr<Machine> machine;
    Time host_time = 0;
    explicit Rig(const std::string& guest, bool jit = false, bool reboot = true, ClockMode clock = ClockMode::fixed) {
        configure(guest, jit, reboot, clock);
        auto m = Machine::create(config);
        if (!m) FAIL(m.error().message);
        machine = std::move(*m);
    }
    Rig() = default;   // the caller makes the machine
    void configure(const std::string& guest, bool jit, bool reboot = true, ClockMode clock = ClockMode::fixed) {
        config.memory = 16 * kMiB;
        config.bios = std::string{GUESTS} + "/" + guest + ".bin";
        config.vga_bios = test::vga_rom();
        config.jit = jit, config.reboot = reboot, config.clock = clock;
        config.host_now = [this] { return host_time; };
        config.serial = {&serial};
        config.debugcon = &console;
        config.debug_exit = true;
    }
    Machine::Stop run(u64 n = 10'000'000) {
        for (;;) {
            const auto s = machine->run(n);
            if (s != Machine::Stop::slice || machine->icount() >= n) return s;
        }
    }
    u32 ram(u64 address) {
        u8 b[4];
        REQUIRE(read_physical(machine->cpu(), address, b));
        return b[0] | b[1] << 8 | b[2] << 16 | u32{b[3]} << 24;
    }
};
}  // namespace
