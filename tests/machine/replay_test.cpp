// Recordings: a run happens again on any executor, however both were cut into slices.
#include <algorithm>
#include <filesystem>
#include <random>

#include "cpu/debug.h"
#include "machine/snapshot/new_file.h"
#include "tests/machine/recording.h"

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
    for (const std::string& image : {disk, first, second}) std::filesystem::remove(image);
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
