#include <doctest/doctest.h>

#include <string>

#include "support/clock.h"
#include "support/state_io.h"

using namespace calque;

TEST_CASE("timers fire at their own deadline, earliest first, ties by age") {
    Clock clock;
    std::string order;
    Timer a{clock, [&] { order += "a" + std::to_string(clock.now()); }};
    Timer b{clock, [&] { order += "b" + std::to_string(clock.now()); }};
    b.arm_at(10), a.arm_at(10);
    Timer c{clock, [&] { order += "c" + std::to_string(clock.now()), a.arm_in(3); }};
    c.arm_at(7);
    clock.advance_to(9);
    CHECK(order == "c7");
    CHECK(a.deadline() == 10);
    CHECK(clock.now() == 9);
    clock.advance_to(20);
    CHECK(order == "c7a10b10");
    CHECK(clock.next_deadline() == kNever);
}

TEST_CASE("an earlier deadline is announced, a later one is not") {
    Clock clock;
    Time heard = 0;
    clock.on_earlier_deadline = [&](Time t) { heard = t; };
    Timer a{clock, [] {}}, b{clock, [] {}};
    a.arm_at(50);
    CHECK(heard == 50);
    b.arm_at(60);
    CHECK(heard == 50);
    b.arm_at(40);
    CHECK(heard == 40);
}

TEST_CASE("a timer's deadline is saved and loaded") {
    Clock clock;
    Timer a{clock, [] {}}, b{clock, [] {}};
    a.arm_at(77);
    StateIO out = StateIO::saver();
    a.state(out);
    StateIO in = StateIO::loader(out.bytes());
    b.state(in);
    CHECK(b.deadline() == 77);
}
