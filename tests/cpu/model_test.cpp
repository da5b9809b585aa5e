// Processor models and CPUID (SDM vol. 2A, "CPUID").
#include "cpu/model.h"

#include <set>

#include "guest.h"

namespace calque::test {
namespace {
CpuidLeaf leaf(Guest& g, u32 n, u32 sub = 0) { return cpuid(g.s(), n, sub); }
Guest guest(std::string_view model) { return Guest{Engine::interp, Mode::real, "90", model}; }
}  // namespace

TEST_CASE("model names and features") {
    CHECK(parse_cpu_model("default"));
    CHECK(parse_cpu_model("486"));
    const auto bad = parse_cpu_model("z80");
    REQUIRE_FALSE(bad);
    CHECK(bad.error().message.find("pentium3") != std::string::npos);
    const auto m = parse_cpu_model("default,-rdrand,+monitor");
    REQUIRE(m);
    CHECK_FALSE(m->has(Isa::rdrand));
    CHECK(m->has(Isa::monitor));
    const auto unknown = parse_cpu_model("default,+3dnow");
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().message.find("popcnt") != std::string::npos);
    CHECK_FALSE(parse_cpu_model("default,rdrand"));
    CHECK_FALSE(parse_cpu_model("default,"));
    CHECK_FALSE(parse_cpu_model("v1,+sse4.2"));       // it needs SSE4.1
    CHECK_FALSE(parse_cpu_model("max,-avx,+vaes"));
    CHECK(parse_cpu_model("x86-64-v2"));
    CHECK(parse_cpu_model("v3")->has(Isa::avx2));
    CHECK(parse_cpu_model("pentium,-tsc"));
    CHECK(parse_cpu_model("v1")->name == "x86-64-v1");
}

TEST_CASE("a feature goes with what needs it, and comes only where what it needs is") {
    const auto old = parse_cpu_model("max,-sse");
    REQUIRE(old);
    for (Isa f : {Isa::sse, Isa::sse2, Isa::sse3, Isa::ssse3, Isa::sse4_1, Isa::avx, Isa::avx2}) CHECK_FALSE(old->has(f));
    CHECK(old->has(Isa::mmx));
    const auto narrow = parse_cpu_model("default,-pae");
    REQUIRE(narrow);
    CHECK_FALSE((narrow->has(Isa::long_mode) || narrow->has(Isa::nx) || narrow->has(Isa::cx16)));
    const auto back = parse_cpu_model("max,-xsave,+xsave");   // and not what needed it
    REQUIRE(back);
    CHECK(back->has(Isa::xsave));
    CHECK_FALSE(back->has(Isa::xsaveopt));
    const auto refused = parse_cpu_model("pentium,+sse2");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "CPU feature sse2 needs sse, which the model 'pentium' does not have; add it with +sse");
    CHECK(parse_cpu_model("pentium,+sse2,+sse,+fxsr"));
}

TEST_CASE("every model can be built") {
    for (const auto& [name, about] : cpu_models()) {
        CAPTURE(name);
        CHECK_FALSE(about.empty());
        CHECK(parse_cpu_model(name));
    }
    std::set<std::string> seen;
    for (const std::string& f : cpu_features()) CHECK(seen.insert(f).second);
}

TEST_CASE("CPUID: identity") {
    Guest g = guest("default");
    const auto l0 = leaf(g, 0);
    CHECK(l0.eax == 0x16);
    CHECK(l0.ebx == 0x756e6547);
    CHECK(l0.edx == 0x49656e69);
    CHECK(l0.ecx == 0x6c65746e);
    CHECK(leaf(g, 1).eax == g.model.signature);
    CHECK(g.model.family() == 6);
    CHECK((leaf(g, 1).ecx >> 31) == 0);   // a plain PC, no hypervisor
    std::string brand;
    for (u32 n = 0x80000002; n <= 0x80000004; ++n) {
        const auto l = leaf(g, n);
        for (const u32 w : {l.eax, l.ebx, l.ecx, l.edx})
            for (unsigned i = 0; i < 4; ++i) brand += static_cast<char>(w >> (8 * i));
    }
    CHECK(brand.c_str() == std::string{"Calque Virtual CPU"});
    CHECK(brand[47] == 0);
}

TEST_CASE("CPUID: features that follow the state") {
    Guest g = guest("default");
    CHECK((leaf(g, 1).edx >> 9 & 1) == 1);
    CHECK((leaf(g, 1).ecx >> 27 & 1) == 0);
    g.s().cr4 |= cr4::OSXSAVE;
    CHECK((leaf(g, 1).ecx >> 27 & 1) == 1);
    REQUIRE(g.cpu->apic().write_base(0xfee00100));
    CHECK((leaf(g, 1).edx >> 9 & 1) == 0);
    g.s().misc_enable |= u64{1} << 22;
    CHECK(leaf(g, 0).eax == 3);
}

TEST_CASE("CPUID: Intel's SYSCALL is announced in 64-bit mode only") {
    const auto announced = [](Mode mode, std::string_view model) {
        Guest g{Engine::interp, mode, "90", model};
        return leaf(g, 0x80000001).edx >> 11 & 1;
    };
    CHECK(announced(Mode::long64, "default") == 1);
    CHECK(announced(Mode::protected32, "default") == 0);
    CHECK(announced(Mode::protected32, "default,+zen") == 1);
}

TEST_CASE("CPUID: 64-bit baseline") {
    Guest g = guest("default");
    const u32 v1 = 1u | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 9 | 1u << 13 | 1u << 15 | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26;
    CHECK((leaf(g, 1).edx & v1) == v1);
    CHECK((leaf(g, 0x80000001).edx & (1u << 29 | 1u << 20)) == (1u << 29 | 1u << 20));
    CHECK(leaf(g, 0x80000000).eax == 0x80000008);
    CHECK(leaf(g, 0x80000007).edx == 0x100);
    CHECK(leaf(g, 0x80000008).eax == 0x3028);
}

TEST_CASE("CPUID: time stamp counter and caches") {
    Guest g = guest("default");
    const auto l15 = leaf(g, 0x15);
    CHECK(u64{l15.ecx} * l15.ebx / l15.eax == 1'000'000'000);
    CHECK(leaf(g, 0x16).eax == 1000);
    u32 levels = 0;
    for (u32 sub = 0; sub < 8; ++sub) {
        const auto c = leaf(g, 4, sub);
        if (!(c.eax & 31)) break;
        levels |= 1u << (c.eax >> 5 & 7);
    }
    CHECK(levels == 6);
    CHECK(leaf(g, 4, 3).eax == 0);
    CHECK((leaf(g, 0xb, 0).ecx >> 8 & 0xff) == 1);
    CHECK((leaf(g, 0xb, 1).ecx >> 8 & 0xff) == 2);
    CHECK((leaf(g, 0xb, 2).ecx >> 8 & 0xff) == 0);
}

TEST_CASE("CPUID: XSAVE areas") {
    Guest g = guest("default");
    CHECK(leaf(g, 0xd, 0).eax == 7);
    CHECK(leaf(g, 0xd, 0).ebx == 576);   // of what XCR0 has now
    CHECK(leaf(g, 0xd, 0).ecx == 832);
    CHECK(leaf(g, 0xd, 2).eax == 256);
    CHECK(leaf(g, 0xd, 2).ebx == 576);
    Guest narrow = guest("default,-avx");
    CHECK(leaf(narrow, 0xd, 0).eax == 3);
    CHECK(leaf(narrow, 0xd, 0).ecx == 576);
    CHECK(leaf(narrow, 0xd, 2).eax == 0);
    Guest without = guest("default,-xsave,-xsaveopt");
    CHECK(leaf(without, 0xd, 0).eax == 0);
}

TEST_CASE("CPUID: old processors have old leaves") {
    Guest g = guest("486");
    CHECK(leaf(g, 0).eax == 1);
    CHECK(leaf(g, 1).edx == 1);
    CHECK(leaf(g, 0x80000000).eax == leaf(g, 1).eax);   // beyond the last: the last
    Guest p3 = guest("pentium3");
    CHECK((leaf(p3, 1).edx & 1u << 25) != 0);
    CHECK((leaf(p3, 1).edx & 1u << 26) == 0);
    CHECK((leaf(p3, 2).eax & 0xff) == 1);
}

TEST_CASE("CPUID as an instruction; a missing feature has no instructions") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::long64, "0F A2"};
        g.rax = 0xffffffff'00000000, g.rcx = ~u64{0};
        g.step();
        CHECK(g.rax == 0x16);
        CHECK(g.rbx == 0x756e6547);
        Guest old{e, Mode::protected32, "0F 31", "486"};   // RDTSC
        old.run(10);
        CHECK(old.vector() == 6);
    }
}
}  // namespace calque::test
