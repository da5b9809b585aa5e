// Recordings: a run happens again on any executor, however both were cut into slices.
#include <algorithm>
#include <filesystem>
#include <random>

#include "cpu/debug.h"
#include "machine/replay/history.h"
#include "machine/replay/player.h"
#include "machine/replay/recorder.h"
#include "machine/snapshot/new_file.h"
#include "tests/machine/rig.h"
#include "tests/temp_folder.h"

namespace {
namespace fs = std::filesystem;
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
}  // namespace

TEST_CASE("replay: the run happens again, on either executor, in any slices") {
    const TempFolder folder;
    const std::string file = folder / "a.rec", disk = folder / "disk.img";
    write(disk, std::string(1 << 20, 'x'));
    unsigned seed = 1;
    for (const char* guest : {"echo", "ticks", "busy", "stale", "reboot", "disk"})
        for (const ClockMode clock : {ClockMode::fixed, ClockMode::host})
            for (unsigned round = 0; round < (native ? 3u : 1u); ++round) {
                CAPTURE(std::string{guest}); CAPTURE(clock == ClockMode::host); CAPTURE(seed);
                const End end = record(guest, clock, file, ++seed, 150, std::string_view{guest} == "disk" ? disk : "");
                for (const bool jit : {false, true}) {
                    if (jit && !native) continue;
                    Replay again{file, jit};
                    CHECK(again.why == "");
                    REQUIRE(again.player);
                    const std::string before = again.rig.serial.text;
                    again.run(seed + jit);
                    CHECK(again.player->failure().value_or("") == "");
                    CHECK_FALSE(again.player->cut());
                    CHECK(again.player->checks() > 0);
                    const End now = end_of(again.rig);
                    CHECK(now.icount == end.icount);
                    CHECK(now.time == end.time);
                    CHECK(now.resets == end.resets);
                    CHECK(now.hash == end.hash);
                    CHECK(end.serial.ends_with(now.serial));   // what came before the recording is not in it
                }
                CHECK(content(disk) == std::string(1 << 20, 'x'));
            }
}

TEST_CASE("replay: one that begins at a snapshot of its middle goes on as the whole one") {
    const TempFolder folder;
    const std::string file = folder / "a.rec", disk = folder / "disk.img", snap = folder / "a.snap", last = folder / "last.snap";
    write(disk, std::string(1 << 20, 'x'));
    unsigned seed = 500;
    for (const char* guest : {"echo", "ticks", "reboot", "disk"})
        for (const ClockMode clock : {ClockMode::fixed, ClockMode::host}) {
            CAPTURE(std::string{guest}); CAPTURE(clock == ClockMode::host);
            const End end = record(guest, clock, file, ++seed, 60, std::string_view{guest} == "disk" ? disk : "");
            Replay whole{file, seed % 2 != 0};
            REQUIRE(whole.player);
            std::mt19937 random{seed};
            for (unsigned n = 0; !whole.player->ended(); ++n) {
                whole.player->run(1 + random() % (n < 4 ? 300 : 40'000));
                if (n % 8) continue;
                Machine& m = *whole.rig.machine;
                REQUIRE(m.save(snap));
                Replay again{file, n % 16 == 0, snap};
                CHECK(again.why == "");
                REQUIRE(again.player);
                CHECK(again.rig.machine->moment() == m.moment());
                CHECK(again.rig.machine->state_hash() == m.state_hash());
                REQUIRE(again.rig.machine->save(last));
                CHECK(content(last) == content(snap));
                again.run(n);
                CHECK(again.player->failure().value_or("") == "");
                const End now = end_of(again.rig);
                CHECK(now.hash == end.hash);
                CHECK(now.time == end.time);
                CHECK(end.serial.ends_with(now.serial));
            }
            CHECK(whole.rig.machine->state_hash() == end.hash);
        }
}

TEST_CASE("replay: a snapshot that was saved while the recording was made will do, others are refused") {
    const TempFolder folder;
    const std::string file = folder / "a.rec", snap = folder / "a.snap";
    Rig r;
    r.configure("echo", false, true, ClockMode::host);
    r.config.keep_images = true;
    r.machine = std::move(*Machine::create(r.config));
    Machine& m = *r.machine;
    m.run(10'000), m.serial_input(0, 'a');
    REQUIRE(m.save(folder / "early.snap"));
    m.run(10'000);
    auto recorder = Recorder::start(m, file);
    REQUIRE(recorder);
    const auto go_on = [&](u8 c) {
        r.host_time += 300'000;
        m.run(20'000), m.key(c, true), m.serial_input(0, c), m.run(20'000);
    };
    go_on('b');
    m.serial_input(0, 'c');
    REQUIRE(m.save(snap));    // between two events of one moment
    m.serial_input(0, 'd');
    go_on('e');
    REQUIRE((*recorder)->finish());
    const u64 hash = m.state_hash();
    REQUIRE(m.save(folder / "end.snap"));
    go_on('f');
    REQUIRE(m.save(folder / "late.snap"));
    for (const char* name : {"a.snap", "end.snap"}) {
        Replay again{file, true, folder / name};
        CHECK(again.why == "");
        REQUIRE(again.player);
        again.run(3);
        CHECK(again.player->failure().value_or("") == "");
        CHECK(again.rig.machine->state_hash() == hash);
    }
    REQUIRE(Rig{"echo"}.machine->save(folder / "fixed.snap"));
    REQUIRE(Rig{"busy"}.machine->save(folder / "busy.snap"));
    for (const char* name : {"early.snap", "late.snap", "fixed.snap", "busy.snap", "none.snap", "a.rec"}) {
        Replay again{file, false, folder / name};
        CAPTURE(std::string{name}); CAPTURE(again.why);
        CHECK_FALSE(again.player);
        CHECK(again.why.find(name) != std::string::npos);
        CHECK(again.why.find('\n') == std::string::npos);
    }
}

TEST_CASE("record: what had the name stays until the recording can be replayed") {
    const TempFolder folder;
    const std::string file = folder / "a.rec";
    write(file, "old");
    Rig r;
    r.configure("disk", false);
    r.config.keep_images = true;
    write(folder / "disk.img", std::string(1 << 20, 'x'));
    r.config.disks = {{folder / "disk.img", false, false}};
    r.machine = std::move(*Machine::create(r.config));
    std::filesystem::remove(folder / "disk.img");   // it cannot be recorded any more
    CHECK_FALSE(Recorder::start(*r.machine, file));
    CHECK(content(file) == "old");
    Rig other;
    other.configure("busy", false);
    other.config.keep_images = true;
    other.machine = std::move(*Machine::create(other.config));
    auto recorder = Recorder::start(*other.machine, file);
    REQUIRE(recorder);
    CHECK(Replay{file, false}.why == "");           // from the first moment on
    other.machine->run(1000);
    REQUIRE((*recorder)->finish());
}

TEST_CASE("replay: nobody else reaches a machine that replays") {
    const TempFolder folder;
    const End end = record("echo", ClockMode::fixed, folder / "a.rec", 77);
    Replay again{folder / "a.rec", true};
    REQUIRE(again.player);
    for (unsigned n = 0; !again.player->ended() && !again.player->failure(); ++n) {
        again.player->run(5000);
        again.rig.machine->key(4, n % 2), again.rig.machine->serial_input(0, 'x'), again.rig.machine->reset();
        CHECK_FALSE(again.rig.machine->change_cdrom(0, "", true));
    }
    CHECK(again.player->failure().value_or("") == "");
    CHECK(end_of(again.rig).hash == end.hash);
}

TEST_CASE("replay: a machine that goes another way is noticed") {
    const TempFolder folder;
    record("echo", ClockMode::fixed, folder / "a.rec", 78);
    Replay again{folder / "a.rec", false};
    REQUIRE(again.player);
    again.player->run(20'000);
    again.rig.machine->cpu().state().gpr[RBP] ^= 1;
    again.run(1);
    REQUIRE(again.player->failure());
    CHECK(again.player->failure()->find("has left the recording") != std::string::npos);
}

TEST_CASE("replay: a recording that breaks off goes to its last complete check, a damaged one nowhere") {
    const TempFolder folder;
    const std::string good = folder / "good.rec", bad = folder / "bad.rec";
    record("echo", ClockMode::host, good, 79);
    const std::string bytes = content(good);
    std::mt19937 random{4712};
    unsigned cut = 0, refused = 0;
    for (int n = 0; n < 60; ++n) {
        write(bad, bytes.substr(0, n < 30 ? bytes.size() - 1 - random() % 600 : random() % bytes.size()));
        Replay again{bad, false};
        if (!again.player) {
            CHECK(again.why.find("bad.rec") != std::string::npos);
            ++refused;
            continue;
        }
        CHECK(again.player->cut());
        again.run(5);
        CHECK(again.player->failure().value_or("") == "");
        ++cut;
    }
    CHECK(cut > 20);
    CHECK(refused > 5);
    for (int n = 0; n < 200; ++n) {
        std::string damaged = bytes;
        damaged[n < 50 ? bytes.size() - 1 - random() % 2000 : random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
        if (damaged.substr(12, 4) != bytes.substr(12, 4)) continue;
        write(bad, damaged);
        Replay again{bad, false};
        if (again.player) {   // lengths and names cannot be told from an end that is missing
            CHECK(again.player->cut());
            continue;
        }
        CHECK(again.why.find("bad.rec") != std::string::npos);
        CHECK(again.why.find('\n') == std::string::npos);
    }
}

TEST_CASE("replay: events with wrong content and right checksums do no harm") {
    const TempFolder folder;
    const std::string good = folder / "good.rec", bad = folder / "bad.rec";
    record("echo", ClockMode::host, good, 80, 100);
    std::vector<std::pair<Section, std::vector<u8>>> parts;
    auto in = SectionReader::open(good, kRecordingMagic, "recording");
    REQUIRE(in);
    while ((*in)->next() == SectionReader::Next::section) {
        auto bytes = (*in)->read(64 * kMiB);
        REQUIRE(bytes);
        parts.emplace_back((*in)->section(), *bytes);
    }
    std::mt19937 random{816};
    for (int n = 0; n < (native ? 300 : 60); ++n) {
        auto changed = parts;
        for (auto& [head, bytes] : changed)
            if (head.name == "events" || head.name == "begin")
                for (u64 k = random() % 3; k && !bytes.empty(); --k) bytes[random() % bytes.size()] = static_cast<u8>(random());
        const auto file = NewFile::create(bad);
        REQUIRE(file);
        SectionWriter out{(*file)->fd(), bad, kRecordingMagic};
        for (const auto& [head, bytes] : changed) out.add(head.name, head.version, head.index, bytes);
        REQUIRE(out.finish());
        REQUIRE((*file)->commit());
        Replay again{bad, n % 2 != 0};
        if (!again.player) continue;
        for (int k = 0; k < 50 && !again.player->ended() && !again.player->failure(); ++k) again.player->run(20'000);
    }
}

TEST_CASE("replay: media are exchanged again, and must be what they were") {
    const TempFolder folder;
    const std::string file = folder / "a.rec", cd = folder / "cd.iso";
    write(cd, std::string(1 << 20, 'c'));
    Rig r;
    r.configure("busy", false);
    r.config.cdroms = {{}};
    r.config.keep_images = true;
    r.machine = std::move(*Machine::create(r.config));
    auto recorder = Recorder::start(*r.machine, file);
    REQUIRE(recorder);
    r.machine->run(1000);
    REQUIRE(r.machine->change_cdrom(0, cd, false));
    r.machine->run(100'000);
    REQUIRE((*recorder)->finish());
    {
        Replay again{file, true};
        REQUIRE(again.player);
        again.run(3);
        CHECK(again.player->failure().value_or("") == "");
        CHECK(again.rig.machine->board().cdrom(0)->medium() != nullptr);
        CHECK(again.rig.machine->state_hash() == r.machine->state_hash());
    }
    write(cd, std::string(1 << 20, 'd'));
    Replay again{file, true};
    REQUIRE(again.player);
    again.run(3);
    CHECK(again.player->failure().value_or("").find("cd.iso") != std::string::npos);
}

TEST_CASE("replay: with embedded images it needs no files, also of media that were inserted on the way") {
    const TempFolder folder;
    const std::string file = folder / "a.rec", snap = folder / "a.snap", disk = folder / "disk.img", first = folder / "1.iso", second = folder / "2.iso";
    write(disk, std::string(1 << 20, 'x'));
    write(first, std::string(3 << 20, 'c')), write(second, std::string(2 << 20, 'd'));
    Rig r;
    r.configure("disk", false);
    r.config.disks = {{disk, false, false}}, r.config.cdroms = {{}};
    r.config.keep_images = r.config.embed_images = true;
    r.machine = std::move(*Machine::create(r.config));
    auto recorder = Recorder::start(*r.machine, file);
    REQUIRE(recorder);
    r.machine->run(300'000);
    REQUIRE(r.machine->change_cdrom(0, first, false));
    r.machine->run(300'000);
    REQUIRE((*recorder)->check());
    REQUIRE(r.machine->save(snap));
    REQUIRE(r.machine->change_cdrom(0, second, true));
    r.machine->run(2'000'000);
    REQUIRE((*recorder)->finish());
    for (const std::string& image : {disk, first, second}) fs::remove(image);
    for (const bool jit : {false, true})
        for (const std::string& from : {std::string{}, snap}) {
            CAPTURE(jit); CAPTURE(from);
            Replay again{file, jit, from};
            CHECK(again.why == "");
            REQUIRE(again.player);
            again.run(3);
            CHECK(again.player->failure().value_or("") == "");
            CHECK(again.rig.machine->state_hash() == r.machine->state_hash());
            BlockImage* const medium = again.rig.machine->board().cdrom(0)->medium();
            REQUIRE(medium != nullptr);
            u8 byte[1];
            CHECK((medium->size() == 2 << 20 && medium->read(12345, byte) && byte[0] == 'd'));
        }
    // Wherever it breaks off, images included.
    const std::string whole = content(file);
    std::mt19937 random{5};
    unsigned usable = 0;
    for (int n = 0; n < 60; ++n) {
        write(file, whole.substr(0, whole.size() - random() % 4000));
        Replay again{file, true};
        CHECK((again.player || again.why.find("is damaged") != std::string::npos));
        if (!again.player) continue;
        ++usable;
        again.run(3);
        CHECK(again.player->failure().value_or("") == "");
    }
    CHECK(usable > 20);
}

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

namespace {
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

TEST_CASE("replay: what a debugger writes is recorded, also behind a fault that has just been delivered") {
    const TempFolder folder;
    const std::string file = folder / "a.rec";
    unsigned written = 0;
    for (unsigned seed = 1; seed < 12; ++seed) {
        Live live{seed % 3 ? "ticks" : "echo", seed % 2 != 0, ClockMode::fixed, seed};
        Machine& m = *live.rig.machine;
        auto recorder = Recorder::start(m, file);
        REQUIRE(recorder);
        {
            Debug debug{m.cpu()};
            debug.set_catches({{Debug::Event::interrupt, 0, 255}, {Debug::Event::exception, 0, 31}});
            debug.resume(false);
            for (int n = 0; n < 60; ++n) {
                live.outside();
                for (u64 k = live.random() % 4; k; --k) {
                    debug.resume(live.random() % 3 == 0);
                    m.run(1 + live.random() % 3000);
                }
                const std::array<u8, 2> bytes{static_cast<u8>(live.random()), 1};
                switch (live.random() % 4) {
                case 0: CHECK(m.set_memory(0x90000 + live.random() % 4096, bytes, live.random() % 2)); break;
                case 1: CHECK(m.set_register("r9", {live.random(), 0, 0, 0}, false).has_value()); break;
                case 2: CHECK(m.set_register("cr2", {live.random(), 0, 0, 0}, true).has_value()); break;
                case 3: CHECK(m.set_msr(0x174, live.random() & 0xffff)); break;
                }
                ++written;
            }
        }
        REQUIRE((*recorder)->finish());
        for (const bool jit : {false, true}) {
            Replay again{file, jit};
            REQUIRE(again.player);
            again.run(seed);
            CHECK(again.player->failure().value_or("") == "");
            CHECK(again.rig.machine->state_hash() == m.state_hash());
        }
    }
    CHECK(written > 100);
}

TEST_CASE("replay: a debugger's write behind the delivery of a fault comes there again") {
    const TempFolder folder;
    const std::string file = folder / "a.rec";
    for (const bool jit : {false, true}) {
        Live live{"busy", jit, ClockMode::fixed, 9};
        Machine& m = *live.rig.machine;
        m.run(50'000);
        // ud2 at 0:9000h, its handler at 0:9100h: inc ecx; iret with the return address moved; all in real mode
        const auto put = [&](u64 at, std::vector<u8> bytes) { REQUIRE(m.set_memory(at, bytes, true)); };
        auto recorder = Recorder::start(m, file);
        REQUIRE(recorder);
        put(0x9000, {0x0f, 0x0b, 0xeb, 0xfc});                     // ud2; jmp to it
        put(0x9100, {0x66, 0x41, 0x89, 0xe5, 0x83, 0x46, 0x00, 0x02, 0xcf});   // inc ecx; mov bp, sp; add word [bp], 2; iret
        put(6 * 4, {0x00, 0x91, 0, 0});
        for (const char* segment : {"cs", "ss"}) REQUIRE(m.set_register(std::string{segment} + ".base", {0, 0, 0, 0}, true).has_value());
        REQUIRE(m.set_register("cs", {0, 0, 0, 0}, true).has_value());
        REQUIRE(m.set_register("ss", {0, 0, 0, 0}, true).has_value());
        REQUIRE(m.set_register("sp", {0x8000, 0, 0, 0}, false).has_value());
        REQUIRE(m.set_register("rip", {0x9000, 0, 0, 0}, false).has_value());
        {
            Debug debug{m.cpu()};
            debug.set_breakpoints({0x9100});
            for (u64 n = 0; n < 20; ++n) {
                debug.resume(false);
                for (int k = 0; k < 10 && m.run(1000) != Machine::Stop::debug; ++k) {}
                REQUIRE(m.cpu().state().x.rip == 0x9100);
                if (n % 3 == 0) CHECK(m.moment().faults > 0);
                REQUIRE(m.set_register("ecx", {n * 100, 0, 0, 0}, false).has_value());   // before the handler adds one
            }
        }
        m.run(1);
        CHECK(m.cpu().state().gpr[RCX] == 1901);
        REQUIRE((*recorder)->finish());
        for (const bool other : {false, true}) {
            Replay again{file, other};
            REQUIRE(again.player);
            again.run(3);
            CHECK(again.player->failure().value_or("") == "");
            CHECK(again.rig.machine->cpu().state().gpr[RCX] == 1901);
            CHECK(again.rig.machine->state_hash() == m.state_hash());
        }
    }
}
