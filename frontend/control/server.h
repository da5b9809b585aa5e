// The control socket: QMP for several clients at a time, without ever waiting for one of them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "frontend/control/target.h"
#include "support/result.h"

namespace calque {

class ControlServer {
public:
    enum class Cause { guest, client, window, signal };  // who made a reset or a shutdown happen

    /// `where` is unix:PATH. A socket left over by a program that is gone is replaced; nothing else ever is.
    static Result<std::unique_ptr<ControlServer>> create(const std::string& where, ControlTarget&);
    ~ControlServer();  // sends what is still unsent, within a moment, and removes the socket
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

    /// Accepts, reads, carries out and answers what is there, and returns at once.
    void poll();
    /// Readable (to poll(2)) when poll() has something to do.
    int fd() const { return epoll_; }

    // Events to all clients; the machine's owner reports what has happened.
    void stopped();
    void resumed();
    void reset(Cause);
    void shutdown(Cause);
    void powerdown();

private:
    struct Client;
    explicit ControlServer(ControlTarget&);
    Result<void> listen(const std::string& path);
    void accept_clients();
    void read(Client&);
    void flush(Client&);
    void watch(Client&);
    void event(const char* name, const char* data_json);
    void drop_gone();

    ControlTarget& target_;
    struct Script;
    std::unique_ptr<Script> script_;
    int epoll_ = -1, listener_ = -1;
    std::string path_;
    std::vector<std::unique_ptr<Client>> clients_;
};
}  // namespace calque
