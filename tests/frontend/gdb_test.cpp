// The GDB stub: packets, agent expressions, the protocol, and hostile clients.
#include <random>

#include "gdb_fixture.h"

using namespace calque;
using Why = GdbStop::Why;
using Kind = GdbPoint::Kind;

namespace {
struct Receiver {
    std::vector<std::string> packets;
    unsigned interrupts = 0;
    GdbPackets p{{[this](const std::string& s) { packets.push_back(s); }, [this] { ++interrupts; }}};
    std::string feed(std::string_view bytes) {
        p.feed(bytes);
        return std::exchange(p.output, {});
    }
};
}  // namespace

TEST_CASE("packets: checksums are checked and acknowledged") {
    Receiver r;
    CHECK(r.feed("$g#67") == "+");
    CHECK(r.feed("$g#68") == "-");
    CHECK(r.feed("$g#6") == "");
    CHECK(r.feed("7") == "+");
    CHECK(r.feed("$g#zz") == "-");
    CHECK(r.feed("xx$#00") == "+");
    CHECK(r.packets == std::vector<std::string>{"g", "g", ""});
    CHECK(r.feed("$abc$g#67") == "-+");   // the end of the first is lost
    CHECK(r.packets.back() == "g");
}

TEST_CASE("packets: escapes, both ways") {
    Receiver r;
    CHECK(r.feed(GdbClient::frame("X}\x03}]}\x04""a")) == "+");
    CHECK(r.packets.back() == "X#}$a");
    r.p.send("a#b$c}d*e");
    CHECK(r.p.output == GdbClient::frame("a}\x03""b}\x04""c}]d}\ne"));
}

TEST_CASE("packets: what was sent is sent again until it is acknowledged") {
    Receiver r;
    r.p.send("OK");
    CHECK(r.feed("-") == "$OK#9a$OK#9a");
    CHECK(r.feed("-") == "$OK#9a");
    CHECK(r.feed("+-") == "");
    r.p.send("OK");
    r.p.stop_acknowledging();
    CHECK(r.feed("-$g#67$g#00") == "$OK#9a");
    CHECK(r.packets.size() == 1);   // wrong ones are dropped all the same
}

TEST_CASE("packets: Ctrl-C counts between packets only") {
    Receiver r;
    r.feed("\x03");
    CHECK(r.interrupts == 1);
    r.feed(GdbClient::frame("X\x03"));
    CHECK(r.interrupts == 1);
    CHECK(r.packets.back() == "X\x03");
}

TEST_CASE("packets: too long ones are dropped without being kept") {
    Receiver r;
    r.p.feed("$");
    const std::string much(10'000, 'a');
    for (int n = 0; n < 1000; ++n) r.p.feed(much);
    CHECK(r.feed("#80") == "+");   // 10^7 times 61h
    CHECK(r.packets == std::vector<std::string>{kGdbTooLong});
    CHECK(r.feed("$g#67") == "+");
    CHECK(r.packets.back() == "g");
}

// ---- agent expressions

namespace {
struct World : AgentWorld {
    std::optional<u64> agent_register(unsigned n) override { return n < 4 ? std::optional{u64{100} + n} : std::nullopt; }
    bool agent_read(u64 a, std::span<u8> out) override {
        if (a > 0x1000) return false;
        for (u8& b : out) b = static_cast<u8>(a++);
        return true;
    }
};
std::optional<u64> run(const std::string& hex) {
    std::string code;
    REQUIRE(from_hex(hex, code));
    World w;
    return run_agent({reinterpret_cast<const u8*>(code.data()), code.size()}, w);
}
constexpr u64 kMinus = ~u64{0};
}  // namespace

TEST_CASE("agent expressions: every operation") {
    struct Case {
        const char* code;
        std::optional<u64> value;
    };
    const Case cases[] = {
        {"220722030227", 10}, {"220722030327", 4}, {"220322070327", kMinus - 3}, {"220722030427", 21},
        {"220722020627", 3}, {"220722020827", 1}, {"2207220006" "27", {}},
        {"22F716082202" "0527", kMinus - 3}, {"22F71608220207" "27", kMinus},   // -9 / 2 = -4, -9 % 2 = -1
        {"2580000000000000" "0025FFFFFFFFFFFFFFFF0527", u64{1} << 63},           // the quotient that does not fit
        {"22012204" "0927", 16}, {"220122400927", 0}, {"22801608220" "10a27", 0xffffffffffffffc0}, {"2280220" "10b27", 0x40},
        {"22000e27", 1}, {"22050e27", 0}, {"220c220a0f27", 8}, {"220c220a1027", 14}, {"220c220a1127", 6}, {"22001227", kMinus},
        {"220522051327", 1}, {"220522061327", 0}, {"22ff160822011427", 1}, {"22ff160822011527", 0},
        {"22ff160827", kMinus}, {"24ffffffff2a1027", 0xffff}, {"22ff164027", 0xff}, {"22ff1600" "27", {}}, {"22ff164127", {}},
        {"22101727", 0x10}, {"22101827", 0x1110}, {"22101927", 0x13121110}, {"22101a27", 0x1716151413121110}, {"2320001727", {}},
        {"22012000072202272203" "27", 2},   // if_goto to 7 lies inside: see below
        {"23abcd27", 0xabcd}, {"24deadbeef27", 0xdeadbeef}, {"25112233445566778827", 0x1122334455667788},
        {"26000227", 102}, {"26000427", {}}, {"2205280227", 10}, {"220522062927", 5}, {"220522062b0327", 1},
        {"220122022203320227", 1}, {"22013205" "27", {}}, {"220122022203330327", kMinus},   // rot: 3 1 2
        {"27", {}}, {"", {}}, {"22", {}}, {"2201", {}}, {"02" "27", {}}, {"ff27", {}}, {"0c27", {}},
        {"210000", {}},                      // for ever
        {"2201210000", {}},                  // for ever, and the stack is full
        {"21ffff27", {}},
    };
    for (const Case& c : cases) {
        if (std::string{c.code} == "22012000072202272203" "27") continue;
        CAPTURE(c.code);
        CHECK(run(c.code) == c.value);
    }
    CHECK(run("2201200008220227" "220327") == 3);   // taken
    CHECK(run("2200200008220227" "220327") == 2);   // not taken
}

TEST_CASE("agent expressions: random code ends and reads only what it may") {
    std::mt19937 random{1};
    World w;
    for (int n = 0; n < 20'000; ++n) {
        std::vector<u8> code(random() % 40);
        for (u8& b : code) b = static_cast<u8>(random() % 4 ? random() % 0x36 : random());
        run_agent(code, w);
    }
}

// ---- the protocol

TEST_CASE("stub: a client attaches: the target stands, and says what it can") {
    GdbClient c;
    CHECK(!c.target.moving);
    const std::string s = c.ask("qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+");
    CHECK(s.find("qXfer:features:read+") != std::string::npos);
    CHECK(s.find("ConditionalBreakpoints+") != std::string::npos);
    CHECK(s.find("Reverse") == std::string::npos);
    CHECK(c.ask("vMustReplyEmpty") == "");
    CHECK(c.ask("?") == "T05thread:1;1:0010000000000000;");
    CHECK(c.raw(GdbClient::frame("QStartNoAckMode")) == "+$OK#9a");
    CHECK(c.raw(GdbClient::frame("qAttached")) == "$1#31");
}

TEST_CASE("stub: registers") {
    GdbClient c;
    CHECK(c.ask("g") == "887766554433221100100000000000000800");
    CHECK(c.ask("p0") == "8877665544332211");
    CHECK(c.ask("p2") == "0800");
    CHECK(c.ask("p3").starts_with("E"));
    CHECK(c.ask("P0=0100000000000000") == "OK");
    CHECK(c.target.values[0] == 1);
    CHECK(c.ask("P0=01").starts_with("E"));
    CHECK(c.ask("P2=0900") == "E.cs is fixed");
    CHECK(c.ask("G0200000000000000" "0020000000000000" "0800") == "OK");   // cs is the same
    CHECK(c.target.values[0] == 2);
    CHECK(c.target.values[1] == 0x2000);
    CHECK(c.ask("G02zz").starts_with("E"));
}

TEST_CASE("stub: memory, as text and as bytes") {
    GdbClient c;
    CHECK(c.ask("M100,3:414243") == "OK");
    CHECK(c.ask("m100,4") == "41424300");
    CHECK(c.ask("x100,3") == "bABC");
    CHECK(c.ask("X200,2:}\x03""b") == "OK");
    CHECK(c.ask("m200,2") == "2362");
    CHECK(c.ask("X0,0:") == "OK");
    CHECK(c.ask("mfffe,8") == "0000");      // as far as there is something
    CHECK(c.ask("m10000,1") == "E14");
    CHECK(c.ask("Mffff,2:0000") == "E14");
    CHECK(c.ask("M0,2:00").starts_with("E."));
    CHECK(c.ask("mffffffffffffffff,ffffffffffffffff") == "E14");
    CHECK(c.ask("m0,ffffffffffffffff").size() <= GdbPackets::kMaxPacket);
    CHECK(c.ask("m1ffffffffffffffff,1").starts_with("E."));
}

TEST_CASE("stub: continue, step, range, interrupt") {
    GdbClient c;
    CHECK(c.ask("vCont?") == "vCont;c;C;s;S;t;r");
    CHECK(c.ask("vCont;c") == "");
    CHECK(c.target.moving);
    CHECK(c.stub.moving());
    CHECK(c.raw("\x03") == GdbClient::frame("T02thread:1;1:0010000000000000;"));
    CHECK(!c.target.moving);
    CHECK(c.raw("\x03") == "");
    CHECK(c.ask("vCont;s:1;c") == "");
    CHECK(c.target.motion.kind == GdbMotion::Kind::step);
    CHECK(c.stopped({.why = Why::step}) == GdbClient::frame("T05thread:1;1:0010000000000000;"));
    CHECK(c.ask("vCont;r1000,1008:1") == "");
    c.target.log.clear();
    c.target.values[1] = 0x1004;
    CHECK(c.stopped({.why = Why::step}) == "");
    CHECK(c.target.log == "resume ");
    c.target.values[1] = 0x1008;
    CHECK(c.stopped({.why = Why::step}).find("T05") != std::string::npos);
    for (const char* wrong : {"vCont;", "vCont;z", "vCont;r12", "vCont;r1,", "c1000"}) CHECK(c.ask(wrong).starts_with("E."));
    CHECK(c.ask("C0b") == "");
    CHECK(c.stopped({.why = Why::event, .signal = 11, .message = "boom"}) == GdbClient::frame("O626f6f6d0a") + GdbClient::frame("T0bthread:1;1:0810000000000000;"));
}

TEST_CASE("stub: breakpoints and watchpoints") {
    GdbClient c;
    c.ask("qSupported:swbreak+;hwbreak+");
    CHECK(c.ask("Z0,1000,1") == "OK");
    CHECK(c.ask("Z0,1000,1") == "OK");
    CHECK(c.ask("Z1,2000,1") == "OK");
    CHECK(c.ask("Z2,3000,4") == "OK");
    CHECK(c.ask("Z3,3000,4") == "OK");
    CHECK(c.ask("Z4,3000,8") == "OK");
    CHECK(c.target.points.size() == 5);
    for (const char* wrong : {"Z5,0,1", "Z2,0,0", "Z2,ffffffffffffffff,2", "Z0", "Z0,", "Z0,1", "Z0,x,1"}) CHECK(c.ask(wrong).starts_with("E."));
    c.ask("vCont;c");
    CHECK(c.stopped({.why = Why::breakpoint}).find("swbreak:;") != std::string::npos);
    c.ask("vCont;c");
    CHECK(c.stopped({.why = Why::breakpoint, .kind = Kind::hardware}).find("hwbreak:;") != std::string::npos);
    c.ask("vCont;c");
    CHECK(c.stopped({.why = Why::watch, .kind = Kind::write, .address = 0x3002}).find("watch:3002;") != std::string::npos);
    c.ask("vCont;c");
    CHECK(c.stopped({.why = Why::watch, .kind = Kind::read, .address = 0x3002}).find("rwatch:3002;") != std::string::npos);
    c.ask("vCont;c");
    CHECK(c.stopped({.why = Why::watch, .kind = Kind::access, .address = 0x3002}).find("awatch:3002;") != std::string::npos);
    CHECK(c.ask("z0,1000,1") == "OK");
    CHECK(c.ask("z0,1000,1") == "OK");
    CHECK(c.target.points.size() == 4);
}

TEST_CASE("stub: conditions are evaluated here") {
    GdbClient c;
    // pc == 1000h and rax == 5
    CHECK(c.ask("Z0,1000,1;X8,2600002205132" "7000") .starts_with("E."));   // not pairs of digits
    CHECK(c.ask("Z0,1000,1;X7,26000022051327") == "OK");
    c.ask("vCont;c");
    c.target.log.clear();
    CHECK(c.stopped({.why = Why::breakpoint}) == "");
    CHECK(c.target.log == "resume ");
    c.target.values[0] = 5;
    CHECK(c.stopped({.why = Why::breakpoint}).find("T05") != std::string::npos);
    // One of several is enough; one that is wrong stops; none at all as well.
    CHECK(c.ask("Z0,1000,1;X3,220027X3,220127") == "OK");
    c.ask("vCont;c");
    CHECK(c.stopped({.why = Why::breakpoint}) != "");
    CHECK(c.ask("Z0,1000,1;X2,ff27") == "OK");
    c.ask("vCont;c");
    CHECK(c.stopped({.why = Why::breakpoint}) != "");
    CHECK(c.ask("Z0,1000,1;X3,220027") == "OK");
    CHECK(c.ask("Z1,1000,1") == "OK");
    c.ask("vCont;c");
    CHECK(c.stopped({.why = Why::breakpoint}) != "");
    CHECK(c.ask("Z0,1000,1;Xffffffff,2200").starts_with("E."));
}

TEST_CASE("stub: threads are processors") {
    GdbClient c;
    CHECK(c.ask("qC") == "QC1");
    CHECK(c.ask("qfThreadInfo") == "m1,2");
    CHECK(c.ask("qsThreadInfo") == "l");
    CHECK(c.ask("T2") == "OK");
    CHECK(c.ask("T3").starts_with("E"));
    CHECK(c.ask("Hg2") == "OK");
    CHECK(c.ask("qC") == "QC2");
    CHECK(c.ask("Hg3").starts_with("E"));
    CHECK(c.ask("Hc-1") == "OK");
    CHECK(c.ask("Hg0") == "OK");
    CHECK(c.ask("qThreadExtraInfo,2") == to_hex("halted"));
    CHECK(c.ask("qXfer:threads:read::0,1000").find("<thread id=\"2\" core=\"1\" name=\"CPU 1\">halted</thread>") != std::string::npos);
}

TEST_CASE("stub: documents are sent in pieces, escaped") {
    GdbClient c;
    CHECK(c.ask("qXfer:features:read:target.xml:0,5") == "m<targ");
    CHECK(c.ask("qXfer:features:read:target.xml:5,fff") == "let>}\x03}\x04}]}\n</target>");
    CHECK(c.ask("qXfer:features:read:target.xml:15,fff") == "l");
    CHECK(c.ask("qXfer:features:read:target.xml:16,fff").starts_with("E"));
    CHECK(c.ask("qXfer:features:read:other.xml:0,fff") == "E00");
    CHECK(c.ask("qXfer:memory-map:read::0,fff") == "l<memory-map/>");
    CHECK(c.ask("qXfer:auxv:read::0,fff") == "E00");
    CHECK(c.ask("qXfer:features:write:target.xml:0:") == "");
    CHECK(c.ask("qXfer:features").empty());
}

TEST_CASE("stub: monitor commands") {
    GdbClient c;
    CHECK(c.raw(GdbClient::frame(std::string{"qRcmd,"} + to_hex("hello"))) == std::string{"+"} + GdbClient::frame(std::string{"O"} + to_hex("you said hello\n")) + GdbClient::frame("OK"));
    CHECK(c.ask(std::string{"qRcmd,"} + to_hex("silence")) == "OK");
    CHECK(c.ask("qRcmd,6").starts_with("E."));
}

TEST_CASE("stub: going back needs a history") {
    GdbClient c;
    CHECK(c.ask("bs").starts_with("E.the machine can only run forwards"));
    CHECK(c.ask("bc").starts_with("E."));
    c.target.reverse = true;
    CHECK(c.ask("qSupported").find("ReverseStep+;ReverseContinue+") != std::string::npos);
    CHECK(c.ask("bs") == "");
    CHECK(c.target.motion.backwards);
    CHECK(c.target.motion.kind == GdbMotion::Kind::step);
    CHECK(c.stopped({.why = Why::history_begins}).find("replaylog:begin;") != std::string::npos);
}

TEST_CASE("stub: detach, kill, the machine's end, and a client that is lost") {
    {
        GdbClient c;
        c.ask("Z0,1000,1");
        CHECK(c.ask("D") == "OK");
        CHECK(c.target.points.empty());
        CHECK(c.target.moving);
        CHECK(c.stub.finished());
        CHECK(c.ask("g") == "");   // nobody is at home
    }
    {
        GdbClient c;
        c.ask("k");
        CHECK(c.target.log.starts_with("kill"));
        CHECK(c.stub.finished());
    }
    {
        GdbClient c;
        c.ask("vCont;c");
        CHECK(c.stopped({.why = Why::exited, .code = 3}) == GdbClient::frame("W03"));
        CHECK(c.stub.finished());
    }
    FakeGdbTarget target;
    {
        GdbStub stub{target};
        stub.receive(GdbClient::frame("Z0,1000,1"));
        CHECK(target.points.size() == 1);
    }
    CHECK(target.points.empty());
}

TEST_CASE("stub: non-stop mode answers at once and tells of stops by notifications") {
    GdbClient c;
    CHECK(c.ask("QNonStop:1") == "OK");
    CHECK(c.ask("?").starts_with("T05"));
    CHECK(c.ask("vStopped") == "OK");
    CHECK(c.ask("vCont;c:1") == "OK");
    CHECK(c.ask("?") == "OK");
    CHECK(c.ask("Z0,1000,1") == "OK");   // while it runs
    const std::string notice = c.stopped({.why = Why::breakpoint});
    CHECK(notice.starts_with("%Stop:T05"));
    CHECK(c.ask("vStopped") == "OK");
    CHECK(c.ask("vCont;c:1") == "OK");
    const std::string both = c.raw(GdbClient::frame("vCont;t:1"));
    CHECK(both.find("$OK#9a") != std::string::npos);
    CHECK(both.find("%Stop:T00thread:1;") != std::string::npos);
    CHECK(c.ask("vCont;t:1") == "OK");
    CHECK(c.ask("vCont;c:1") == "OK");
    CHECK(c.raw(GdbClient::frame("vCtrlC")).find("%Stop:T02") != std::string::npos);
    CHECK(c.ask("QNonStop:2").starts_with("E."));
}

TEST_CASE("stub: hostile clients") {
    std::mt19937 random{7};
    const char* const words[] = {"qSupported:", "vCont;", "vCont;c", "vCont;r", "Z0,", "z2,", "Z4,1000,", ";X", "m", "M", "X", "x", "G", "P", "p", "g", "H", "T", "qXfer:",
                                 "features:read:target.xml:", "threads:read::", "qRcmd,", "QNonStop:1", "?", "D", "1000", ",", ":", ";", "=", "ffffffffffffffff", "-1", "bs",
                                 "\x03", "}", "qThreadExtraInfo,", "vStopped", "vCtrlC", "!", "C05", "S", "c", "s"};
    for (int round = 0; round < 300; ++round) {
        GdbClient c;
        c.target.reverse = round & 1;
        for (int n = 0; n < 100 && !c.stub.finished(); ++n) {
            std::string payload;
            for (unsigned k = random() % 6; k; --k) {
                if (random() % 3) payload += words[random() % std::size(words)];
                else payload += static_cast<char>(random());
            }
            std::string bytes = random() % 8 ? GdbClient::frame(payload) : "$" + payload + "#00";
            if (random() % 16 == 0) bytes.resize(random() % (bytes.size() + 1));
            c.raw(bytes);
            if (random() % 2) c.stopped({.why = static_cast<Why>(random() % 7), .cpu = static_cast<unsigned>(random() % 2), .kind = static_cast<Kind>(random() % 5)});
            CHECK(c.stub.output().size() < 1 << 20);
        }
    }
}
