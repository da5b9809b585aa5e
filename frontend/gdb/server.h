// The socket that GDB connects to: one client at a time, a second one is told so. Never waits for anybody.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "frontend/gdb/stub.h"
#include "support/result.h"

namespace calque {

class GdbServer {
public:
    /// `where`: HOST:PORT, :PORT (this host only) or unix:PATH.
    static Result<std::unique_ptr<GdbServer>> create(const std::string& where, GdbTarget&);
    ~GdbServer();   // sends what is still unsent, within a moment
    GdbServer(const GdbServer&) = delete;

    /// Accepts, reads, answers what is there, and returns at once.
    void poll();
    /// Readable (to poll(2)) when poll() has something to do.
    int fd() const { return epoll_; }
    /// The client's; null: there is none.
    GdbStub* stub() { return client_ ? &client_->stub : nullptr; }
    /// After the stub has been told something.
    void flush();

private:
    struct Client {
        Client(int socket, GdbTarget& target) : fd{socket}, stub{target} {}
        int fd;
        GdbStub stub;
        u32 watched = 0;
        bool gone = false;
    };
    struct Refused;
    explicit GdbServer(GdbTarget&);
    Result<void> listen_unix(const std::string& path);
    Result<void> listen_tcp(const std::string& host, const std::string& port);
    Result<void> begin();
    void accept();
    void read();
    void watch();
    void refuse(Refused&);
    void close_client();

    GdbTarget& target_;
    int epoll_ = -1, listener_ = -1;
    std::string path_;   // of a Unix socket
    std::unique_ptr<Client> client_;
    std::vector<std::unique_ptr<Refused>> refused_;
};
}  // namespace calque
