// Model-specific registers and the time stamp counter (SDM vol. 4).
#include "cpu/apic.h"
#include "guest.h"

namespace calque::test {
namespace {

struct MsrRig {
    explicit MsrRig(std::string_view model = "default", Mode mode = Mode::long64) : g{Engine::interp, mode, "90", model} {}
    bool read(u32 n, u64& v) {
        g.rcx = n;
        g.s().x.fault = jit::Fault::none;
        helper_rdmsr(g.s(), 0, 0, 0);
        v = g.rdx << 32 | g.rax;
        return g.s().x.fault == jit::Fault::none;
    }
    u64 get(u32 n) {
        u64 v = 0;
        REQUIRE(read(n, v));
        return v;
    }
    bool write(u32 n, u64 v) {
        g.rcx = n, g.rax = v & 0xffffffff, g.rdx = v >> 32;
        g.s().x.fault = jit::Fault::none;
        helper_wrmsr(g.s(), 0, 0, g.rip());
        return g.s().x.fault == jit::Fault::none;
    }
    bool holds(u32 n, u64 v) { return write(n, v) && get(n) == v; }
    Guest g;
};
constexpr u64 NotCanonical = u64{1} << 60;
}  // namespace

TEST_CASE("RDMSR and WRMSR need privilege 0 and a known register") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest user{e, Mode::user64, "0F 32"};
        user.rcx = 0x10;
        user.run(20);
        CHECK(user.vector() == 13);
        for (const char* code : {"0F 32", "0F 30"}) {
            Guest g{e, Mode::long64, code};
            g.rcx = 0x12345;
            g.run(20);
            CHECK(g.vector() == 13);
        }
        Guest ok{e, Mode::long64, "0F 30 0F 32 F4"};
        ok.rcx = 0xc0000102, ok.rax = 0x55, ok.rdx = 0;
        ok.run(20);
        CHECK(ok.vector() == -1);
        CHECK(ok.s().kernel_gs_base == 0x55);
        CHECK(ok.rax == 0x55);
    }
}

TEST_CASE("MSR: system call registers") {
    MsrRig r;
    CHECK(r.holds(0xc0000081, 0x0023001000000000));
    CHECK(r.holds(0xc0000082, 0xffffffff81000000));
    CHECK_FALSE(r.write(0xc0000082, NotCanonical));
    CHECK(r.holds(0xc0000083, 0x1000));
    CHECK(r.holds(0xc0000084, 0x47700));
    CHECK_FALSE(r.write(0xc0000084, u64{1} << 32));
    CHECK(r.holds(0x174, 0x10));
    CHECK(r.holds(0x175, 0xffff800000000000));
    CHECK_FALSE(r.write(0x175, NotCanonical));
    CHECK(r.holds(0x176, 0x2000));
    CHECK(r.holds(0xc0000103, 7));
    CHECK_FALSE(r.write(0xc0000103, u64{1} << 32));
}

TEST_CASE("MSR: segment bases") {
    MsrRig r;
    CHECK(r.holds(0xc0000100, 0x7f0000001000));
    CHECK(r.g.s().seg_base[FS] == 0x7f0000001000);
    CHECK(r.holds(0xc0000101, 0xffff888000000000));
    CHECK_FALSE(r.write(0xc0000100, NotCanonical));
    CHECK_FALSE(r.write(0xc0000102, NotCanonical));
}

TEST_CASE("MSR: EFER") {
    MsrRig r;
    const u64 now = r.get(0xc0000080);
    CHECK((now & efer::LMA) != 0);
    CHECK_FALSE(r.write(0xc0000080, now | u64{1} << 12));
    CHECK_FALSE(r.write(0xc0000080, now & ~efer::LME));   // paging is on
    CHECK(r.write(0xc0000080, (now | efer::SCE) & ~efer::LMA));
    CHECK(r.get(0xc0000080) == (now | efer::SCE));        // LMA is read-only
    MsrRig p3{"pentium3", Mode::protected32};
    u64 v;
    CHECK_FALSE(p3.read(0xc0000080, v));
    CHECK_FALSE(p3.read(0xc0000100, v));
}

TEST_CASE("MSR: memory types") {
    MsrRig r;
    CHECK(r.get(0xfe) == 0x508);
    CHECK_FALSE(r.write(0xfe, 0));
    CHECK(r.holds(0x2ff, 0xc06));
    CHECK_FALSE(r.write(0x2ff, 0x1000));
    CHECK_FALSE(r.write(0x2ff, 2));
    CHECK(r.holds(0x200, 0x80000006));
    CHECK_FALSE(r.write(0x200, 0x80000003));
    CHECK(r.holds(0x201, 0xff80000800));
    CHECK_FALSE(r.write(0x201, u64{1} << 41 | 0x800));
    CHECK(r.holds(0x20f, 0));
    u64 v;
    CHECK_FALSE(r.read(0x210, v));
    for (u32 n : {0x250u, 0x258u, 0x259u, 0x268u, 0x26fu}) CHECK(r.holds(n, 0x0606060606060606));
    CHECK_FALSE(r.write(0x250, 0x0306060606060606));
    CHECK(r.get(0x277) == 0x0007040600070406);
    CHECK(r.holds(0x277, 0x0407050600070106));
    CHECK_FALSE(r.write(0x277, 2));
}

TEST_CASE("MSR: APIC base") {
    MsrRig r;
    CHECK(r.get(0x1b) == 0xfee00900);
    CHECK(r.holds(0x1b, 0xfed00900));
    CHECK(r.g.cpu->local_apic_base() == 0xfed00000);
    CHECK_FALSE(r.write(0x1b, 0xfee00901));
    CHECK_FALSE(r.write(0x1b, u64{1} << 45 | 0x900));
    CHECK(r.write(0x1b, 0xfee00d00));
    CHECK(r.get(0x803) == 0x50014);
    MsrRig old{"pentium", Mode::protected32};
    u64 v;
    CHECK_FALSE(old.read(0x1b, v));
}

TEST_CASE("MSR: machine check has no banks") {
    MsrRig r;
    CHECK(r.get(0x179) == 0);
    CHECK(r.holds(0x17a, 0));
    u64 v;
    CHECK_FALSE(r.read(0x400, v));
}

TEST_CASE("MSR: MISC_ENABLE") {
    MsrRig r;
    CHECK((r.get(0x1a0) & 1) == 1);
    CHECK(r.write(0x1a0, r.get(0x1a0) | u64{1} << 22));
    CHECK((r.get(0x1a0) >> 22 & 1) == 1);
    CHECK_FALSE(r.write(0x1a0, u64{1} << 34));
}

TEST_CASE("the time stamp counter is machine time, and can be moved") {
    MsrRig r;
    const u64 t = r.get(0x10);
    r.g.clock.advance(1000);
    CHECK(r.get(0x10) == t + 1000);
    CHECK(r.write(0x10, 0x123456789abc));
    CHECK(r.get(0x10) == 0x123456789abc);
    CHECK(r.get(0x3b) == 0x123456789abc - (t + 1000));
    CHECK(r.write(0x3b, 0));
    CHECK(r.get(0x10) == t + 1000);
}

TEST_CASE("MSR: TSC deadline") {
    MsrRig r;
    r.g.cpu->apic().mmio_write(0xf0, 0x1ff, 4);
    r.g.cpu->apic().mmio_write(0x320, 0x40044, 4);
    const u64 at = r.get(0x10) + 500;
    CHECK(r.holds(0x6e0, at));
    r.g.clock.advance(500);
    CHECK(r.g.cpu->apic().has_vector());
    CHECK(r.get(0x6e0) == 0);
    MsrRig without{"default,-tsc-deadline"};
    CHECK_FALSE(without.write(0x6e0, 0));
}

TEST_CASE("RDTSC counts one a nanosecond, one an instruction; CR4.TSD reserves it") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::long64, "0F 31 48 89 C6 90 90 0F 01 F9 F4"};   // rdtsc; mov rsi, rax; nop; nop; rdtscp; hlt
        g.s().tsc_aux = 9;
        g.run(100);
        CHECK(g.rax == g.rsi + 4);
        CHECK(g.rcx == 9);
        for (const char* code : {"0F 31", "0F 01 F9"}) {
            Guest user{e, Mode::user64, code};
            user.s().cr4 |= cr4::TSD;
            user.run(20);
            CHECK(user.vector() == 13);
        }
        Guest pmc{e, Mode::long64, "0F 33"};
        pmc.run(20);
        CHECK(pmc.vector() == 13);
    }
}
}  // namespace calque::test
