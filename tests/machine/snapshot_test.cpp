// Snapshots: what is loaded goes on exactly as what was saved, and nothing but a whole snapshot is ever taken for one.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "machine/block/journal_image.h"
#include "machine/snapshot/new_file.h"
#include "machine/snapshot/sections.h"
#include "tests/machine/rig.h"
#include "tests/temp_folder.h"

namespace {
namespace fs = std::filesystem;
using namespace calque::test;
void run_to(Machine& m, u64 icount) {
    m.set_stop_at(icount);
    while (m.run(1'000'000) == Machine::Stop::slice) {}
    m.set_stop_at(~u64{0});
    REQUIRE(m.icount() == icount);
}
/// A rig with the machine of a snapshot; null when it is refused, for the reason in `why`.
std::unique_ptr<Rig> load(const std::string& path, bool jit, std::string& why) {
    auto r = std::make_unique<Rig>();
    r->configure("busy", jit);   // its memory and BIOS must not matter
    r->config.memory = kMiB;
    auto m = Machine::load(path, r->config);
    if (!m) return why = m.error().message, nullptr;
    r->machine = std::move(*m);
    return r;
}
std::unique_ptr<Rig> load(const std::string& path, bool jit = false) {
    std::string why;
    auto r = load(path, jit, why);
    if (!r) FAIL(why);
    return r;
}
}  // namespace

TEST_CASE("snapshot: a loaded machine goes on exactly as the saved one") {
    const TempFolder folder;
    const std::string file = folder / "a.snap";
    for (const char* guest : {"busy", "ticks", "echo", "stale", "reboot"})
        for (const bool jit : {false, true})
            for (const u64 at : {u64{0}, u64{1}, u64{5'000}, u64{123'457}}) {
                CAPTURE(std::string{guest}); CAPTURE(jit); CAPTURE(at);
                if (std::string_view{guest} == "reboot" && at > 5) continue;
                const u64 later = std::string_view{guest} == "reboot" ? 7 : at + 54'321;
                Rig a{guest, jit};
                run_to(*a.machine, at);
                const u64 hash = a.machine->state_hash(), time = a.machine->time();
                REQUIRE(a.machine->save(file));
                CHECK(a.machine->state_hash() == hash);
                run_to(*a.machine, later);
                for (const bool other : {false, true}) {
                    const auto b = load(file, other);
                    CHECK(b->machine->icount() == at);
                    CHECK(b->machine->time() == time);
                    CHECK(b->machine->state_hash() == hash);
                    run_to(*b->machine, later);
                    CHECK(b->machine->time() == a.machine->time());
                    CHECK(b->machine->state_hash() == a.machine->state_hash());
                }
            }
}

// A load that began with empty TLBs would walk, and set the bit again.
TEST_CASE("snapshot: an accessed bit cleared behind the TLB's back stays clear") {
    const TempFolder folder;
    Rig a{"stale"};
    run_to(*a.machine, 10'000);
    REQUIRE((a.ram(0x3020) & 0x20) == 0);
    REQUIRE(a.machine->save(folder / "a.snap"));
    for (const bool jit : {false, true}) {
        const auto b = load(folder / "a.snap", jit);
        run_to(*b->machine, 20'000);
        CHECK((b->ram(0x3020) & 0x20) == 0);
    }
}

TEST_CASE("snapshot: a loaded machine saves the same file, byte for byte") {
    const TempFolder folder;
    Rig a{"ticks", true};
    run_to(*a.machine, 20'000);
    REQUIRE(a.machine->save(folder / "a.snap"));
    const auto b = load(folder / "a.snap");
    REQUIRE(b->machine->save(folder / "b.snap"));
    CHECK(content(folder / "a.snap") == content(folder / "b.snap"));
}

TEST_CASE("snapshot: input under way and characters in ports are part of it") {
    const TempFolder folder;
    Rig a{"echo"};
    run_to(*a.machine, 3'000);
    a.machine->serial_input(0, 'H'), a.machine->serial_input(0, 'A');
    a.machine->input_at(50'000, InputEvent::key(4, true));
    a.machine->reset();
    REQUIRE(a.machine->save(folder / "a.snap"));
    run_to(*a.machine, 400'000);
    const auto b = load(folder / "a.snap");
    run_to(*b->machine, 400'000);
    CHECK(b->serial.text == a.serial.text);
    CHECK(b->machine->resets() == 1);
    CHECK(b->machine->state_hash() == a.machine->state_hash());
}

TEST_CASE("snapshot: changes of a disk that are kept apart come along, and the image must be what it was") {
    const TempFolder folder;
    const std::string image = folder / "disk.img", file = folder / "a.snap";
    write(image, std::string(1 << 20, 'x'));
    Rig a;
    a.configure("disk", false);
    a.config.disks = {{image, false, true}};
    a.config.cdroms = {{}};
    a.machine = std::move(*Machine::create(a.config));
    run_to(*a.machine, 3'000'000);
    REQUIRE(a.ram(0x600) == 0x74697277);   // "writ"
    REQUIRE(a.machine->save(file));
    CHECK(content(image) == std::string(1 << 20, 'x'));
    run_to(*a.machine, 6'000'000);
    for (const bool jit : {false, true}) {
        const auto b = load(file, jit);
        run_to(*b->machine, 6'000'000);
        CHECK(b->ram(0x600) == 0x74697277);
        CHECK(b->machine->state_hash() == a.machine->state_hash());
    }
    std::string why;
    fs::rename(image, folder / "moved.img");
    CHECK_FALSE(load(file, false, why));
    CHECK(why.find("disk.img") != std::string::npos);
    Rig named;
    named.configure("busy", false);
    named.config.disks = {{folder / "moved.img", false, false}};
    CHECK(Machine::load(file, named.config).has_value());
    write(folder / "moved.img", std::string((1 << 20) - 1, 'x') + "y");
    const auto changed = Machine::load(file, named.config);
    REQUIRE_FALSE(changed);
    CHECK(changed.error().message.find("not what it was") != std::string::npos);
}

TEST_CASE("snapshot: a disk that is written in place must not have been written since") {
    const TempFolder folder;
    const std::string image = folder / "disk.img", file = folder / "a.snap";
    write(image, std::string(1 << 20, 'x'));
    {
        Rig a;
        a.configure("disk", false);
        a.config.disks = {{image, false, false}};
        a.machine = std::move(*Machine::create(a.config));
        run_to(*a.machine, 3'000'000);
        REQUIRE(a.machine->save(file));
    }
    const auto b = load(file);
    run_to(*b->machine, 6'000'000);
    CHECK(b->ram(0x600) == 0x74697277);
}

TEST_CASE("snapshot: embedded images make their files unnecessary, and stay embedded") {
    const TempFolder folder;
    const std::string disk = folder / "disk.img", cd = folder / "cd.iso", file = folder / "a.snap", second = folder / "b.snap";
    std::string pattern(5 << 20, '\0');   // with chunks of zeros, and a last one that is short
    for (size_t at = 2 << 20; at < pattern.size(); ++at) pattern[at] = static_cast<char>(at * at >> 7);
    pattern.resize(pattern.size() - 1000);   // sectors are whole all the same
    for (const bool in_place : {false, true}) {
        CAPTURE(in_place);
        write(disk, pattern), write(cd, pattern);
        Rig a;
        a.configure("disk", false);
        a.config.disks = {{disk, false, !in_place}}, a.config.cdroms = {{cd, true, false}}, a.config.floppies = {{}};
        a.config.embed_images = true;
        a.machine = std::move(*Machine::create(a.config));
        run_to(*a.machine, 3'000'000);
        REQUIRE(a.machine->save(file));
        run_to(*a.machine, 6'000'000);
        for (const std::string& image : {disk, cd}) fs::remove(image);
        for (const std::string& from : {file, second}) {
            CAPTURE(from);
            const auto b = load(from, true);
            for (const auto& [image, drive] : {std::pair{disk, 0}, std::pair{cd, 1}}) {
                JournalImage* const embedded = b->machine->images()[static_cast<size_t>(drive)];
                std::vector<u8> bytes(embedded->size());
                REQUIRE(embedded->read(0, bytes));
                std::string text{bytes.begin(), bytes.end()};
                CHECK(text.size() % 512 == 0);
                if (drive == 0) text.replace(5 * 512, 512, pattern, 5 * 512, 512);   // the guest has written it
                CHECK(text.substr(0, pattern.size()) == pattern);
                CHECK(embedded->write(0, std::span{bytes}.first(512)) == (drive == 0));
            }
            REQUIRE(b->machine->save(second));   // without asking
            const auto c = load(second);
            run_to(*c->machine, 6'000'000);
            CHECK(c->machine->state_hash() == a.machine->state_hash());
            CHECK(c->ram(0x600) == 0x74697277);   // "writ"
        }
        Rig named;   // a file that is there all the same
        named.configure("busy", false);
        named.config.disks = {{disk, false, false}};
        CHECK_FALSE(Machine::load(file, named.config));
        write(disk, pattern);
        const auto machine = Machine::load(file, named.config);
        CHECK(machine.has_value() == !in_place);   // it had been written
    }
}

TEST_CASE("snapshot: what is not whole is refused in a sentence") {
    const TempFolder folder;
    const std::string good = folder / "good.snap", bad = folder / "bad.snap", disk = folder / "disk.img";
    std::string sectors(64 << 10, 'x');
    for (size_t at = 0; at < sectors.size(); ++at) sectors[at] = static_cast<char>(at * at >> 7);
    write(disk, sectors);
    Rig a;
    a.configure("ticks", false);
    a.config.disks = {{disk, false, true}};
    a.config.embed_images = true;
    a.machine = std::move(*Machine::create(a.config));
    run_to(*a.machine, 20'000);
    REQUIRE(a.machine->save(good));
    const std::string bytes = content(good);
    std::mt19937 random{4711};
    const auto refused = [&](const std::string& damaged) {
        write(bad, damaged);
        std::string why;
        const auto r = load(bad, false, why);
        REQUIRE_FALSE(r);
        CHECK(why.find("bad.snap") != std::string::npos);
        CHECK(why.find('\n') == std::string::npos);
        CHECK(why.size() < 300);
    };
    refused("");
    refused("CALQSNAP");
    refused(std::string(100'000, 'x'));
    refused(bytes.substr(0, bytes.size() - 1));
    for (int n = 0; n < 60; ++n) refused(bytes.substr(0, random() % bytes.size()));
    for (int n = 0; n < 300; ++n) {
        std::string damaged = bytes;
        damaged[n < 100 ? random() % std::min<size_t>(400, bytes.size()) : random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
        if (damaged.substr(12, 4) != bytes.substr(12, 4)) continue;   // four bytes that mean nothing yet
        refused(damaged);
    }
    std::string why;
    CHECK_FALSE(load(folder / "missing.snap", false, why));
    CHECK_FALSE(load(folder.path, false, why));
    CHECK_FALSE(load("/dev/zero", false, why));
}

// The checksum keeps accidents out, not malice: with it made right again, anything may be in a section. Such a file is refused or makes a
// machine that runs; it never does harm.
TEST_CASE("snapshot: sections with wrong content and right checksums do no harm") {
    const TempFolder folder;
    const std::string good = folder / "good.snap", bad = folder / "bad.snap", disk = folder / "disk.img";
    write(disk, std::string(3 << 20, 'x'));
    Rig a;
    a.configure("stale", false);
    a.config.disks = {{disk, false, true}};
    a.config.embed_images = true;
    a.machine = std::move(*Machine::create(a.config));
    run_to(*a.machine, 20'000);
    REQUIRE(a.machine->save(good));
    struct Part {
        Section head;
        std::vector<u8> bytes;
    };
    std::vector<Part> parts;
    auto in = SectionReader::open(good, "CALQSNAP", "snapshot");
    REQUIRE(in);
    while ((*in)->next() == SectionReader::Next::section) {
        auto bytes = (*in)->read(64 * kMiB);
        REQUIRE(bytes);
        parts.push_back({(*in)->section(), *bytes});
    }
    std::mt19937 random{815};
    unsigned taken = 0;
    for (int n = 0; n < 400; ++n) {
        std::vector<Part> changed = parts;
        Part& p = changed[random() % changed.size()];
        CAPTURE(p.head.name); CAPTURE(n);
        switch (random() % 8) {
        case 0: changed.erase(changed.begin() + static_cast<i64>(random() % changed.size())); break;
        case 1: std::swap(changed[random() % changed.size()], changed[random() % changed.size()]); break;
        case 2: p.head.version = static_cast<u16>(random()); break;
        case 3: p.head.index = random(); break;
        case 4: p.bytes.resize(random() % (p.bytes.size() + 9)); break;
        default:
            for (unsigned k = 1 + random() % 8; k && !p.bytes.empty(); --k) p.bytes[random() % p.bytes.size()] = static_cast<u8>(random() % 3 ? random() : 0xff);
        }
        const auto file = NewFile::create(bad);
        REQUIRE(file);
        SectionWriter out{(*file)->fd(), bad, "CALQSNAP"};
        for (const Part& part : changed) out.add(part.head.name, part.head.version, part.head.index, part.bytes);
        REQUIRE(out.finish());
        REQUIRE((*file)->commit());
        std::string why;
        const auto r = load(bad, n % 2, why);
        if (!r) {
            CHECK_FALSE(why.empty());
            continue;
        }
        ++taken;
        for (int k = 0; k < 20 && r->machine->run(1000) == Machine::Stop::slice; ++k) {}
        std::vector<u8> sector(512);
        for (JournalImage* const image : r->machine->images()) CHECK(image->read(image->size() - sector.size(), sector));
    }
    CHECK(taken > 20);
}

TEST_CASE("snapshot: a file takes its place only when it is whole") {
    const TempFolder folder;
    const std::string file = folder / "a.snap";
    write(file, "old");
    {
        const auto half = NewFile::create(file);
        REQUIRE(half);
        REQUIRE(::write((*half)->fd(), "new", 3) == 3);
    }
    CHECK(content(file) == "old");
    write(file + ".calque-unfinished", "of a process that was killed");
    {
        const auto whole = NewFile::create(file);
        REQUIRE(::write((*whole)->fd(), "new", 3) == 3);
        REQUIRE((*whole)->commit());
    }
    CHECK(content(file) == "new");
    CHECK(std::distance(fs::directory_iterator{folder.path}, {}) == 1);
    CHECK_FALSE(NewFile::create(folder / "no/such/folder"));
    CHECK_FALSE(NewFile::create(folder.path));
}
