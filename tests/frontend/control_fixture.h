// A machine made of wishes and a QMP client with a real socket, both in the test's own thread.
#pragma once
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "frontend/control/server.h"
#include "tests/temp_folder.h"

namespace calque {

using J = nlohmann::json;

struct FakeTarget : ControlTarget {
    ControlServer* server = nullptr;
    RunState state = RunState::running;
    std::string log;
    Time now = 0;
    std::vector<std::pair<Time, InputEvent>> input;
    std::vector<u8> ram = std::vector<u8>(1 * kMiB);

    RunState run_state() const override { return state; }
    std::string name() const override { return "fake"; }
    void stop() override {
        if (state == RunState::running) state = RunState::paused, server->stopped();
    }
    void cont() override {
        if (state == RunState::paused) state = RunState::running, server->resumed();
    }
    void quit() override { log += "quit ", server->shutdown(ControlServer::Cause::client); }
    void system_reset() override { log += "reset ", server->reset(ControlServer::Cause::client); }
    void system_powerdown() override { log += "powerdown ", server->powerdown(); }
    void render(Frame& f) override {
        f.resize(640, 480);
        for (u32 i = 0; i < f.pixels.size(); ++i) f.pixels[i] = i;
    }
    std::vector<std::string> text_screen() override { return {"C:\\>", "", "║ok"}; }
    Time machine_time() const override { return now; }
    bool input_at(Time t, const InputEvent& e) override {
        if (input.size() >= InputQueue::kCapacity) return false;
        input.emplace_back(t, e);
        return true;
    }
    bool read_physical(u64 a, std::span<u8> out) override {
        if (a >= ram.size() || out.size() > ram.size() - a) return false;
        std::memcpy(out.data(), ram.data() + a, out.size());
        return true;
    }
    bool read_virtual(u64 a, std::span<u8> out) override { return read_physical(a - 0xFFFF800000000000, out); }
    std::string registers() const override { return "RAX=0000000000000001\nRIP=000000000000fff0\n"; }
    std::optional<u64> register_value(std::string_view name) const override {
        return name == "pc" || name == "rip" ? std::optional<u64>{0xFFF0} : std::nullopt;
    }
    bool has_drive(const std::string& d) const override { return d == "ide1-cd0"; }
    Result<void> change_medium(const std::string& d, const std::string& f, bool ro) override {
        if (f == "missing") return Error{"Could not open 'missing': No such file or directory"};
        log += "change " + d + " " + f + (ro ? " ro " : " ");
        return {};
    }
    Result<void> eject(const std::string& d, bool force) override {
        log += "eject " + d + (force ? " force " : " ");
        return {};
    }
};

struct Rig {
    test::TempFolder folder;
    FakeTarget target;
    std::unique_ptr<ControlServer> server;
    std::string path = folder / "s";
    Rig() {
        auto s = ControlServer::create("unix:" + path, target);
        REQUIRE(s);
        server = std::move(*s);
        target.server = server.get();
    }
};

class QmpClient {
public:
    explicit QmpClient(Rig& rig, bool negotiate = true) : rig_{rig} {
        fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        sockaddr_un a{};
        a.sun_family = AF_UNIX;
        std::strcpy(a.sun_path, rig.path.c_str());
        int tries = 100;  // the listen queue may be full for a moment
        while (::connect(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0 && --tries) rig.server->poll();
        REQUIRE(tries > 0);
        if (!negotiate) return;
        CHECK(receive().contains("QMP"));
        CHECK(call(R"({"execute": "qmp_capabilities"})") == J::object());
    }
    ~QmpClient() { close(); }
    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    void send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
            else if (n < 0 && errno != EAGAIN) return;  // dropped
            rig_.server->poll();
        }
    }
    /// The next message, or null after `ms` milliseconds.
    J receive(int ms = 2000) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{ms};
        for (;;) {
            if (const size_t n = text_.find("\r\n"); n != std::string::npos) {
                const std::string line = text_.substr(0, n);
                text_.erase(0, n + 2);
                return J::parse(line);
            }
            rig_.server->poll();
            char b[65536];
            const ssize_t got = ::recv(fd_, b, sizeof b, 0);
            if (got > 0) text_.append(b, static_cast<size_t>(got));
            else if (got == 0 || std::chrono::steady_clock::now() > end) return nullptr;
        }
    }
    /// Sends a request and gives its response as it is; events that come before it are kept.
    J request(std::string_view text) {
        send(text);
        for (;;) {
            J j = receive();
            if (!j.is_object() || !j.contains("event")) return j;
            events.push_back(j["event"].get<std::string>());
            last_event = j;
        }
    }
    J call(std::string_view text) {
        J j = request(text);
        CHECK_MESSAGE(j.contains("return"), j.dump());
        return j.contains("return") ? j["return"] : J();
    }
    std::string refused(std::string_view text) {
        J j = request(text);
        CHECK_MESSAGE(j.contains("error"), j.dump());
        return j.contains("error") ? j["error"]["class"].get<std::string>() + ": " + j["error"]["desc"].get<std::string>() : "";
    }
    std::string monitor(const std::string& line) {
        return call(J{{"execute", "human-monitor-command"}, {"arguments", {{"command-line", line}}}}.dump()).get<std::string>();
    }
    std::vector<std::string> events;
    J last_event;

private:
    Rig& rig_;
    int fd_;
    std::string text_;
};
}  // namespace calque
