// The local APIC against SDM vol. 3A, chapter "Advanced Programmable Interrupt Controller (APIC)".
#include "cpu/apic.h"

#include "../devices/device_suite.h"
#include "guest.h"

namespace calque::test {
namespace {

struct EoiLog final : ApicEoi {
    std::vector<u8> vectors;
    std::function<void()> then;
    void eoi(u8 v) override {
        vectors.push_back(v);
        if (then) then();
    }
};

/// A processor that never runs: only its APIC is worked with.
struct Rig {
    explicit Rig(std::string_view name = "default") : model{*parse_cpu_model(name)} {
        cpu = std::make_unique<Cpu>(model, CpuWiring{memory, ports, ack, clock, &eoi, &smm}, jit::EngineOptions{});
        ports.clock = &clock;
    }
    u32 read(unsigned offset) { return static_cast<u32>(apic().mmio_read(offset, 4)); }
    void write(unsigned offset, u32 v) { apic().mmio_write(offset, v, 4); }
    void enable() { write(0xf0, 0x1ff); }
    void send(u8 vector, bool level = false) { apic().message(0, false, ApicDelivery::fixed, vector, level); }
    int take() {
        u8 v;
        return apic().take_vector(v) ? v : -1;
    }
    LocalApic& apic() { return cpu->apic(); }
    CpuModel model;
    Clock clock;
    TestMemory memory;
    TestPorts ports;
    TestAck ack;
    EoiLog eoi;
    Wire smm;
    std::unique_ptr<Cpu> cpu;
};

bool pending(Rig& r, u8 v) { return r.read(0x200 + v / 32 * 16) >> (v & 31) & 1; }
bool in_service(Rig& r, u8 v) { return r.read(0x100 + v / 32 * 16) >> (v & 31) & 1; }

constexpr u32 Periodic = 0x20000, Deadline = 0x40000, Masked = 0x10000;
}  // namespace

TEST_CASE("APIC: state after reset") {
    Rig r;
    CHECK(r.read(0x20) == 0);
    CHECK(r.read(0x30) == 0x50014);
    CHECK(r.read(0x80) == 0);
    CHECK(r.read(0xd0) == 0);
    CHECK(r.read(0xe0) == 0xffffffff);
    CHECK(r.read(0xf0) == 0xff);
    for (unsigned at = 0x320; at <= 0x370; at += 0x10) CHECK(r.read(at) == Masked);
    CHECK(r.read(0x380) == 0);
    CHECK(r.read(0x390) == 0);
    r.send(0x40);   // software-disabled: not accepted
    CHECK_FALSE(pending(r, 0x40));
}

TEST_CASE("APIC: priorities") {
    Rig r;
    r.enable();
    r.send(0x41);
    r.send(0x52);
    CHECK(pending(r, 0x41));
    CHECK(r.take() == 0x52);
    CHECK(in_service(r, 0x52));
    CHECK(r.read(0xa0) == 0x50);
    CHECK(r.take() == -1);         // 41h waits for 52h
    r.send(0x5f);                  // same class
    CHECK(r.take() == -1);
    r.send(0x60);
    CHECK(r.take() == 0x60);
    r.write(0xb0, 0);              // ends 60h
    CHECK(r.take() == -1);
    r.write(0xb0, 0);              // ends 52h
    CHECK(r.take() == 0x5f);
    r.write(0xb0, 0);
    CHECK(r.take() == 0x41);
    r.write(0xb0, 0);
    CHECK(r.read(0xa0) == 0);
    CHECK(r.eoi.vectors.empty());
}

TEST_CASE("APIC: the task priority holds interrupts, by register and by CR8") {
    Rig r;
    r.enable();
    r.write(0x80, 0x4f);
    CHECK(r.apic().cr8() == 4);
    CHECK(r.read(0xa0) == 0x4f);
    r.send(0x4e);
    CHECK_FALSE(r.apic().has_vector());
    r.apic().set_cr8(3);
    CHECK(r.read(0x80) == 0x30);
    CHECK(r.apic().has_vector());
    r.apic().set_cr8(15);
    CHECK_FALSE(r.apic().has_vector());
}

TEST_CASE("APIC: level-triggered interrupts are ended by a message") {
    Rig r;
    r.enable();
    r.send(0x61, true);
    CHECK((r.read(0x180 + 0x30) >> 1 & 1) == 1);   // TMR
    CHECK(r.take() == 0x61);
    r.eoi.then = [&] {   // an I/O APIC whose line is still high sends again at once
        r.eoi.then = nullptr;
        r.send(0x61, true);
    };
    r.write(0xb0, 0);
    CHECK(r.eoi.vectors == std::vector<u8>{0x61});
    CHECK(r.take() == 0x61);
    r.write(0xb0, 0);
    r.send(0x61, false);
    CHECK(r.take() == 0x61);
    r.write(0xb0, 0);
    CHECK(r.eoi.vectors == std::vector<u8>{0x61, 0x61});
}

TEST_CASE("APIC: destinations") {
    Rig r;
    r.enable();
    const auto reaches = [&](u8 dest, bool logical) {
        r.apic().message(dest, logical, ApicDelivery::lowest_priority, 0x50, false);
        if (r.take() != 0x50) return false;
        r.write(0xb0, 0);
        return true;
    };
    CHECK(reaches(0, false));
    CHECK(reaches(0xff, false));
    CHECK_FALSE(reaches(1, false));
    r.write(0x20, 5u << 24);
    CHECK(reaches(5, false));
    CHECK_FALSE(reaches(0, false));
    r.write(0xd0, 0x12u << 24);    // flat
    CHECK(reaches(0x02, true));
    CHECK(reaches(0xf0, true));
    CHECK_FALSE(reaches(0x04, true));
    r.write(0xe0, 0x0fffffff);     // cluster
    CHECK(r.read(0xe0) == 0x0fffffff);
    CHECK(reaches(0x12, true));
    CHECK(reaches(0x1f, true));
    CHECK_FALSE(reaches(0x22, true));
    CHECK_FALSE(reaches(0x11, true));
    CHECK(reaches(0xff, true));
}

TEST_CASE("APIC: interprocessor interrupts of the only processor") {
    Rig r;
    r.enable();
    r.write(0x300, 0x40070);       // self
    CHECK(r.take() == 0x70);
    CHECK((r.read(0x300) & 0x1000) == 0);
    r.write(0x300, 0x80081);       // all including self
    CHECK(r.take() == 0x81);
    r.write(0x300, 0xc0091);       // all but self
    CHECK(r.take() == -1);
    r.write(0x310, 0);
    r.write(0x300, 0xa1);          // physical, 0
    CHECK(r.take() == 0xa1);
    r.write(0x310, 3u << 24);
    CHECK(r.read(0x310) == 3u << 24);
    r.write(0x300, 0xb1);
    CHECK(r.take() == -1);
    r.write(0x300, 0x4601);        // STARTUP and INIT de-assert leave a running processor alone
    r.write(0x300, 0x88500);
    CHECK_FALSE(r.apic().has_vector());
}

TEST_CASE("APIC: illegal vectors and registers set the error status") {
    Rig r;
    r.enable();
    r.write(0x370, 0xfe);
    r.write(0x300, 0x40005);
    CHECK(r.read(0x280) == 0);     // latched by writing
    r.write(0x280, 0);
    CHECK(r.read(0x280) == 0x20);
    CHECK(r.take() == 0xfe);
    r.write(0xb0, 0);
    r.send(3);
    r.write(0x280, 0);
    CHECK(r.read(0x280) == 0x40);
    r.write(0x40, 1);
    r.write(0x280, 0);
    CHECK(r.read(0x280) == 0x80);
    r.write(0x280, 0);
    CHECK(r.read(0x280) == 0);
}

TEST_CASE("APIC: LINT0 passes the 8259A's interrupt, or is a source of its own") {
    Rig r;
    CHECK_FALSE(r.apic().passes_intr());
    r.enable();
    r.write(0x350, 0x8700);
    CHECK(r.apic().passes_intr());
    r.write(0x350, 0x18700);
    CHECK_FALSE(r.apic().passes_intr());
    r.write(0x350, 0x77);
    r.cpu->intr().raise();
    r.cpu->intr().lower();
    CHECK(r.take() == 0x77);
    r.write(0xf0, 0xff);           // software disable masks
    CHECK(r.read(0x350) == 0x10077);
    r.write(0x350, 0x77);
    CHECK(r.read(0x350) == 0x10077);
    REQUIRE(r.apic().write_base(0xfee00100));
    CHECK(r.apic().passes_intr());   // globally disabled: LINT0 is INTR
}

TEST_CASE("APIC: LINT0 as a level-triggered source") {
    Rig r;
    r.enable();
    r.write(0x350, 0x8077);
    r.cpu->intr().raise();
    CHECK(r.read(0x350) == 0xc077);   // remote IRR
    CHECK(r.take() == 0x77);
    r.write(0xb0, 0);                 // the pin is still high
    CHECK(r.take() == 0x77);
    r.cpu->intr().lower();
    CHECK(r.read(0x350) == 0xc077);
    r.write(0xb0, 0);
    CHECK(r.read(0x350) == 0x8077);
    CHECK(r.take() == -1);
    r.write(0x350, 0x18077);
    r.cpu->intr().raise();
    CHECK(r.take() == -1);
    r.write(0x350, 0x8077);           // unmasked while high
    CHECK(r.take() == 0x77);
}

TEST_CASE("a processor without APIC takes its interrupts from the pins") {
    for (const char* model : {"486", "pentium", "default,-apic,-x2apic,-tsc-deadline"}) {
        CAPTURE(model);
        Guest g{Engine::interp, Mode::protected32, "90 90 F4", model};
        CHECK(g.cpu->local_apic_base() == ~u64{0});
        g.set_flags(eflags::IF | 2);
        g.cpu->intr().raise();
        g.run(50);
        CHECK(g.vector() == 0x20);
    }
}

TEST_CASE("APIC timer: one-shot") {
    Rig r;
    r.enable();
    r.write(0x3e0, 0xb);           // divide by 1
    r.write(0x320, 0x40);
    r.write(0x380, 1000);
    r.clock.advance(400);
    CHECK(r.read(0x390) == 600);
    CHECK_FALSE(r.apic().has_vector());
    r.clock.advance(600);
    CHECK(r.read(0x390) == 0);
    CHECK(r.take() == 0x40);
    r.write(0xb0, 0);
    r.clock.advance(5000);
    CHECK(r.take() == -1);
    SUBCASE("divided") {
        constexpr struct { u32 code, by; } kDividers[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
        for (const auto d : kDividers) {
            r.write(0x3e0, d.code);
            CHECK(r.read(0x3e0) == d.code);
            r.write(0x380, 100);
            r.clock.advance(50 * d.by);
            CHECK(r.read(0x390) == 50);
            r.clock.advance(50 * d.by);
            CHECK(r.take() == 0x40);
            r.write(0xb0, 0);
        }
    }
    SUBCASE("stopped by an initial count of 0") {
        r.write(0x380, 1000);
        r.write(0x380, 0);
        CHECK(r.read(0x390) == 0);
        r.clock.advance(5000);
        CHECK(r.take() == -1);
    }
    SUBCASE("masked, it counts without interrupting") {
        r.write(0x320, Masked | 0x40);
        r.write(0x380, 1000);
        r.clock.advance(900);
        CHECK(r.read(0x390) == 100);
        r.clock.advance(900);
        r.write(0x320, 0x40);
        r.clock.advance(900);
        CHECK(r.take() == -1);
    }
}

TEST_CASE("APIC timer: periodic") {
    Rig r;
    r.enable();
    r.write(0x3e0, 0xb);
    r.write(0x320, Periodic | 0x40);
    r.write(0x380, 10000);
    for (unsigned i = 0; i < 5; ++i) {
        r.clock.advance(9999);
        CHECK(r.take() == -1);
        r.clock.advance(1);
        CHECK(r.read(0x390) == 10000);
        CHECK(r.take() == 0x40);
        r.write(0xb0, 0);
    }
    r.clock.advance(2500);
    CHECK(r.read(0x390) == 7500);
    SUBCASE("a period of one tick does not stop the machine") {
        r.write(0x380, 1);
        const Time until = r.clock.now() + kSecond / 100;
        unsigned fired = 0;
        while (r.clock.next_deadline() <= until) r.clock.advance_to(r.clock.next_deadline()), ++fired;
        CHECK(fired > 0);
        CHECK(fired <= 10001);
    }
}

TEST_CASE("APIC timer: TSC deadline") {
    Rig r;
    r.enable();
    r.apic().set_tsc_deadline(100);
    CHECK(r.apic().tsc_deadline() == 0);   // not in that mode
    r.write(0x320, Deadline | 0x41);
    r.write(0x380, 77);                    // ignored
    CHECK(r.read(0x380) == 0);
    CHECK(r.read(0x390) == 0);
    const auto tsc = [&] { return r.clock.now() + r.cpu->state().tsc_offset; };
    r.apic().set_tsc_deadline(tsc() + 5000);
    r.clock.advance(4999);
    CHECK(r.take() == -1);
    CHECK(r.apic().tsc_deadline() == tsc() + 1);
    r.clock.advance(1);
    CHECK(r.take() == 0x41);
    CHECK(r.apic().tsc_deadline() == 0);
    r.write(0xb0, 0);
    SUBCASE("already past") {
        r.apic().set_tsc_deadline(1);
        r.clock.advance(0);
        CHECK(r.take() == 0x41);
    }
    SUBCASE("0 disarms") {
        r.apic().set_tsc_deadline(tsc() + 50);
        r.apic().set_tsc_deadline(0);
        r.clock.advance(100);
        CHECK(r.take() == -1);
    }
    SUBCASE("moves with the counter") {
        r.apic().set_tsc_deadline(tsc() + 5000);
        r.cpu->state().tsc_offset += 4000;
        r.apic().tsc_moved();
        r.clock.advance(1000);
        CHECK(r.take() == 0x41);
    }
    SUBCASE("passing while masked") {
        r.apic().set_tsc_deadline(tsc() + 50);
        r.write(0x320, Deadline | Masked | 0x41);
        r.clock.advance(100);
        CHECK(r.apic().tsc_deadline() == 0);
        r.write(0x320, Deadline | 0x41);
        r.clock.advance(100);
        CHECK(r.take() == -1);
    }
    SUBCASE("far away") {
        r.apic().set_tsc_deadline(~u64{0});
        r.clock.advance(kSecond);
        CHECK(r.take() == -1);
    }
    SUBCASE("leaving the mode disarms") {
        r.apic().set_tsc_deadline(tsc() + 50);
        r.write(0x320, 0x41);
        r.clock.advance(100);
        CHECK(r.take() == -1);
    }
}

TEST_CASE("APIC: x2APIC mode") {
    Rig r;
    u64 v;
    CHECK_FALSE(r.apic().read_msr(0x802, v));
    CHECK_FALSE(r.apic().write_base(0xfee00500));          // x2 without enable
    REQUIRE(r.apic().write_base(0xfee00d00));
    CHECK_FALSE(r.apic().write_base(0xfee00900));          // only by way of disabled
    CHECK(r.cpu->local_apic_base() == ~u64{0});            // the page is gone
    REQUIRE(r.apic().read_msr(0x802, v));
    CHECK(v == 0);
    REQUIRE(r.apic().read_msr(0x80d, v));
    CHECK(v == 1);
    CHECK_FALSE(r.apic().read_msr(0x80e, v));              // no DFR
    CHECK_FALSE(r.apic().read_msr(0x831, v));
    CHECK_FALSE(r.apic().write_msr(0x80d, 1));
    CHECK_FALSE(r.apic().write_msr(0x802, 1));
    REQUIRE(r.apic().write_msr(0x80f, 0x1ff));
    CHECK_FALSE(r.apic().write_msr(0x80f, u64{1} << 32));
    REQUIRE(r.apic().write_msr(0x83f, 0x55));              // self
    CHECK(r.take() == 0x55);
    CHECK_FALSE(r.apic().write_msr(0x80b, 1));
    REQUIRE(r.apic().write_msr(0x80b, 0));
    REQUIRE(r.apic().write_msr(0x830, 0x1'00000856));      // logical, cluster 0, member 0
    CHECK(r.take() == 0x56);
    REQUIRE(r.apic().write_msr(0x80b, 0));
    REQUIRE(r.apic().write_msr(0x830, 0x10001'00000857));  // cluster 1
    CHECK(r.take() == -1);
    REQUIRE(r.apic().write_msr(0x830, 0xffffffff'00000058));
    CHECK(r.take() == 0x58);
    REQUIRE(r.apic().read_msr(0x830, v));
    CHECK(v == 0xffffffff'00000058);
    REQUIRE(r.apic().write_base(0xfee00100));
    CHECK_FALSE(r.apic().write_base(0xfee00d00));
    REQUIRE(r.apic().write_base(0xfee00900));
    CHECK(r.read(0xf0) == 0xff);                           // was reset
    Rig without{"default,-x2apic"};
    CHECK_FALSE(without.apic().write_base(0xfee00d00));
}

TEST_CASE("APIC: save and load") {
    Rig a, b;
    a.enable();
    a.write(0x3e0, 0xb);
    a.write(0x320, Periodic | 0x40);
    a.write(0x380, 12345);
    a.send(0x33);
    a.send(0x91, true);
    CHECK(a.take() == 0x91);
    a.clock.advance(20000);
    b.clock.set_now(a.clock.now());
    check_save_load(a.apic(), b.apic());
    CHECK(b.read(0x390) == a.read(0x390));
    b.clock.advance(4690);
    b.write(0xb0, 0);
    CHECK(b.eoi.vectors == std::vector<u8>{0x91});
    CHECK(b.take() == 0x40);
    check_damaged_state(b.apic(), [&] {
        b.clock.advance(10000);
        b.read(0x390);
        b.take();
        b.write(0xb0, 0);
        b.write(0x3e0, 3);
    });
}

TEST_CASE("APIC: a program takes its timer interrupt at the exact instruction, and idles until the next") {
    for (Engine e : engines()) {
        CAPTURE(e);
        Guest g{e, Mode::long64, "F4 EB FD"};   // hlt; jmp
        LocalApic& apic = g.cpu->apic();
        apic.mmio_write(0xf0, 0x1ff, 4);
        apic.mmio_write(0x3e0, 0xb, 4);
        apic.mmio_write(0x320, 0x60, 4);
        apic.mmio_write(0x380, 100, 4);
        g.set_flags(eflags::IF | 2);
        CHECK(g.run(1000) == Cpu::Stop::halted);
        CHECK(g.vector() == -1);
        g.clock.advance_to(g.clock.next_deadline());
        g.run(1000);
        CHECK(g.vector() == 0x60);
    }
}
}  // namespace calque::test
