// Small guests under a wall clock that jumps about, with input at any time: recorded, replayed, or neither.
#pragma once
#include <random>

#include "machine/replay/player.h"
#include "machine/replay/recorder.h"
#include "tests/machine/rig.h"
#include "tests/temp_folder.h"

namespace {
using namespace calque::test;

/// Hosts without a JIT are emulated ones in ./test, where each round takes its time.
const bool native = jit::Engine::has_jit();

struct End {
    u64 icount = 0, hash = 0, resets = 0;
    Time time = 0;
    std::string serial;
    bool operator==(const End&) const = default;
};
End end_of(Rig& r) { return {r.machine->icount(), r.machine->state_hash(), r.machine->resets(), r.machine->time(), r.serial.text}; }

/// Runs a guest under a wall clock that jumps about, with input at any time, and records it.
End record(const char* guest, ClockMode clock, const std::string& file, unsigned seed, u64 steps = 300, const std::string& disk = {}) {
    std::mt19937 random{seed};
    Rig r;
    r.configure(guest, seed % 2, true, clock);
    r.config.keep_images = true;
    if (!disk.empty()) r.config.disks = {{disk, false, false}};
    auto machine = Machine::create(r.config);
    REQUIRE(machine);
    r.machine = std::move(*machine);
    Machine& m = *r.machine;
    for (u64 n = random() % 3; n; --n) m.run(1 + random() % 5000);   // a recording may begin later
    auto recorder = Recorder::start(m, file);
    REQUIRE(recorder);
    for (u64 n = 0; n < steps; ++n) {
        r.host_time += random() % 4 ? random() % 300'000 : random() % 40'000'000;
        for (u64 k = random() % 3; k; --k) m.run(1 + random() % 20'000);
        for (u64 k = random() % 3; k; --k) switch (random() % 9) {
            case 0: m.key(static_cast<u8>(4 + random() % 20), random() % 2); break;
            case 1: m.mouse_rel(static_cast<int>(random() % 40) - 20, static_cast<int>(random() % 40) - 20, 0); break;
            case 2: m.mouse_button(static_cast<unsigned>(random() % 3), random() % 2); break;
            case 3: m.input_at(m.time() + random() % 3'000'000, InputEvent::key(5, random() % 2)); break;
            case 4: m.serial_break(0); break;
            case 5: m.power_button(); break;
            case 6: if (random() % 30 == 0) m.reset(); break;
            default: if (m.serial_room(0)) m.serial_input(0, static_cast<u8>(random() % 200)); break;
            }
        if (random() % 20 == 0) REQUIRE((*recorder)->check());
    }
    REQUIRE((*recorder)->finish());
    return end_of(r);
}

struct Replay {
    Rig rig;
    std::unique_ptr<Player> player;
    std::string why;
    Replay(const std::string& file, bool jit, const std::string& snapshot = {}) {
        rig.configure("busy", jit);
        auto p = Player::open(file, rig.config, snapshot);
        if (!p) {
            why = p.error().message;
            return;
        }
        player = std::move(*p);
        rig.machine = player->take_machine();
    }
    void run(unsigned seed) {
        std::mt19937 random{seed};
        while (!player->ended() && !player->failure()) player->run(1 + random() % 100'000);
    }
};

/// A machine that nobody records, with a disk of its own, and somebody who types.
struct Live {
    Rig rig;
    std::mt19937 random;
    Live(const char* guest, bool jit, ClockMode clock, unsigned seed, const std::string& disk = {}) : random{seed} {
        rig.configure(guest, jit, true, clock);
        if (!disk.empty()) rig.config.disks = {{disk, false, false}};
        auto machine = Machine::create(rig.config);
        REQUIRE(machine);
        rig.machine = std::move(*machine);
    }
    void outside() {
        Machine& m = *rig.machine;
        rig.host_time += random() % 4 ? random() % 300'000 : random() % 40'000'000;
        for (u64 k = random() % 3; k; --k) switch (random() % 5) {
            case 0: m.key(static_cast<u8>(4 + random() % 20), random() % 2); break;
            case 1: m.input_at(m.time() + random() % 3'000'000, InputEvent::key(5, random() % 2)); break;
            case 2: m.serial_break(0); break;
            default: if (m.serial_room(0)) m.serial_input(0, static_cast<u8>(random() % 200)); break;
            }
    }
};
}  // namespace
