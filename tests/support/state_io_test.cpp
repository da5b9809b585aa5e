#include <doctest/doctest.h>

#include "support/state_io.h"

using namespace calque;

namespace {
struct Sample {
    u16 a = 0;
    bool b = false;
    std::vector<u32> c;
    std::array<i8, 2> d{};
    std::string e;
    u32 version = 0;
    void state(StateIO& s) { version = s.version(2), s(a, b, c, d, e); }
};
}  // namespace

TEST_CASE("StateIO loads what it saved, little-endian") {
    Sample x{0x1234, true, {1, 0xffffffff}, {-1, 2}, "hi"}, y;
    StateIO out = StateIO::saver();
    x.state(out);
    CHECK(out.bytes()[4] == 0x34);
    StateIO in = StateIO::loader(out.bytes());
    y.state(in);
    CHECK(in.ok());
    CHECK(y.a == 0x1234);
    CHECK(y.b);
    CHECK(y.c == x.c);
    CHECK(y.d == x.d);
    CHECK(y.e == "hi");
}

TEST_CASE("StateIO survives damage: short streams, absurd lengths, foreign versions") {
    Sample x{1, true, {1, 2, 3}, {}, "text"}, y;
    StateIO out = StateIO::saver();
    x.state(out);
    for (size_t n = 0; n < out.bytes().size(); ++n) {
        StateIO in = StateIO::loader(std::span{out.bytes()}.first(n));
        y.state(in);
        CHECK_FALSE(in.ok());
    }
    auto bytes = out.bytes();
    bytes[7] = bytes[8] = bytes[9] = bytes[10] = 0xff;  // the vector's length
    StateIO in = StateIO::loader(bytes);
    y.state(in);
    CHECK_FALSE(in.ok());
    bytes = out.bytes();
    bytes[0] = 3;
    StateIO newer = StateIO::loader(bytes);
    y.state(newer);
    CHECK_FALSE(newer.ok());
}
