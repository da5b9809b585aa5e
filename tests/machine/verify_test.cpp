// Two machines side by side: the instruction after which they differ is found, and shown on a processor alone where it can be.
#include "machine/replay/recorder.h"
#include "machine/verify/reproducer.h"
#include "tests/machine/rig.h"
#include "tests/temp_folder.h"

namespace {
using namespace calque::test;
using namespace calque::verify;

Start start_of(const char* guest, const char* executor) {
    Rig r;
    r.configure(guest, false);
    Start s{r.config, {}, {}, *Executor::parse(executor)};
    s.config.host_now = {};
    return s;
}

std::unique_ptr<Lockstep> side_by_side(const Start& a, const Start& b) {
    auto x = Lane::create(a), y = Lane::create(b);
    if (!x) FAIL(x.error().message);
    if (!y) FAIL(y.error().message);
    return std::make_unique<Lockstep>(std::move(*x), std::move(*y));
}

bool differs_in(const std::vector<exec::Difference>& list, const std::string& what) {
    return std::any_of(list.begin(), list.end(), [&](const exec::Difference& d) { return d.what == what; });
}
}  // namespace

TEST_CASE("verify: executors that behave alike are the same to the end") {
    for (const char* guest : {"busy", "ticks", "echo"}) {
        CAPTURE(std::string{guest});
        auto l = side_by_side(start_of(guest, "jit"), start_of(guest, "interp,tlb,code_tracking"));
        CHECK(l->run(3'000'000, 400'000));
        CHECK(l->kept() == 3'000'000);
    }
    auto l = side_by_side(start_of("off", "jit"), start_of("off", "interp"));
    CHECK(l->run(~u64{0}));
    CHECK(l->a().ended() == "it is powered off");
}

TEST_CASE("verify: a register or a byte that somebody changes is found to the instruction") {
    for (const u64 at : {1ull, 1'000'000ull, 1'234'567ull, 2'999'999ull}) {
        for (const bool memory : {false, true}) {
            CAPTURE(at); CAPTURE(memory);
            if (!jit::Engine::has_jit() && memory != (at == 1)) continue;   // hosts without are emulated ones in ./test
            Start b = start_of("busy", "interp");
            b.disturb = {at, [memory](Machine& m) {
                             if (memory) m.memory().ram()[0x30000] ^= 0x40;   // the guest does not look there
                             else m.cpu().state().gpr[RBP] ^= 1;
                         }};
            auto l = side_by_side(start_of("busy", "jit"), b);
            REQUIRE_FALSE(l->run(5'000'000, 1'000'000));
            const auto count = l->narrow();
            REQUIRE(count);
            CHECK(*count == at);
            const auto d = l->differences();
            CHECK(d.size() == 1);
            CHECK(differs_in(d, memory ? "phys 0x30000" : "rbp"));
            if (at == 1) CHECK_FALSE(make_reproducer(*l, *count));   // no processor does that
        }
    }
}

TEST_CASE("verify: machines that differ from the beginning") {
    Start b = start_of("busy", "interp");
    b.config.rtc_epoch += 86'400;
    auto l = side_by_side(start_of("busy", "jit"), b);
    REQUIRE_FALSE(l->run(1000));
    CHECK_FALSE(l->differences().empty());
}

// Zen sets AF where Intel's processors clear it.
TEST_CASE("verify: the reproducer of an instruction is that instruction") {
    const TempFolder folder;
    std::string rom(64 << 10, '\0');
    rom.replace(0xff00, 8, std::string{"\xb0\x07\xc0\xe0\x03\x90\xeb\xf8", 8});   // mov al, 7; shl al, 3; nop; jmp to the beginning
    rom.replace(0xfff0, 3, "\xe9\x0d\xff");
    write(folder / "shift.bin", rom);
    Start a = start_of("busy", "jit");
    a.config.bios = folder / "shift.bin";
    Start b = a;
    b.executor = *Executor::parse("interp");
    b.config.cpu_model = "default,+zen";
    auto l = side_by_side(a, b);
    REQUIRE_FALSE(l->run(1'000'000));
    const auto count = l->narrow();
    REQUIRE(count);
    const auto r = make_reproducer(*l, *count);
    REQUIRE(r);
    CHECK(r->itself);
    CHECK(r->end == *count);
    CHECK(r->c.steps == 1);
    CHECK(r->c.has_final);
    CHECK(r->c.mem.size() <= 2);
    CHECK(r->c.regs.size() < 12);
    CHECK(r->c.ram == exec::kMostRam);   // its ROM ends at 4 GiB
    CHECK(differs_in(r->differences, "rflags"));
}

// It uses a page whose accessed bit it has cleared: only a processor that remembers the walk leaves the bit alone.
static void check_stale(const char* guest, bool warm) {
    auto l = side_by_side(start_of(guest, "interp"), start_of(guest, "interp,tlb"));
    REQUIRE_FALSE(l->run(1'000'000));
    const auto count = l->narrow();
    REQUIRE(count);
    const auto r = make_reproducer(*l, *count);
    REQUIRE(r);
    CHECK(r->c.steps > 1);
    CHECK(r->c.steps < 20);
    CHECK(r->c.warm.code.empty());
    CHECK(r->c.warm.data == (warm ? std::vector<u64>{0x8000} : std::vector<u64>{}));
    exec::Rig remembers{l->a().machine().cpu().model(), false}, forgets{l->b().machine().cpu().model(), false, {"tlb"}};
    for (exec::Rig* rig : {&remembers, &forgets}) {
        REQUIRE(rig->load(r->c));
        const auto d = exec::compare(r->c, *rig, rig->run(r->c));
        REQUIRE(d);
        CHECK(d->empty() == (rig == &forgets));
    }
}

TEST_CASE("verify: the reproducer of what a TLB does begins where the entry is made") { check_stale("stale", false); }
TEST_CASE("verify: where that cannot be repeated, the reproducer begins with the entry") { check_stale("gone", true); }

TEST_CASE("verify: a repeated instruction is found in its middle, and its reproducer does all of it") {
    auto l = side_by_side(start_of("moved", "interp"), start_of("moved", "interp,tlb"));
    REQUIRE_FALSE(l->run(1'000'000));
    const auto count = l->narrow();
    REQUIRE(count);
    CHECK(l->a().machine().cpu().state().gpr[RCX] == 99);
    const auto r = make_reproducer(*l, *count);
    REQUIRE(r);
    CHECK(r->c.steps < 10);
    CHECK(r->instruction.ends_with("rep stosb"));
}

TEST_CASE("verify: recordings, disks and going back") {
    const TempFolder folder;
    const std::string disk = folder / "disk.img";
    write(disk, std::string(1 << 20, 'x'));
    for (const bool recorded : {false, true}) {
        CAPTURE(recorded);
        Start a = start_of("disk", "jit");
        a.config.disks = {{disk, false, false}};
        if (recorded) {
            Rig r;
            r.config = a.config;
            r.config.keep_images = true;
            auto m = Machine::create(r.config);
            REQUIRE(m);
            auto recorder = Recorder::start(**m, folder / "a.rec");
            REQUIRE(recorder);
            for (int n = 0; n < 40; ++n) (*m)->run(100'000), (*m)->key(4, n % 2), REQUIRE((*recorder)->check());
            REQUIRE((*recorder)->finish());
            a = {start_of("disk", "jit").config, {}, folder / "a.rec", *Executor::parse("jit")};
        }
        Start b = a;
        b.executor = *Executor::parse("interp");
        b.disturb = {1'700'001, [](Machine& m) { m.cpu().state().gpr[RBP] ^= 1; }};
        auto l = side_by_side(a, b);
        REQUIRE_FALSE(l->run(3'000'000, 500'000));
        const auto count = l->narrow();
        REQUIRE(count);
        CHECK(*count == 1'700'001);
        CHECK(content(disk) == std::string(1 << 20, 'x'));
    }
}
