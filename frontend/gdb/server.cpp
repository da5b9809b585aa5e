#include "frontend/gdb/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "frontend/sockets.h"
#include "support/log.h"

namespace calque {
namespace {
Log log{"gdb"};
constexpr size_t kReadPerTurn = 256 * kKiB;   // so that the machine gets its turn
constexpr size_t kOutputPause = 4 * kMiB;     // a client that does not read is not listened to
constexpr size_t kMostRefused = 4;            // at a time; further ones are closed without a word

void close_fd(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
}

/// Sends what it can; false when nobody is there any more.
bool send_some(int fd, std::string& bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n > 0) bytes.erase(0, static_cast<size_t>(n));
        else if (n < 0 && errno == EINTR) continue;
        else return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    return true;
}
}  // namespace

/// A second debugger: every packet of it is answered by the reason, until it goes. GDB shows the answer to its second packet.
struct GdbServer::Refused {
    explicit Refused(int socket) : fd{socket} {}
    ~Refused() { close_fd(fd); }
    int fd;
    GdbPackets packets{{[this](const std::string&) { packets.send("E.another debugger is attached to this machine"); }, [] {}}};
    bool gone = false;
};

GdbServer::GdbServer(GdbTarget& target) : target_{target} {}

Result<std::unique_ptr<GdbServer>> GdbServer::create(const std::string& where, GdbTarget& target) {
    constexpr std::string_view kUnix = "unix:";
    std::unique_ptr<GdbServer> server{new GdbServer{target}};
    const size_t colon = where.rfind(':');
    Result<void> r = Error{"--gdb takes HOST:PORT or unix:PATH, not '" + where + "'"};
    if (where.starts_with(kUnix) && where.size() > kUnix.size()) r = server->listen_unix(where.substr(kUnix.size()));
    else if (!where.starts_with(kUnix) && colon != std::string::npos && colon + 1 < where.size())
        r = server->listen_tcp(where.substr(0, colon), where.substr(colon + 1));
    if (r) r = server->begin();
    if (!r) return r.error();
    return server;
}

GdbServer::~GdbServer() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{200};
    while (client_ && !client_->gone && !client_->stub.output().empty() && std::chrono::steady_clock::now() < end) {
        flush();
        pollfd p{client_->fd, POLLOUT, 0};
        if (!client_->stub.output().empty()) ::poll(&p, 1, 20);
    }
    if (client_) close_client();
    refused_.clear();
    close_fd(listener_), close_fd(epoll_);
    if (!path_.empty()) ::unlink(path_.c_str());
}

Result<void> GdbServer::listen_unix(const std::string& path) {
    const auto listener = bind_unix_socket(path, "the debugger's socket");
    if (!listener) return listener.error();
    listener_ = *listener, path_ = path;
    return {};
}

Result<void> GdbServer::listen_tcp(const std::string& host, const std::string& port) {
    const auto listener = bind_tcp_socket(host, port);
    if (!listener) return Error{"cannot listen for a debugger at " + host + ":" + port + ": " + listener.error().message};
    listener_ = *listener;
    return {};
}

Result<void> GdbServer::begin() {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event e{};
    e.events = EPOLLIN;
    if (epoll_ < 0 || ::listen(listener_, 4) != 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &e) != 0)
        return Error{std::string{"cannot listen for a debugger: "} + std::strerror(errno)};
    return {};
}

void GdbServer::poll() {
    accept();
    if (client_) read();
    flush();
    if (client_ && (client_->gone || (client_->stub.finished() && client_->stub.output().empty()))) close_client();
    if (client_) watch();
    for (auto& r : refused_) refuse(*r);
    std::erase_if(refused_, [](const auto& r) { return r->gone; });
}

void GdbServer::accept() {
    for (;;) {
        int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) return;
        if (refused_.size() >= kMostRefused) {
            close_fd(fd);
            continue;
        }
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);   // fails for a Unix socket
        epoll_event e{};
        e.events = EPOLLIN;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &e);
        if (client_) {
            log.info("a second debugger is refused");
            refused_.push_back(std::make_unique<Refused>(fd));
        } else {
            log.info("a debugger has connected");
            client_ = std::make_unique<Client>(fd, target_);
            client_->watched = EPOLLIN;
        }
    }
}

void GdbServer::read() {
    char bytes[16384];
    for (size_t total = 0; total < kReadPerTurn && client_->stub.output().size() < kOutputPause && !client_->gone;) {
        const ssize_t n = ::recv(client_->fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n <= 0) return void(client_->gone = true);
        total += static_cast<size_t>(n);
        client_->stub.receive({bytes, static_cast<size_t>(n)});
    }
}

void GdbServer::flush() {
    if (client_ && !client_->gone && !send_some(client_->fd, client_->stub.output())) client_->gone = true;
}

void GdbServer::watch() {
    const size_t waiting = client_->stub.output().size();
    const u32 wanted = (waiting ? EPOLLOUT : 0u) | (waiting < kOutputPause ? EPOLLIN : 0u);
    if (wanted == client_->watched) return;
    epoll_event e{};
    e.events = client_->watched = wanted;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, client_->fd, &e);
}

void GdbServer::refuse(Refused& r) {
    char bytes[1024];
    const ssize_t n = ::recv(r.fd, bytes, sizeof bytes, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) return void(r.gone = true);
    if (n > 0) r.packets.feed({bytes, static_cast<size_t>(n)});
    if (!send_some(r.fd, r.packets.output) || r.packets.output.size() > kKiB) r.gone = true;
}

void GdbServer::close_client() {
    log.info("the debugger has gone");
    close_fd(client_->fd);
    client_.reset();
}
}  // namespace calque
