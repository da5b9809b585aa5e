#include "frontend/cli/serial_host.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

using namespace calque;

TEST_CASE("Ctrl-A: commands are taken out, everything else stays, over any cut") {
    const std::string typed = "ls\r\x01x\x01\x01y\x01" "aq\x01h";
    for (size_t cut = 0; cut <= typed.size(); ++cut) {
        std::string keys, rest;
        EscapeFilter f{[&](char c) { keys += c; }};
        for (std::string part : {typed.substr(0, cut), typed.substr(cut)}) {
            const size_t n = f.filter({reinterpret_cast<u8*>(part.data()), part.size()});
            rest += part.substr(0, n);
        }
        CHECK(keys == "xh");
        CHECK(rest == "ls\r\x01y\x01q");
    }
}

TEST_CASE("serial: a file gets everything; an impossible one gives a sentence") {
    char name[] = "/tmp/calque-serial-XXXXXX";
    REQUIRE(::mkstemp(name) >= 0);
    {
        auto port = std::move(*SerialHost::create(*parse_serial(std::string{"file:"} + name), "serial port 1", {}));
        for (int i = 0; i < 10000; ++i) port->put(static_cast<u8>('a' + i % 26));
    }
    std::stringstream content;
    content << std::ifstream{name}.rdbuf();
    CHECK(content.str().size() == 10000);
    ::unlink(name);
    const auto bad = SerialHost::create(*parse_serial("file:/nowhere/at-all"), "serial port 2", {});
    REQUIRE_FALSE(bad.has_value());
    CHECK(bad.error().message.find("/nowhere/at-all") != std::string::npos);
}

TEST_CASE("serial: a TCP client comes, talks, goes, and another comes") {
    auto port = SerialHost::create(*parse_serial("tcp:127.0.0.1:0"), "serial port 1", {});
    REQUIRE(port.has_value());
    sockaddr_in address{};
    socklen_t length = sizeof address;
    REQUIRE(::getsockname((*port)->fd(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    for (int round = 0; round < 2; ++round) {
        (*port)->put('?');  // nobody there: lost
        const int client = ::socket(AF_INET, SOCK_STREAM, 0);
        REQUIRE(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        u8 in[16];
        REQUIRE(::write(client, "hi", 2) == 2);
        size_t n = 0;
        for (int i = 0; i < 200 && n < 2; ++i) n += (*port)->read({in, sizeof in}), ::usleep(1000);
        CHECK(n == 2);
        (*port)->put('o'), (*port)->put('k'), (*port)->flush();
        char out[16];
        CHECK(::read(client, out, sizeof out) == 2);
        CHECK(std::string{out, 2} == "ok");
        ::close(client);
        for (int i = 0; i < 200 && (*port)->read({in, sizeof in}) == 0 && i < 20; ++i) ::usleep(1000);
    }
}

TEST_CASE("serial: a pseudo-terminal exists") {
    auto port = SerialHost::create(*parse_serial("pty"), "serial port 1", {});
    if (!port) return;  // hosts without /dev/pts
    CHECK((*port)->fd() >= 0);
    u8 in[4];
    CHECK((*port)->read(in) == 0);
    for (int i = 0; i < 100000; ++i) (*port)->put('x');
    (*port)->flush();
}
