#include <doctest/doctest.h>

#include "toy_guest.h"

using namespace calque;
using namespace calque::jit;
using Stop = Engine::Stop;

TEST_CASE("the budget is kept exactly at every length") {
    for (const auto& o : engines())
        for (i64 budget = 1; budget < 40; ++budget) {
            ToyGuest g{o};
            g.put(0x100, {1, 0, 1, 1, 1, 2, 1, 2, 3, 3, -11});  // three adds and a jump back
            g.s.x.rip = 0x100;
            CHECK(g.run(budget) == Stop::budget);
            CHECK(g.s.x.icount() == static_cast<u64>(budget));
            CHECK(g.s.r[0] == static_cast<u64>(budget + 3) / 4);
            CHECK(g.s.r[1] == static_cast<u64>(budget + 2) / 4 * 2);
            CHECK(g.s.r[2] == static_cast<u64>(budget + 1) / 4 * 3);
            CHECK(g.s.x.rip == std::initializer_list<u64>{0x100, 0x103, 0x106, 0x109}.begin()[budget % 4]);
            CHECK(g.s.x.unretired == 0);
        }
}

TEST_CASE("hot loops stay right across many runs, and translations are made when there is a back end") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x100, {1, 0, 1, 4, 1, 2, 3, -8, 6});  // r1 == 0: loops
        g.s.x.rip = 0x100;
        for (int n = 0; n < 50; ++n) CHECK(g.run(61) == Stop::budget);
        CHECK(g.s.x.icount() == 50 * 61);
        CHECK(g.s.r[0] == (50 * 61 + 2) / 3);
        CHECK((g.engine->stats().blocks_translated > 0) == o.jit);
    }
}

TEST_CASE("a fault gives back what did not retire and leaves RIP at its instruction") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x100, {1, 0, 1, 1, 0, 1, 6, 1, 0, 100});
        for (u64 round = 1; round < 10; ++round) {
            g.s.x.rip = 0x100;
            CHECK(g.run(1000) == Stop::fault);
            CHECK(g.s.x.fault == Fault::raise);
            CHECK(g.s.fault_seen == 6);
            CHECK(g.s.x.rip == 0x106);
            CHECK(g.s.x.icount() == 2 * round);
            CHECK(g.s.x.unretired == 0);
            CHECK(g.s.r[0] == 2 * round);
        }
    }
}

TEST_CASE("a faulting load and store are not counted and change nothing") {
    for (const auto& o : engines())
        for (const int op : {2, 7}) {
            ToyGuest g{o};
            g.put(0x200, {1, 0, 1, op, 3, 1, 0, 1, 3, -10});
            for (u64 round = 1; round < 10; ++round) {
                g.s.r[7] = 0x12345, g.s.r[3] = 77, g.s.x.rip = 0x200;
                CHECK(g.run(1000) == Stop::fault);
                CHECK(g.s.fault_seen == 14);
                CHECK(g.s.x.rip == 0x203);
                CHECK(g.s.r[3] == 77);
                CHECK(g.s.x.icount() == round);
            }
        }
}

TEST_CASE("helpers see the count of their own instruction") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x100, {1, 0, 1, 10, 1, 0, 1, 3, -9});
        g.s.x.rip = 0x100;
        for (u64 n = 0; n < 20; ++n) {
            CHECK(g.run(4) == Stop::budget);
            CHECK(g.s.r[6] == 4 * n + 1);
        }
    }
}

TEST_CASE("attention returns after the instruction, budget first decremented") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x100, {1, 0, 1, 8, 1, 0, 1, 3, -9});
        g.s.x.rip = 0x100;
        for (u64 n = 0; n < 10; ++n) {
            CHECK(g.run(100) == Stop::attention);
            CHECK(g.s.x.attention == 0);
            CHECK(g.s.x.rip == 0x104);
            CHECK(g.s.x.icount() == 4 * n + 2);
        }
    }
}

TEST_CASE("devices are touched once, in order, at their own time; blocks are cut after them") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x100, {1, 0, 1, 7, 3, 1, 0, 1, 2, 3, 1, 0, 1, 3, -15});
        g.s.r[7] = ToyGuest::kMmio, g.s.x.rip = 0x100;
        CHECK(g.run(60) == Stop::budget);
        CHECK(g.s.r[3] == 0x5a);
        CHECK(g.s.r[0] == 30);
        REQUIRE(g.device_times.size() == 20);
        for (u64 n = 0; n < 20; ++n) CHECK(g.device_times[n] == n / 2 * 6 + (n % 2 ? 3 : 1));
        CHECK(g.engine->stats().steps < 10);
    }
}

TEST_CASE("self-modifying code: the next instruction of the same block") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        // r3 goes into the operand of the add that follows; then r3 += 1 and again
        g.put(0x100, {2, 3, 1, 0, 0, 1, 3, 1, 3, -10});
        g.s.r[7] = 0x104, g.s.r[3] = 1, g.s.x.rip = 0x100;
        CHECK(g.run(4 * 20) == Stop::budget);
        CHECK(g.s.r[0] == 20 * 21 / 2);
        CHECK(g.s.x.icount() == 80);
    }
}

TEST_CASE("self-modifying code: another block; the same bytes discard nothing") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x100, {2, 3, 3, 0x3c});                 // store, jump to 140
        g.put(0x140, {1, 0, 5, 3, -69});               // r0 += 5, jump to 100
        g.s.r[7] = 0x142, g.s.r[3] = 5, g.s.x.rip = 0x100;
        CHECK(g.run(4 * 20) == Stop::budget);
        CHECK(g.s.r[0] == 100);
        CHECK(g.engine->stats().invalidations == 0);
        g.s.r[3] = 7;
        CHECK(g.run(4 * 20) == Stop::budget);
        CHECK(g.s.r[0] == 100 + 140);
        CHECK(g.engine->stats().invalidations >= 1);
        CHECK(g.engine->stats().invalidations <= 2);
        CHECK(g.engine->has_code(g.ram));
    }
}

TEST_CASE("blocks that fit leave nothing to exact steps") {
    for (auto o : engines()) {
        o.fit_blocks = true;
        ToyGuest g{o};
        g.put(0x100, {1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 3, -14});
        g.s.x.rip = 0x100;
        for (u64 n = 1; n <= 3; ++n) {
            CHECK(g.run(1) == Stop::budget);
            CHECK(g.s.r[0] == n);
            CHECK(g.s.x.icount() == n);
        }
        CHECK(g.run(2) == Stop::budget);
        CHECK(g.s.x.rip == 0x100);
        CHECK(g.engine->stats().steps == 0);
    }
}

TEST_CASE("data beside code is stored without discarding, and a page without code is released") {
    ToyGuest g{{.jit = false}};
    g.put(0x100, {2, 3, 1, 3, 1, 3, -7});
    g.s.r[7] = 0xf00, g.s.x.rip = 0x100;
    CHECK(g.run(300) == Stop::budget);
    CHECK(g.engine->stats().invalidations == 0);
    CHECK(g.ram[0xf00] == 99);
    g.engine->memory_changed(g.ram + 0x100, 16);
    CHECK(g.engine->stats().invalidations >= 1);
    CHECK(g.engine->has_code(g.ram));
    const u8 v = 1;
    for (int n = 0; n < 100; ++n) CHECK(g.engine->about_to_store(g.ram + 0xe00, &v, 1));
    CHECK(!g.engine->has_code(g.ram));
}

TEST_CASE("an instruction that crosses pages follows both mappings, and its bytes may change") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x1ffe, {1, 0, 1, 3, -5});  // add at 1ffe..2000, jump at 2001
        g.put(0x3000, {9, 3, -5});        // the same place in page 3
        g.s.x.rip = 0x1ffe;
        CHECK(g.run(40) == Stop::budget);
        CHECK(g.s.r[0] == 20);
        CHECK(g.alone == 1);
        g.remap(2, 3);
        CHECK(g.run(40) == Stop::budget);
        CHECK(g.s.r[0] == 20 + 180);
        g.remap(2, 2);
        const u8 two = 2;
        CHECK(g.engine->about_to_store(g.ram + 0x2000, &two, 1));
        g.ram[0x2000] = two;
        CHECK(g.run(40) == Stop::budget);
        CHECK(g.s.r[0] == 200 + 40);
    }
}

TEST_CASE("jumps to another page follow a changed mapping") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x1fa0, {3, 0x7e});                  // to 2020
        g.put(0x2020, {1, 0, 1, 3, 124, 6});       // and to 20a1
        g.put(0x20a1, {5, 4});                     // back by r4
        g.put(0x3020, {1, 0, 100, 3, 124, 6});
        g.put(0x30a1, {5, 4});
        g.s.r[4] = 0x1fa0, g.s.x.rip = 0x1fa0;
        CHECK(g.run(40) == Stop::budget);
        CHECK(g.s.r[0] == 10);
        g.remap(2, 3);
        CHECK(g.run(40) == Stop::budget);
        CHECK(g.s.r[0] == 1010);
        g.remap(2, 2);
        CHECK(g.run(40) == Stop::budget);
        CHECK(g.s.r[0] == 1020);
    }
}

TEST_CASE("code in a device runs instruction by instruction") {
    ToyGuest g;
    g.mmio_code = 10;
    g.s.x.rip = ToyGuest::kMmio;
    CHECK(g.run(5) == Stop::budget);
    CHECK(g.s.r[6] == 4);
    CHECK(g.s.x.rip == ToyGuest::kMmio + 5);
    g.s.x.rip = 0x10000;
    CHECK(g.run(5) == Stop::fault);
    CHECK(g.s.fault_seen == 99);
    CHECK(g.s.x.icount() == 5);
}

TEST_CASE("more modes than there are numbers") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x100, {1, 0, 1, 3, -5});
        for (u32 m = 0; m < 9000; ++m) {
            g.s.x.mode.bits = m << 2;
            g.s.x.rip = 0x100;
            REQUIRE(g.run(2) == Stop::budget);
        }
        CHECK(g.s.r[0] == 9000);
        CHECK(g.engine->stats().flushes >= 2);
    }
}

TEST_CASE("a mode's base moves code, and blocks of one mode are not those of another") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x1234, {1, 0, 1, 3, -5});
        for (int n = 0; n < 10; ++n)
            for (const u32 base : {0u, 0x1000u, 0x230u}) {
                g.s.x.mode.base = base, g.s.x.rip = 0x1234 - base;
                CHECK(g.run(21) == Stop::budget);
                CHECK(g.s.x.rip == 0x1237 - base);
            }
        CHECK(g.s.r[0] == 10 * 3 * 11);
    }
}

TEST_CASE("flush, also from inside, and a full arena") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        for (unsigned at = 0; at < 0xe000; at += 16) g.put(at, {1, 0, 1, 1, 1, 1, 1, 2, 1, 1, 3, 1, 3, 2});
        g.put(0xe000, {5, 4});
        for (u64 round = 1; round <= 8; ++round) {
            g.s.x.rip = 0;
            CHECK(g.run(0xe00 * 5) == Stop::budget);
            CHECK(g.s.r[3] == 0xe00 * round);
            if (round % 3 == 0) g.engine->flush();
        }
    }
}

TEST_CASE("step retires exactly one") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x100, {1, 0, 1, 1, 0, 1, 3, -8});
        g.s.x.rip = 0x100;
        g.set_budget(1000);
        for (u64 n = 1; n < 100; ++n) {
            CHECK(g.engine->step() == Stop::budget);
            CHECK(g.s.x.icount() == n);
        }
        CHECK(g.s.r[0] == 66);
    }
}

TEST_CASE("a stop is met from translated code, from a jump and in exact steps, and is passed by step()") {
    for (const auto& o : engines()) {
        ToyGuest g{o};
        g.put(0x100, {1, 0, 1, 1, 1, 1, 1, 2, 1, 3, -11});  // three adds and a jump back
        g.s.x.rip = 0x100;
        CHECK(g.run(400) == Stop::budget);
        CHECK(g.s.x.rip == 0x100);
        g.stop_at(0x106, true);
        for (u64 round = 1; round < 30; ++round) {
            CHECK(g.run(1000) == Stop::breakpoint);
            CHECK(g.s.x.rip == 0x106);
            CHECK(g.s.r[0] == 100 + round);
            CHECK(g.s.r[2] == 100 + round - 1);
            CHECK(g.s.x.icount() == 400 + 4 * (round - 1) + 2);
            CHECK(g.run(1) == Stop::breakpoint);   // again, until it is stepped over
            g.s.x.deadline = g.s.x.icount() + 1, g.s.x.budget = 1;
            CHECK(g.engine->step() == Stop::budget);
            CHECK(g.s.x.rip == 0x109);
        }
        g.stop_at(0x106, false);
        CHECK(g.run(1001) == Stop::budget);
        CHECK(g.s.x.rip == 0x100);
        // The end of the budget is near: instructions go one by one.
        g.stop_at(0x106, true);
        for (i64 budget = 3; budget < 12; ++budget) {
            CHECK(g.run(budget) == Stop::breakpoint);
            CHECK(g.s.x.rip == 0x106);
            g.s.x.rip = 0x100;
        }
        g.s.x.rip = 0x106;
        g.stop_at(0x106, false), g.stop_at(0x109, true);
        CHECK(g.run(1) == Stop::budget);
        CHECK(g.run(1) == Stop::breakpoint);
    }
}
