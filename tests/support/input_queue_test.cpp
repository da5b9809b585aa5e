#include <doctest/doctest.h>

#include <string>

#include "support/input_queue.h"

using namespace calque;

namespace {
struct Recorder : InputSink {
    std::string log;
    void key(u8 usage, bool down) override { log += (down ? '+' : '-'), log += std::to_string(usage) += ' '; }
    void mouse_rel(int x, int y, int z) override { log += 'm', log += std::to_string(x + y + z) += ' '; }
    void mouse_button(unsigned n, bool down) override { log += (down ? "b+" : "b-"), log += std::to_string(n) += ' '; }
};
}  // namespace

TEST_CASE("input arrives at its machine time, in order") {
    Clock clock;
    Recorder to;
    InputQueue q{clock, to};
    clock.advance(100);
    q.at(300, InputEvent::key(4, false));
    q.at(200, InputEvent::key(4, true));
    q.at(300, InputEvent::key(5, true));
    q.at(50, InputEvent::motion(1, 2, 3));
    CHECK(to.log == "m6 ");
    clock.advance_to(299);
    CHECK(to.log == "m6 +4 ");
    clock.advance_to(300);
    CHECK(to.log == "m6 +4 -4 +5 ");
    CHECK(q.waiting() == 0);
}

TEST_CASE("waiting input is saved, and its amount is bounded") {
    Clock clock, clock2;
    Recorder to, to2;
    InputQueue q{clock, to}, q2{clock2, to2};
    q.at(10, InputEvent::button(1, true)), q.at(20, InputEvent::button(1, false));
    StateIO out = StateIO::saver();
    q.state(out);
    StateIO in = StateIO::loader(out.bytes());
    q2.state(in);
    CHECK(in.ok());
    StateIO again = StateIO::saver();
    q2.state(again);
    CHECK(again.bytes() == out.bytes());
    clock2.advance(15);
    CHECK(to2.log == "b+1 ");
    for (size_t i = 0; i < InputQueue::kCapacity - 2; ++i) CHECK(q.at(1000, InputEvent::key(4, true)));
    CHECK_FALSE(q.at(1000, InputEvent::key(4, true)));
    for (size_t n = 0; n < out.bytes().size(); ++n) {
        StateIO cut = StateIO::loader(std::span{out.bytes()}.first(n));
        q2.state(cut);
        CHECK_FALSE(cut.ok());
    }
}
