// The host's end of serial and parallel ports: standard input and output, files, pseudo-terminals, TCP.
#pragma once
#include <functional>
#include <memory>

#include "frontend/cli/options.h"
#include "support/host.h"

namespace calque {

class SerialHost : public CharSink {
public:
    /// `label` names the port in messages; `on_key` hears the commands typed after Ctrl-A on standard input.
    static Result<std::unique_ptr<SerialHost>> create(const SerialOption&, const std::string& label, std::function<void(char)> on_key);

    void put(u8 c) override = 0;
    /// Sends what has been put; called often.
    virtual void flush() {}
    /// What the user has sent, up to out.size() characters; never waits.
    virtual size_t read(std::span<u8>) { return 0; }
    /// To wait for input on; -1 if there is nothing to wait for.
    virtual int fd() const { return -1; }
    /// Can a character still arrive?
    virtual bool open() const { return false; }
    /// Is a person likely to be at the other end?
    virtual bool watched() const { return false; }
};

/// What the machine is wired to before the host's end is opened: characters reach whatever is plugged in by then.
struct SerialSocket final : CharSink {
    void put(u8 c) override {
        if (host && !(muted && muted())) host->put(c);
    }
    std::unique_ptr<SerialHost> host;
    std::function<bool()> muted;
};

/// Takes the keys after Ctrl-A out of what is typed.
class EscapeFilter {
public:
    explicit EscapeFilter(std::function<void(char)> on_key) : on_key_{std::move(on_key)} {}
    /// Removes commands from `bytes`, in place; returns how many are left for the guest.
    size_t filter(std::span<u8> bytes);

private:
    static constexpr u8 kPrefix = 1;  // Ctrl-A
    std::function<void(char)> on_key_;
    bool prefix_ = false;
};
}  // namespace calque
