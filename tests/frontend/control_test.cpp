// The control socket. Expected answers are those of QEMU 7.2 to the same requests.
#include "tests/frontend/control_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <random>

#include "frontend/control/keys.h"

using namespace calque;

namespace {
std::string contents(const std::string& path) {
    std::ifstream f{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{f}, {}};
}
std::string input_text(FakeTarget& t) {
    std::string s;
    char b[80];
    for (auto& [time, e] : t.input) {
        const auto ms = static_cast<unsigned>(time / 1'000'000);
        switch (e.kind) {
        case InputEvent::Kind::key: std::snprintf(b, sizeof b, "%u%c%02x ", ms, e.down ? '+' : '-', e.code); break;
        case InputEvent::Kind::button: std::snprintf(b, sizeof b, "%ub%c%u ", ms, e.down ? '+' : '-', e.code); break;
        default: std::snprintf(b, sizeof b, "%um%d,%d,%d ", ms, e.dx, e.dy, e.dz); break;
        }
        s += b;
    }
    t.input.clear();
    return s;
}
}  // namespace

TEST_CASE("greeting and capabilities negotiation") {
    Rig rig;
    QmpClient c{rig, false};
    const J hello = c.receive();
    CHECK(hello["QMP"]["version"]["qemu"]["major"].is_number_integer());
    CHECK(hello["QMP"]["version"]["package"].is_string());
    CHECK(hello["QMP"]["capabilities"].is_array());
    CHECK(c.refused(R"({"execute":"query-status"})") == "CommandNotFound: Expecting capabilities negotiation with 'qmp_capabilities'");
    CHECK(c.refused(R"({"execute":"qmp_capabilities","arguments":{"enable":["oob"]}})") == "GenericError: Capability 'oob' is not available");
    CHECK(c.call(R"({"execute":"qmp_capabilities"})") == J::object());
    const J again = c.request(R"({"execute":"qmp_capabilities","id":[1,{"a":2}]})");
    CHECK(again["id"] == J::parse(R"([1,{"a":2}])"));
    CHECK(again["error"]["desc"] == "Capabilities negotiation is already complete, command ignored");
}

TEST_CASE("requests that are not as the specification says") {
    Rig rig;
    QmpClient c{rig};
    CHECK(c.refused("[1]\n") == "GenericError: QMP input must be a JSON object");
    CHECK(c.refused("5\n") == "GenericError: QMP input must be a JSON object");
    CHECK(c.refused("}\n") == "GenericError: JSON parse error, expecting value");
    CHECK(c.refused("{\"a\":1}\n") == "GenericError: QMP input member 'a' is unexpected");
    CHECK(c.refused("{}\n") == "GenericError: QMP input lacks member 'execute'");
    CHECK(c.refused("{\"execute\":5}\n") == "GenericError: QMP input member 'execute' must be a string");
    CHECK(c.refused(R"({"execute":"query-status","arguments":1})") == "GenericError: QMP input member 'arguments' must be an object");
    CHECK(c.refused(R"({"execute":"query-status","arguments":{"a":1}})") == "GenericError: Parameter 'a' is unexpected");
    CHECK(c.refused(R"({"execute":"nope"})") == "CommandNotFound: The command nope has not been found");
    CHECK(c.refused(R"({"execute":"screendump"})") == "GenericError: Parameter 'filename' is missing");
    CHECK(c.refused(R"({"execute":"screendump","arguments":{"filename":5}})") == "GenericError: Invalid parameter type for 'filename', expected: string");
    CHECK(c.refused("{\"execute\":\"query-status\", }\n") == "GenericError: JSON parse error, expecting value");
    CHECK(c.refused("{\"execute\":\"query-name\n").starts_with("GenericError: JSON parse error"));
    CHECK(c.call("{'execute':'query-name'}")["name"] == "fake");  // single quotes, as QEMU takes them
    CHECK(c.refused("{\"execute\":\"\xC3\x28\"}").starts_with("GenericError: JSON parse error"));
    c.send("{\"execute\": \"query-");
    c.send("\xFF");
    CHECK(c.call(R"({"execute":"query-name"})")["name"] == "fake");
}

TEST_CASE("status, versions, names and the list of commands") {
    Rig rig;
    QmpClient c{rig};
    CHECK(c.call(R"({"execute":"query-status"})") == J::parse(R"({"status":"running","singlestep":false,"running":true})"));
    CHECK(c.call(R"({"execute":"query-version"})")["qemu"]["major"] == 7);
    const J commands = c.call(R"({"execute":"query-commands"})");
    for (const char* name : {"qmp_capabilities", "query-status", "query-commands", "stop", "cont", "quit", "system_reset", "system_powerdown",
                             "screendump", "send-key", "input-send-event", "pmemsave", "memsave", "blockdev-change-medium", "eject",
                             "human-monitor-command", "x-screen-text", "query-version", "query-name"})
        CHECK(std::find(commands.begin(), commands.end(), J{{"name", name}}) != commands.end());
    CHECK(c.call(R"({"execute":"x-screen-text"})") == J::parse(R"(["C:\\>","","║ok"])"));
}

TEST_CASE("stop, cont, reset, power and quit, with their events to every client") {
    Rig rig;
    QmpClient a{rig}, b{rig};
    QmpClient silent{rig, false};
    CHECK(silent.receive().contains("QMP"));
    a.call(R"({"execute":"stop"})");
    CHECK(a.events == std::vector<std::string>{"STOP"});
    CHECK(a.last_event["timestamp"]["seconds"].get<i64>() > 1'600'000'000);
    CHECK(a.last_event["timestamp"]["microseconds"].get<i64>() < 1'000'000);
    CHECK(b.receive()["event"] == "STOP");
    CHECK(a.call(R"({"execute":"query-status"})")["status"] == "paused");
    CHECK(a.refused(R"({"execute":"input-send-event","arguments":{"events":[]}})") == "GenericError: VM not running");
    a.call(R"({"execute":"stop"})"), a.call(R"({"execute":"cont"})"), a.call(R"({"execute":"cont"})");
    a.call(R"({"execute":"system_reset"})"), a.call(R"({"execute":"system_powerdown"})");
    CHECK(a.events == std::vector<std::string>{"STOP", "RESUME", "RESET", "POWERDOWN"});
    CHECK(b.receive()["event"] == "RESUME");
    CHECK(b.receive()["data"] == J::parse(R"({"guest":false,"reason":"host-qmp-system-reset"})"));
    CHECK(b.receive()["event"] == "POWERDOWN");
    rig.server->shutdown(ControlServer::Cause::guest);
    CHECK(b.receive()["data"] == J::parse(R"({"guest":true,"reason":"guest-shutdown"})"));
    CHECK(silent.receive(50).is_null());
    a.receive();
    a.call(R"({"execute":"quit"})");
    CHECK(rig.target.log == "reset powerdown quit ");
    rig.server.reset();
    CHECK(access(rig.path.c_str(), F_OK) != 0);
}

TEST_CASE("what was answered before the end still arrives") {
    Rig rig;
    QmpClient c{rig};
    CHECK(c.call(R"({"execute":"query-name"})")["name"] == "fake");
    rig.server->shutdown(ControlServer::Cause::signal);
    auto server = std::move(rig.server);
    server.reset();
    // The client reads without a server to poll.
    Rig other;
    rig.server = std::move(other.server);
    CHECK(c.receive()["data"]["reason"] == "host-signal");
}

TEST_CASE("send-key: chords in machine time, one after the other") {
    Rig rig;
    QmpClient c{rig};
    rig.target.now = 5'000'000;
    c.call(R"({"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"ctrl"},{"type":"qcode","data":"alt"},{"type":"qcode","data":"delete"}]}})");
    CHECK(input_text(rig.target) == "5+e0 5+e2 5+4c 105-4c 105-e2 105-e0 ");
    c.call(R"({"execute":"send-key","arguments":{"keys":[{"type":"number","data":30}],"hold-time":10}})");
    CHECK(input_text(rig.target) == "125+04 135-04 ");
    rig.target.now = 9'000'000'000;
    c.call(R"({"execute":"send-key","arguments":{"keys":[{"type":"number","data":200}],"hold-time":1}})");
    CHECK(input_text(rig.target) == "9000+52 9001-52 ");
    auto keys = [&](const char* k) { return c.refused(std::string{R"({"execute":"send-key","arguments":{"keys":[)"} + k + "]}}"); };
    CHECK(keys(R"({"type":"qcode","data":"zz"})") == "GenericError: Parameter 'data' does not accept value 'zz'");
    CHECK(keys(R"({"type":"bad","data":"a"})") == "GenericError: Parameter 'type' does not accept value 'bad'");
    CHECK(keys(R"({"data":"a"})") == "GenericError: Parameter 'keys[0].type' is missing");
    CHECK(keys("7").starts_with("GenericError: Invalid parameter type for 'keys[0]'"));
    CHECK(c.refused(R"({"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"a"}],"hold-time":"x"}})") ==
          "GenericError: Invalid parameter type for 'hold-time', expected: integer");
    CHECK(c.refused(R"({"execute":"send-key","arguments":{"keys":[],"hold-time":-1}})").starts_with("GenericError"));
    CHECK(rig.target.input.empty());
    for (unsigned usage = 4; usage <= 0x65; ++usage) {  // every key of the main block has a scan code
        bool found = false;
        for (unsigned n = 1; n < 256; ++n) found |= usage_of_number(n) == usage;
        CHECK_MESSAGE((found || usage == 0x32), usage);  // 32h is the other name of the backslash key
    }
}

TEST_CASE("input-send-event: keys, buttons, wheel, relative and absolute motion") {
    Rig rig;
    QmpClient c{rig};
    auto events = [](const std::string& list) { return R"({"execute":"input-send-event","arguments":{"events":[)" + list + "]}}"; };
    c.call(events(R"({"type":"key","data":{"down":true,"key":{"type":"qcode","data":"a"}}},{"type":"key","data":{"down":false,"key":{"type":"qcode","data":"a"}}})"));
    c.call(events(R"({"type":"rel","data":{"axis":"x","value":5}},{"type":"rel","data":{"axis":"y","value":-7}},{"type":"btn","data":{"down":true,"button":"left"}})"));
    c.call(events(R"({"type":"btn","data":{"down":true,"button":"wheel-down"}})"));
    CHECK(input_text(rig.target) == "0+04 0-04 0m5,-7,0 0b+0 0m0,0,-1 ");
    CHECK(c.refused(events(R"({"type":"btn","data":{"down":1,"button":"left"}})")) ==
          "GenericError: Invalid parameter type for 'events[0].data.down', expected: boolean");
    CHECK(c.refused(events(R"({"type":"btn","data":{"down":true,"button":"foo"}})")) == "GenericError: Parameter 'button' does not accept value 'foo'");
    // Absolute motion through a mouse that has none: into the corner, then to the place, then the click.
    c.call(events(R"({"type":"abs","data":{"axis":"x","value":16384}},{"type":"abs","data":{"axis":"y","value":8192}},{"type":"btn","data":{"down":true,"button":"left"}})"));
    int x = 5000, y = 5000;
    Time last = 0;
    for (auto& [t, e] : rig.target.input) {
        CHECK(t >= last);
        last = t;
        if (e.kind == InputEvent::Kind::motion) x = std::max(0, x + e.dx), y = std::max(0, y + e.dy);
    }
    CHECK(x == 320);
    CHECK(y == 120);
    CHECK(rig.target.input.back().second.kind == InputEvent::Kind::button);
    const size_t first = rig.target.input.size();
    rig.target.input.clear();
    c.call(events(R"({"type":"abs","data":{"axis":"x","value":16896}})"));  // 330: known from here on
    CHECK(rig.target.input.size() < first / 4);
    for (auto& [t, e] : rig.target.input) x += e.dx, y += e.dy;
    CHECK(x == 330);
    CHECK(y == 120);
}

TEST_CASE("screendump, pmemsave and memsave") {
    Rig rig;
    QmpClient c{rig};
    auto with = [](const char* command, J arguments) { return J{{"execute", command}, {"arguments", arguments}}.dump(); };
    const std::string png = rig.folder / "a.png", ppm = rig.folder / "a.ppm", mem = rig.folder / "mem";
    c.call(with("screendump", {{"filename", png}, {"format", "png"}}));
    CHECK(contents(png).starts_with("\x89PNG"));
    c.call(with("screendump", {{"filename", ppm}}));
    CHECK(contents(ppm).size() == 15 + 640 * 480 * 3);
    CHECK(contents(ppm).substr(15, 6) == std::string("\0\0\0\0\0\1", 6));
    CHECK(c.refused(with("screendump", {{"filename", png}, {"format", "gif"}})) == "GenericError: Parameter 'format' does not accept value 'gif'");
    CHECK(c.refused(with("screendump", {{"filename", png}, {"device", "x"}})) == "DeviceNotFound: Device 'x' not found");
    CHECK(c.refused(with("screendump", {{"filename", "/nonexistent/x"}})) == "GenericError: Could not open '/nonexistent/x': No such file or directory");
    for (size_t i = 0; i < rig.target.ram.size(); ++i) rig.target.ram[i] = static_cast<u8>(i * 7 + (i >> 8));
    c.call(with("pmemsave", {{"val", 100}, {"size", 200'000}, {"filename", mem}}));
    CHECK(contents(mem) == std::string(rig.target.ram.begin() + 100, rig.target.ram.begin() + 200'100));
    c.call(with("memsave", {{"val", 0xFFFF800000000010u}, {"size", 3}, {"filename", mem}}));
    CHECK(contents(mem) == std::string(rig.target.ram.begin() + 16, rig.target.ram.begin() + 19));
    const std::string none = rig.folder / "none";
    CHECK(c.refused(with("pmemsave", {{"val", 0}, {"size", u64{1} << 62}, {"filename", none}})).find("specified") != std::string::npos);
    CHECK(c.refused(with("pmemsave", {{"val", ~u64{0} - 5}, {"size", 100}, {"filename", none}})).find("specified") != std::string::npos);
    CHECK(access(none.c_str(), F_OK) != 0);
}

TEST_CASE("changing and ejecting media") {
    Rig rig;
    QmpClient c{rig};
    c.call(R"({"execute":"blockdev-change-medium","arguments":{"device":"ide1-cd0","filename":"b.iso"}})");
    c.call(R"({"execute":"blockdev-change-medium","arguments":{"id":"ide1-cd0","filename":"c.iso","read-only-mode":"read-only"}})");
    c.call(R"({"execute":"eject","arguments":{"device":"ide1-cd0","force":true}})");
    CHECK(rig.target.log == "change ide1-cd0 b.iso change ide1-cd0 c.iso ro eject ide1-cd0 force ");
    CHECK(c.refused(R"({"execute":"eject","arguments":{"device":"nope"}})") == "DeviceNotFound: Device 'nope' not found");
    CHECK(c.refused(R"({"execute":"eject","arguments":{}})") == "GenericError: Need exactly one of 'device' and 'id'");
    CHECK(c.refused(R"({"execute":"blockdev-change-medium","arguments":{"device":"ide1-cd0","filename":"missing"}})") ==
          "GenericError: Could not open 'missing': No such file or directory");
}

TEST_CASE("human-monitor-command") {
    Rig rig;
    QmpClient c{rig};
    const u8 reset[] = {0xEA, 0x5B, 0xE0, 0x00, 0xF0, '0', '6', '/', '2', '3', '/', '9', '9', 0x00, 0xFC, 0x8C};
    std::copy(std::begin(reset), std::end(reset), rig.target.ram.begin() + 0xFFFF0);
    CHECK(c.monitor("info status") == "VM status: running\r\n");
    CHECK(c.monitor("info registers") == "RAX=0000000000000001\r\nRIP=000000000000fff0\r\n");
    CHECK(c.monitor("xp /4xw 0xffff0") == "00000000000ffff0: 0x00e05bea 0x2f3630f0 0x392f3332 0x8cfc0039\r\n");
    CHECK(c.monitor("xp/3xb 0xffff0") == "00000000000ffff0: 0xea 0x5b 0xe0\r\n");
    CHECK(c.monitor("xp /10xb 0xffff0") == "00000000000ffff0: 0xea 0x5b 0xe0 0x00 0xf0 0x30 0x36 0x2f\r\n00000000000ffff8: 0x32 0x33\r\n");
    CHECK(c.monitor("xp /2xg 0xffff0") == "00000000000ffff0: 0x2f3630f000e05bea 0x8cfc0039392f3332\r\n");
    CHECK(c.monitor("xp /3dw 0xffff0") == "00000000000ffff0:   14703594  792080624  959394610\r\n");
    CHECK(c.monitor("xp /3uh 0xffff0") == "00000000000ffff0: 23530   224 12528\r\n");
    CHECK(c.monitor("xp /3oh 0xffff0") == "00000000000ffff0: 055752   0340 030360\r\n");
    CHECK(c.monitor("xp 0xffff0") == "00000000000ffff0: 055752\r\n");  // as the last one
    CHECK(c.monitor("xp /3c 0xffff0") == "00000000000ffff0: '\\xea' '[' '\\xe0'\r\n");
    CHECK(c.monitor("x /1xh 0xffff800000000000+$pc*0x10+(0x100-0x10)") == "ffff8000000ffff0: 0x5bea\r\n");
    CHECK(c.monitor("x /2xw 0") == "0000000000000000: Cannot access memory\r\n");
    CHECK(c.monitor("xp /1xw 0x100000") == "0000000000100000: Cannot access memory\r\n");
    CHECK(c.monitor("xp /4zz 0") == "invalid char in format: 'z'\r\nTry \"help xp\" for more information\r\n");
    CHECK(c.monitor("xp") == "unexpected end of expression\r\nTry \"help xp\" for more information\r\n");
    CHECK(c.monitor("xp /4xw foo") == "invalid char 'f' in expression\r\nTry \"help xp\" for more information\r\n");
    CHECK(c.monitor("xp /1xw $nope") == "unknown register\r\nTry \"help xp\" for more information\r\n");
    CHECK(c.monitor("xp /4000000000xb 0").starts_with("the count is too large"));
    CHECK(c.monitor("xp /99999999999xb 0").starts_with("the count is too large"));
    CHECK(c.monitor("xp /1xb " + std::string(100'000, '(')).starts_with("invalid char '('"));
    CHECK(c.monitor("xp /1xb " + std::string(100'000, '-') + "0x1").starts_with("0000000000000001:"));
    CHECK(c.monitor("foo") == "unknown command: 'foo'\r\n");
    CHECK(c.monitor("info foo") == "unknown command: 'info foo'\r\n");
    CHECK(c.monitor("x /2i 0").starts_with("no instructions"));
    CHECK(c.monitor("") == "");
    c.monitor("stop");
    CHECK(c.monitor("info status") == "VM status: paused\r\n");
}

TEST_CASE("hostile clients: size, depth, fragments, floods, sudden ends") {
    Rig rig;
    QmpClient good{rig};
    SUBCASE("a line without end") {
        QmpClient bad{rig};
        bad.send("{\"execute\": \"" + std::string(3 * kMiB, 'a'));
        CHECK(bad.receive()["error"]["desc"] == "JSON token size limit exceeded");
        bad.send("\n");
        CHECK(bad.call(R"({"execute":"query-name"})")["name"] == "fake");
    }
    SUBCASE("nesting") {
        QmpClient bad{rig};
        bad.send(std::string(100'000, '[') + "\n");
        CHECK(bad.receive()["error"]["desc"] == "JSON nesting depth limit exceeded");
        bad.send(std::string(1000, '[') + std::string(1000, ']'));
        CHECK(bad.receive()["error"]["desc"] == "QMP input must be a JSON object");
    }
    SUBCASE("one byte at a time, several requests at a time") {
        QmpClient slow{rig};
        for (char ch : std::string{R"({"execute":"query-name"})"}) slow.send({&ch, 1});
        CHECK(slow.receive()["return"]["name"] == "fake");
        slow.send(R"({"execute":"query-name","id":1}{"execute":"query-name","id":2} {"execute":"query-name","id":3})");
        for (int i = 1; i <= 3; ++i) CHECK(slow.receive()["id"] == i);
    }
    SUBCASE("requests without reading the answers") {
        const std::string flood = R"({"execute":"query-commands"})";
        std::string many;
        for (int i = 0; i < 5000; ++i) many += flood;
        // The socket fills in both directions; the server must stop listening rather than buffer.
        int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        sockaddr_un a{};
        a.sun_family = AF_UNIX;
        std::strcpy(a.sun_path, rig.path.c_str());
        REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
        many = R"({"execute":"qmp_capabilities"})" + many;
        size_t sent = 0;
        for (int i = 0; i < 20'000 && sent < many.size(); ++i) {
            const ssize_t n = ::send(fd, many.data() + sent, many.size() - sent, MSG_NOSIGNAL);
            if (n > 0) sent += static_cast<size_t>(n);
            rig.server->poll();
        }
        CHECK(sent > 0);
        for (int i = 0; i < 100'000; ++i) {  // then events pile up and it is dropped, but not a client that reads
            rig.server->stopped();
            if (i % 500 == 0)
                while (good.receive(0).is_object()) {}
        }
        while (good.receive(20).is_object()) {}
        CHECK(::send(fd, "x", 1, MSG_NOSIGNAL) < 0);
        ::close(fd);
    }
    SUBCASE("sudden ends and more clients than places") {
        for (int round = 0; round < 50; ++round) {
            QmpClient c{rig, false};
            c.send("{\"execute\": \"qu");
            if (round % 2) rig.server->poll();
        }
        std::vector<std::unique_ptr<QmpClient>> crowd;
        for (int i = 0; i < 25; ++i) crowd.push_back(std::make_unique<QmpClient>(rig, false));
        for (int i = 0; i < 10; ++i) rig.server->poll();
        CHECK(crowd.back()->receive(20).is_null());
        crowd.erase(crowd.begin(), crowd.begin() + 20);
        for (int i = 0; i < 10; ++i) rig.server->poll();
        CHECK(crowd.back()->receive().contains("QMP"));
    }
    SUBCASE("noise") {
        std::mt19937 rng{77};
        const std::string words[] = {"{", "}", "[", "]", "\"execute\"", ":", ",", "\"stop\"", "1e999", "\\", "\"", "'", "\n", "\xFF", "\"arguments\"",
                                     "\"send-key\"", "{\"keys\":[{\"type\":\"number\",\"data\":1e3}]}", "nul", "\"\\ud800\"", "-", " "};
        QmpClient bad{rig};
        for (int i = 0; i < 20'000; ++i) bad.send(words[rng() % std::size(words)]);
        while (bad.receive(20).is_object()) {}
    }
    CHECK(good.call(R"({"execute":"query-name"})")["name"] == "fake");
}

TEST_CASE("where the socket cannot be") {
    test::TempFolder f;
    FakeTarget t;
    auto refused = [&](const std::string& where) {
        auto s = ControlServer::create(where, t);
        REQUIRE_FALSE(s);
        return s.error().message;
    };
    CHECK(refused("tcp:4444").find("unix:PATH") != std::string::npos);
    CHECK(refused("unix:").find("unix:PATH") != std::string::npos);
    CHECK(refused("unix:/nonexistent/s").find("/nonexistent/s") != std::string::npos);
    CHECK(refused("unix:/tmp/" + std::string(200, 'x')).find("too long") != std::string::npos);
    const std::string file = f / "file";
    std::ofstream{file} << "precious";
    CHECK(refused("unix:" + file).find("already there") != std::string::npos);
    CHECK(contents(file) == "precious");
    const std::string path = f / "s";
    {
        auto first = ControlServer::create("unix:" + path, t);
        REQUIRE(first);
        struct stat st{};
        REQUIRE(::stat(path.c_str(), &st) == 0);
        CHECK((st.st_mode & 077) == 0);
        CHECK(refused("unix:" + path).find("already there") != std::string::npos);
        CHECK(access(path.c_str(), F_OK) == 0);
    }
    // A socket whose program was killed.
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::strcpy(a.sun_path, path.c_str());
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
    ::close(fd);
    CHECK(ControlServer::create("unix:" + path, t));
}
