// What a recording has between its checks: events of the input gate, as bytes.
//
// A moment is an instruction count, a machine time, and how often the processor was asked to run at that count and time without getting
// anywhere: between two such turns an interrupt may have been delivered, which takes no instruction. One byte of kind and flags, then
// varints: the instructions since the moment before; the time since then beyond those instructions, the turns, and the faults delivered
// there, each only where it is not what was to be expected; then what the kind needs.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "machine/block/identity.h"
#include "machine/input_gate.h"

namespace calque {

struct RecordedEvent {
    Moment at;
    bool is_check = false;
    u64 hash = 0;            // of a check: Machine::quick_hash()
    GateEvent event;
    ImageIdentity medium;    // of what is inserted
};

class EventWriter {
public:
    explicit EventWriter(const Moment& start) : last_{start} {}
    void add(const RecordedEvent&);
    std::vector<u8> take() { return std::exchange(bytes_, {}); }
    bool empty() const { return bytes_.empty(); }
    /// Where what is added next is counted from.
    const Moment& last() const { return last_; }

private:
    void byte(u64 v) { bytes_.push_back(static_cast<u8>(v)); }
    void number(u64 v);
    void signed_number(i64 v) { number(static_cast<u64>(v) << 1 ^ static_cast<u64>(v >> 63)); }
    void payload(const RecordedEvent&);
    std::vector<u8> bytes_;
    Moment last_;
};

/// Reads what an EventWriter wrote; the bytes may have been made by anybody.
class EventReader {
public:
    explicit EventReader(const Moment& start) : last_{start} {}
    void feed(std::vector<u8> bytes) { bytes_ = std::move(bytes), at_ = 0; }
    /// Nothing at the end, or when what follows is no event: then ok() is false.
    std::optional<RecordedEvent> next();
    bool ok() const { return ok_; }

private:
    u64 number();
    i64 signed_number() {
        const u64 v = number();
        return static_cast<i64>(v >> 1) ^ -static_cast<i64>(v & 1);
    }
    u8 byte();
    i32 small(i32 most);
    void payload(RecordedEvent&);
    std::vector<u8> bytes_;
    size_t at_ = 0;
    bool ok_ = true;
    Moment last_;
};
}  // namespace calque
