// The terminal we were started in, raw while it belongs to the guest and as it was afterwards, whatever happens.
#pragma once

namespace calque {

class Terminal {
public:
    Terminal();    // raw, if standard input is a terminal
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    bool is_terminal() const { return raw_; }

private:
    bool raw_ = false;
};
}  // namespace calque
