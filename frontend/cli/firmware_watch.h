// Listens to what SeaBIOS says at port 402h: passes it on, and notices when there was nothing to boot from.
#pragma once
#include <string>

#include "support/host.h"

namespace calque {

class FirmwareWatch final : public CharSink {
public:
    explicit FirmwareWatch(CharSink* log) : log_{log} {}
    void put(u8 c) override {
        if (log_) log_->put(c);
        if (c != '\n') {
            if (line_.size() < 200) line_ += static_cast<char>(c);
            return;
        }
        failed_ |= line_.starts_with("No bootable device");
        line_.clear();
    }
    bool boot_failed() const { return failed_; }
    void clear() { failed_ = false; }

private:
    CharSink* log_;
    std::string line_;
    bool failed_ = false;
};
}  // namespace calque
