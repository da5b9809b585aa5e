// The past of a machine: any place of it can be had again, whether the machine is recorded, replays or neither.
#include <algorithm>
#include <map>

#include "machine/replay/history.h"
#include "tests/machine/recording.h"

TEST_CASE("history: any instruction of a replay can be had again, in any order") {
    const TempFolder folder;
    const std::string disk = folder / "disk.img";
    write(disk, std::string(1 << 20, 'x'));
    unsigned seed = 200;
    for (const char* guest : {"echo", "ticks", "stale", "disk"})
        for (const ClockMode clock : {ClockMode::fixed, ClockMode::host}) {
            if (!native && clock == ClockMode::fixed) continue;
            CAPTURE(std::string{guest}); CAPTURE(clock == ClockMode::host);
            record(guest, clock, folder / "a.rec", ++seed, native ? 80 : 40, std::string_view{guest} == "disk" ? disk : "");
            Replay r{folder / "a.rec", seed % 2 != 0};
            REQUIRE(r.player);
            Machine& m = *r.rig.machine;
            const u64 interval = std::string_view{guest} == "ticks" ? 50 : 10'000;   // it sleeps most of the time
            History history{m, r.player.get(), {.interval = interval, .share = 1e9}};
            std::mt19937 random{seed};
            std::map<History::Place, u64> hashes;   // on the way there
            while (!r.player->ended()) {
                history.run(1 + random() % (2 * interval));
                REQUIRE(r.player->failure().value_or("") == "");
                if (hashes.empty() || random() % 16 == 0) hashes[history.place()] = m.state_hash();
            }
            CHECK(history.checkpoints() > 2);
            CHECK(history.checkpoints() <= 150);
            REQUIRE_FALSE(hashes.empty());
            const int goals = native ? 12 : 4;
            for (int n = 0; n < goals; ++n) {
                const auto goal = std::next(hashes.begin(), static_cast<i64>(random() % hashes.size()));
                if (goal->first < history.begin()) continue;
                if (goal->first < history.place()) history.restore(history.before(goal->first));
                CHECK(history.place() <= goal->first);
                while (history.place() < goal->first && !history.failure()) history.run_to(goal->first, 1 + random() % (3 * interval));
                CHECK(history.failure().value_or("") == "");
                CHECK(m.state_hash() == goal->second);
            }
            CHECK(content(disk) == std::string(1 << 20, 'x'));
        }
}

TEST_CASE("history: a machine that nobody records goes back, forward again, and on") {
    const TempFolder folder;
    const std::string disk = folder / "disk.img";
    unsigned seed = 300;
    for (const char* guest : {"echo", "ticks", "busy", "disk"})
        for (const ClockMode clock : {ClockMode::fixed, ClockMode::host}) {
            CAPTURE(std::string{guest}); CAPTURE(clock == ClockMode::host);
            write(disk, std::string(1 << 20, 'x'));
            ++seed;
            Live live{guest, seed % 2 != 0, clock, seed, std::string_view{guest} == "disk" ? disk : ""};
            Machine& m = *live.rig.machine;
            const u64 interval = std::string_view{guest} == "ticks" ? 50 : 10'000;
            History history{m, nullptr, {.interval = interval, .share = 1e9}};
            std::map<History::Place, std::pair<u64, std::string>> states;
            const auto state = [&] { return std::pair{m.state_hash(), content(disk)}; };
            for (int round = 0; round < 6; ++round) {
                for (int n = 0; n < 40; ++n) {
                    live.outside();
                    history.run(1 + live.random() % (3 * interval));
                    REQUIRE(history.failure().value_or("") == "");
                    REQUIRE_FALSE(history.repeating());
                    if (states.empty() || live.random() % 8 == 0) states[history.place()] = state();
                }
                const History::Place frontier = history.place();
                const auto newest = state();
                for (int n = 0; n < (native ? 8 : 2); ++n) {
                    const auto& [place, was] = *std::next(states.begin(), static_cast<i64>(live.random() % states.size()));
                    history.restore(std::min(history.before(place), history.before(history.place())));
                    m.key(4, true), m.serial_input(0, 'x');   // nobody changes the past
                    while (history.place() < place && !history.failure()) history.run_to(place, 1 + live.random() % (3 * interval));
                    CHECK(history.failure().value_or("") == "");
                    CHECK(state() == was);
                }
                while (history.repeating() && !history.failure()) history.run(1 + live.random() % (5 * interval));
                CHECK(history.place() == frontier);
                CHECK(state() == newest);
            }
            CHECK(history.checkpoints() > 2);
        }
}

TEST_CASE("history: what is written in the past begins another future") {
    for (const bool jit : {false, true}) {
        Live live{"busy", jit, ClockMode::fixed, 5};
        Machine& m = *live.rig.machine;
        History history{m, nullptr, {.interval = 10'000, .share = 1e9}};
        CHECK_FALSE(history.branch());   // there is only one
        for (int n = 0; n < 20; ++n) live.outside(), history.run(10'000);
        const History::Place late = history.place();
        history.restore(history.checkpoints() / 2);
        history.run_to(late, 12'345);
        const History::Place here = history.place();
        CHECK_FALSE(m.set_memory(0x9000, std::array<u8, 1>{1}, true));   // the gate is closed
        CHECK(history.branch());
        CHECK(m.set_memory(0x90000, std::array<u8, 4>{1, 2, 3, 4}, true));
        CHECK(m.set_register("edx", {77, 0, 0, 0}, false).has_value());
        CHECK(m.cpu().state().gpr[RDX] == 77);
        for (int n = 0; n < 20; ++n) live.outside(), history.run(10'000);
        const u64 hash = m.state_hash();
        const History::Place there = history.place();
        CHECK(history.place_of(history.checkpoints() - 1) > here);
        for (const size_t point : {size_t{0}, history.before(here), history.checkpoints() - 1}) {
            history.restore(std::min(point, history.before(history.place())));
            while (history.place() < there && !history.failure()) history.run_to(there, 7'777);
            CHECK(history.failure().value_or("") == "");
            CHECK(m.state_hash() == hash);
            CHECK(m.memory().ram()[0x90002] == 3);
        }
    }
}

TEST_CASE("history: its memory has a limit, and the oldest goes first") {
    Live live{"busy", native, ClockMode::fixed, 6};
    History history{*live.rig.machine, nullptr, {.interval = 1000, .memory = 512 * kKiB, .share = 1e9}};
    for (int n = 0; n < 400; ++n) {
        const std::array<u8, 1> value{static_cast<u8>(n + 1)};
        for (u64 page = 0; page < 8; ++page) live.rig.machine->set_memory(0x200000 + ((static_cast<u64>(n) * 8 + page) * 4096) % 0x400000, value, true);
        history.run(1500);
    }
    CHECK(history.bytes() < 17 * kMiB);   // the devices of the first checkpoint are most of it
    CHECK(history.begin().at.icount > 0);
    const History::Place end = history.place();
    const u64 hash = live.rig.machine->state_hash();
    history.restore(0);
    while (history.place() < end && !history.failure()) history.run_to(end, 100'000);
    CHECK(live.rig.machine->state_hash() == hash);
}
