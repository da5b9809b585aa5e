// Coverage, profiles and symbols: they change nothing, are the same on each executor, and have the form that other programs read.
#include <map>
#include <set>
#include <sstream>

#include "machine/trace/coverage.h"
#include "machine/trace/observers.h"
#include "machine/trace/profiler.h"
#include "support/little_endian.h"
#include "tests/machine/rig.h"
#include "tests/temp_folder.h"

namespace {
using namespace calque::test;

u64 hash_after(const char* guest, bool jit, u64 instructions, Observer* o) {
    Rig r{guest, jit};
    r.machine->cpu().set_observer(o);
    r.machine->set_stop_at(instructions);
    while (r.machine->run(10'000'000) == Machine::Stop::slice) {}
    r.machine->cpu().set_observer(nullptr);
    return r.machine->state_hash();
}

/// What a drcov file says: the bytes that have run, by module name and offset.
struct Drcov {
    std::map<std::string, std::set<u64>> covered;
    std::map<std::string, std::string> bases;
    size_t blocks = 0;
    explicit Drcov(const std::string& bytes) {
        std::istringstream in{bytes};
        std::string line;
        const auto expect = [&](const char* text) { CHECK((std::getline(in, line) && line == text)); };
        expect("DRCOV VERSION: 2");
        expect("DRCOV FLAVOR: drcov");
        REQUIRE(std::getline(in, line));
        size_t modules = 0;
        REQUIRE(std::sscanf(line.c_str(), "Module Table: version 2, count %zu", &modules) == 1);
        expect("Columns: id, base, end, entry, path");
        std::vector<std::string> names;
        for (size_t n = 0; n < modules && std::getline(in, line); ++n) {
            std::vector<std::string> fields;
            std::istringstream row{line};
            for (std::string f; std::getline(row, f, ',');) fields.push_back(f.substr(f.find_first_not_of(' ')));
            REQUIRE(fields.size() == 5);
            CHECK(fields[0] == std::to_string(n));
            names.push_back(fields[4]);
            bases[fields[4]] = fields[1];
        }
        REQUIRE(std::getline(in, line));
        REQUIRE(std::sscanf(line.c_str(), "BB Table: %zu bbs", &blocks) == 1);
        const std::string table{std::istreambuf_iterator<char>{in}, {}};
        REQUIRE(table.size() == 8 * blocks);
        for (size_t n = 0; n < blocks; ++n) {
            const u8* const e = reinterpret_cast<const u8*>(table.data()) + 8 * n;
            const u64 module = load_little(e + 6, 2);
            REQUIRE(module < names.size());
            for (u64 b = 0; b < load_little(e + 4, 2); ++b) covered[names[module]].insert(load_little(e, 4) + b);
        }
    }
};

Drcov cover(const char* guest, bool jit, u64 instructions, std::vector<CoverageModule> modules, u64 expected_hash) {
    const TempFolder folder;
    auto coverage = Coverage::start(folder / "a.drcov", std::move(modules));
    REQUIRE(coverage);
    CHECK(hash_after(guest, jit, instructions, coverage->get()) == expected_hash);
    REQUIRE((*coverage)->finish());
    return Drcov{content(folder / "a.drcov")};
}
}  // namespace

TEST_CASE("coverage: the code that has run, the same on either executor") {
    const u64 plain = hash_after("ticks", false, 300'000, nullptr);
    const Drcov interp = cover("ticks", false, 300'000, {}, plain), jit = cover("ticks", true, 300'000, {}, plain);
    CHECK(interp.covered == jit.covered);
    REQUIRE(interp.covered.size() == 1);
    const auto& bytes = interp.covered.at("guest-0000000000000000");
    CHECK(interp.bases.at("guest-0000000000000000") == "0x0000000000000000");
    CHECK(bytes.contains(0xfffffff0));
    CHECK(bytes.contains(0xf0000));
    CHECK_FALSE(bytes.contains(0xf8000));   // nothing but padding
    CHECK(bytes.size() < 200);
}

TEST_CASE("coverage: modules have names, and addresses in them are offsets") {
    const u64 plain = hash_after("busy", true, 10'000, nullptr);
    const Drcov d = cover("busy", true, 10'000, {{"/boot/bios.bin", 0xf0000, 0xfffff}}, plain);
    REQUIRE(d.covered.contains("/boot/bios.bin"));
    CHECK(d.covered.at("/boot/bios.bin").contains(0));
    CHECK(d.bases.at("/boot/bios.bin") == "0x00000000000f0000");
    CHECK(d.covered.at("guest-0000000000000000").contains(0xfffffff0));
    CHECK_FALSE(d.covered.at("guest-0000000000000000").contains(0xf0000));
}

TEST_CASE("profile: the same on each executor and in each run, and it names functions") {
    const TempFolder folder;
    write(folder / "System.map", "0000000000000000 A zero\n00000000000f0000 T start\n00000000000f0016 t loop\n00000000000f0017 d data\n");
    Symbols none, symbols;
    REQUIRE(symbols.load(folder / "System.map", 0));
    symbols.sort();
    const u64 plain = hash_after("busy", false, 300'000, nullptr);
    std::set<std::string> named, bare;
    for (const bool jit : {false, true, true}) {
        Rig r{"busy", jit};
        Profiler with{r.machine->cpu(), 1009, symbols}, without{r.machine->cpu(), 1009, none};
        Observers both;
        both.add(&with), both.add(&without);
        r.machine->cpu().set_observer(&both);
        r.machine->set_stop_at(300'000);
        while (r.machine->run(20'000 + 7777 * jit) == Machine::Stop::slice) {}
        CHECK(with.samples() == 300'000 / 1009);
        named.insert(with.report(20)), bare.insert(without.report(20));
        r.machine->cpu().set_observer(nullptr);
        CHECK(r.machine->state_hash() == plain);
    }
    CHECK(named.size() == 1);
    CHECK(bare.size() == 1);
    CAPTURE(*named.begin());
    CHECK(named.begin()->find("ring 0  loop\n") != std::string::npos);
    CHECK(bare.begin()->find("00000000000f0000-3f") != std::string::npos);
}

TEST_CASE("profile: perf is told what each translation is") {
    if (!jit::Engine::has_jit()) return;
    const TempFolder folder;
    Symbols symbols;
    write(folder / "map", "00000000000f0000 T start\n");
    REQUIRE(symbols.load(folder / "map", 0));
    symbols.sort();
    auto perf = PerfMap::start(folder / "perf.map", symbols);
    REQUIRE(perf);
    hash_after("busy", true, 100'000, perf->get());
    REQUIRE((*perf)->flush());
    const std::string text = content(folder / "perf.map");
    unsigned long long at = 0, size = 0;
    char name[80] = "";
    REQUIRE(std::sscanf(text.c_str(), "%llx %llx %79s", &at, &size, name) == 3);
    CHECK(at > 0x10000);
    CHECK((size > 8 && size < 4096));
    CHECK(std::string_view{name}.starts_with("start+0x"));
}

TEST_CASE("symbols: lists, ELF files, and what is neither") {
    const TempFolder folder;
    write(folder / "kallsyms", "ffffffff81000000 T _text\nffffffff81000000 T startup_64\nffffffff81000040 t inner\nffffffffc0000000 t module_init\t[loop]\n");
    Symbols s;
    REQUIRE(s.load(folder / "kallsyms", 0x1000));
    s.sort();
    REQUIRE(s.find(0xffffffff81001030));
    CHECK(s.find(0xffffffff81001030)->name == "_text");
    CHECK(s.find(0xffffffff81001030)->offset == 0x30);
    CHECK(s.find(0xffffffff81001041)->name == "inner");
    CHECK(s.find(0xffffffffc0001000)->name == "module_init");
    CHECK_FALSE(s.find(0xffffffff81000fff));
    CHECK_FALSE(s.find(0xffffffffd0000000));

    // An ELF file of 64 bits: a null section, the symbols, their names.
    std::vector<u8> elf(0x200);
    const auto put = [&](size_t where, u64 v, unsigned size) { store_little(elf.data() + where, v, size); };
    std::copy_n("\x7f" "ELF\x02\x01\x01", 7, elf.begin());
    put(0x28, 0x40, 8), put(0x3a, 64, 2), put(0x3c, 3, 2);
    put(0x80 + 4, 2, 4), put(0x80 + 0x18, 0x100, 8), put(0x80 + 0x20, 48, 8), put(0x80 + 0x28, 2, 4);
    put(0xc0 + 4, 3, 4), put(0xc0 + 0x18, 0x180, 8), put(0xc0 + 0x20, 16, 8);
    put(0x118, 1, 4), put(0x118 + 4, 0x12, 1), put(0x118 + 8, 0x401000, 8), put(0x118 + 16, 0x20, 8);
    std::copy_n("\0main", 6, elf.begin() + 0x180);
    write(folder / "a.elf", {reinterpret_cast<const char*>(elf.data()), elf.size()});
    Symbols e;
    REQUIRE(e.load(folder / "a.elf", 0));
    e.sort();
    REQUIRE(e.find(0x40101f));
    CHECK(e.find(0x40101f)->name == "main");
    CHECK_FALSE(e.find(0x401020));
    for (size_t n = 5; n < elf.size(); n += 3) {   // cut off anywhere, it is refused or has fewer
        write(folder / "cut.elf", {reinterpret_cast<const char*>(elf.data()), n});
        Symbols cut;
        const bool loaded = cut.load(folder / "cut.elf", 0).has_value();
        CHECK(loaded != cut.empty());
    }
    const auto why = [&](const std::string& file) {
        Symbols x;
        const auto r = x.load(file, 0);
        REQUIRE_FALSE(r);
        return r.error().message;
    };
    write(folder / "text", "hello world\n");
    write(folder / "hidden", "0000000000000000 T _text\n");
    CHECK(why(folder / "text").find("neither") != std::string::npos);
    CHECK(why(folder / "hidden").find("name no function's address") != std::string::npos);
    CHECK(why(folder / "missing").find("No such file") != std::string::npos);
}
