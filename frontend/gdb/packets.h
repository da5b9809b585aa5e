// The packet layer of GDB's remote serial protocol (GDB manual, appendix "GDB Remote Serial Protocol", "Overview" and
// "Interrupts"): frames, checksums, escapes, acknowledgements, Ctrl-C. Whatever comes in, at most kMaxPacket bytes are kept.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "support/types.h"

namespace calque {

class GdbPackets {
public:
    static constexpr size_t kMaxPacket = 128 * kKiB;
    struct Sink {
        std::function<void(const std::string& payload)> packet;   // escapes are undone
        std::function<void()> interrupt;                           // Ctrl-C between packets
    };
    explicit GdbPackets(Sink sink) : sink_{std::move(sink)} {}

    void feed(std::string_view bytes);
    void send(std::string_view payload);
    void notify(std::string_view payload);   // never acknowledged
    /// QStartNoAckMode: neither side acknowledges any more.
    void stop_acknowledging() { acks_ = false, last_.clear(); }
    /// What must go to the client; whoever sends takes it away.
    std::string output;

private:
    void between(char c);
    void in_payload(char c);
    void complete();
    static std::string framed(char start, std::string_view payload);
    enum class State : u8 { between, payload, escape, checksum_high, checksum_low } state_ = State::between;
    Sink sink_;
    std::string payload_, last_;   // last_: sent and not yet acknowledged
    u8 sum_ = 0, claimed_ = 0;
    bool acks_ = true, too_long_ = false;
};

constexpr const char* kGdbTooLong = "too long";   // the payload of a packet that did not fit

// Hexadecimal digits, as the protocol has them.
int hex_digit(char c);   // -1: none
std::string to_hex(std::string_view bytes);
/// False unless `text` is pairs of digits.
bool from_hex(std::string_view text, std::string& bytes);
}  // namespace calque
