// Registers by name.
#include "cpu/registers.h"

#include <map>
#include <set>

#include "guest.h"

using namespace calque;
using namespace calque::test;

namespace {
RegisterValue pattern(unsigned bits, u64 seed) {
    RegisterValue v;
    for (unsigned i = 0; i < 4 && bits > 64 * i; ++i) {
        v.word[i] = (seed + i) * 0x9e3779b97f4a7c15;
        if (bits - 64 * i < 64) v.word[i] &= (u64{1} << (bits - 64 * i)) - 1;
    }
    return v;
}
const Register& reg(const char* name) {
    const Register* r = find_register(name);
    REQUIRE(r);
    return *r;
}
u64 get(Guest& g, const char* name) { return read_register(*g.cpu, reg(name)).word[0]; }
void set(Guest& g, const char* name, u64 v) { write_register(*g.cpu, reg(name), v); }
std::string settled(Guest& g) {
    const auto r = settle_registers(*g.cpu);
    return r ? "" : r.error().message;
}
}  // namespace

TEST_CASE("registers: every name reads back what was written, and disturbs no other") {
    Guest g{Engine::interp, Mode::protected32, "90", "max"};
    const std::set<std::string> fixed_bits = {"rflags", "eflags", "flags", "fcw", "fsw", "ftw"};
    const auto x87 = [](const Register& r) { return r.isa == Isa::fpu || r.isa == Isa::mmx; };   // these share storage and tags
    u64 seed = 1;
    for (const Register& r : registers()) {
        CAPTURE(r.name);
        CHECK(find_register(r.name) == &r);
        if (fixed_bits.count(r.name)) continue;
        std::map<const Register*, RegisterValue> others;
        for (const Register& o : registers())
            if (o.whole != r.whole && !(x87(r) && x87(o))) others[&o] = read_register(*g.cpu, o);
        const RegisterValue v = pattern(r.bits, ++seed);
        write_register(*g.cpu, r, v);
        CHECK(read_register(*g.cpu, r) == v);
        for (const auto& [o, value] : others) {
            INFO(o->name);
            REQUIRE(read_register(*g.cpu, *o) == value);
        }
        if (r.name == "cr0") write_register(*g.cpu, r, cr0::PE);   // in real mode selectors would change bases
    }
}

TEST_CASE("registers: parts of a whole") {
    Guest g{Engine::interp, Mode::long64, "90"};
    set(g, "rax", 0x1122334455667788);
    CHECK(get(g, "eax") == 0x55667788);
    CHECK(get(g, "ah") == 0x77);
    set(g, "ah", 0xff), set(g, "al", 1);
    CHECK(g.rax == 0x112233445566ff01);
    set(g, "spl", 0x12), set(g, "r13d", 5);
    CHECK((g.rsp & 0xff) == 0x12);
    CHECK(get(g, "r13") == 5);
    CHECK(reg("eax").whole == reg("rax").whole);
    CHECK(reg("rcx").whole != reg("rax").whole);
    CHECK(find_register("zax") == nullptr);
    CHECK(find_register("") == nullptr);
    CHECK(get(g, "dr4") == get(g, "dr6"));
}

TEST_CASE("registers: the x87 stack by TOP, tags, and MMX in its significands") {
    Guest g{Engine::interp, Mode::long64, "90"};
    set(g, "ftw", 0xffff), set(g, "fsw", 3 << 11);
    write_register(*g.cpu, reg("st1"), {u64{1} << 63, 0x3fff});
    CHECK(g.s().fpu.reg[4].sig == u64{1} << 63);
    CHECK(get(g, "ftw") == 0xfcff);   // R4 is valid
    CHECK(get(g, "mm4") == u64{1} << 63);
    set(g, "mm4", 7);
    CHECK(g.s().fpu.reg[4].se == 0xffff);
    set(g, "fcw", 0x37e), set(g, "fsw", 1);
    CHECK(settled(g) == "");
    CHECK(get(g, "fsw") == 0x8081);   // an unmasked exception: ES and B
}

TEST_CASE("registers: a selector sets the base in real and virtual-8086 mode only") {
    Guest g{Engine::interp, Mode::real, "90"};
    set(g, "ds", 0x1234);
    CHECK(get(g, "ds.base") == 0x12340);
    set(g, "ds.base", 5);
    CHECK(settled(g) == "");
    CHECK(g.s().seg_base[DS] == 5);
    Guest p{Engine::interp, Mode::protected32, "90"};
    set(p, "ds", 0x1234);
    CHECK(get(p, "ds.base") == 0);
    CHECK(get(p, "cs.attr") == 0xc09b00);
}

TEST_CASE("registers: states that cannot be are named") {
    const struct { const char* name; u64 value; const char* word; Mode mode; } rows[] = {
        {"cr0", 0x80000000, "PG", Mode::protected32}, {"cr0", 1 << 7, "cr0", Mode::long64}, {"cr4", u64{1} << 40, "cr4", Mode::long64},
        {"cr4", 0, "PAE", Mode::long64}, {"efer", 0x400, "LMA", Mode::protected32}, {"rip", u64{1} << 32, "rip", Mode::protected32},
        {"xcr0", 0, "xcr0", Mode::long64}, {"rflags", 0x20002, "8086", Mode::protected32}, {"cpl", 3, "privilege", Mode::real},
        {"gs.base", u64{1} << 47, "base", Mode::long64}, {"gs.base", u64{1} << 32, "base", Mode::real}, {"ds.attr", 0x93, "attr", Mode::protected32},
        {"cs.attr", 0xe09b00, "L and D", Mode::long64}, {"idtr.base", u64{1} << 47, "idtr", Mode::long64}, {"cr3", u64{1} << 60, "cr3", Mode::long64},
        {"efer", u64{1} << 20, "efer", Mode::real},
    };
    for (const auto& r : rows) {
        Guest g{Engine::interp, r.mode, "90"};
        CHECK(settled(g) == "");
        set(g, r.name, r.value);
        CAPTURE(r.name);
        CAPTURE(settled(g));
        CHECK(settled(g).find(r.word) != std::string::npos);
    }
}
