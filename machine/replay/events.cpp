#include "machine/replay/events.h"

#include <algorithm>

#include "support/state_io.h"

namespace calque {
namespace {
constexpr u8 kCheck = 31, kKind = 31, kFaults = 0x20, kTime = 0x40, kTurns = 0x80;
constexpr size_t kLongestName = 4096, kMostWritten = kMiB;
using Kind = GateEvent::Kind;
}  // namespace

// ---- writing

void EventWriter::number(u64 v) {
    for (; v >= 0x80; v >>= 7) byte(v | 0x80);
    byte(v);
}

void EventWriter::add(const RecordedEvent& e) {
    const u64 instructions = e.at.icount - last_.icount;
    const i64 skipped = static_cast<i64>(e.at.time - last_.time - instructions);
    byte((e.is_check ? kCheck : static_cast<u8>(e.event.kind)) | (skipped ? kTime : 0) | (e.at.turns ? kTurns : 0) | (e.at.faults ? kFaults : 0));
    number(instructions);
    if (skipped) signed_number(skipped);
    if (e.at.turns) number(e.at.turns);
    if (e.at.faults) number(e.at.faults);
    last_ = e.at;
    payload(e);
}

void EventWriter::payload(const RecordedEvent& r) {
    if (r.is_check) {
        for (unsigned i = 0; i < 8; ++i) byte(r.hash >> (8 * i));
        return;
    }
    const GateEvent& e = r.event;
    switch (e.kind) {
    case Kind::input:
        number(e.a ? e.a - std::min(e.a, r.at.time) + 1 : 0);   // 0: at once
        byte(static_cast<u8>(e.input.kind));
        byte(e.input.code), byte(e.input.down);
        signed_number(e.input.dx), signed_number(e.input.dy), signed_number(e.input.dz);
        break;
    case Kind::serial: number(e.a), byte(static_cast<u8>(e.x)); break;
    case Kind::serial_break: number(e.a); break;
    case Kind::time_skew: number(e.a), last_.time += e.a; break;
    case Kind::power_button:
    case Kind::reset: break;
    case Kind::insert_medium: {
        number(e.a), byte(e.y != 0), byte(e.z != 0);
        number(e.medium.path.size());
        bytes_.insert(bytes_.end(), e.medium.path.begin(), e.medium.path.end());
        byte(e.medium.read_only);
        StateIO s = StateIO::saver();
        ImageIdentity id = r.medium;
        s(id);
        byte(s.bytes().size());
        bytes_.insert(bytes_.end(), s.bytes().begin(), s.bytes().end());
        break;
    }
    case Kind::set_memory:
    case Kind::set_register:
    case Kind::set_msr:
        number(e.a), byte(e.y != 0);
        number(e.name.size());
        bytes_.insert(bytes_.end(), e.name.begin(), e.name.end());
        number(e.bytes.size());
        bytes_.insert(bytes_.end(), e.bytes.begin(), e.bytes.end());
        break;
    }
}

// ---- reading

u8 EventReader::byte() {
    if (at_ < bytes_.size()) return bytes_[at_++];
    ok_ = false;
    return 0;
}

u64 EventReader::number() {
    u64 v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const u8 b = byte();
        v |= u64{b & 0x7fu} << shift;
        if (!(b & 0x80)) return v;
    }
    ok_ = false;
    return 0;
}

i32 EventReader::small(i32 most) {
    const i64 v = signed_number();
    if (v >= -most && v <= most) return static_cast<i32>(v);
    ok_ = false;
    return 0;
}

std::optional<RecordedEvent> EventReader::next() {
    if (at_ == bytes_.size() || !ok_) return {};
    RecordedEvent e;
    const u8 head = byte();
    const u64 instructions = number();
    const i64 skipped = head & kTime ? signed_number() : 0;
    e.at.icount = last_.icount + instructions;
    e.at.time = last_.time + instructions + static_cast<u64>(skipped);
    e.at.turns = head & kTurns ? number() : 0;
    e.at.faults = head & kFaults ? number() : 0;
    // Neither count goes backwards, nor around.
    if (e.at.icount < last_.icount || e.at.time < last_.time || (skipped < 0) || e.at.turns > u64{1} << 32 || e.at.faults > u64{1} << 32) ok_ = false;
    e.is_check = (head & kKind) == kCheck;
    e.event.kind = static_cast<Kind>(head & kKind);
    last_ = e.at;
    if (ok_) payload(e);
    return ok_ ? std::optional{e} : std::nullopt;
}

void EventReader::payload(RecordedEvent& r) {
    if (r.is_check) {
        for (unsigned i = 0; i < 8; ++i) r.hash |= u64{byte()} << (8 * i);
        return;
    }
    GateEvent& e = r.event;
    constexpr i32 kMotion = 1 << 20;
    switch (e.kind) {
    case Kind::input:
        if (const u64 in = number()) e.a = r.at.time + (in - 1);
        e.input.kind = static_cast<InputEvent::Kind>(byte());
        e.input.code = byte(), e.input.down = byte();
        e.input.dx = small(kMotion), e.input.dy = small(kMotion), e.input.dz = small(kMotion);
        ok_ &= e.input.kind <= InputEvent::Kind::button;
        break;
    case Kind::serial: e.a = number(), e.x = byte(); break;
    case Kind::serial_break: e.a = number(); break;
    case Kind::time_skew:
        e.a = number();
        ok_ &= e.a < u64{1} << 62 && last_.time < u64{1} << 62;
        last_.time += e.a;
        break;
    case Kind::power_button:
    case Kind::reset: break;
    case Kind::insert_medium: {
        e.a = number(), e.y = byte(), e.z = byte();
        const u64 length = number();
        if (length > kLongestName || length > bytes_.size() - at_) return void(ok_ = false);
        e.medium.path.assign(reinterpret_cast<const char*>(bytes_.data()) + at_, length);
        at_ += length;
        e.medium.read_only = byte();
        const size_t size = byte();
        if (size > bytes_.size() - at_) return void(ok_ = false);
        StateIO s = StateIO::loader(std::span{bytes_}.subspan(at_, size));
        s(r.medium);
        at_ += size;
        ok_ &= s.complete();
        break;
    }
    case Kind::set_memory:
    case Kind::set_register:
    case Kind::set_msr: {
        e.a = number(), e.y = byte();
        const auto some = [&](auto& to, size_t most) {
            const u64 length = number();
            if (length > most || length > bytes_.size() - at_) return void(ok_ = false);
            to.assign(bytes_.begin() + static_cast<i64>(at_), bytes_.begin() + static_cast<i64>(at_ + length));
            at_ += length;
        };
        some(e.name, kLongestName);
        if (ok_) some(e.bytes, kMostWritten);
        ok_ &= e.kind == Kind::set_memory || e.bytes.size() <= sizeof(u64[4]);
        break;
    }
    default: ok_ = false;
    }
}
}  // namespace calque
