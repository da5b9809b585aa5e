#include "frontend/cli/serial_host.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "frontend/cli/terminal.h"
#include "frontend/sockets.h"

namespace calque {
namespace {
constexpr size_t kBuffer = 4096, kMostWaiting = 1 << 20;

bool readable(int fd) {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, 0) > 0;
}

class NoSerial final : public SerialHost {
public:
    void put(u8) override {}
};

// Output that must not be lost: waits for the reader.
class Output {
public:
    explicit Output(int fd) : fd_{fd} {}
    void put(u8 c) {
        buffer_.push_back(c);
        if (buffer_.size() >= kBuffer) flush();
    }
    void flush() {
        for (size_t at = 0; at < buffer_.size();) {
            const ssize_t n = ::write(fd_, buffer_.data() + at, buffer_.size() - at);
            if (n > 0) at += static_cast<size_t>(n);
            else if (errno == EAGAIN) wait();
            else if (errno != EINTR) break;  // nobody reads it any more
        }
        buffer_.clear();
    }

private:
    void wait() {
        pollfd p{fd_, POLLOUT, 0};
        ::poll(&p, 1, 1000);
    }
    int fd_;
    std::vector<u8> buffer_;
};

class StdioSerial final : public SerialHost {
public:
    explicit StdioSerial(std::function<void(char)> on_key) : escapes_{std::move(on_key)} {}
    ~StdioSerial() override { out_.flush(); }
    void put(u8 c) override { out_.put(c); }
    void flush() override { out_.flush(); }
    size_t read(std::span<u8> out) override {
        if (!open_ || out.empty() || !readable(STDIN_FILENO)) return 0;
        const ssize_t n = ::read(STDIN_FILENO, out.data(), out.size());
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) open_ = false;
        if (n <= 0) return 0;
        const auto count = static_cast<size_t>(n);
        return terminal_.is_terminal() ? escapes_.filter(out.first(count)) : count;
    }
    int fd() const override { return open_ ? STDIN_FILENO : -1; }
    bool open() const override { return open_; }
    bool watched() const override { return terminal_.is_terminal(); }

private:
    Terminal terminal_;
    EscapeFilter escapes_;
    Output out_{STDOUT_FILENO};
    bool open_ = true;
};

class FileSerial final : public SerialHost {
public:
    explicit FileSerial(int fd) : fd_{fd} {}
    ~FileSerial() override { out_.flush(), ::close(fd_); }
    void put(u8 c) override { out_.put(c); }
    void flush() override { out_.flush(); }

private:
    int fd_;
    Output out_{fd_};
};

// A peer that may be slow or away: what it does not take in time is lost, as on a cable.
class PeerSerial : public SerialHost {
public:
    void put(u8 c) override {
        if (peer_ >= 0 && waiting_.size() < kMostWaiting) waiting_.push_back(c);
    }
    void flush() override {
        connect_peer();
        if (peer_ < 0 || waiting_.empty()) return;
        const ssize_t n = ::write(peer_, waiting_.data(), waiting_.size());
        if (n > 0) waiting_.erase(waiting_.begin(), waiting_.begin() + n);
        else if (n < 0 && errno != EAGAIN && errno != EINTR) drop_peer();
    }
    size_t read(std::span<u8> out) override {
        if (peer_ < 0) connect_peer();
        if (peer_ < 0 || out.empty()) return 0;
        const ssize_t n = ::read(peer_, out.data(), out.size());
        if (n > 0) return static_cast<size_t>(n);
        if (n == 0 || (errno != EAGAIN && errno != EINTR && errno != EIO)) drop_peer();
        return 0;
    }
    bool watched() const override { return true; }

protected:
    virtual void connect_peer() {}
    virtual void drop_peer() {}
    int peer_ = -1;
    std::vector<u8> waiting_;
};

class PtySerial final : public PeerSerial {
public:
    static Result<std::unique_ptr<SerialHost>> create(const std::string& label) {
        auto pty = std::make_unique<PtySerial>();
        pty->peer_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
        char name[128];
        if (pty->peer_ < 0 || ::grantpt(pty->peer_) != 0 || ::unlockpt(pty->peer_) != 0 || ::ptsname_r(pty->peer_, name, sizeof name) != 0)
            return Error{"cannot open a pseudo-terminal for " + label + ": " + std::strerror(errno)};
        // Held open, so that the other end may come and go.
        pty->slave_ = ::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        termios t;
        if (pty->slave_ >= 0 && ::tcgetattr(pty->slave_, &t) == 0) ::cfmakeraw(&t), ::tcsetattr(pty->slave_, TCSANOW, &t);
        std::fprintf(stderr, "calque: %s is at %s\n", label.c_str(), name);
        return std::unique_ptr<SerialHost>{std::move(pty)};
    }
    ~PtySerial() override { ::close(peer_), ::close(slave_); }
    int fd() const override { return peer_; }
    bool open() const override { return true; }

private:
    int slave_ = -1;
};

class TcpSerial final : public PeerSerial {
public:
    static Result<std::unique_ptr<SerialHost>> create(const SerialOption& o) {
        auto socket = o.connect ? connect_tcp_socket(o.host, o.port) : bind_tcp_socket(o.host, o.port);
        if (socket && !o.connect && ::listen(*socket, 1) != 0) ::close(*socket), socket = Error{std::strerror(errno)};
        if (!socket)
            return Error{"cannot " + std::string{o.connect ? "connect to" : "listen at"} + " tcp:" + o.host + ":" + o.port + ": " + socket.error().message};
        auto tcp = std::make_unique<TcpSerial>();
        (o.connect ? tcp->peer_ : tcp->listener_) = *socket;
        return std::unique_ptr<SerialHost>{std::move(tcp)};
    }
    ~TcpSerial() override {
        flush();
        if (peer_ >= 0) ::close(peer_);
        if (listener_ >= 0) ::close(listener_);
    }
    int fd() const override { return peer_ >= 0 ? peer_ : listener_; }
    bool open() const override { return peer_ >= 0 || listener_ >= 0; }

private:
    void connect_peer() override {
        if (peer_ < 0 && listener_ >= 0) peer_ = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    void drop_peer() override { ::close(peer_), peer_ = -1, waiting_.clear(); }
    int listener_ = -1;
};
}  // namespace

size_t EscapeFilter::filter(std::span<u8> bytes) {
    size_t kept = 0;
    for (const u8 c : bytes) {
        if (!prefix_ && c == kPrefix) {
            prefix_ = true;
        } else if (prefix_ && c != kPrefix && c != 'a') {
            prefix_ = false;
            on_key_(static_cast<char>(c));
        } else {  // an ordinary key, or Ctrl-A twice for one
            bytes[kept++] = prefix_ ? kPrefix : c;
            prefix_ = false;
        }
    }
    return kept;
}

Result<std::unique_ptr<SerialHost>> SerialHost::create(const SerialOption& o, const std::string& label, std::function<void(char)> on_key) {
    using Kind = SerialOption::Kind;
    switch (o.kind) {
    case Kind::none: return std::unique_ptr<SerialHost>{std::make_unique<NoSerial>()};
    case Kind::stdio: return std::unique_ptr<SerialHost>{std::make_unique<StdioSerial>(std::move(on_key))};
    case Kind::pty: return PtySerial::create(label);
    case Kind::tcp: return TcpSerial::create(o);
    case Kind::file: break;
    }
    const int fd = ::open(o.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return Error{"cannot write '" + o.path + "' for " + label + ": " + std::strerror(errno)};
    return std::unique_ptr<SerialHost>{std::make_unique<FileSerial>(fd)};
}
}  // namespace calque
