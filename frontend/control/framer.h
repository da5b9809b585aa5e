// Cuts a stream of bytes into JSON values, as QMP clients send them: with or without line ends between.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "support/types.h"

namespace calque {

class JsonFramer {
public:
    static constexpr size_t kMaxMessage = kMiB;
    static constexpr unsigned kMaxDepth = 1024;
    struct Sink {
        std::function<void(const std::string&)> message;  // one whole value, not yet known to be valid
        std::function<void(const char*)> error;           // what was wrong; reading goes on at the next line
    };
    void feed(std::string_view bytes, const Sink&);

private:
    void character(char c, const Sink&);
    void in_string(char c, const Sink&);
    void complete(const Sink&);
    void fail(const char* why, char at, const Sink&);
    void restart();
    std::string text_;
    unsigned depth_ = 0;
    char quote_ = 0;  // which quote the current string began with, or 0
    bool escape_ = false, skipping_ = false;
};
}  // namespace calque
