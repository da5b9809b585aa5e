#include "frontend/control/server.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "frontend/control/framer.h"
#include "frontend/control/qmp.h"
#include "frontend/sockets.h"
#include "support/log.h"

namespace calque {

static Log log{"control"};
constexpr size_t kMaxClients = 16;            // further ones wait in the listen queue
constexpr size_t kReadPerTurn = 64 * kKiB;    // of one client, so that none starves the machine
constexpr size_t kOutputPause = 256 * kKiB;   // a client that does not read is not listened to,
constexpr size_t kOutputMax = 4 * kMiB;       // and dropped when events pile up

struct ControlServer::Script : InputScript {
    using InputScript::InputScript;
};

struct ControlServer::Client {
    Client(int socket, ControlTarget& target, InputScript& script) : fd{socket}, session{target, script} {}
    ~Client() { ::close(fd); }
    int fd;
    QmpSession session;
    JsonFramer framer;
    std::string output;
    bool gone = false;
    u32 watched = EPOLLIN;
};

ControlServer::ControlServer(ControlTarget& target) : target_{target}, script_{std::make_unique<Script>(target)} {}

ControlServer::~ControlServer() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{200};
    for (auto& c : clients_)
        while (!c->gone && !c->output.empty() && std::chrono::steady_clock::now() < end) {
            flush(*c);
            pollfd p{c->fd, POLLOUT, 0};
            if (!c->output.empty()) ::poll(&p, 1, 20);
        }
    clients_.clear();
    if (listener_ >= 0) ::close(listener_);
    if (epoll_ >= 0) ::close(epoll_);
    if (!path_.empty()) ::unlink(path_.c_str());
}

Result<std::unique_ptr<ControlServer>> ControlServer::create(const std::string& where, ControlTarget& target) {
    constexpr std::string_view kScheme = "unix:";
    if (!where.starts_with(kScheme) || where.size() == kScheme.size())
        return Error{"the control socket '" + where + "' must be given as unix:PATH"};
    std::unique_ptr<ControlServer> server{new ControlServer{target}};
    if (auto r = server->listen(where.substr(kScheme.size())); !r) return r.error();
    return server;
}

Result<void> ControlServer::listen(const std::string& path) {
    const auto listener = bind_unix_socket(path, "the control socket");
    if (!listener) return listener.error();
    listener_ = *listener, path_ = path;
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0 || ::listen(listener_, 16) != 0) return Error{"cannot open the control socket " + path + ": " + std::strerror(errno)};
    epoll_event e{};
    e.events = EPOLLIN, e.data.ptr = nullptr;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &e);
    return {};
}

void ControlServer::poll() {
    epoll_event events[kMaxClients + 1];
    const int n = ::epoll_wait(epoll_, events, static_cast<int>(std::size(events)), 0);
    for (int i = 0; i < n; ++i) {
        if (!events[i].data.ptr) {
            accept_clients();
            continue;
        }
        Client& c = *static_cast<Client*>(events[i].data.ptr);
        if (events[i].events & EPOLLOUT) flush(c);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read(c);
        flush(c);
    }
    for (auto& c : clients_) watch(*c);
    drop_gone();
}

void ControlServer::accept_clients() {
    while (clients_.size() < kMaxClients) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) return;
        clients_.push_back(std::make_unique<Client>(fd, target_, *script_));
        Client& c = *clients_.back();
        epoll_event e{};
        e.events = c.watched, e.data.ptr = &c;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &e);
        c.output = QmpSession::greeting();
        flush(c);
    }
    // Full: the listener would wake the main loop for nothing until somebody leaves.
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, listener_, nullptr);
}

void ControlServer::read(Client& c) {
    char bytes[4096];
    const JsonFramer::Sink sink{[&](const std::string& text) { c.output += c.session.handle(text); },
                                [&](const char* why) { c.output += QmpSession::parse_error(why); }};
    for (size_t total = 0; total < kReadPerTurn && c.output.size() < kOutputPause && !c.gone;) {
        const ssize_t got = ::recv(c.fd, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (got <= 0) return void(c.gone = true);
        total += static_cast<size_t>(got);
        c.framer.feed({bytes, static_cast<size_t>(got)}, sink);
        flush(c);
    }
}

void ControlServer::flush(Client& c) {
    while (!c.output.empty() && !c.gone) {
        const ssize_t sent = ::send(c.fd, c.output.data(), c.output.size(), MSG_NOSIGNAL);
        if (sent > 0) c.output.erase(0, static_cast<size_t>(sent));
        else if (sent < 0 && errno == EINTR) continue;
        else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        else c.gone = true;
    }
}

/// Listens for room while output waits, and for requests while it is short.
void ControlServer::watch(Client& c) {
    if (c.output.size() > kOutputMax) {
        log.info("a client that does not read was dropped");
        c.gone = true;
    }
    const u32 wanted = (c.output.empty() ? 0u : EPOLLOUT) | (c.output.size() < kOutputPause ? EPOLLIN : 0u);
    if (c.gone || wanted == c.watched) return;
    epoll_event e{};
    e.events = wanted, e.data.ptr = &c;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &e);
    c.watched = wanted;
}

void ControlServer::drop_gone() {
    const bool was_full = clients_.size() >= kMaxClients;
    std::erase_if(clients_, [](const auto& c) { return c->gone; });
    if (!was_full || clients_.size() >= kMaxClients) return;
    epoll_event e{};
    e.events = EPOLLIN, e.data.ptr = nullptr;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &e);
}

void ControlServer::event(const char* name, const char* data_json) {
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    Json e{{"timestamp", {{"seconds", now / 1'000'000}, {"microseconds", now % 1'000'000}}}, {"event", name}};
    if (data_json) e["data"] = Json::parse(data_json);
    const std::string line = qmp_line(e);
    for (auto& c : clients_)
        if (c->session.negotiated() && !c->gone) {
            c->output += line;
            flush(*c);
            watch(*c);
        }
}

void ControlServer::stopped() { event("STOP", nullptr); }
void ControlServer::resumed() { event("RESUME", nullptr); }
void ControlServer::powerdown() { event("POWERDOWN", nullptr); }

void ControlServer::reset(Cause cause) {
    script_->forget_pointer();
    event("RESET", cause == Cause::guest ? R"({"guest": true, "reason": "guest-reset"})"
                                         : R"({"guest": false, "reason": "host-qmp-system-reset"})");
}

void ControlServer::shutdown(Cause cause) {
    static constexpr const char* kData[] = {
        R"({"guest": true, "reason": "guest-shutdown"})", R"({"guest": false, "reason": "host-qmp-quit"})",
        R"({"guest": false, "reason": "host-ui"})", R"({"guest": false, "reason": "host-signal"})"};
    event("SHUTDOWN", kData[static_cast<unsigned>(cause)]);
}
}  // namespace calque
