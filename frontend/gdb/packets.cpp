#include "frontend/gdb/packets.h"

#include <utility>

namespace calque {
namespace {
constexpr char kInterrupt = 3;
constexpr const char* kDigits = "0123456789abcdef";
}  // namespace

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string to_hex(std::string_view bytes) {
    std::string out;
    out.reserve(2 * bytes.size());
    for (const char c : bytes) out += kDigits[static_cast<u8>(c) >> 4], out += kDigits[c & 15];
    return out;
}

bool from_hex(std::string_view text, std::string& bytes) {
    bytes.clear();
    if (text.size() % 2) return false;
    for (size_t i = 0; i < text.size(); i += 2) {
        const int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) return false;
        bytes += static_cast<char>(high << 4 | low);
    }
    return true;
}

void GdbPackets::feed(std::string_view bytes) {
    for (const char c : bytes) switch (state_) {
        case State::between: between(c); break;
        case State::payload: in_payload(c); break;
        case State::escape:
            sum_ = static_cast<u8>(sum_ + c);
            payload_ += static_cast<char>(c ^ 0x20);
            state_ = State::payload;
            break;
        case State::checksum_high:
        case State::checksum_low: {
            const int digit = hex_digit(c);
            claimed_ = static_cast<u8>(claimed_ << 4 | (digit & 15));
            if (digit < 0) claimed_ = static_cast<u8>(~sum_);   // no checksum at all: wrong
            if (state_ == State::checksum_low || digit < 0) complete();
            else state_ = State::checksum_low;
            break;
        }
    }
}

void GdbPackets::between(char c) {
    if (c == '$') {
        payload_.clear();
        sum_ = 0, too_long_ = false;
        state_ = State::payload;
    } else if (c == kInterrupt) {
        sink_.interrupt();
    } else if (c == '-' && acks_) {
        output += last_;
    } else if (c == '+') {
        last_.clear();
    }
}

void GdbPackets::in_payload(char c) {
    if (c == '#') {
        claimed_ = 0;
        state_ = State::checksum_high;
        return;
    }
    if (c == '$') {   // the rest of the packet before has been lost
        if (acks_) output += '-';
        return between(c);
    }
    sum_ = static_cast<u8>(sum_ + c);
    if (payload_.size() >= kMaxPacket) too_long_ = true;
    else if (c == '}') state_ = State::escape;
    else payload_ += c;
}

void GdbPackets::complete() {
    state_ = State::between;
    if (acks_) output += claimed_ == sum_ ? '+' : '-';
    if (claimed_ != sum_) return;
    const std::string payload = too_long_ ? kGdbTooLong : std::exchange(payload_, {});
    sink_.packet(payload);
}

std::string GdbPackets::framed(char start, std::string_view payload) {
    std::string out{start};
    u8 sum = 0;
    const auto put = [&](char c) { out += c, sum = static_cast<u8>(sum + c); };
    for (const char c : payload) {
        if (c == '#' || c == '$' || c == '}' || c == '*') put('}'), put(static_cast<char>(c ^ 0x20));
        else put(c);
    }
    out += '#', out += kDigits[sum >> 4], out += kDigits[sum & 15];
    return out;
}

void GdbPackets::send(std::string_view payload) {
    std::string frame = framed('$', payload);
    output += frame;
    if (acks_) last_ = std::move(frame);
}

void GdbPackets::notify(std::string_view payload) { output += framed('%', payload); }
}  // namespace calque
